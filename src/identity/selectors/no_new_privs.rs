//! `no_new_privs = true`.
//!
//! **Proves** that the calling thread cannot gain rights by executing a setuid or setgid program, and nor can what it
//! starts. **Against** a service that was started without the sandbox it should have. **Evaded** by any process: it may set the flag
//! on itself, so it says nothing of who is asking. Weak by itself; a rule needs another selector beside it.

use super::{Says, Selector, SelectorKind, Strength, Verdict, switch};
use crate::identity::evidence::{Fact, Subject};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "no_new_privs",
    about: "the caller cannot gain rights by executing a program",
    strength: Strength::Weak,
    says: Says::How,
    parse: |value| {
        switch(value, "no_new_privs")?;
        Ok(Box::new(NoNewPrivs))
    },
};

struct NoNewPrivs;

impl Selector for NoNewPrivs {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match &of.evidence.hardening {
            None => Verdict::Ask(Fact::Hardening),
            Some(Err(_)) => Verdict::Unproven,
            Some(Ok(found)) => Verdict::of(found.no_new_privs),
        }
    }

    fn describe(&self) -> String {
        "no_new_privs:true".into()
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match &of.evidence.hardening {
            None => format!("{} is not known", Fact::Hardening),
            Some(Err(why)) => why.to_string(),
            Some(Ok(found)) if found.no_new_privs => "the caller has set it".into(),
            Some(Ok(_)) => "the caller may gain rights by executing a setuid program".into(),
        }
    }
}
