//! Who is asking, from the kernel's evidence alone.
//!
//! This folder owns turning the thread id of a FUSE request into an [`Identity`], and the selectors that rules are made
//! of. It does not know what a rule is (`policy/`) nor what is asked for. A selector is one file and one line in
//! [`SELECTORS`].

use std::fmt;

mod caller;
pub mod exe;
mod gid;
mod group;
mod process;
mod uid;
mod user;

pub use caller::{Attestor, Caller, Refusal};
pub use process::{Exe, Identity, Pid, ProcessId, Tid};

/// Every selector that a rule can use.
pub const SELECTORS: &[SelectorKind] = &[uid::KIND, user::KIND, gid::KIND, group::KIND, exe::KIND];

/// One kind of selector: a key of a rule.
pub struct SelectorKind {
    /// The key in a rule.
    pub key: &'static str,
    /// What it proves, in one line.
    pub about: &'static str,
    /// How hard it is to evade.
    pub strength: Strength,
    /// Checks the value written in the configuration.
    pub parse: fn(&toml::Value) -> Result<Box<dyn Selector>, SelectorError>,
}

/// One proven fact that a rule demands.
pub trait Selector: Send + Sync {
    /// Whether `who` has it. No I/O: what it needs was read when the identity was taken.
    fn matches(&self, who: &Identity) -> bool;

    /// The fact as it is written, `key:value`, for messages.
    fn describe(&self) -> String;

    /// What it pins of the caller's ids, so that the configuration can be checked against owner and mode.
    fn pins(&self) -> Option<PinnedId> {
        None
    }

    /// The executable it names, so that its reference file is kept open and looked at again when it is replaced.
    fn executable(&self) -> Option<&exe::Reference> {
        None
    }
}

/// An id that a selector demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedId {
    /// The caller's uid.
    Uid(u32),
    /// One of the caller's gids.
    Gid(u32),
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
}

impl SelectorError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// The kind for a rule's key.
pub fn selector(key: &str) -> Option<&'static SelectorKind> {
    SELECTORS.iter().find(|kind| kind.key == key)
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
