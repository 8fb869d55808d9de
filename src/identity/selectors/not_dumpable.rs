//! `not_dumpable = true`.
//!
//! **Proves** that the kernel keeps other processes of the caller's uid out of its memory: they may not trace it, nor read or
//! write `/proc/<pid>/mem`, and it leaves no core file (`PR_SET_DUMPABLE` 0, or a setuid or setgid program; read from the
//! owner of `/proc/<pid>/mem`). **Against** injection into a running process, which `exe` cannot see. **Evaded** by any
//! process: it may set the flag on itself, so it says nothing of who is asking; and by whoever gets in before the flag is
//! set, as a library by `LD_PRELOAD` does. Weak by itself; a rule needs another selector beside it, and with `exe` it is worth most for a program that
//! sets the flag first of all.
//!
//! For uid 0 it cannot be told: everything in its `/proc/<pid>` is root's either way. Such a caller does not match.

use super::{Says, Selector, SelectorKind, Strength, Verdict, switch};
use crate::identity::evidence::{Fact, Subject};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "not_dumpable",
    about: "other processes of its uid are kept out of the caller's memory",
    strength: Strength::Weak,
    says: Says::How,
    parse: |value| {
        switch(value, "not_dumpable")?;
        Ok(Box::new(NotDumpable))
    },
};

struct NotDumpable;

impl Selector for NotDumpable {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match &of.evidence.hardening {
            None => Verdict::Ask(Fact::Hardening),
            Some(Err(_)) => Verdict::Unproven,
            Some(Ok(found)) => found.not_dumpable.map_or(Verdict::Unproven, Verdict::of),
        }
    }

    fn describe(&self) -> String {
        "not_dumpable:true".into()
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match of.evidence.hardening.as_ref().map(|found| found.as_ref().map(|found| found.not_dumpable)) {
            None => format!("{} is not known", Fact::Hardening),
            Some(Err(why)) => why.to_string(),
            Some(Ok(None)) => "for uid 0 it cannot be told whether a process is dumpable".into(),
            Some(Ok(Some(true))) => "the caller is not dumpable".into(),
            Some(Ok(Some(false))) => "the caller is dumpable: its user may trace it".into(),
        }
    }
}
