//! `uid = 1000`.
//!
//! **Proves** that all four uids of the calling thread (real, effective, saved, file system) are this one, in the
//! daemon's own user namespace. **Against** everybody but root. **Evaded** by nobody without that uid or root; programs of
//! the same uid are not told apart. Strong.

use super::{PinnedId, Says, Selector, SelectorError, SelectorKind, Strength, Verdict, id};
use crate::identity::Subject;

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "uid",
    about: "all four uids of the caller are this number",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Uid(id(value, "uid")?))),
};

pub(super) struct Uid(pub(super) u32);

impl Selector for Uid {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        let who = of.who;
        Verdict::of(who.uid == self.0)
    }

    fn describe(&self) -> String {
        format!("uid:{}", self.0)
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        format!("the caller's uid is {}", of.who.uid)
    }

    fn pins(&self) -> Option<PinnedId> {
        Some(PinnedId::Uid(self.0))
    }
}

/// Names of users are read once, when the configuration is.
pub(super) fn of_user(value: &toml::Value) -> Result<u32, SelectorError> {
    let name = value
        .as_str()
        .ok_or_else(|| SelectorError::new("`user` takes a name", "for a number write `uid`"))?;
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(SelectorError::new(
            format!("there is no user `{name}` on this host"),
            "create it first (`useradd --system`), or write its number as `uid`",
        )),
        Err(error) => Err(SelectorError::new(
            format!("user `{name}` cannot be looked up: {error}"),
            "write its number as `uid`",
        )),
    }
}
