//! The writer thread: the only one that touches the sink, and the only one that may wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use super::coalesce::Coalescer;
use super::line::{self, FIELD_MAX, Line};
use super::record::Record;
use super::sink::Sink;

/// How long a batch gathers while there is something to write: how late a line may be.
const NAP: Duration = Duration::from_millis(5);

/// After so many naps without a record the writer sleeps until it is woken.
const NAPS: u32 = 40;

/// How long to wait after the sink's first failure; doubled up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest wait between two tries: how late a sink's return is noticed.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Writer {
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    coalescer: Coalescer,
    batch: VecDeque<Record>,
    /// Attempts in the sink's buffer.
    in_flight: u64,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Flush {
    Written,
    /// The deadline of a shutdown has passed.
    GaveUp,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, sink: Box<dyn Sink>) -> Self {
        let batch = shared.ring.spare();
        Self { shared, sink, coalescer: Coalescer::default(), batch, in_flight: 0 }
    }

    /// Writes until the ring is closed and empty.
    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        let mut quiet = 0_u32;
        loop {
            let orders = self.shared.ring.take(&mut self.batch);
            if orders.reopen {
                self.reopen();
            }
            let busy = self.compose(orders.closing.is_none().then(Instant::now));
            if busy {
                quiet = 0;
                if self.flush() == Flush::GaveUp {
                    return;
                }
            } else if orders.closing.is_some() {
                return;
            } else {
                quiet = quiet.saturating_add(1);
            }
            if quiet < NAPS {
                self.shared.ring.nap(NAP);
            } else {
                self.shared.ring.sleep(self.coalescer.due());
            }
        }
    }

    /// Fills the sink's buffer; whether there was anything. `now` = `None` holds nothing back.
    fn compose(&mut self, now: Option<Instant>) -> bool {
        let Self { shared, sink, coalescer, batch, in_flight } = self;
        let mut busy = false;
        let mut add = |record: Record| {
            *in_flight = in_flight.saturating_add(record.count);
            shared.coalesced.fetch_add(record.count.saturating_sub(1), Ordering::Relaxed);
            sink.add(Line::Record(record));
            busy = true;
        };
        coalescer.release(now, &mut add);
        for mut record in batch.drain(..) {
            line::shorten(&mut record, FIELD_MAX);
            let record = match now {
                Some(now) => coalescer.admit(record, now),
                None => Some(record),
            };
            record.into_iter().for_each(&mut add);
        }
        let lost = shared.untold.swap(0, Ordering::Acquire);
        if lost > 0 {
            tracing::error!(lost, "attempts are not in the audit log");
            sink.add(Line::lost(lost));
            busy = true;
        }
        busy
    }

    /// Hands the sink's buffer over, however often that takes.
    fn flush(&mut self) -> Flush {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.sink.flush() {
                Ok(()) => {
                    if self.shared.failed.swap(false, Ordering::Relaxed) {
                        tracing::warn!("audit records are written again");
                    }
                    self.shared.written.fetch_add(self.in_flight, Ordering::Release);
                    self.in_flight = 0;
                    return Flush::Written;
                }
                Err(error) => {
                    if !self.shared.failed.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "audit records cannot be written; trying again");
                    }
                }
            }
            let orders = self.shared.ring.pause(pause);
            if orders.reopen {
                self.reopen();
            }
            if orders.closing.is_some_and(|deadline| Instant::now() >= deadline) {
                return Flush::GaveUp;
            }
            pause = pause.saturating_mul(2).min(LAST_PAUSE);
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.sink.reopen() {
            tracing::error!(%error, hint = error.hint(), "the audit log cannot be opened again; the old file stays in use");
        }
    }
}

/// Says that nothing is written any more, also when the writer panics.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.failed.store(true, Ordering::Relaxed);
        self.0.ring.finish();
    }
}
