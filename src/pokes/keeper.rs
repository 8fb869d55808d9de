//! The thread that starts the process, tells it what changed, and starts it again when it ends or hangs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::process::Process;
use super::{Poker, Queue};

/// Between two processes, at first.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// Between two processes, where each fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Processes that may fail over one file.
const ATTEMPTS: u32 = 3;
/// Processes that were killed and have not ended, since they wait for a lock. More are not started beside them.
const LINGERING: usize = 4;

/// What the thread has.
pub(super) struct Keeper {
    start: Box<dyn Fn() -> Command + Send>,
    private: OwnedFd,
    poker: Arc<Poker>,
    queue: Arc<Queue>,
    lingering: Vec<Child>,
    /// A failure is a warning where the last poke went well, so that it is said once.
    worked: bool,
}

impl Keeper {
    pub(super) fn new(
        start: Box<dyn Fn() -> Command + Send>,
        private: OwnedFd,
        poker: Arc<Poker>,
        queue: Arc<Queue>,
    ) -> Self {
        Self { start, private, poker, queue, lingering: Vec::new(), worked: true }
    }

    pub(super) fn run(mut self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let started = Instant::now();
            match Process::start((self.start)(), self.private.as_fd()) {
                Ok(process) => {
                    self.poker.set(process.id());
                    let Err(error) = self.serve(&process);
                    // Before it is reaped: the next process with its id is somebody else.
                    self.poker.set(0);
                    self.lingering.push(process.end());
                    tracing::warn!(%error, "the process that announces changes ended and is started again");
                }
                Err(error) => tracing::error!(%error, "the process that announces changes cannot be started"),
            }
            let lasted = started.elapsed() > LONGEST_PAUSE;
            pause = if lasted { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            loop {
                std::thread::sleep(pause);
                self.lingering.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
                if self.lingering.len() < LINGERING {
                    break;
                }
            }
        }
    }

    /// Announces what changes until the process is of no use any more.
    fn serve(&mut self, process: &Process) -> io::Result<std::convert::Infallible> {
        loop {
            let mut waiting = self.queue.take().into_iter();
            if waiting.len() == 0 {
                self.wait(process)?;
            }
            while let Some((path, failed)) = waiting.next() {
                match process.poke(&path) {
                    Ok(done) => self.report(&path, done),
                    Err(error) => {
                        if failed + 1 < ATTEMPTS {
                            self.queue.put(path, failed + 1);
                        } else {
                            tracing::error!(path, %error, "that the file changed is not announced");
                        }
                        waiting.for_each(|(path, failed)| self.queue.put(path, failed));
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Waits until something is to be announced.
    fn wait(&self, process: &Process) -> io::Result<()> {
        let (wake, socket) = (&self.queue.wake, process.socket());
        let mut fds = [PollFd::new(wake, PollFlags::IN), PollFd::from_borrowed_fd(socket, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        // It says nothing unasked.
        match fds.last().is_some_and(|socket| !socket.revents().is_empty()) {
            true => Err(Errno::PIPE.into()),
            false => Ok(()),
        }
    }

    fn report(&mut self, path: &str, done: Result<(), Errno>) {
        let Err(error) = done else {
            self.worked = true;
            return;
        };
        let hint = match error {
            // A reload removed it. AGAIN: its owner holds a lease (fcntl(2)), whom the kernel tells of the attempt.
            Errno::NOENT | Errno::AGAIN => {
                tracing::debug!(path, %error, "that the file changed is not announced");
                return;
            }
            Errno::ACCESS | Errno::PERM => "it takes CAP_DAC_OVERRIDE",
            _ => "see the error of the system",
        };
        if std::mem::replace(&mut self.worked, false) {
            tracing::warn!(path, %error, "that the file changed cannot be announced; hint: {hint}");
        } else {
            tracing::debug!(path, %error, "that the file changed cannot be announced");
        }
    }
}
