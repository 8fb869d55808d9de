//! What runs in the process: one thread that opens what it is told, writes a byte, and closes it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::packet;

/// Writes to what `socket` tells of below `private` until nobody tells any more. First says that it is ready, and what the
/// kernel is `lacking` to confine this process.
///
/// # Errors
/// When the socket fails.
pub fn serve(socket: OwnedFd, private: OwnedFd, lacking: &[String]) -> io::Result<()> {
    let socket = socket.as_fd();
    packet::ready(socket, lacking)?;
    while let Some(path) = packet::told(socket)? {
        packet::answer(socket, poke(private.as_fd(), &path))?;
    }
    Ok(())
}

/// One name at a time, so that nothing in a path leads out of the mount. (`openat2` would say that in one call, but the
/// `RestrictSUIDSGID=` of systemd takes it away.)
fn poke(private: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    let names: Vec<_> = path.split('/').collect();
    if names.iter().any(|name| matches!(*name, "" | "." | "..")) {
        return Err(Errno::INVAL);
    }
    let (scope, workload, name) = match names.as_slice() {
        [scope, name] => (scope, None, name),
        [scope, workload, name] => (scope, Some(workload), name),
        _ => return Err(Errno::INVAL),
    };
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let enter = |from: BorrowedFd<'_>, name: &str| {
        openat(from, name, flags | OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    };
    let mut directory = enter(private, scope)?;
    if let Some(workload) = workload {
        directory = enter(directory.as_fd(), workload)?;
    }
    // NONBLOCK: the owner of a file can take a lease of it, which would have this wait for as long as a lease may be kept.
    let file = openat(&directory, *name, flags | OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?;
    rustix::io::write(&file, b"\n")?;
    Ok(())
}
