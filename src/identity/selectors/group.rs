//! `group = "mcpx"`: as `gid`, by name. The name is looked up when the configuration is read, and again at each reload.

use super::gid::{Gid, of_group};
use super::{Says, SelectorKind, Strength};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "group",
    about: "the caller is in this group, supplementary groups included",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Gid(of_group(value, "group")?))),
};
