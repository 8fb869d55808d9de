//! Who waits, for a fetch or for evidence: so many at once for one process, for one uid and in all, and how often each is
//! looked at.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::checked::Limits;
use crate::failure::{Failure, Whose};
use crate::identity::{Identity, ProcessId};
use crate::tally::Tally;

/// Requests that may wait at once in all. Each costs the kernel and us some KiB.
const IN_ALL: usize = 16 * 1024;

/// How often a request is looked at whose caller may want to stop waiting, as long as few wait.
const OFTEN: Duration = Duration::from_millis(20);
/// What each one that waits adds to that, so that very many cost no more than some.
const SELDOMER: Duration = Duration::from_micros(500);

/// Who waits.
#[derive(Clone)]
pub(super) struct Waiting(Arc<Inner>);

struct Inner {
    per_uid: usize,
    per_process: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_uid: Tally<u32>,
    by_process: Tally<ProcessId>,
}

/// A place among those who wait, until dropped.
pub(super) struct Place {
    waiting: Waiting,
    uid: u32,
    process: ProcessId,
}

impl Waiting {
    pub(super) fn new(limits: &Limits) -> Self {
        let (per_uid, per_process) = (limits.waiting_per_uid as usize, limits.waiting_per_process as usize);
        Self(Arc::new(Inner { per_uid, per_process, counts: Mutex::default() }))
    }

    /// A place for a request of `who`, if its process and its uid have not too many. Whatever they may have, a uid has no more
    /// than are left for all others.
    pub(super) fn enter(&self, who: &Identity) -> Result<Place, Failure> {
        let mut counts = self.0.counts.lock();
        let own = counts.by_uid.of(&who.uid);
        let full = if counts.by_process.of(&who.process) >= self.0.per_process {
            Some(Whose::Process)
        } else if own >= self.0.per_uid {
            Some(Whose::Uid)
        } else if own >= IN_ALL.saturating_sub(counts.all) {
            Some(Whose::Everybody)
        } else {
            None
        };
        if let Some(whose) = full {
            return Err(Failure::TooManyWaiting(whose));
        }
        counts.by_uid.add(who.uid);
        counts.by_process.add(who.process);
        counts.all = counts.all.saturating_add(1);
        Ok(Place { waiting: self.clone(), uid: who.uid, process: who.process })
    }

    /// How long until a caller is looked at again.
    pub(super) fn pause(&self) -> Duration {
        let all = u32::try_from(self.0.counts.lock().all).unwrap_or(u32::MAX);
        OFTEN + SELDOMER.saturating_mul(all)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.0.counts.lock();
        counts.all = counts.all.saturating_sub(1);
        counts.by_uid.take(self.uid);
        counts.by_process.take(self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Pid, somebody};

    fn waiting(per_uid: u32, per_process: u32) -> Waiting {
        Waiting::new(&Limits {
            waiting_per_uid: per_uid,
            waiting_per_process: per_process,
            ..Limits::DEFAULT
        })
    }

    fn process(uid: u32, pid: u32) -> Identity {
        Identity { uid, process: ProcessId { pid: Pid(pid), start: 1 }, ..somebody() }
    }

    fn enter(waiting: &Waiting, who: &Identity, times: usize) -> Vec<Place> {
        (0..times).map(|_| waiting.enter(who).unwrap()).collect()
    }

    fn refused(waiting: &Waiting, who: &Identity) -> Option<Whose> {
        match waiting.enter(who) {
            Ok(_) => None,
            Err(Failure::TooManyWaiting(whose)) => Some(whose),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn so_many_of_one_process_wait_and_other_processes_of_its_user_all_the_same() {
        let waiting = waiting(10, 5);
        let places = enter(&waiting, &process(1, 1), 5);
        assert_eq!(refused(&waiting, &process(1, 1)), Some(Whose::Process));
        let another = ProcessId { pid: Pid(1), start: 2 };
        assert_eq!(
            refused(&waiting, &Identity { process: another, ..process(1, 1) }),
            None,
            "a number used again"
        );
        assert_eq!(refused(&waiting, &process(1, 2)), None);
        drop(places);
        assert_eq!(refused(&waiting, &process(1, 1)), None);
    }

    #[test]
    fn so_many_of_one_uid_wait_however_many_processes_it_starts_and_others_all_the_same() {
        let waiting = waiting(10, 5);
        let places: Vec<_> = (0..10).map(|pid| waiting.enter(&process(1, pid)).unwrap()).collect();
        assert_eq!(refused(&waiting, &process(1, 99)), Some(Whose::Uid));
        assert_eq!(refused(&waiting, &process(2, 1)), None);
        drop(places);
        assert_eq!(refused(&waiting, &process(1, 99)), None);
    }

    #[test]
    fn two_uids_that_take_all_they_can_get_leave_room_for_a_third() {
        let waiting = waiting(u32::MAX, u32::MAX);
        let first = enter(&waiting, &process(1, 1), IN_ALL / 2);
        assert_eq!(refused(&waiting, &process(1, 1)), Some(Whose::Everybody));
        let second = enter(&waiting, &process(2, 2), IN_ALL / 4);
        assert_eq!(refused(&waiting, &process(2, 2)), Some(Whose::Everybody));
        assert_eq!(refused(&waiting, &process(3, 3)), None);
        assert!(waiting.pause() > Duration::from_secs(1));
        drop((first, second));
        assert!(waiting.pause() < OFTEN * 2);
    }
}
