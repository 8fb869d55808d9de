//! The bounded ring between the workers and the writer.
//!
//! A worker pays for one uncontended lock and one move. It pays for a wake-up only when the writer sleeps because
//! nothing has happened for a while, or when the ring is half full; a busy writer looks by itself after each nap.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::record::Record;

/// While closing, how long the writer waits at most between two tries.
const CLOSING_PAUSE: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Ring {
    state: Mutex<State>,
    capacity: usize,
    /// Wakes the writer.
    wake: Condvar,
    /// Wakes who waits for the writer's end.
    finished: Condvar,
}

struct State {
    /// Allocated whole at the start, and swapped with the writer's empty one.
    entries: VecDeque<Record>,
    /// Attempts ever entered.
    entered: u64,
    writer: Wait,
    /// A loss happened that the writer should tell of.
    nudged: bool,
    reopen: bool,
    closing: Option<Instant>,
    finished: bool,
}

/// What the writer waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Nothing: it works.
    None,
    /// For time to pass, or for a ring that is half full.
    Nap,
    /// For any record.
    Sleep,
}

/// What the writer is to do besides writing.
pub(super) struct Orders {
    /// Open the sink again.
    pub(super) reopen: bool,
    /// Write what there is and end, by this time.
    pub(super) closing: Option<Instant>,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            entries: VecDeque::with_capacity(capacity),
            entered: 0,
            writer: Wait::None,
            nudged: false,
            reopen: false,
            closing: None,
            finished: false,
        };
        Self { state: Mutex::new(state), capacity, wake: Condvar::new(), finished: Condvar::new() }
    }

    /// A second queue of the same size for [`Ring::take`].
    pub(super) fn spare(&self) -> VecDeque<Record> {
        VecDeque::with_capacity(self.capacity)
    }

    /// Whether `record` was entered; it is not when the ring is full or closed.
    pub(super) fn push(&self, record: Record) -> bool {
        let mut state = self.state.lock();
        if state.entries.len() >= self.capacity || state.closing.is_some() || state.finished {
            return false;
        }
        state.entered = state.entered.saturating_add(record.count);
        state.entries.push_back(record);
        let half = state.entries.len() == self.capacity.div_ceil(2);
        if state.writer == Wait::Sleep || (half && state.writer == Wait::Nap) {
            self.notify(state);
        }
        true
    }

    /// Whether [`Ring::push`] would refuse now.
    pub(super) fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.entries.len() >= self.capacity || state.closing.is_some()
    }

    /// Attempts ever entered.
    pub(super) fn entered(&self) -> u64 {
        self.state.lock().entered
    }

    /// Has the writer look even though nothing was entered.
    pub(super) fn nudge(&self) {
        let mut state = self.state.lock();
        state.nudged = true;
        if state.writer == Wait::Sleep {
            self.notify(state);
        }
    }

    pub(super) fn reopen(&self) {
        let mut state = self.state.lock();
        state.reopen = true;
        self.notify(state);
    }

    /// Takes no more records; the first deadline stays.
    pub(super) fn close(&self, deadline: Instant) {
        let mut state = self.state.lock();
        state.closing.get_or_insert(deadline);
        self.notify(state);
    }

    /// The writer's end.
    pub(super) fn finish(&self) {
        self.state.lock().finished = true;
        self.finished.notify_all();
    }

    /// Waits for the writer's end, but not longer than `within`.
    pub(super) fn wait_finished(&self, within: Duration) {
        let mut state = self.state.lock();
        self.finished.wait_while_for(&mut state, |state| !state.finished, within);
    }

    /// For the writer: swaps what waits into `batch`, which must be empty.
    pub(super) fn take(&self, batch: &mut VecDeque<Record>) -> Orders {
        let mut state = self.state.lock();
        std::mem::swap(&mut state.entries, batch);
        state.nudged = false;
        Self::orders(&mut state)
    }

    /// For the busy writer: lets a batch gather for at most `time`.
    pub(super) fn nap(&self, time: Duration) {
        let mut state = self.state.lock();
        let urgent =
            state.reopen || state.closing.is_some() || state.entries.len() >= self.capacity.div_ceil(2);
        if !urgent {
            state.writer = Wait::Nap;
            self.wake.wait_for(&mut state, time);
            state.writer = Wait::None;
        }
    }

    /// For the idle writer: waits for a record, an order, or `until`.
    pub(super) fn sleep(&self, until: Option<Instant>) {
        let mut state = self.state.lock();
        while state.entries.is_empty() && !state.nudged && !state.reopen && state.closing.is_none() {
            state.writer = Wait::Sleep;
            let timed_out = match until {
                Some(until) => self.wake.wait_until(&mut state, until).timed_out(),
                None => {
                    self.wake.wait(&mut state);
                    false
                }
            };
            state.writer = Wait::None;
            if timed_out {
                return;
            }
        }
    }

    /// For the writer whose sink failed: waits for `time` or an order. While closing it waits a short while in any case.
    pub(super) fn pause(&self, time: Duration) -> Orders {
        let mut state = self.state.lock();
        let time = if state.closing.is_some() { time.min(CLOSING_PAUSE) } else { time };
        if !state.reopen {
            self.wake.wait_for(&mut state, time);
        }
        Self::orders(&mut state)
    }

    fn orders(state: &mut State) -> Orders {
        Orders { reopen: std::mem::take(&mut state.reopen), closing: state.closing }
    }

    fn notify(&self, mut state: MutexGuard<'_, State>) {
        state.writer = Wait::None;
        drop(state);
        self.wake.notify_one();
    }
}
