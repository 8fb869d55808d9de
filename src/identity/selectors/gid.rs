//! `gid = 1000`.
//!
//! **Proves** that the gid with which the caller opens files or one of its supplementary groups is this one. **Against** everybody
//! without the group. **Evaded** by whoever may run a setgid program of that group. Strong.

use super::{PinnedId, Says, Selector, SelectorError, SelectorKind, Strength, Verdict, id};
use crate::identity::Subject;

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "gid",
    about: "the caller is in the group with this number, supplementary groups included",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Gid(id(value, "gid")?))),
};

pub(super) struct Gid(pub(super) u32);

impl Selector for Gid {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        let who = of.who;
        Verdict::of(who.gid == self.0 || who.groups.contains(&self.0))
    }

    fn describe(&self) -> String {
        format!("gid:{}", self.0)
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        format!("the caller's gid is {}, its groups are {:?}", of.who.gid, of.who.groups)
    }

    fn pins(&self) -> Option<PinnedId> {
        Some(PinnedId::Gid(self.0))
    }
}

/// Names of groups are read once, when the configuration is.
pub(super) fn of_group(value: &toml::Value, key: &str) -> Result<u32, SelectorError> {
    let by_number = if key == "group" { "gid" } else { key };
    let name = value.as_str().ok_or_else(|| {
        SelectorError::new(format!("`{key}` takes a name"), format!("for a number write `{by_number}`"))
    })?;
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(SelectorError::new(
            format!("there is no group `{name}` on this host"),
            format!("create it first (`groupadd --system`), or write its number as `{by_number}`"),
        )),
        Err(error) => Err(SelectorError::new(
            format!("group `{name}` cannot be looked up: {error}"),
            format!("write its number as `{by_number}`"),
        )),
    }
}
