//! Denials that are alike become one line: a program that retries in a loop must not drown everything else.
//!
//! So do failures by `EAGAIN`: a caller that is over its bounds tries as often. How many lines there are in a second is bounded,
//! whatever is tried; what is counted is not.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::record::{Op, Outcome, Record};
use crate::tally::Tally;

/// What is alike within this time of the first shares a line.
const WINDOW: Duration = Duration::from_secs(1);

/// How many different denials are watched at a time, of which a uid may have as many as are left for all others. Beyond it
/// those of a uid share a line, however different.
const WATCHED: usize = 256;

/// Uids whose denials share a line, at a time. Beyond it those of all others share one.
const UIDS: usize = 64;

/// What makes two attempts alike. Not the pid: a shell loop has a new one each time.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    op: Op,
    /// `None` where it does not matter which: a bound is reached by asking for many.
    path: Option<String>,
    uid: u32,
    exe: String,
    unit: String,
    container: String,
    cgroup: String,
    other_user_namespace: bool,
    reason: String,
}

/// Whose attempts share a line that are not alike.
#[derive(PartialEq, Eq, Hash)]
struct Various {
    outcome: Outcome,
    /// `None` for those of various uids.
    uid: Option<u32>,
}

/// Those whose first line is written.
struct Watched {
    until: Instant,
    /// The last one since, with the count of all since.
    held: Option<Record>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Coalescer {
    alike: HashMap<Alike, Watched>,
    /// How many of them each uid has.
    by_uid: Tally<u32>,
    various: HashMap<Various, Watched>,
}

impl Coalescer {
    /// Gives `record` back to be written now, or keeps it to be counted.
    pub(super) fn admit(&mut self, record: Record, now: Instant) -> Option<Record> {
        let Some(until) = now.checked_add(WINDOW).filter(|_| is_repeated(&record)) else {
            return Some(record);
        };
        let key = Alike::of(&record);
        if let Some(watched) = self.alike.get_mut(&key) {
            watched.hold(record, key.path.is_none());
            return None;
        }
        if self.by_uid.of(&record.uid) < WATCHED.saturating_sub(self.alike.len()) {
            self.by_uid.add(record.uid);
            self.alike.insert(key, Watched { until, held: None });
            return Some(record);
        }
        let mut key = Various { outcome: record.outcome, uid: Some(record.uid) };
        if !self.various.contains_key(&key) && self.various.len() >= UIDS {
            key.uid = None;
        }
        if let Some(watched) = self.various.get_mut(&key) {
            watched.hold(record, false);
            return None;
        }
        self.various.insert(key, Watched { until, held: None });
        Some(record)
    }

    /// Passes the lines whose time has come to `out`; all of them with `now` = `None`. What goes on is watched further.
    pub(super) fn release(&mut self, now: Option<Instant>, mut out: impl FnMut(Record)) {
        self.alike.retain(|key, watched| {
            let stays = watched.release(now, &mut out);
            if !stays {
                self.by_uid.take(key.uid);
            }
            stays
        });
        self.various.retain(|key, watched| {
            watched.release(now, |mut record| {
                if record.count > 1 {
                    let whose = if key.uid.is_some() { "this uid" } else { "various uids" };
                    record.reason = format!("various attempts of {whose}, the last: {}", record.reason);
                }
                out(record);
            })
        });
    }

    /// When [`Coalescer::release`] has something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.alike.values().chain(self.various.values()).map(|watched| watched.until).min()
    }
}

/// Whether it is of a kind that comes in floods.
fn is_repeated(record: &Record) -> bool {
    record.outcome == Outcome::Denied || is_over_a_bound(record)
}

fn is_over_a_bound(record: &Record) -> bool {
    record.outcome == Outcome::Failed && record.errno == "EAGAIN"
}

impl Alike {
    fn of(record: &Record) -> Self {
        Self {
            op: record.op,
            path: (!is_over_a_bound(record)).then(|| record.path.clone()),
            uid: record.uid,
            exe: record.exe.clone(),
            unit: record.unit.clone(),
            container: record.container.clone(),
            cgroup: record.cgroup.clone(),
            other_user_namespace: record.other_user_namespace,
            reason: record.reason.clone(),
        }
    }
}

impl Watched {
    /// Counts one more. What it is told by is the last, but for the path where that is to stay the first's.
    fn hold(&mut self, mut record: Record, path_stays: bool) {
        if let Some(before) = self.held.take() {
            record.count = record.count.saturating_add(before.count);
            if path_stays {
                (record.path, record.scope) = (before.path, before.scope);
            }
        }
        self.held = Some(record);
    }

    /// Passes the line on if its time has come; whether more are watched for.
    fn release(&mut self, now: Option<Instant>, out: impl FnOnce(Record)) -> bool {
        let next = match now {
            None => None,
            Some(now) if now < self.until => return true,
            Some(now) => now.checked_add(WINDOW),
        };
        let Some(record) = self.held.take() else { return false };
        out(record);
        next.inspect(|next| self.until = *next).is_some()
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
        assert!(coalescer.admit(other(|r| r.cgroup.push('x')), now).is_some());
        assert!(coalescer.admit(other(|r| r.other_user_namespace = true), now).is_some());
        assert!(coalescer.admit(other(|r| r.op = Op::Read), now).is_some());
        assert!(coalescer.admit(other(|r| r.outcome = Outcome::Allowed), now).is_some());
        assert!(coalescer.admit(other(|r| r.outcome = Outcome::Allowed), now).is_some());
    }

    #[test]
    fn failures_by_eagain_share_a_line_whatever_the_path_and_other_failures_do_not() {
        let mut coalescer = Coalescer::default();
        let start = Instant::now();
        let failed = |n: u32, errno: &str| Record {
            outcome: Outcome::Failed,
            path: format!("a/{n}"),
            errno: errno.to_owned(),
            ..denied(n)
        };
        assert!(coalescer.admit(failed(0, "EAGAIN"), start).is_some());
        for n in 1..=100 {
            assert!(coalescer.admit(failed(n, "EAGAIN"), start).is_none());
            assert!(coalescer.admit(failed(n, "ENOKEY"), start).is_some());
        }
        let lines = released(&mut coalescer, start + WINDOW);
        let told = lines.iter().map(|line| (line.path.as_str(), line.pid, line.count));
        assert_eq!(told.collect::<Vec<_>>(), [("a/1", 100, 100)], "the path of the first it counts");
    }

    /// Admits these, lets the window end, and gives the lines there were.
    fn flood(coalescer: &mut Coalescer, now: Instant, records: impl Iterator<Item = Record>) -> Vec<Record> {
        let mut lines: Vec<_> = records.filter_map(|record| coalescer.admit(record, now)).collect();
        coalescer.release(Some(now + WINDOW), |record| lines.push(record));
        lines
    }

    fn counted(lines: &[Record]) -> u64 {
        lines.iter().map(|line| line.count).sum()
    }

    #[test]
    fn a_uid_with_very_many_different_denials_gets_a_bounded_number_of_lines_and_leaves_room_for_others() {
        let mut coalescer = Coalescer::default();
        let now = Instant::now();
        let different =
            |uid: u32| (0..10_000).map(move |n| Record { uid, path: format!("a/{n}"), ..denied(n) });
        let mut lines: Vec<_> = different(1).filter_map(|record| coalescer.admit(record, now)).collect();
        assert!(coalescer.admit(Record { uid: 2, ..denied(1) }, now).is_some());
        assert!(
            coalescer.admit(Record { uid: 2, ..denied(2) }, now).is_none(),
            "another's are watched one by one"
        );
        coalescer.release(Some(now + WINDOW), |record| lines.push(record));
        let of_first: Vec<_> = lines.into_iter().filter(|line| line.uid == 1).collect();
        assert_eq!((of_first.len(), counted(&of_first)), (WATCHED / 2 + 2, 10_000));
        let rest = of_first.last().unwrap();
        assert_eq!((rest.path.as_str(), rest.pid), ("a/9999", 9999), "it shows the last");
        assert_eq!(rest.reason, "various attempts of this uid, the last: no rule matches");
    }

    #[test]
    fn very_many_uids_get_a_bounded_number_of_lines_that_add_up_and_all_is_forgotten_once_it_is_quiet() {
        let mut coalescer = Coalescer::default();
        let mut now = Instant::now();
        for _ in 0..3 {
            let lines = flood(&mut coalescer, now, (0..10_000).map(|uid| Record { uid, ..denied(uid) }));
            assert!(lines.len() <= 2 * (WATCHED + UIDS + 1), "{}", lines.len());
            assert_eq!(counted(&lines), 10_000);
            assert!(lines.last().unwrap().reason.starts_with("various attempts of various uids, the last: "));
            now += WINDOW;
        }
        released(&mut coalescer, now + WINDOW);
        assert_eq!(coalescer.due(), None);
        let lines = flood(&mut coalescer, now, (0..WATCHED as u32).map(|uid| Record { uid, ..denied(uid) }));
        assert_eq!(lines.len(), WATCHED);
        assert!(lines.iter().all(|line| line.count == 1));
    }
}
