//! Who is asking, from the kernel's evidence alone.
//!
//! This folder owns turning the thread id of a FUSE request into an [`Identity`], what else can be found out about a caller
//! ([`Evidence`]), and the selectors that rules are made of. It does not know what a rule is (`policy/`) nor what is asked for.
//!
//! ```text
//!  Caller (tid, uid, gid) -- Attestor::identify --> Identity     always: ids, executable, cgroup
//!                            Attestor::gather   --> Evidence     when a rule turns on it: age, hardening, ...
//!                            Attestor::inspect  --> Inspected    for explanations: a process that asks for nothing
//!                 selectors/ a fact of both     --> Verdict      yes, no, or "ask for this first"
//! ```

mod caller;
mod cgroup;
mod container;
mod evidence;
mod facts;
mod inspect;
mod inspections;
mod interpreters;
mod namespaces;
mod pins;
mod process;
mod selectors;
mod unit_name;
mod waiting;
mod watch;

pub use caller::{Attestor, Caller, Refusal};
pub use cgroup::{Cgroup, Membership, Place};
pub use container::{Container, ContainerId, Engine, Runtimes};
pub use evidence::{Digest, Evidence, Fact, Facts, Found, Hardening, Subject, Traced};
pub use inspect::{Inspected, running, uids};
pub use interpreters::is_interpreter;
pub use namespaces::{Misplaced, Namespaces};
pub use process::{Exe, Gids, Identity, Pid, ProcessId, Tid, UserNamespace};
pub use selectors::{
    Elsewhere, NamedUnit, PinnedId, SELECTORS, Says, Selector, SelectorError, SelectorKind, Step, Strength,
    Verdict, exe, holds_elsewhere, kind, selector, strength,
};
pub use unit_name::{is_managed as is_managed_unit, whole as whole_unit_name};
pub use watch::{By, Watch, ended};

#[cfg(test)]
pub(crate) use process::tests::somebody;
