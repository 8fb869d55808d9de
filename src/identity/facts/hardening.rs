//! What the kernel keeps a thread from, and others from doing to it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, StatxFlags};

use crate::identity::Tid;
use crate::identity::evidence::{Found, Hardening};
use crate::identity::process::{open_dir, status};

/// Reads it at once.
pub(in crate::identity) fn hardening(tid: Tid) -> Found<Hardening> {
    let read = || {
        let dir = open_dir(tid)?;
        let status = status(dir.as_fd())?;
        let not_dumpable = not_dumpable(dir.as_fd(), status.uids[1])?;
        Ok(Hardening { no_new_privs: status.no_new_privs, not_dumpable })
    };
    read().map_err(|error: std::io::Error| format!("its state cannot be read: {error}").into())
}

/// The kernel gives what is in `/proc/<tid>` to the effective uid of a process that is dumpable, and to root otherwise (the
/// directory itself aside).
fn not_dumpable(dir: BorrowedFd<'_>, euid: u32) -> std::io::Result<Option<bool>> {
    if euid == 0 {
        return Ok(None);
    }
    let stat = rustix::fs::statx(
        dir,
        c"mem",
        AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC,
        StatxFlags::UID,
    )?;
    Ok(Some(stat.stx_uid == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_root_it_cannot_be_told_whether_a_process_is_dumpable() {
        let dir = open_dir(Tid(std::process::id())).unwrap();
        assert_eq!(not_dumpable(dir.as_fd(), 0).unwrap(), None);
        // Files of a process of root are root's either way; for any other uid that means that it is not dumpable.
        assert_eq!(not_dumpable(dir.as_fd(), 1).unwrap(), Some(true), "run tests as root");
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_found() {
        assert!(hardening(Tid(u32::MAX >> 2)).is_err());
    }
}
