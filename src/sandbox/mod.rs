//! What the fetcher may not do: it reads what strangers answer, so whoever takes it over must get nowhere from it. And what
//! a process may not do that can write to files of others.
//!
//! This folder owns giving up rights, and knows nothing of what they were for. [`enter`] and [`enter_to_write_below`] are
//! called before any thread is started, since each thread has rights of its own; what is started later has no more.
//!
//! ```text
//!  rights.rs   user and groups, capabilities, limits
//!  paths.rs    Landlock: which files can be opened at all
//!  calls.rs    seccomp: which system calls there are
//! ```

use std::io;
use std::os::fd::BorrowedFd;

use rustix::process::{DumpableBehavior, Signal};

mod calls;
mod paths;
mod rights;

pub use paths::Outdated;

/// What a warning calls who may write.
const WRITER: &str = "the process that announces changes";

/// A user of the host with its first group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its uid.
    pub uid: u32,
    /// Its gid.
    pub gid: u32,
}

/// What a process is to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cage {
    /// Everything but talking to the network and reading what a resolver and TLS need: from now on it is that account (as
    /// root; else it stays who it is), has no capability, opens no other file, writes none, starts no program and touches no
    /// other process.
    Whole(Option<Account>),
    /// What starting programs as other users does not take. They inherit what is given up, so there is no other restriction.
    ForPrograms,
}

/// What came of it.
#[derive(Debug)]
pub struct Entered {
    /// What the kernel has not, one line each: the rest is in force all the same.
    pub lacking: Vec<String>,
    /// Tells when files that were let in have been replaced by others that are not.
    pub outdated: Outdated,
}

/// Gives up, for good, what `cage` says; from now on this process ends with its parent.
///
/// # Errors
/// When the kernel refuses what every kernel has.
pub fn enter(cage: Cage) -> io::Result<Entered> {
    match cage {
        Cage::Whole(account) => rights::give_up(account)?,
        Cage::ForPrograms => rights::give_up_for_programs()?,
    }
    // A change of user undoes both.
    end_with_parent()?;
    let lacking = match cage {
        Cage::Whole(_) => {
            let paths = paths::restrict().map_err(io::Error::other)?;
            paths.into_iter().chain(calls::restrict().map_err(io::Error::other)?).collect()
        }
        Cage::ForPrograms => Vec::new(),
    };
    Ok(Entered { lacking, outdated: Outdated::watch() })
}

/// Gives up, for good, everything but opening the files below `directory`, whoever's they are, to write a byte to their
/// beginning; from now on this process ends with its parent. Gives what the kernel has not, one line each.
///
/// # Errors
/// When the kernel refuses what every kernel has.
pub fn enter_to_write_below(directory: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    rights::give_up_but_writing()?;
    end_with_parent()?;
    let paths = paths::restrict_to_writing_below(directory).map_err(io::Error::other)?;
    let calls = calls::restrict_to_writing().map_err(io::Error::other)?;
    Ok(paths.into_iter().chain(calls).collect())
}

fn end_with_parent() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
