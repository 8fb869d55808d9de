//! The first exchange with the kernel, where both say what they can.
//!
//! fuser always takes up `FUSE_ASYNC_READ`. With it what a caller maps is read ahead without the caller waiting: it may have
//! become another program by then, whose identity is then taken for its own, and it may be inside execve, where a look at it
//! waits for as long as somebody's file system likes. So fuser is not told that the kernel can do that: it is greeted over a
//! socket, and gets the kernel's own descriptor in its place afterwards.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::sys::descriptor;

/// Where the kernel says what it can, in its INIT: after the header (40 bytes), the version and the size of reading ahead.
const FLAGS: std::ops::Range<usize> = 52..56;
/// `FUSE_ASYNC_READ` (linux/fuse.h).
const ASYNC_READ: u32 = 1;
/// The kernel gives no request to a reader with less room (`FUSE_MIN_READ_BUFFER`).
const ROOM: usize = 8192;

/// Has `greeted` shake hands over the descriptor that it is given, as if with `device`. What it makes of it speaks with
/// `device` itself from then on.
pub(super) fn without_async_read<T: AsFd>(
    device: &OwnedFd,
    greeted: impl FnOnce(OwnedFd) -> io::Result<T>,
) -> io::Result<T> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let mut message = vec![0; ROOM];
    let length = read(device, &mut message)?;
    let mut greeting = message.get(..length).unwrap_or_default().to_vec();
    if let Some(flags) = greeting.get_mut(FLAGS)
        && let Ok(said) = <[u8; 4]>::try_from(&*flags)
    {
        flags.copy_from_slice(&(u32::from_ne_bytes(said) & !ASYNC_READ).to_ne_bytes());
    }
    rustix::io::write(&ours, &greeting)?;
    let made = greeted(theirs)?;
    let length = read(&ours, &mut message)?;
    rustix::io::write(device, message.get(..length).unwrap_or_default())?;
    descriptor::replace(made.as_fd(), device.as_fd())?;
    Ok(made)
}

fn read(from: &OwnedFd, to: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::read(from, &mut *to))?)
}
