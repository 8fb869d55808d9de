//! Users by name and number.

use std::collections::HashMap;

use nix::unistd::{Uid, User};

/// The uid of a user.
pub(super) fn uid(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// Remembers names: a user database may be far away.
#[derive(Default)]
pub(super) struct Names(HashMap<u32, Option<String>>);

impl Names {
    /// The name of a user, where the host knows one.
    pub(super) fn name(&mut self, uid: u32) -> Option<&str> {
        let find = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        self.0.entry(uid).or_insert_with(find).as_deref()
    }

    /// `alice(1000)`, or `1000` where the user has no name.
    pub(super) fn shown(&mut self, uid: u32) -> String {
        self.name(uid).map_or_else(|| uid.to_string(), |name| format!("{name}({uid})"))
    }
}
