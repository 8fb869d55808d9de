//! What is said: one packet each over a `SOCK_SEQPACKET` pair. The process first says that it is ready, and what the kernel
//! lacks to confine it; then it is told paths, and answers each with an errno, or zero.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// What every packet of the process begins with, so that none is empty: that is what a closed socket looks like.
const HERE: u8 = b'.';
/// Three names of 255 bytes, and more than a warning takes.
const LONGEST: usize = 4096;

/// Sends a path.
pub(super) fn tell(socket: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    send(socket, path.as_bytes(), SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for a path; `None` when there will be none.
pub(super) fn told(socket: BorrowedFd<'_>) -> io::Result<Option<String>> {
    let path = receive(socket)?;
    if path.is_empty() {
        return Ok(None);
    }
    String::from_utf8(path).map(Some).map_err(|_| Errno::ILSEQ.into())
}

/// Says that the process is ready.
pub(super) fn ready(socket: BorrowedFd<'_>, lacking: &[String]) -> io::Result<()> {
    let mut packet = [&[HERE], lacking.join("\n").as_bytes()].concat();
    packet.truncate(LONGEST);
    send(socket, &packet, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the process to be ready. Gives what the kernel lacks.
pub(super) fn is_ready(socket: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let packet = receive(socket)?;
    let (_, lacking) = packet.split_first().ok_or(Errno::PIPE)?;
    Ok(String::from_utf8_lossy(lacking).lines().map(str::to_owned).collect())
}

/// Answers a path.
pub(super) fn answer(socket: BorrowedFd<'_>, done: Result<(), Errno>) -> io::Result<()> {
    let errno = done.err().map_or(0, Errno::raw_os_error).to_ne_bytes();
    send(socket, &[&[HERE], &errno[..]].concat(), SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the answer to a path.
pub(super) fn answered(socket: BorrowedFd<'_>) -> io::Result<Result<(), Errno>> {
    let packet = receive(socket)?;
    let errno = packet.get(1..).and_then(|errno| errno.try_into().ok()).map(i32::from_ne_bytes);
    match errno.ok_or(Errno::PIPE)? {
        0 => Ok(Ok(())),
        errno => Ok(Err(Errno::from_raw_os_error(errno))),
    }
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; LONGEST];
    let (length, _) = rustix::io::retry_on_intr(|| recv(socket, packet.as_mut_slice(), RecvFlags::empty()))?;
    packet.truncate(length);
    Ok(packet)
}
