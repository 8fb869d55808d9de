//! Who waits for a fetch: so many at once for one uid, and how often each is looked at.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// Requests of one uid that may wait at once. A service that starts all its threads on one secret stays below it.
const AT_ONCE: usize = 4096;

/// How often a request is looked at whose caller may want to stop waiting, as long as few wait.
const OFTEN: Duration = Duration::from_millis(20);
/// What each one that waits adds to that, so that very many cost no more than some.
const SELDOMER: Duration = Duration::from_micros(500);

/// Who waits.
#[derive(Default, Clone)]
pub(super) struct Waiting(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    all: u32,
    by_uid: HashMap<u32, usize>,
}

/// A place among those who wait, until dropped.
pub(super) struct Place {
    waiting: Waiting,
    uid: u32,
}

impl Waiting {
    /// A place for a request of `uid`, if it has not too many.
    pub(super) fn enter(&self, uid: u32) -> Option<Place> {
        let mut counts = self.0.lock();
        let own = counts.by_uid.entry(uid).or_default();
        if *own >= AT_ONCE {
            return None;
        }
        *own += 1;
        counts.all = counts.all.saturating_add(1);
        Some(Place { waiting: self.clone(), uid })
    }

    /// How long until a caller is looked at again.
    pub(super) fn pause(&self) -> Duration {
        OFTEN + SELDOMER.saturating_mul(self.0.lock().all)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.0.lock();
        counts.all = counts.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = counts.by_uid.entry(self.uid) {
            *own.get_mut() = own.get().saturating_sub(1);
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_one_uid_wait_and_others_all_the_same() {
        let waiting = Waiting::default();
        let places: Vec<_> = (0..AT_ONCE).map(|_| waiting.enter(1).unwrap()).collect();
        assert!(waiting.enter(1).is_none());
        assert!(waiting.enter(2).is_some());
        assert!(waiting.pause() > Duration::from_secs(1));
        drop(places);
        assert!(waiting.enter(1).is_some());
        assert!(waiting.pause() < OFTEN * 2);
    }
}
