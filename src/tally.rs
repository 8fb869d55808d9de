//! How many of each there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// Counts by key. What there is none of takes no room.
pub struct Tally<K>(HashMap<K, usize>);

impl<K: Eq + Hash> Tally<K> {
    /// How many of `key` there are.
    pub fn of(&self, key: &K) -> usize {
        self.0.get(key).copied().unwrap_or(0)
    }

    /// One more of `key`.
    pub fn add(&mut self, key: K) {
        let count = self.0.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// One less of `key`.
    pub fn take(&mut self, key: K) {
        if let Entry::Occupied(mut count) = self.0.entry(key) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_again_takes_no_room() {
        let mut tally = Tally::default();
        tally.add("a");
        tally.add("a");
        tally.take("a");
        tally.take("b");
        assert_eq!((tally.of(&"a"), tally.of(&"b")), (1, 0));
        tally.take("a");
        assert_eq!((tally.of(&"a"), tally.0.len()), (0, 0));
    }
}
