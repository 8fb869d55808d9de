//! One record per attempt, written in one place.
//!
//! This folder owns the way of a record from the worker that answers a request to the sink: a bounded ring, then one
//! writer thread. It must not decide anything about an attempt, and nothing here may ever make a worker wait: only the
//! writer thread touches a sink.
//!
//! ```text
//!  worker -- record() --> ring -- writer thread: coalesce, JSON --> sink (stderr | file | journal)
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::checked::{self, OnFailure};

mod coalesce;
pub mod line;
pub mod record;
mod ring;
mod sink;
mod writer;

pub use line::{Line, Lost};
pub use record::{Op, Outcome, Record};
pub use sink::{StartError, keeps_journal};

use ring::Ring;
use sink::Sink;

/// How many records may wait for the writer: a second or more of the busiest mount, for a disk that pauses. About 6 MiB when full.
const RING: usize = 16 * 1024;

/// How long the writer may still try once the last handle is gone without a [`Audit::shutdown`].
const DROPPED: Duration = Duration::from_secs(5);

/// The handle that workers enter records through. A clone is the same log.
#[derive(Clone)]
pub struct Audit(Arc<Handle>);

/// What became of a record, and so of the attempt it is about.
#[must_use = "an attempt whose record is lost must fail where on_failure = \"deny\""]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the ring: answer as decided.
    Recorded,
    /// It is lost and counted, and `on_failure = "serve"`: answer as decided.
    Waived,
    /// It is lost and counted, and `on_failure = "deny"`: answer `EIO`.
    Lost,
}

/// Nothing can be recorded now, and `on_failure = "deny"`: answer `EIO` before anything is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("audit records cannot be written, and on_failure is \"deny\"")]
pub struct AuditFull;

/// What the log has done since it was started. All count attempts, not lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to the sink.
    pub written: u64,
    /// Never to be written, because the ring was full or the sink failed.
    pub lost: u64,
    /// Equal attempts that stand in another's line; part of `written` once that line is.
    pub coalesced: u64,
    /// Entered and not yet handed to the sink.
    pub waiting: u64,
}

/// What workers and the writer share.
struct Shared {
    ring: Ring,
    on_failure: OnFailure,
    /// The sink refused the last write, or the writer is gone.
    failed: AtomicBool,
    written: AtomicU64,
    lost: AtomicU64,
    /// The part of `lost` that no lost line has told of yet.
    untold: AtomicU64,
    coalesced: AtomicU64,
}

/// Ends the writer with the last handle.
struct Handle(Arc<Shared>);

impl Audit {
    /// Opens the sink and starts the writer thread.
    ///
    /// # Errors
    /// [`StartError`] if the sink cannot be opened or is not private; it carries the remedy.
    pub fn start(settings: &checked::Audit) -> Result<Self, StartError> {
        Self::with(sink::open(&settings.to)?, settings.on_failure, RING)
    }

    fn with(sink: Box<dyn Sink>, on_failure: OnFailure, capacity: usize) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            ring: Ring::new(capacity),
            on_failure,
            failed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            coalesced: AtomicU64::new(0),
        });
        let writer = writer::Writer::new(Arc::clone(&shared), sink);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(StartError::Thread)?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Whether an attempt that would be allowed could be recorded now: to ask before anything is fetched for it.
    ///
    /// # Errors
    /// [`AuditFull`] only with `on_failure = "deny"`. `Ok` is a forecast; [`Audit::record`] has the last word.
    pub fn ready(&self) -> Result<(), AuditFull> {
        let shared = &self.0.0;
        match shared.on_failure {
            OnFailure::Serve => Ok(()),
            OnFailure::Deny if shared.failed.load(Ordering::Relaxed) || shared.ring.is_full() => {
                Err(AuditFull)
            }
            OnFailure::Deny => Ok(()),
        }
    }

    /// Enters `record` into the ring; call it before the reply. Never waits for the sink and never allocates.
    ///
    /// With `on_failure = "deny"` an allowed attempt is turned down as soon as the sink is known to fail. Denied and
    /// failed attempts serve nothing, so they are kept for the sink's return as long as the ring has room.
    pub fn record(&self, record: Record) -> Verdict {
        let shared = &self.0.0;
        let attempts = record.count;
        let serves = record.outcome == Outcome::Allowed;
        let turned_down =
            serves && shared.on_failure == OnFailure::Deny && shared.failed.load(Ordering::Relaxed);
        if !turned_down && shared.ring.push(record) {
            return Verdict::Recorded;
        }
        shared.lost.fetch_add(attempts, Ordering::Relaxed);
        shared.untold.fetch_add(attempts, Ordering::Release);
        shared.ring.nudge();
        match shared.on_failure {
            OnFailure::Deny => Verdict::Lost,
            OnFailure::Serve => Verdict::Waived,
        }
    }

    /// Makes the writer open its file again, after logrotate has renamed it. Returns at once; what fails is logged,
    /// and the old file stays in use.
    pub fn reopen(&self) {
        self.0.0.ring.reopen();
    }

    /// Takes no further records, writes those that wait, and returns how many attempts were not written after `within`.
    #[must_use = "attempts that are not on record are worth a log line"]
    pub fn shutdown(&self, within: Duration) -> u64 {
        let shared = &self.0.0;
        let deadline = Instant::now().checked_add(within);
        shared.ring.close(deadline.unwrap_or_else(Instant::now));
        shared.ring.wait_finished(within);
        self.counts().waiting
    }

    /// What the log has done so far.
    pub fn counts(&self) -> Counts {
        let shared = &self.0.0;
        let written = shared.written.load(Ordering::Acquire);
        Counts {
            written,
            lost: shared.lost.load(Ordering::Relaxed),
            coalesced: shared.coalesced.load(Ordering::Relaxed),
            waiting: shared.ring.entered().saturating_sub(written),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(deadline) = Instant::now().checked_add(DROPPED) {
            self.0.ring.close(deadline);
        }
    }
}

#[cfg(test)]
mod tests;
