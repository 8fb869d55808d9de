//! `user = "mcpx"`: as `uid`, by name. The name is looked up when the configuration is read, and again at each reload.

use super::uid::{Uid, of_user};
use super::{Says, SelectorKind, Strength};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "user",
    about: "all four uids of the caller are this user's",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Uid(of_user(value)?))),
};
