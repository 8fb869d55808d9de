//! Keeps `stat` from hammering providers: `ls -l` must stay quick when one is down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::failure::Failure;
use crate::providers::ProviderError;

/// How long no stat asks a provider that just failed to answer one.
const PAUSE: Duration = Duration::from_secs(5);
/// Stats that may wait for one provider at once.
const AT_ONCE: usize = 32;

/// Which providers are left alone for now.
#[derive(Default, Clone)]
pub(super) struct Pauses(Arc<Inner>);

#[derive(Default)]
struct Inner {
    until: Mutex<HashMap<String, Instant>>,
    waiting: Mutex<HashMap<String, usize>>,
}

/// Leave to ask once.
pub(super) struct Pass {
    pauses: Pauses,
    provider: String,
}

impl Pauses {
    /// Leave to ask `provider` for a stat's sake, if it is not to be left alone.
    pub(super) fn enter(&self, provider: &str) -> Option<Pass> {
        if self.0.until.lock().get(provider).is_some_and(|until| *until > Instant::now()) {
            return None;
        }
        let mut waiting = self.0.waiting.lock();
        let count = waiting.entry(provider.to_owned()).or_default();
        if *count >= AT_ONCE {
            return None;
        }
        *count += 1;
        Some(Pass { pauses: self.clone(), provider: provider.to_owned() })
    }
}

impl Pass {
    /// Says how it went.
    pub(super) fn leave(self, failure: Option<&Failure>) {
        if let Some(Failure::TimedOut | Failure::Provider(ProviderError::Unavailable(_))) = failure {
            self.pauses.0.until.lock().insert(self.provider.clone(), Instant::now() + PAUSE);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(count) = self.pauses.0.waiting.lock().get_mut(&self.provider) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_did_not_answer_is_left_alone_and_others_are_not() {
        let pauses = Pauses::default();
        pauses.enter("a").unwrap().leave(Some(&Failure::TimedOut));
        assert!(pauses.enter("a").is_none());
        assert!(pauses.enter("b").is_some());
    }

    #[test]
    fn an_answer_that_it_does_not_exist_is_an_answer() {
        let pauses = Pauses::default();
        pauses.enter("a").unwrap().leave(Some(&ProviderError::NotFound("x".into()).into()));
        assert!(pauses.enter("a").is_some());
    }

    #[test]
    fn so_many_wait_at_once_and_no_more() {
        let pauses = Pauses::default();
        let passes: Vec<_> = (0..AT_ONCE).map(|_| pauses.enter("a").unwrap()).collect();
        assert!(pauses.enter("a").is_none());
        assert!(pauses.enter("b").is_some(), "another provider is not held up");
        drop(passes);
        assert!(pauses.enter("a").is_some());
    }
}
