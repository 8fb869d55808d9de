//! Who makes providers be asked: so often in a second for one process and for one uid.
//!
//! Only what starts a fetch counts. What is known costs nothing, and nor does waiting for a fetch that another started.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::config::checked::Limits;
use crate::failure::{Failure, Whose};
use crate::identity::{Identity, ProcessId};

/// How far ahead of its rate one may be: who asked for nothing in that time may ask for all of it at once, as a service
/// does that starts.
const BURST: Duration = Duration::from_secs(10);

/// How many of a kind are remembered. One that is forgotten may ask as if it had not yet: for a process its uid still
/// counts, and nobody has that many uids.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// How often who asked.
pub(super) struct Misses(Mutex<Meters>);

struct Meters {
    uids: Meter<u32>,
    processes: Meter<ProcessId>,
}

/// Counts by the generic cell rate algorithm: all there is to remember of a caller is until when it has used up its rate.
struct Meter<K: Hash + Eq> {
    per_second: u32,
    used_until: LruCache<K, Instant>,
}

impl Misses {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Mutex::new(Meters {
            uids: Meter::new(limits.misses_per_uid),
            processes: Meter::new(limits.misses_per_process),
        }))
    }

    /// Counts a fetch that `who` starts, if its process and its uid have not started too many. What is refused costs
    /// neither anything.
    pub(super) fn count(&self, who: &Identity) -> Result<(), Failure> {
        self.count_at(who.uid, who.process, Instant::now())
    }

    fn count_at(&self, uid: u32, process: ProcessId, now: Instant) -> Result<(), Failure> {
        let Meters { uids, processes } = &mut *self.0.lock();
        let too_many = |whose, per_second| Failure::TooManyMisses { whose, per_second };
        let of_process =
            processes.after_one_more(&process, now).ok_or(too_many(Whose::Process, processes.per_second))?;
        let of_uid = uids.after_one_more(&uid, now).ok_or(too_many(Whose::Uid, uids.per_second))?;
        processes.remember(process, of_process, now);
        uids.remember(uid, of_uid, now);
        Ok(())
    }
}

impl<K: Hash + Eq> Meter<K> {
    fn new(per_second: u32) -> Self {
        Self { per_second, used_until: LruCache::new(REMEMBERED) }
    }

    /// Until when `key` has used up its rate after one more, unless that is too far ahead.
    fn after_one_more(&self, key: &K, now: Instant) -> Option<Instant> {
        let used = self.used_until.peek(key).map_or(now, |until| now.max(*until));
        let after = used.checked_add(Duration::from_secs(1) / self.per_second.max(1))?;
        (after.duration_since(now) <= BURST).then_some(after)
    }

    fn remember(&mut self, key: K, until: Instant, now: Instant) {
        self.used_until.put(key, until);
        // Who is behind its rate is as one that never asked.
        while self.used_until.peek_lru().is_some_and(|(_, until)| *until <= now) {
            self.used_until.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Pid;

    fn misses(per_uid: u32, per_process: u32) -> Misses {
        Misses::new(&Limits { misses_per_uid: per_uid, misses_per_process: per_process, ..Limits::DEFAULT })
    }

    fn process(pid: u32) -> ProcessId {
        ProcessId { pid: Pid(pid), start: 1 }
    }

    /// How many of `tries` are let through, and who the last was too many for.
    fn let_through(
        misses: &Misses,
        uid: u32,
        pid: u32,
        now: Instant,
        tries: usize,
    ) -> (usize, Option<Whose>) {
        let mut last = None;
        let through = (0..tries)
            .filter(|_| match misses.count_at(uid, process(pid), now) {
                Ok(()) => true,
                Err(Failure::TooManyMisses { whose, .. }) => {
                    last = Some(whose);
                    false
                }
                Err(other) => panic!("{other}"),
            })
            .count();
        (through, last)
    }

    #[test]
    fn ten_seconds_worth_may_come_at_once_and_then_the_rate_holds() {
        let misses = misses(1000, 3);
        let start = Instant::now();
        assert_eq!(let_through(&misses, 1, 1, start, 100), (30, Some(Whose::Process)));
        assert_eq!(
            let_through(&misses, 1, 1, start + Duration::from_secs(2), 100),
            (6, Some(Whose::Process))
        );
        assert_eq!(
            let_through(&misses, 1, 1, start + Duration::from_secs(60), 100),
            (30, Some(Whose::Process))
        );
    }

    #[test]
    fn one_process_over_its_bound_leaves_some_to_the_others_of_its_uid_and_all_to_other_uids() {
        let misses = misses(5, 3);
        let now = Instant::now();
        assert_eq!(let_through(&misses, 1, 1, now, 100), (30, Some(Whose::Process)));
        assert_eq!(let_through(&misses, 1, 2, now, 100), (20, Some(Whose::Uid)));
        assert_eq!(let_through(&misses, 1, 3, now, 100), (0, Some(Whose::Uid)));
        assert_eq!(let_through(&misses, 2, 4, now, 30), (30, None));
    }

    #[test]
    fn what_is_refused_for_the_uid_does_not_count_for_the_process() {
        let misses = misses(1, 1);
        let start = Instant::now();
        assert_eq!(let_through(&misses, 1, 1, start, 10), (10, None));
        assert_eq!(let_through(&misses, 1, 2, start, 100), (0, Some(Whose::Uid)));
        assert_eq!(let_through(&misses, 2, 2, start, 10), (10, None));
    }

    #[test]
    fn very_many_processes_are_not_all_remembered_and_none_once_they_are_quiet() {
        let misses = misses(1_000_000, 1);
        let start = Instant::now();
        for pid in 0..10_000 {
            assert!(misses.count_at(1, process(pid), start).is_ok());
        }
        assert_eq!(misses.0.lock().processes.used_until.len(), REMEMBERED.get());
        assert!(misses.count_at(2, process(1), start + BURST).is_ok());
        assert_eq!(misses.0.lock().processes.used_until.len(), 1);
        assert_eq!(misses.0.lock().uids.used_until.len(), 1);
    }
}
