//! Which failures go on from ones just before: those are not worth a line in the log each.

use std::mem::{Discriminant, discriminant};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::failure::Failure;

/// After so long without one, the next begins another burst.
const QUIET: Duration = Duration::from_secs(5);

/// Bursts that are known of.
const KNOWN: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// When the last of each burst was.
pub(super) struct Bursts(Mutex<LruCache<(u32, Discriminant<Failure>), Instant>>);

impl Bursts {
    /// Whether a `failure` of `uid` at this time is the first of its kind in a while.
    pub(super) fn begins(&self, uid: u32, failure: &Failure, at: Instant) -> bool {
        let last = self.0.lock().put((uid, discriminant(failure)), at);
        last.is_none_or(|last| at.saturating_duration_since(last) > QUIET)
    }
}

impl Default for Bursts {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KNOWN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Whose;

    #[test]
    fn a_burst_begins_once_for_each_uid_and_kind_and_again_after_a_while() {
        let bursts = Bursts::default();
        let start = Instant::now();
        let waiting = Failure::TooManyWaiting(Whose::Uid);
        assert!(bursts.begins(1, &waiting, start));
        assert!(bursts.begins(2, &waiting, start));
        assert!(bursts.begins(1, &Failure::TooManyOwnHandles, start));
        for seconds in 0..20 {
            assert!(!bursts.begins(1, &waiting, start + Duration::from_secs(seconds)));
        }
        assert!(bursts.begins(1, &waiting, start + Duration::from_secs(30)));
    }
}
