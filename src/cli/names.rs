//! Users by name and number.

use std::collections::HashMap;

use nix::unistd::{Uid, User};

/// The uid of a user.
pub(super) fn uid(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// Remembers names: a user database may be far away.
#[derive(Default)]
pub(super) struct Names(HashMap<u32, String>);

impl Names {
    /// `alice(1000)`, or `1000` where the user has no name.
    pub(super) fn shown(&mut self, uid: u32) -> &str {
        self.0.entry(uid).or_insert_with(|| match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => format!("{}({uid})", user.name),
            Ok(None) | Err(_) => uid.to_string(),
        })
    }
}
