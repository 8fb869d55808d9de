//! Keeps `stat` from hammering providers: `ls -l` must stay quick when one is down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::failure::Failure;
use crate::providers::ProviderError;
use crate::tally::Tally;

/// How long no stat asks a provider that just failed to answer one.
const PAUSE: Duration = Duration::from_secs(5);
/// Stats that may wait for one provider at once. A uid may have as many of them as are left for all others.
const AT_ONCE: usize = 32;

/// Which providers are left alone for now.
#[derive(Default, Clone)]
pub(super) struct Pauses(Arc<Inner>);

#[derive(Default)]
struct Inner {
    until: Mutex<HashMap<String, Instant>>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    all: Tally<String>,
    by_uid: Tally<(String, u32)>,
}

/// Leave to ask once.
pub(super) struct Pass {
    pauses: Pauses,
    provider: String,
    uid: u32,
}

impl Pauses {
    /// Leave for `uid` to ask `provider` for a stat's sake, if it is not to be left alone.
    pub(super) fn enter(&self, provider: &str, uid: u32) -> Option<Pass> {
        if self.0.until.lock().get(provider).is_some_and(|until| *until > Instant::now()) {
            return None;
        }
        let mut waiting = self.0.waiting.lock();
        let provider = provider.to_owned();
        let key = (provider.clone(), uid);
        if waiting.by_uid.of(&key) >= AT_ONCE.saturating_sub(waiting.all.of(&provider)) {
            return None;
        }
        waiting.by_uid.add(key);
        waiting.all.add(provider.clone());
        Some(Pass { pauses: self.clone(), provider, uid })
    }
}

impl Pass {
    /// Says how it went.
    pub(super) fn leave(self, failure: Option<&Failure>) {
        if let Some(Failure::TimedOut | Failure::Provider(ProviderError::Unavailable { .. })) = failure {
            self.pauses.0.until.lock().insert(self.provider.clone(), Instant::now() + PAUSE);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut waiting = self.pauses.0.waiting.lock();
        waiting.by_uid.take((self.provider.clone(), self.uid));
        waiting.all.take(self.provider.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_did_not_answer_is_left_alone_and_others_are_not() {
        let pauses = Pauses::default();
        pauses.enter("a", 1).unwrap().leave(Some(&Failure::TimedOut));
        assert!(pauses.enter("a", 1).is_none());
        assert!(pauses.enter("b", 1).is_some());
    }

    #[test]
    fn an_answer_that_it_does_not_exist_is_an_answer() {
        let pauses = Pauses::default();
        pauses.enter("a", 1).unwrap().leave(Some(&ProviderError::NotFound("x".into()).into()));
        assert!(pauses.enter("a", 1).is_some());
    }

    #[test]
    fn so_many_of_a_uid_wait_at_once_and_leave_room_for_another() {
        let pauses = Pauses::default();
        let passes: Vec<_> = (0..AT_ONCE / 2).map(|_| pauses.enter("a", 1).unwrap()).collect();
        assert!(pauses.enter("a", 1).is_none());
        assert!(pauses.enter("a", 2).is_some(), "another uid is not held up");
        assert!(pauses.enter("b", 1).is_some(), "another provider is not held up");
        drop(passes);
        assert!(pauses.enter("a", 1).is_some());
    }
}
