//! Log lines, written to standard error by a thread of its own: whoever reads them may be slow, stuck or gone, and a
//! reader of secrets must not wait for that.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;

use super::term;

/// Lines that wait for the thread. Beyond that they are counted and dropped.
const WAITING: usize = 1024;
/// How long the end waits for the last lines.
const FAREWELL: Duration = Duration::from_millis(100);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// The way to the thread. When the last one is dropped, the thread ends.
#[derive(Clone)]
pub(crate) struct Log {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

impl Log {
    /// Sends what is traced from now on to standard error, in this format, the more of it the more `verbose`.
    pub(crate) fn start(format: Format, verbose: u8) -> io::Result<Self> {
        let level = match verbose {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let (queue, inbox) = mpsc::sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let log = Self { queue, lost: Arc::clone(&lost) };
        std::thread::Builder::new().name("log".into()).spawn(move || write(&inbox, &lost))?;
        let line = log.clone();
        let traced = tracing_subscriber::fmt()
            .with_writer(move || line.clone())
            .with_max_level(level)
            .with_target(false)
            .log_internal_errors(false);
        // Fails only when there is a subscriber already, as in tests.
        let _ = match format {
            Format::Text => traced.with_ansi(term::is_fancy()).try_init(),
            Format::Json => traced.json().flatten_event(true).try_init(),
        };
        Ok(log)
    }

    /// Waits a moment for what was logged so far to be written.
    pub(crate) fn flush(&self) {
        let (tell, told) = mpsc::channel();
        if self.queue.try_send(Message::Flush(tell)).is_ok() {
            let _ = told.recv_timeout(FAREWELL);
        }
    }
}

/// One call for one line, as tracing makes them.
impl Write for Log {
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

fn write(inbox: &Receiver<Message>, lost: &AtomicU64) {
    // Nobody can be told when it fails.
    let mut stderr = io::stderr();
    for message in inbox {
        match message {
            Message::Line(line) => drop(stderr.write_all(&line)),
            Message::Flush(tell) => drop(tell.send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(stderr, "{lost} log lines were dropped: they are not read fast enough");
        }
    }
}
