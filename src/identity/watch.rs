//! A hold on one process instance: by it its end is noticed, and it can be signalled and no other in its stead.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{PidfdFlags, Signal};

use super::process;
use super::{ProcessId, Tid};
use crate::sys::pidfd;

/// How the end of a process is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By a descriptor, where the kernel gives one: the kernel tells of the end.
    Descriptor,
    /// By its start time, which is read each time. Costs no descriptor.
    StartTime,
}

/// A process instance that is watched.
#[derive(Debug)]
pub struct Watch {
    process: ProcessId,
    pidfd: Option<OwnedFd>,
}

impl Watch {
    /// Watches a process. One that has ended meanwhile is one that has ended, whoever has its number now.
    pub fn of(process: ProcessId, by: By) -> Self {
        let pidfd = match by {
            By::Descriptor => open(process).ok(),
            By::StartTime => None,
        };
        Self { process, pidfd }
    }

    /// Which.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// How its end is noticed.
    pub fn by(&self) -> By {
        if self.pidfd.is_some() { By::Descriptor } else { By::StartTime }
    }

    /// Whose rights it has: real, effective, saved and file system uid. `None` where it has ended.
    pub fn uids(&self) -> Option<[u32; 4]> {
        let dir = process::open_dir(Tid(self.process.pid.0)).ok()?;
        let status = process::status(dir.as_fd()).ok()?;
        (process::start_time(dir.as_fd()).ok()? == self.process.start).then_some(status.uids)
    }

    /// Signals it.
    ///
    /// # Errors
    /// `ESRCH` when it has ended; `EPERM` when it is not ours to signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let opened;
        let pidfd = match &self.pidfd {
            Some(pidfd) => pidfd,
            None => {
                opened = open(self.process)?;
                &opened
            }
        };
        Ok(rustix::process::pidfd_send_signal(pidfd, signal)?)
    }

    /// Whether all of its threads have ended, by what /proc says of its number.
    fn has_ended_by_start_time(&self) -> bool {
        let Ok(dir) = process::open_dir(Tid(self.process.pid.0)) else { return true };
        if process::start_time(dir.as_fd()).ok() != Some(self.process.start) {
            return true;
        }
        // The first thread may end before the others: then it is a zombie among living ones.
        process::status(dir.as_fd()).map_or(true, |status| status.ended && status.threads <= 1)
    }
}

/// A descriptor of that very instance.
fn open(process: ProcessId) -> io::Result<OwnedFd> {
    let gone = || io::Error::from(rustix::io::Errno::SRCH);
    let pid = i32::try_from(process.pid.0).ok().and_then(rustix::process::Pid::from_raw).ok_or_else(gone)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    // The number may mean another by the time it is opened. From here on it cannot.
    let dir = process::open_dir(Tid(process.pid.0))?;
    match process::start_time(dir.as_fd()) {
        Ok(start) if start == process.start => Ok(pidfd),
        _ => Err(gone()),
    }
}

/// Whether each of these has ended, in the same order.
pub fn ended<'w>(watches: impl Iterator<Item = &'w Watch> + Clone) -> Vec<bool> {
    let told = pidfd::ended(watches.clone().filter_map(|watch| watch.pidfd.as_ref()).map(AsFd::as_fd));
    let mut told = told.unwrap_or_else(|error| {
        // They are asked again; until then their number is bounded.
        tracing::debug!(%error, "it cannot be told which processes have ended");
        Vec::new()
    });
    told.reverse();
    let one = |watch: &Watch| match watch.by() {
        By::Descriptor => told.pop().unwrap_or(false),
        By::StartTime => watch.has_ended_by_start_time(),
    };
    watches.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Pid;

    fn start_of(pid: u32) -> ProcessId {
        let dir = process::open_dir(Tid(pid)).unwrap();
        ProcessId { pid: Pid(pid), start: process::start_time(dir.as_fd()).unwrap() }
    }

    #[test]
    fn the_end_is_noticed_with_and_without_a_descriptor_and_nobody_else_is_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = start_of(child.id());
        let another = ProcessId { start: id.start + 1, ..id };
        let all = [
            Watch::of(id, By::Descriptor),
            Watch::of(id, By::StartTime),
            Watch::of(another, By::Descriptor),
            Watch::of(start_of(std::process::id()), By::Descriptor),
        ];
        assert_eq!(all[0].by(), By::Descriptor, "every kernel that hushfs runs on has pidfds");
        assert_eq!(ended(all.iter()), [false, false, true, false]);
        assert!(all[2].signal(Signal::KILL).is_err(), "another process that had the number");
        all[1].signal(Signal::TERM).unwrap();
        // Nobody waits for it yet: it is a zombie.
        let since = std::time::Instant::now();
        while ended(all.iter()) != [true, true, true, false] {
            assert!(since.elapsed() < std::time::Duration::from_secs(10));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.wait().unwrap();
        assert_eq!(all[0].signal(Signal::HUP).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        assert_eq!(all[1].signal(Signal::HUP).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn a_process_of_which_the_first_thread_has_ended_has_not() {
        // The first thread ends by itself, while another goes on.
        let program = "import ctypes, threading, time\n\
                       threading.Thread(target=time.sleep, args=(60,)).start()\n\
                       ctypes.CDLL(None).pthread_exit(None)";
        let mut child = std::process::Command::new("python3").args(["-c", program]).spawn().unwrap();
        let id = start_of(child.id());
        let dir = process::open_dir(Tid(child.id())).unwrap();
        let since = std::time::Instant::now();
        while !process::status(dir.as_fd()).unwrap().ended {
            assert!(since.elapsed() < std::time::Duration::from_secs(10));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let all = [Watch::of(id, By::Descriptor), Watch::of(id, By::StartTime)];
        assert_eq!(ended(all.iter()), [false, false]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(ended(all.iter()), [true, true]);
    }
}
