//! pidfds of threads and what the kernel tells of them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};

/// Opens a pidfd of one thread (`PIDFD_THREAD`, Linux 6.9).
///
/// # Errors
/// `ESRCH` when it is gone, `EINVAL` on older kernels.
pub fn open_thread(tid: u32) -> io::Result<OwnedFd> {
    let tid = libc::pid_t::try_from(tid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: plain values; a non-negative answer is a descriptor that is ours.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, tid, libc::PIDFD_THREAD);
        match i32::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A pidfd of the process that connected `socket` (`SO_PEERPIDFD`, Linux 6.5). Unlike its number it can mean no other.
///
/// # Errors
/// `ENOPROTOOPT` on older kernels; `EINVAL` or `ESRCH` when the process is gone.
pub fn of_peer(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut fd: libc::c_int = -1;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both pointers are to locals that outlive the call, and the size is that of the first.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            std::ptr::from_mut(&mut fd).cast(),
            std::ptr::from_mut(&mut size),
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What `PIDFD_GET_INFO` tells (Linux 6.13), read in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Thread group.
    pub tgid: u32,
    /// Real, effective, saved and file system uid.
    pub uids: [u32; 4],
    /// Real, effective, saved and file system gid.
    pub gids: [u32; 4],
    /// Inode of the cgroup v2 directory.
    pub cgroup: u64,
}

/// Asks the kernel about the thread behind `pidfd`.
///
/// # Errors
/// `ESRCH` when the thread has ended, `ENOTTY` before Linux 6.13.
pub fn info(pidfd: BorrowedFd<'_>) -> io::Result<Info> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut raw: libc::pidfd_info = unsafe { std::mem::zeroed() };
    raw.mask = u64::from(libc::PIDFD_INFO_PID | libc::PIDFD_INFO_CREDS | libc::PIDFD_INFO_CGROUPID);
    // SAFETY: the request's size is that of the structure, which outlives the call.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, std::ptr::from_mut(&mut raw)) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Info {
        tgid: raw.tgid,
        uids: [raw.ruid, raw.euid, raw.suid, raw.fsuid],
        gids: [raw.rgid, raw.egid, raw.sgid, raw.fsgid],
        cgroup: raw.cgroupid,
    })
}

/// Whether each of these has ended, be it that nobody has waited for it yet: one call for all.
///
/// # Errors
/// When the kernel has no memory for the question.
pub fn ended<'f>(pidfds: impl Iterator<Item = BorrowedFd<'f>>) -> io::Result<Vec<bool>> {
    let mut polls: Vec<_> = pidfds.map(|pidfd| PollFd::from_borrowed_fd(pidfd, PollFlags::IN)).collect();
    rustix::event::poll(&mut polls, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(polls.iter().map(|poll| !poll.revents().is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_peer_is_told_by_the_kernel() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        match of_peer(one.as_fd()) {
            Ok(pidfd) => {
                if let Ok(info) = info(pidfd.as_fd()) {
                    assert_eq!(info.tgid, std::process::id());
                }
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT), "before Linux 6.5"),
        }
    }

    #[test]
    fn a_thread_is_told_from_its_process() {
        let told = std::thread::spawn(|| {
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            let pidfd = open_thread(u32::try_from(tid).unwrap()).ok()?;
            info(pidfd.as_fd()).ok()
        })
        .join()
        .unwrap();
        // Before Linux 6.13 there is nothing to ask, and callers read /proc instead.
        if let Some(told) = told {
            assert_eq!(told.tgid, std::process::id());
            assert_eq!(told.uids[0], rustix::process::getuid().as_raw());
        }
    }
}
