//! `mount_setattr(2)`, which rustix does not wrap.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Takes read-only off the mount that `mount` refers to (not off its file system), and takes it out of its peers, so that
/// what is mounted below them is not mounted below it.
///
/// # Errors
/// As mount_setattr(2); `ENOSYS` before Linux 5.12.
pub fn make_private_and_writable(mount: BorrowedFd<'_>) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: 0,
        attr_clr: libc::MOUNT_ATTR_RDONLY,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is an empty C string, `attr` outlives the call, and its size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(&attr),
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
