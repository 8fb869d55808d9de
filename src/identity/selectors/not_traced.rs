//! `not_traced = true`.
//!
//! **Proves** that no thread of the calling process is traced (`TracerPid` of status) when it is looked at: as it opens the
//! file. **Against** a debugger or `strace` that is attached at that moment, and would see the secret arrive. **Evaded** by
//! whoever may trace the process: he may attach before, change it and detach, attach after it has opened the file, or write
//! its memory without attaching (`/proc/<pid>/mem`, `process_vm_writev`). `not_dumpable` or `egid` stop him where this only looks.
//! Weak; a rule needs another selector beside it.
//!
//! A process of more than 1024 threads is not looked at and does not match. A process that shares the memory without being
//! a thread (`CLONE_VM` alone) is not looked at either.

use super::{Says, Selector, SelectorKind, Strength, Verdict, switch};
use crate::identity::evidence::{Fact, Subject};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "not_traced",
    about: "no debugger is attached to the caller",
    strength: Strength::Weak,
    says: Says::How,
    parse: |value| {
        switch(value, "not_traced")?;
        Ok(Box::new(NotTraced))
    },
};

struct NotTraced;

impl Selector for NotTraced {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match &of.evidence.tracer {
            None => Verdict::Ask(Fact::Tracer),
            Some(Err(_)) => Verdict::Unproven,
            Some(Ok(tracer)) => Verdict::of(tracer.is_none()),
        }
    }

    fn describe(&self) -> String {
        "not_traced:true".into()
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match &of.evidence.tracer {
            None => format!("{} is not known", Fact::Tracer),
            Some(Err(why)) => why.to_string(),
            Some(Ok(None)) => "nobody traces the caller".into(),
            Some(Ok(Some(found))) => {
                format!("process {} traces thread {} of the caller", found.by.0, found.thread.0)
            }
        }
    }
}
