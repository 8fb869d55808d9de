//! What is known of a process, read from a descriptor of its /proc directory.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use super::{Cgroup, ContainerId};

/// A thread's id: what the header of a FUSE request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tid(pub u32);

/// A process's id (thread group).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pid(pub u32);

/// One process instance: ids are used again, start times tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Its id.
    pub pid: Pid,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

/// The executable of a process, by the kernel's own reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exe {
    /// The device it lies on.
    pub dev: u64,
    /// Its inode on that device.
    pub ino: u64,
    /// Its path as the kernel names it: for people, never for decisions.
    pub path: String,
}

/// Who is asking, proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process instance.
    pub process: ProcessId,
    /// The uid: all four of the thread are this one.
    pub uid: u32,
    /// The gid for file access.
    pub gid: u32,
    /// The other gids of the thread.
    pub gids: Gids,
    /// Supplementary groups. Only for rules that turn on a group are they looked at again.
    pub groups: Vec<u32>,
    /// The executable, where it could be established on the host.
    pub exe: Option<Exe>,
    /// Its place among the control groups.
    pub cgroup: Cgroup,
    /// The user namespace it is in.
    pub user_namespace: UserNamespace,
}

/// The gids of a thread beside that for file access. A setgid program has another effective than real gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gids {
    /// Of whoever started it.
    pub real: u32,
    /// Of what it may do.
    pub effective: u32,
    /// What it can have as effective gid again.
    pub saved: u32,
}

/// A user namespace, as seen from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserNamespace {
    /// That of hushfs.
    Ours,
    /// Another: there the executable can be forged, and ids inside are not ids of the host.
    Other,
}

impl Identity {
    /// The system unit that it runs in, in a group of the unit's own or in one below.
    pub fn unit(&self) -> Option<&str> {
        self.cgroup.place().map(|place| place.unit)
    }

    /// The container that it runs in.
    pub fn container(&self) -> Option<&ContainerId> {
        self.cgroup.container()
    }
}

/// The lines of `/proc/<tid>/status` that matter. Reading it never blocks, not even during execve.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) tgid: u32,
    pub(super) uids: [u32; 4],
    pub(super) gids: [u32; 4],
    pub(super) groups: Vec<u32>,
    pub(super) pending: u64,
    pub(super) blocked: u64,
    pub(super) ignored: u64,
    pub(super) caught: u64,
    pub(super) no_new_privs: bool,
    /// A zombie.
    pub(super) ended: bool,
    pub(super) threads: usize,
    /// 0 where nobody traces it.
    pub(super) tracer: u32,
    /// Effective capabilities, in the thread's own user namespace.
    pub(super) capabilities: u64,
}

impl Status {
    pub(super) fn gids(&self) -> Gids {
        let [real, effective, saved, _] = self.gids;
        Gids { real, effective, saved }
    }

    pub(super) fn same_ids(&self, other: &Self) -> bool {
        let ids = |of: &Self| (of.tgid, of.uids, of.gids);
        ids(self) == ids(other) && self.groups == other.groups
    }
}

/// Whether a thread has ended, be it that nobody has waited for it yet. Never blocks.
pub(super) fn has_ended(dir: BorrowedFd<'_>) -> bool {
    status(dir).map_or(true, |status| status.ended)
}

/// Opens `/proc/<tid>`: the descriptor stays with this very thread, and answers `ESRCH` once it has ended, even if the
/// number is used again.
pub(super) fn open_dir(tid: Tid) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, format!("/proc/{}", tid.0), flags, Mode::empty())?)
}

pub(super) fn status(dir: BorrowedFd<'_>) -> io::Result<Status> {
    parse_status(&read(dir, c"status")?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Opens `/proc/<tid>/status` for [`status_again`].
pub(super) fn open_status(dir: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, c"status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The status now, from a file opened before: that saves finding it.
pub(super) fn status_again(file: BorrowedFd<'_>) -> io::Result<Status> {
    parse_status(&read_all(file)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The status of one of the threads in a `task` directory.
pub(super) fn status_in(tasks: BorrowedFd<'_>, thread: Tid) -> io::Result<Status> {
    let path = format!("{}/status", thread.0);
    let file = rustix::fs::openat(tasks, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    parse_status(&read_all(file.as_fd())?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether the thread, which waits, was sent to wait by a system call that moves a file's pages itself: not by a page fault,
/// nor by a call that met one in memory that it was given.
pub(super) fn moves_pages(dir: BorrowedFd<'_>) -> io::Result<bool> {
    // It has asked us, and may not have got to waiting yet.
    for _ in 0..1000 {
        let text = read(dir, c"syscall")?;
        let first = text.split_ascii_whitespace().next().unwrap_or_default();
        if first != "running" {
            return Ok(first.parse().is_ok_and(|number| MOVES_PAGES.contains(&number)));
        }
        std::thread::yield_now();
    }
    Ok(false)
}

/// System calls that read a file by way of the page cache though it was opened for direct I/O.
const MOVES_PAGES: [libc::c_long; 5] = [
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_copy_file_range,
    libc::SYS_readahead,
    libc::SYS_fadvise64,
];

fn parse_status(text: &str) -> Option<Status> {
    let mut status = Status::default();
    let four = |value: &str| -> Option<[u32; 4]> {
        let mut ids = value.split_ascii_whitespace().map(str::parse);
        Some([ids.next()?.ok()?, ids.next()?.ok()?, ids.next()?.ok()?, ids.next()?.ok()?])
    };
    let mask = |value: &str| u64::from_str_radix(value, 16).ok();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "State" => status.ended = value.starts_with(['Z', 'X']),
            "Tgid" => status.tgid = value.parse().ok()?,
            "Uid" => status.uids = four(value)?,
            "Gid" => status.gids = four(value)?,
            "Groups" => {
                status.groups = value.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
            }
            "SigPnd" | "ShdPnd" => status.pending |= mask(value)?,
            "SigBlk" => status.blocked = mask(value)?,
            "SigIgn" => status.ignored = mask(value)?,
            "SigCgt" => status.caught = mask(value)?,
            "Threads" => status.threads = value.parse().ok()?,
            "TracerPid" => status.tracer = value.parse().ok()?,
            "NoNewPrivs" => status.no_new_privs = value == "1",
            "CapEff" => status.capabilities = mask(value)?,
            _ => {}
        }
    }
    Some(status)
}

/// Start time of a process, field 22 of `/proc/<pid>/stat`, in clock ticks since boot.
pub(super) fn start_time(dir: BorrowedFd<'_>) -> io::Result<u64> {
    stat(dir, 22)
}

/// Whether a thread is ending or has ended: then it runs no program, as a kernel thread does not. By `PF_EXITING` among the
/// flags in field 9 of `/proc/<tid>/stat`. Never blocks.
pub(super) fn is_ending(dir: BorrowedFd<'_>) -> bool {
    stat(dir, 9).map_or(true, |flags| flags & 0x4 != 0)
}

/// A field of `/proc/<tid>/stat`, behind the second, which is the name in parentheses and may hold anything, parentheses too.
fn stat(dir: BorrowedFd<'_>, field: usize) -> io::Result<u64> {
    let text = read(dir, c"stat")?;
    text.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(field.checked_sub(3)?)?.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// How long ago a process started, for a start in clock ticks since boot; a hundredth of a second is the finest the kernel tells.
pub(super) fn age(start: u64) -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::try_from(now).unwrap_or_default();
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    now.saturating_sub(Duration::from_millis(start.saturating_mul(1000) / ticks))
}

/// Device and inode of the executable. Asks no file system for anything (`AT_STATX_DONT_SYNC`), so that an executable on
/// a hostile FUSE cannot make us wait.
pub(super) fn exe_id(dir: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::statx(dir, c"exe", AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok((rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino))
}

/// The executable, with its path as the kernel names it.
pub(super) fn exe(dir: BorrowedFd<'_>) -> io::Result<Exe> {
    let (dev, ino) = exe_id(dir)?;
    let path = rustix::fs::readlinkat(dir, c"exe", Vec::new())?;
    Ok(Exe { dev, ino, path: path.to_string_lossy().into_owned() })
}

/// The user namespace, as the kernel names it (`user:[4026531837]`). Needs the right to inspect the process.
pub(super) fn user_namespace(dir: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(dir, c"ns/user", Vec::new())?.into_bytes())
}

/// The mount namespace, as the kernel names it. Needs the right to inspect the process.
pub(super) fn mount_namespace(dir: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(dir, c"ns/mnt", Vec::new())?.into_bytes())
}

/// Opens `/proc/<tid>/cgroup` for [`cgroup_again`].
pub(super) fn open_cgroup(dir: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, c"cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The place among the control groups now, from a file opened before: that saves finding it. Never blocks.
pub(super) fn cgroup_again(file: BorrowedFd<'_>) -> io::Result<Cgroup> {
    Ok(Cgroup::parse(read_all(file)?))
}

/// Descriptors that are looked at, so that a process with very many cannot keep us busy.
const DESCRIPTORS: usize = 1024;

/// Whether one of the descriptors of a process is of an inode with this number (`ino:` of fdinfo, Linux 5.14).
pub(super) fn holds_inode(dir: BorrowedFd<'_>, ino: u64) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fds = rustix::fs::openat(dir, c"fdinfo", flags, Mode::empty())?;
    let wanted = format!("ino:\t{ino}");
    for entry in rustix::fs::Dir::read_from(&fds)?.take(DESCRIPTORS) {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        if read(fds.as_fd(), entry.file_name()).is_ok_and(|text| text.lines().any(|line| line == wanted)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<String> {
    read_all(rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.as_fd())
}

/// All of a file, from its beginning wherever it was read to before.
fn read_all(file: BorrowedFd<'_>) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(2048);
    let mut at = 0;
    loop {
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at)? {
            0 => break,
            n => at += n as u64,
        }
        bytes.reserve(1024);
    }
    // Mostly it is text, and then this copies nothing.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn somebody() -> Identity {
        let process = ProcessId { pid: Pid(4711), start: 1 };
        Identity {
            process,
            uid: 1000,
            gid: 1000,
            gids: Gids { real: 1000, effective: 1000, saved: 1000 },
            groups: Vec::new(),
            exe: None,
            cgroup: Cgroup::parse("0::/".to_owned()),
            user_namespace: UserNamespace::Ours,
        }
    }

    #[test]
    fn our_own_status_is_what_the_kernel_says() {
        let dir = open_dir(Tid(std::process::id())).unwrap();
        let status = status(dir.as_fd()).unwrap();
        assert_eq!(status.tgid, std::process::id());
        assert_eq!(status.uids[1], rustix::process::geteuid().as_raw());
        assert!(start_time(dir.as_fd()).unwrap() > 0);
    }

    #[test]
    fn a_descriptor_of_an_ended_process_answers_nothing() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let dir = open_dir(Tid(child.id())).unwrap();
        assert!(status(dir.as_fd()).is_ok() && !has_ended(dir.as_fd()));
        child.kill().unwrap();
        while !has_ended(dir.as_fd()) {
            assert!(status(dir.as_fd()).is_ok(), "a zombie has a status");
        }
        child.wait().unwrap();
        assert!(status(dir.as_fd()).is_err() && has_ended(dir.as_fd()));
    }

    proptest::proptest! {
        #[test]
        fn no_status_makes_the_parser_panic(text in "(Tgid|Uid|Groups|SigPnd|x)?:?\t?.{0,40}\n?") {
            let _ = parse_status(&text);
        }
    }
}
