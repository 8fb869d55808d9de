//! The size that a holder of the file must see.
//!
//! A FUSE fstat carries no handle (measured on Linux 6.18), so it looks like a stat. A process that opened an older, longer
//! version and is told the present size would read it cut short: node's `readFileSync` does, silently.

use super::{Handles, Ino};
use crate::identity::{Attestor, Caller};

/// The size of the newest handle that the caller's process opened on the file.
pub(super) fn of_opener(handles: &Handles, attestor: &Attestor, caller: Caller, ino: Ino) -> Option<u64> {
    if !handles.any(ino) {
        return None;
    }
    let who = attestor.recall(caller).or_else(|| attestor.identify(caller).ok())?;
    handles.newest_of(ino, who.process)
}

/// The size of a handle that somebody else opened and the caller's process was given, where it is not `present` anyway.
///
/// Which one it was given shows with its first read. Until then the largest size is told: a reader that expects too much
/// finds the end, one that expects too little misses what is behind.
pub(super) fn of_heir(
    handles: &Handles,
    attestor: &Attestor,
    caller: Caller,
    ino: Ino,
    present: u64,
) -> Option<u64> {
    // Only the descriptors of the caller tell whether it has one. They may be many, so they are looked at last.
    if !handles.any_but(ino, present) || !attestor.holds_inode(caller, ino.0) {
        return None;
    }
    let process = attestor.identify(caller).ok()?.process;
    handles.newest_read_by(ino, process).or_else(|| handles.largest(ino))
}
