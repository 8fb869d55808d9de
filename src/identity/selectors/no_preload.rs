//! `no_preload = true`.
//!
//! **Proves** that each file of executable code which the calling process has mapped belongs to root (of the host), may be
//! written by nobody else, and lies on no FUSE: the program, its libraries, and whatever else is loaded at that moment.
//! **Against** a library of the user's own in a genuine program (`LD_PRELOAD`, `LD_AUDIT`, `LD_LIBRARY_PATH`, a plugin), also where it
//! has wiped its traces from the environment. **Evaded** by code that is in no mapped file: written there by a tracer or `process_vm_writev`,
//! made by a compiler at run time, or by a library that copied itself and took its file out; by code that is no machine code,
//! such as a script; and by what a file of root can be made to do. Weak; a rule needs another selector beside it.
//!
//! Files are looked at as they are mapped, not by their paths, so it works in other mount namespaces as well, where root is still the
//! root of the host. A memfd and memory shared by way of /dev/zero are files of whoever made them, with a mode that lets others
//! write: a runtime that puts its machine code there (.NET by default) does not match. It looks at all of the process
//! each time the file is opened. That takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE: where hushfs runs for one user, no caller matches.

use super::{Says, Selector, SelectorKind, Strength, Verdict, switch};
use crate::identity::evidence::{Fact, Subject};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "no_preload",
    about: "all code that the caller has loaded comes from files of root",
    strength: Strength::Weak,
    says: Says::How,
    parse: |value| {
        switch(value, "no_preload")?;
        Ok(Box::new(NoPreload))
    },
};

struct NoPreload;

impl Selector for NoPreload {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match &of.evidence.mappings {
            None => Verdict::Ask(Fact::Mappings),
            Some(Err(_)) => Verdict::Unproven,
            Some(Ok(foreign)) => Verdict::of(foreign.is_none()),
        }
    }

    fn describe(&self) -> String {
        "no_preload:true".into()
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match &of.evidence.mappings {
            None => format!("{} is not known", Fact::Mappings),
            Some(Err(why)) => why.to_string(),
            Some(Ok(None)) => "all code that the caller has loaded comes from files of root".into(),
            Some(Ok(Some(foreign))) => {
                format!("the caller has loaded code that is not root's alone: {foreign}")
            }
        }
    }
}
