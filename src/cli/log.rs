//! Log lines on their way to standard error, by a thread of their own.
//!
//! Whoever reads them may stop doing so: a terminal with Ctrl-S, a full pipe, a journal that is being restarted. That must
//! hold up nobody who logs, least of all a thread that answers the kernel. Lines that find the queue full are counted
//! and told of later; a standard error that is closed is no reason to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

/// Lines that may wait.
const WAITING: usize = 1024;
/// How long the last lines may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// What a line is written to. Never waits.
#[derive(Clone)]
pub(super) struct Log {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    Last(SyncSender<()>),
}

/// Gives the last lines a moment when dropped.
#[must_use]
pub(super) struct Flush(Log);

impl Log {
    /// Starts the thread. Without one there are no lines.
    pub(super) fn start() -> (Self, Flush) {
        let (queue, inbox) = sync_channel(WAITING);
        let log = Self { queue, lost: Arc::default() };
        let lost = Arc::clone(&log.lost);
        let _ = std::thread::Builder::new().name("log".into()).spawn(move || write(&inbox, &lost));
        (log.clone(), Flush(log))
    }
}

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (written, last) = sync_channel(1);
        if self.0.queue.try_send(Message::Last(written)).is_ok() {
            let _ = last.recv_timeout(FAREWELL);
        }
    }
}

fn write(inbox: &Receiver<Message>, lost: &AtomicU64) {
    for message in inbox {
        match message {
            Message::Line(line) => to_stderr(&line),
            Message::Last(written) => {
                let _ = written.send(());
            }
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            to_stderr(format!("{lost} log lines are missing here: nobody read them\n").as_bytes());
        }
    }
}

/// Straight to the descriptor: the lock of `std::io::stderr` is for those who may wait.
fn to_stderr(mut line: &[u8]) {
    let stderr = rustix::stdio::stderr();
    while !line.is_empty() {
        match rustix::io::write(stderr, line) {
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Whoever shares the descriptor has made it non-blocking.
            Err(rustix::io::Errno::AGAIN) => {
                let _ = rustix::event::poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None);
            }
            Err(_) => return,
        }
    }
}
