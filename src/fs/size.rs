//! The size that a holder of the file must see.
//!
//! A FUSE fstat carries no handle (measured on Linux 6.18), so it looks like a stat. A process that opened an older, longer
//! version and is told the present size would read it cut short: node's `readFileSync` does, silently.

use super::{Handles, Ino};
use crate::identity::{Attestor, Caller};

/// The size of the handle that the caller's process holds on the file: the newest it opened, else of one it inherited or
/// was passed. `None` where it holds none.
///
/// Which of others' handles it was given shows with its first read. Until then the largest size is told: a reader that
/// expects too much finds the end, one that expects too little misses what is behind.
pub(super) fn of_holder(handles: &Handles, attestor: &Attestor, caller: Caller, ino: Ino) -> Option<u64> {
    if !handles.any(ino) {
        return None;
    }
    let who = attestor.recall(caller).or_else(|| attestor.identify(caller).ok())?;
    if let Some(size) = handles.newest_of(ino, who.process) {
        return Some(size);
    }
    // Somebody else opened it. Only the descriptors of the caller tell whether it has one too.
    if !attestor.holds_inode(caller, ino.0) {
        return None;
    }
    handles.newest_read_by(ino, who.process).or_else(|| handles.largest(ino))
}
