//! Descriptors that somebody else owns.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes `place` refer to what `other` refers to, for whoever owns it. What it referred to is let go.
///
/// # Errors
/// As dup3(2).
pub fn replace(place: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open, and `place` is after the call as well: its owner closes it in the end.
    let done = unsafe { libc::dup3(other.as_raw_fd(), place.as_raw_fd(), libc::O_CLOEXEC) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes what whoever started this process left open, but for the standard descriptors. To be called first of all: nothing
/// in this process may own a descriptor yet.
pub fn close_inherited() {
    // SAFETY: closes descriptors that no value in this process owns, as its contract says. An older kernel has no such call,
    // and there they stay.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}
