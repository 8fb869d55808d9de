//! What the fetcher may not do: it reads what strangers answer, so whoever takes it over must get nowhere from it.
//!
//! This folder owns giving up rights, and knows nothing of what they were for. [`enter`] is called before any thread is
//! started, since each thread has rights of its own; what is started later has no more.
//!
//! ```text
//!  rights.rs   user and groups, capabilities, limits
//!  paths.rs    Landlock: which files can be opened at all
//!  calls.rs    seccomp: which system calls there are
//! ```

use std::io;

use rustix::process::{DumpableBehavior, Signal};

mod calls;
mod paths;
mod rights;

pub use paths::Outdated;

/// A user of the host with its first group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its uid.
    pub uid: u32,
    /// Its gid.
    pub gid: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Entered {
    /// What the kernel has not, one line each: the rest is in force all the same.
    pub lacking: Vec<String>,
    /// Tells when files that were let in have been replaced by others that are not.
    pub outdated: Outdated,
}

/// Gives up, for good, everything but talking to the network and reading what a resolver and TLS need: from now on this
/// process is `account` (as root; else it stays who it is), has no capability, opens no other file, writes none, starts no
/// program, touches no other process, and ends with its parent.
///
/// # Errors
/// When the kernel refuses what every kernel has.
pub fn enter(account: Option<Account>) -> io::Result<Entered> {
    rights::give_up(account)?;
    // A change of user undoes both.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let paths = paths::restrict().map_err(io::Error::other)?;
    let calls = calls::restrict().map_err(io::Error::other)?;
    Ok(Entered { lacking: paths.into_iter().chain(calls).collect(), outdated: Outdated::watch() })
}
