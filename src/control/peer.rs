//! Who is at the other end, by the kernel's word.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};
use tokio::net::UnixStream;

use crate::identity::Tid;
use crate::sys::pidfd;

/// The process that connected. A socket may be handed on: then the answer is about who connected it, and goes to who has it.
pub struct Peer {
    pid: u32,
    uid: u32,
    gid: u32,
    /// `None` where the process is gone, or in no pid namespace that we see.
    pidfd: Option<OwnedFd>,
}

impl Peer {
    /// The peer of a connection.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let told = stream.peer_cred()?;
        let pid = told.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        let pidfd = match pidfd::of_peer(stream.as_fd()) {
            // Before Linux 6.5 by its number, which may be another's by now: of any other uid it is told from the peer.
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => by_number(pid),
            other => other.ok(),
        };
        Ok(Self { pid, uid: told.uid(), gid: told.gid(), pidfd })
    }

    /// Its uid when it connected.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its gid when it connected.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Its first thread; 0 for one outside of our pid namespace.
    pub fn tid(&self) -> Tid {
        Tid(self.pid)
    }

    /// Root, or the user the daemon runs as.
    pub fn is_operator(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }

    /// Whether it lives still, so that its number meant nobody else up to now.
    pub fn lives(&self) -> bool {
        let Some(pidfd) = &self.pidfd else { return false };
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A pidfd is readable once its process has ended.
        poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ended| ended == 0)
    }
}

fn by_number(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_process_that_connected_is_known_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::UnixListener::bind(dir.path().join("s")).unwrap();
        let program =
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()";
        let mut child = std::process::Command::new("python3")
            .args(["-c", program])
            .arg(dir.path().join("s"))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let peer = Peer::of(&stream).unwrap();
        assert_eq!(peer.tid(), Tid(child.id()));
        assert!(peer.lives() && peer.is_operator());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!peer.lives());
    }

    #[test]
    fn on_older_kernels_a_process_is_pinned_by_its_number() {
        let peer = |pid| Peer { pid, uid: 1, gid: 1, pidfd: by_number(pid) };
        assert!(peer(std::process::id()).lives());
        assert!(!peer(0).lives() && !peer(u32::MAX >> 2).lives());
    }
}
