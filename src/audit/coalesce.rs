//! Equal denials become one line: a program that retries in a loop must not drown everything else.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::record::{Op, Outcome, Record};

/// Equal denials within this time of the first share a line.
const WINDOW: Duration = Duration::from_secs(1);

/// How many different denials are watched at a time. Beyond it each is written by itself: more lines, never fewer.
const WATCHED: usize = 256;

/// What makes two denials equal. Not the pid: a shell loop has a new one each time.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    op: Op,
    path: String,
    uid: u32,
    exe: String,
    unit: String,
    container: String,
    other_user_namespace: bool,
    reason: String,
}

/// A denial whose first line is written.
struct Watched {
    until: Instant,
    /// The last one since, with the count of all since.
    held: Option<Record>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Coalescer {
    watched: HashMap<Key, Watched>,
}

impl Coalescer {
    /// Gives `record` back to be written now, or keeps it to be counted.
    pub(super) fn admit(&mut self, mut record: Record, now: Instant) -> Option<Record> {
        if record.outcome != Outcome::Denied {
            return Some(record);
        }
        let key = Key {
            op: record.op,
            path: record.path.clone(),
            uid: record.uid,
            exe: record.exe.clone(),
            unit: record.unit.clone(),
            container: record.container.clone(),
            other_user_namespace: record.other_user_namespace,
            reason: record.reason.clone(),
        };
        if let Some(watched) = self.watched.get_mut(&key) {
            let before = watched.held.take().map_or(0, |held| held.count);
            record.count = record.count.saturating_add(before);
            watched.held = Some(record);
            return None;
        }
        if let Some(until) = now.checked_add(WINDOW).filter(|_| self.watched.len() < WATCHED) {
            self.watched.insert(key, Watched { until, held: None });
        }
        Some(record)
    }

    /// Passes the lines whose time has come to `out`; all of them with `now` = `None`. What goes on is watched further.
    pub(super) fn release(&mut self, now: Option<Instant>, mut out: impl FnMut(Record)) {
        self.watched.retain(|_, watched| {
            let next = match now {
                None => None,
                Some(now) if now < watched.until => return true,
                Some(now) => now.checked_add(WINDOW),
            };
            let Some(record) = watched.held.take() else { return false };
            out(record);
            next.inspect(|next| watched.until = *next).is_some()
        });
    }

    /// When [`Coalescer::release`] has something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.watched.values().map(|watched| watched.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::denied;

    fn released(coalescer: &mut Coalescer, now: Instant) -> Vec<Record> {
        let mut lines = Vec::new();
        coalescer.release(Some(now), |record| lines.push(record));
        lines
    }

    #[test]
    fn the_first_denial_is_written_at_once_and_the_rest_as_one_line() {
        let mut coalescer = Coalescer::default();
        let start = Instant::now();
        assert!(coalescer.admit(denied(1), start).is_some());
        for pid in 2..=10 {
            assert!(coalescer.admit(denied(pid), start).is_none());
        }
        assert!(released(&mut coalescer, start).is_empty());
        let lines = released(&mut coalescer, start + WINDOW);
        assert_eq!(lines.iter().map(|line| (line.pid, line.count)).collect::<Vec<_>>(), [(10, 9)]);
    }

    #[test]
    fn a_flood_gives_one_line_for_each_window_until_it_ends() {
        let mut coalescer = Coalescer::default();
        let start = Instant::now();
        assert!(coalescer.admit(denied(1), start).is_some());
        for window in 1..4 {
            assert!(coalescer.admit(denied(2), start + WINDOW * (window - 1)).is_none());
            assert_eq!(released(&mut coalescer, start + WINDOW * window).len(), 1);
        }
        assert!(released(&mut coalescer, start + WINDOW * 5).is_empty());
        assert_eq!(coalescer.due(), None);
        assert!(coalescer.admit(denied(1), start).is_some());
    }

    #[test]
    fn what_differs_is_not_coalesced() {
        let mut coalescer = Coalescer::default();
        let now = Instant::now();
        let other = |change: fn(&mut Record)| {
            let mut record = denied(1);
            change(&mut record);
            record
        };
        assert!(coalescer.admit(denied(1), now).is_some());
        assert!(coalescer.admit(other(|r| r.uid = 7), now).is_some());
        assert!(coalescer.admit(other(|r| r.path.push('x')), now).is_some());
        assert!(coalescer.admit(other(|r| r.exe.push('x')), now).is_some());
        assert!(coalescer.admit(other(|r| r.reason.push('x')), now).is_some());
        assert!(coalescer.admit(other(|r| r.unit.push('x')), now).is_some());
        assert!(coalescer.admit(other(|r| r.container.push('x')), now).is_some());
        assert!(coalescer.admit(other(|r| r.other_user_namespace = true), now).is_some());
        assert!(coalescer.admit(other(|r| r.op = Op::Read), now).is_some());
        assert!(coalescer.admit(other(|r| r.outcome = Outcome::Allowed), now).is_some());
        assert!(coalescer.admit(other(|r| r.outcome = Outcome::Allowed), now).is_some());
    }

    #[test]
    fn the_table_is_bounded_and_beyond_it_everything_is_written() {
        let mut coalescer = Coalescer::default();
        let now = Instant::now();
        for uid in 0..1000 {
            let record = Record { uid, ..denied(1) };
            assert!(coalescer.admit(record, now).is_some());
        }
        assert_eq!(coalescer.watched.len(), WATCHED);
        assert!(coalescer.admit(Record { uid: 999, ..denied(1) }, now).is_some());
    }
}
