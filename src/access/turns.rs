//! Whose turn it is at a provider: a uid has so many fetches under way there, and its others wait for them.
//!
//! A provider is asked so much at once, first come first served. Without this, a uid that asks for a thousand slow secrets would have
//! everybody else wait for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Fetches of one uid under way at one provider: three quarters of what the fetcher has under way there.
const AT_ONCE: usize = 12;

/// The turns of those who have fetches under way or waiting.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<(u32, String), Weak<Semaphore>>>);

impl Turns {
    /// Where a fetch that `uid` starts at `provider` waits for its turn.
    pub(super) fn of(&self, uid: u32, provider: &str) -> Arc<Semaphore> {
        let mut all = self.0.lock();
        let key = (uid, provider.to_owned());
        if let Some(turns) = all.get(&key).and_then(Weak::upgrade) {
            return turns;
        }
        all.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        all.insert(key, Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_turns_of_its_own_at_each_provider_as_long_as_it_has_fetches_there() {
        let turns = Turns::default();
        let one = turns.of(1, "a");
        assert!(Arc::ptr_eq(&one, &turns.of(1, "a")));
        assert!(!Arc::ptr_eq(&one, &turns.of(1, "b")));
        assert!(!Arc::ptr_eq(&one, &turns.of(2, "a")));
        drop(one);
        let _other = turns.of(3, "a");
        assert_eq!(turns.0.lock().len(), 1, "who has none is forgotten");
    }
}
