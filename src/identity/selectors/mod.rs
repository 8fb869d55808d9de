//! The selectors: what a rule can demand of a caller. Each is one file here and one line in [`SELECTORS`].
//!
//! A selector looks at a [`Subject`]: the identity, and the evidence that was gathered beyond it. What it turns on and is not
//! there yet it asks for ([`Verdict::Ask`]), so that nothing is looked at, and no runtime is asked, for a caller that another
//! selector of the rule turns away.

use std::fmt;

use super::evidence::{Fact, Subject};

mod container;
mod egid;
pub mod exe;
mod exe_sha256;
mod gid;
mod group;
mod no_new_privs;
mod no_preload;
mod not_dumpable;
mod not_traced;
mod reads;
mod slice;
mod uid;
mod unit;
mod user;
mod user_unit;
mod within;

pub use unit::NamedUnit;

/// Every selector that a rule can use, in the order in which they are shown.
pub const SELECTORS: &[SelectorKind] = &[
    uid::KIND,
    user::KIND,
    gid::KIND,
    group::KIND,
    egid::KIND,
    unit::KIND,
    slice::KIND,
    user_unit::KIND,
    container::KIND,
    exe::KIND,
    exe_sha256::KIND,
    no_new_privs::KIND,
    not_traced::KIND,
    not_dumpable::KIND,
    no_preload::KIND,
    within::KIND,
    reads::KIND,
];

/// One kind of selector: a key of a rule.
pub struct SelectorKind {
    /// The key in a rule.
    pub key: &'static str,
    /// What it proves, in one line.
    pub about: &'static str,
    /// How hard it is to evade.
    pub strength: Strength,
    /// Whether it says who is asking, or only in what state.
    pub says: Says,
    /// Checks the value written in the configuration.
    pub parse: fn(&toml::Value) -> Result<Box<dyn Selector>, SelectorError>,
}

/// What a selector speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Who the caller is: enough for a rule.
    Who,
    /// Which of a user's processes it is, by what the user himself decides: only beside one that says whose.
    WhichOfAUser,
    /// In what state it is: only beside one that says who.
    How,
}

/// One proven fact that a rule demands.
pub trait Selector: Send + Sync {
    /// Whether the subject has it. No I/O: what it needs is in the subject, or is asked for.
    fn check(&self, of: &Subject<'_>) -> Verdict;

    /// The fact as it is written, `key:value`, for messages.
    fn describe(&self) -> String;

    /// What the subject has of the kind, for whoever wonders why it does not match: a clause without a full stop, such as
    /// `the caller's uid is 1001`.
    fn seen(&self, of: &Subject<'_>) -> String;

    /// What it pins of the caller's ids, so that the configuration can be checked against owner and mode. One that turns on groups
    /// must say so here: else those of a caller that is known are not looked at again.
    fn pins(&self) -> Option<PinnedId> {
        None
    }

    /// The executable it names, so that its reference file is kept open and looked at again when it is replaced.
    fn executable(&self) -> Option<&exe::Reference> {
        None
    }

    /// How many times it lets one process instance in to one file, where it counts that.
    fn most_reads(&self) -> Option<u32> {
        None
    }

    /// What it is worth for a caller in a user namespace of its own.
    fn elsewhere(&self) -> Elsewhere {
        Elsewhere::Counts
    }
}

/// What a selector is worth for a caller in another user namespace than ours, which any user may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// It says where root put the caller, whatever namespaces that has since: enough for a rule.
    Proves,
    /// It holds there as well, and is not enough.
    Counts,
    /// There it can be forged.
    Forgeable,
}

/// Whether a rule of these selectors is for callers in other user namespaces as well.
pub fn holds_elsewhere<'s>(rule: impl Iterator<Item = &'s dyn Selector>) -> bool {
    let worth: Vec<_> = rule.map(Selector::elsewhere).collect();
    worth.contains(&Elsewhere::Proves) && !worth.contains(&Elsewhere::Forgeable)
}

/// What a selector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The subject has it.
    Yes,
    /// The subject does not have it.
    No,
    /// That turns on a fact which is not in the evidence yet.
    Ask(Fact),
    /// That turns on a fact which could not be established; [`Selector::seen`] says why. Counts as no.
    Unproven,
}

impl Verdict {
    /// Yes or no.
    pub fn of(has: bool) -> Self {
        if has { Self::Yes } else { Self::No }
    }
}

/// An id that a selector demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedId {
    /// The caller's uid.
    Uid(u32),
    /// One of the caller's gids.
    Gid(u32),
    /// The caller's effective gid, which it has from a setgid program.
    Egid(u32),
}

/// Against an attacker without root: what it takes to appear to have a fact one does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Can be had by a launcher or parent of one's own choice.
    Weak,
    /// Proves the program, not what runs inside it: a process of the same uid may inject code.
    Medium,
    /// Takes another user's rights or the kernel's.
    Strong,
}

/// Why a selector's value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The way to what is wrong, from the selector's value; empty where that is the value as a whole.
    pub within: Vec<Step>,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To the value of this key of a table.
    Value(String),
    /// To the key itself.
    Key(String),
    /// To the item of a list with this number, from 0.
    Item(usize),
}

impl SelectorError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), within: Vec::new() }
    }

    /// It is about what is there.
    fn within(self, within: impl Into<Vec<Step>>) -> Self {
        Self { within: within.into(), ..self }
    }
}

/// The kind for a rule's key.
pub fn selector(key: &str) -> Option<&'static SelectorKind> {
    SELECTORS.iter().find(|kind| kind.key == key)
}

/// The kind that a selector is of.
pub fn kind(of: &dyn Selector) -> Option<&'static SelectorKind> {
    let described = of.describe();
    described.split(':').next().and_then(selector)
}

/// How hard a selector is to evade.
pub fn strength(of: &dyn Selector) -> Option<Strength> {
    kind(of).map(|kind| kind.strength)
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weak => "weak",
            Self::Medium => "medium",
            Self::Strong => "strong",
        })
    }
}

impl fmt::Debug for SelectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }
}

/// An id from a configuration value: a whole number from 0 to 2^32 - 2.
fn id(value: &toml::Value, key: &str) -> Result<u32, SelectorError> {
    value.as_integer().and_then(|n| u32::try_from(n).ok()).filter(|n| *n != u32::MAX).ok_or_else(|| {
        SelectorError::new(
            format!("`{key}` takes a number"),
            format!("for a name write `{}`", if key == "uid" { "user" } else { "group" }),
        )
    })
}

/// A selector that is on or not there: it takes `true` only.
fn switch(value: &toml::Value, key: &str) -> Result<(), SelectorError> {
    match value.as_bool() {
        Some(true) => Ok(()),
        _ => {
            Err(SelectorError::new(format!("`{key}` takes `true`"), "leave it out where it is not demanded"))
        }
    }
}
