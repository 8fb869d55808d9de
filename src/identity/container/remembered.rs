//! Answers that are kept: good ones for as long as there is room, failures for a moment.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::identity::evidence::Found;

/// How many answers are kept. An id is never used again, so only room makes one go.
const ROOM: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// How long a failure is kept, so that a runtime that is down is not asked for each open.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// Answers by what they are about.
pub(super) struct Remembered<T>(Mutex<LruCache<String, Arc<Slot<T>>>>);

/// The answer about one thing. Locked while it is being asked for, so that all who want it share one ask.
type Slot<T> = tokio::sync::Mutex<Option<Answer<T>>>;

struct Answer<T> {
    found: Found<T>,
    at: Instant,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ROOM)))
    }
}

impl<T: Clone> Remembered<T> {
    /// What is known about `key`. Never waits.
    pub(super) fn known(&self, key: &str) -> Option<Found<T>> {
        let slot = self.0.lock().get(key).map(Arc::clone)?;
        let answer = slot.try_lock().ok()?;
        answer.as_ref().filter(|answer| answer.is_good(Instant::now())).map(|answer| answer.found.clone())
    }

    /// What is known about `key`, or what `ask` gives. Whoever comes while it is being asked for gets that answer, be it a
    /// failure, however old it is by then.
    pub(super) async fn get(&self, key: &str, ask: impl Future<Output = Found<T>>) -> Found<T> {
        let came = Instant::now();
        let slot = Arc::clone(self.0.lock().get_or_insert(key.to_owned(), Arc::default));
        let mut answer = slot.lock().await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.is_good(came)) {
            return answer.found.clone();
        }
        let found = ask.await;
        *answer = Some(Answer { found: found.clone(), at: Instant::now() });
        found
    }
}

impl<T> Answer<T> {
    fn is_good(&self, now: Instant) -> bool {
        self.found.is_ok() || now.saturating_duration_since(self.at) < FAILURE_KEPT
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_ask() {
        let remembered = Remembered::default();
        let asks = AtomicUsize::new(0);
        let ask = || async {
            asks.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(7)
        };
        assert_eq!(remembered.known("a"), None);
        let (a, b, other) =
            tokio::join!(remembered.get("a", ask()), remembered.get("a", ask()), remembered.get("b", ask()));
        assert_eq!((a, b, other), (Ok(7), Ok(7), Ok(7)));
        assert_eq!(asks.load(Ordering::Relaxed), 2, "one for each key");
        assert_eq!(remembered.known("a"), Some(Ok(7)));
    }

    #[tokio::test]
    async fn a_failure_is_kept_for_a_moment_and_an_answer_for_good() {
        let remembered = Remembered::default();
        let fails = async { Err("down".into()) };
        assert_eq!(remembered.get("a", fails).await, Err::<u8, _>("down".into()));
        assert_eq!(remembered.known("a"), Some(Err("down".into())));
        assert_eq!(remembered.get("a", async { Ok(1) }).await, Err("down".into()), "not asked again so soon");
        tokio::time::sleep(FAILURE_KEPT).await;
        assert_eq!(remembered.known("a"), None);
        assert_eq!(remembered.get("a", async { Ok(1) }).await, Ok(1));
        tokio::time::sleep(FAILURE_KEPT).await;
        assert_eq!(remembered.known("a"), Some(Ok(1)));
    }

    #[tokio::test]
    async fn an_ask_that_is_given_up_leaves_nothing_behind() {
        let remembered = Remembered::<u8>::default();
        let never = remembered.get("a", std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(5), never).await.is_err());
        assert_eq!(remembered.known("a"), None);
        assert_eq!(remembered.get("a", async { Ok(1) }).await, Ok(1));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let remembered = Remembered::default();
        for number in 0..ROOM.get() + 10 {
            remembered.get(&number.to_string(), async { Ok(number) }).await.unwrap();
        }
        assert_eq!(remembered.0.lock().len(), ROOM.get());
        assert_eq!(remembered.known("0"), None);
        assert_eq!(remembered.known("1000"), Some(Ok(1000)));
    }
}
