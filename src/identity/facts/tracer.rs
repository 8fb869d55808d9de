//! Whether a process is traced: any of its threads, since whoever traces one can write the memory of all.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Dir, Mode, OFlags};

use crate::identity::evidence::{Found, Traced};
use crate::identity::process::{open_dir, status, status_in};
use crate::identity::{Pid, Tid};

/// Threads of a process that is looked at without waiting: each takes a file to be read.
const AT_ONCE: usize = 8;
/// Threads of a process that is looked at.
const THREADS: usize = 1024;

/// What can be told at once: nothing of a process with many threads.
pub(in crate::identity) fn tracer_at_once(tid: Tid) -> Option<Found<Option<Traced>>> {
    let status = open_dir(tid).and_then(|dir| status(dir.as_fd())).ok()?;
    match status.threads {
        1 => Some(Ok((status.tracer != 0).then_some(Traced { thread: tid, by: Pid(status.tracer) }))),
        2..=AT_ONCE => Some(tracer(tid)),
        _ => None,
    }
}

/// The first traced thread of the process.
pub(in crate::identity) fn tracer(tid: Tid) -> Found<Option<Traced>> {
    let found = open_dir(tid).and_then(|dir| of_process(dir.as_fd(), THREADS));
    match found {
        Ok(Some(threads)) => Ok(threads.first().copied()),
        Ok(None) => Err(format!("it has more than {THREADS} threads, too many to look at each").into()),
        Err(error) => Err(format!("its threads cannot be looked at: {error}").into()),
    }
}

/// Its traced threads; `None` where it has more than `limit` threads.
fn of_process(dir: BorrowedFd<'_>, limit: usize) -> io::Result<Option<Vec<Traced>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tasks = rustix::fs::openat(dir, c"task", flags, Mode::empty())?;
    let (mut seen, mut traced) = (0, Vec::new());
    for entry in Dir::read_from(&tasks)? {
        let entry = entry?;
        let Some(thread) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()).map(Tid) else {
            continue;
        };
        seen += 1;
        if seen > limit {
            return Ok(None);
        }
        // One that cannot be read has ended since.
        let by = status_in(tasks.as_fd(), thread).map_or(0, |status| status.tracer);
        if by != 0 {
            traced.push(Traced { thread, by: Pid(by) });
        }
    }
    match seen {
        0 => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(Some(traced)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_traces_has_no_tracer_and_one_with_too_many_threads_is_not_looked_at() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || held.recv());
        let me = Tid(std::process::id());
        assert_eq!(tracer(me), Ok(None), "this test is not for a debugger");
        assert!(tracer_at_once(me).is_none_or(|found| found == Ok(None)));
        let dir = open_dir(me).unwrap();
        assert_eq!(of_process(dir.as_fd(), 1).unwrap(), None);
        drop(hold);
        let _ = waiting.join();
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_found() {
        assert!(tracer(Tid(u32::MAX >> 2)).is_err());
    }
}
