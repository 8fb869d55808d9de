//! How a file is asked for and lent: one packet each way over a `SOCK_SEQPACKET` pair. A question is a number and a path, an
//! answer that number and an errno, or that number, a zero and a descriptor.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The longest path that the kernel takes, and the number.
const LONGEST: usize = 4096 + 4;

/// Asks for a file.
pub(super) fn ask(socket: BorrowedFd<'_>, id: u32, path: &Path) -> io::Result<()> {
    let path = path.as_os_str().as_bytes();
    if path.len() + 4 > LONGEST {
        return Err(Errno::NAMETOOLONG.into());
    }
    let packet = [&id.to_le_bytes(), path].concat();
    rustix::net::send(socket, &packet, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for a question; `None` when nobody asks any more.
pub(super) fn asked(socket: BorrowedFd<'_>) -> io::Result<Option<(u32, PathBuf)>> {
    let mut packet = [0; LONGEST];
    // Descriptors that come with it are closed by the kernel, as there is no room for them.
    let (len, _) =
        rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut packet[..], RecvFlags::empty()))?;
    match packet.get(..len).and_then(|packet| packet.split_first_chunk()) {
        Some((id, path)) => Ok(Some((u32::from_le_bytes(*id), PathBuf::from(OsStr::from_bytes(path))))),
        None => Ok(None),
    }
}

/// Lends a file, or says why not. Never waits: who does not listen gets nothing.
pub(super) fn lend(socket: BorrowedFd<'_>, id: u32, file: &Result<File, Errno>) -> io::Result<()> {
    let errno = file.as_ref().map_or_else(|errno| errno.raw_os_error(), |_| 0);
    let (id, errno) = (id.to_le_bytes(), errno.to_le_bytes());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let lent = file.as_ref().map(|file| [file.as_fd()]);
    if let Ok(lent) = &lent {
        control.push(SendAncillaryMessage::ScmRights(lent));
    }
    let parts = [IoSlice::new(&id), IoSlice::new(&errno)];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

/// Waits for an answer; `None` when there will be none.
pub(super) fn lent(socket: BorrowedFd<'_>) -> io::Result<Option<(u32, io::Result<File>)>> {
    let (mut id, mut errno) = ([0; 4], [0; 4]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut id), IoSliceMut::new(&mut errno)];
        match rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    if received.bytes < id.len() + errno.len() {
        return Ok(None);
    }
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let answer = match (i32::from_le_bytes(errno), file) {
        (0, Some(file)) => Ok(File::from(file)),
        // As many are open as may be.
        (0, None) if received.flags.contains(ReturnFlags::CTRUNC) => Err(Errno::MFILE.into()),
        (0, None) => Err(Errno::IO.into()),
        (errno, _) => Err(io::Error::from_raw_os_error(errno)),
    };
    Ok(Some((u32::from_le_bytes(id), answer)))
}
