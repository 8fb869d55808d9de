//! `reads = 1`.
//!
//! **Proves** that this process instance was let in to this file fewer times than that. **Against** a process that was
//! taken over after it had read what it needs at its start. **Evaded** by a process that can start another, which has not
//! read anything yet. Weak; a rule needs another selector beside it.
//!
//! What counts is an open, and the first read through a descriptor that was inherited or passed by somebody else; reading again from a
//! descriptor that is open does not, nor does asking for the size. Threads count together, and executing another program
//! starts no new count. The last 4096 pairs of process and file are remembered; a restart of hushfs forgets them.

use super::{Says, Selector, SelectorError, SelectorKind, Strength, Verdict};
use crate::identity::evidence::{Fact, Subject};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "reads",
    about: "the caller's process opened the file fewer times than this",
    strength: Strength::Weak,
    says: Says::How,
    parse: |value| Ok(Box::new(Reads(number(value)?))),
};

struct Reads(u32);

fn number(value: &toml::Value) -> Result<u32, SelectorError> {
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        SelectorError::new(
            "`reads` takes a number from 1 on",
            "how many times a process may open the file, such as 1",
        )
    })
}

impl Selector for Reads {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match of.evidence.reads {
            None => Verdict::Ask(Fact::Reads),
            Some(reads) => Verdict::of(reads < self.0),
        }
    }

    fn describe(&self) -> String {
        format!("reads:{}", self.0)
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match of.evidence.reads {
            None => format!("{} is not known", Fact::Reads),
            Some(reads) => {
                format!("the caller's process has had {reads} of its {} reads of the file", self.0)
            }
        }
    }

    fn most_reads(&self) -> Option<u32> {
        Some(self.0)
    }
}
