//! The process, as its parent sees it. No wait for it is longer than [`PATIENCE`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::packet;

/// How long it may take over one answer: it waits for the lock of a file at most, behind somebody whose `lseek` waits for
/// the file's size.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that was started and is ready.
pub(super) struct Process {
    child: Child,
    socket: OwnedFd,
}

impl Process {
    /// Starts one. It gets `private` and a socket, and nothing else.
    pub(super) fn start(mut command: Command, private: BorrowedFd<'_>) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&ours, timeout, Some(PATIENCE))?;
        }
        command.stdin(Stdio::from(theirs)).stdout(Stdio::from(private.try_clone_to_owned()?));
        let child = command.spawn()?;
        // Its end of the socket stays open in the command.
        drop(command);
        let mut process = Self { child, socket: ours };
        match packet::is_ready(process.socket.as_fd()) {
            Ok(lacking) => {
                for lacking in lacking {
                    tracing::warn!("{lacking}");
                }
                Ok(process)
            }
            Err(error) => {
                // It has not touched the mount yet, so it ends at once.
                let _ = process.child.kill();
                let _ = process.child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Readable when it has ended.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has it write to the file at `path`. An outer error means that it is of no use any more.
    pub(super) fn poke(&self, path: &str) -> io::Result<Result<(), Errno>> {
        packet::tell(self.socket.as_fd(), path)?;
        packet::answered(self.socket.as_fd())
    }

    /// Ends it, and gives what is to be reaped.
    pub(super) fn end(mut self) -> Child {
        let _ = self.child.kill();
        self.child
    }
}
