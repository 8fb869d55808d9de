//! A memory of at most so many bytes: what was used longest ago goes first.

use std::hash::Hash;

use lru::LruCache;

/// Bytes counted for an entry beside its weight: names, versions, bookkeeping.
const OVERHEAD: u64 = 512;

/// Values by key, bounded in bytes.
pub struct Bounded<K: Hash + Eq, V> {
    entries: LruCache<K, (V, u64)>,
    used: u64,
    max: u64,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    /// One that holds at most `max` bytes.
    pub fn new(max: u64) -> Self {
        Self { entries: LruCache::unbounded(), used: 0, max }
    }

    /// The value, which counts as a use.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(value, _)| value)
    }

    /// The value, which does not count as a use.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.entries.peek(key).map(|(value, _)| value)
    }

    /// As [`Bounded::peek`], to be changed. What it weighs stays.
    pub fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.peek_mut(key).map(|(value, _)| value)
    }

    /// Remembers a value of `weight` bytes. One that is larger than all there is room for is not remembered. Gives what had to
    /// go for it, that one itself if need be.
    pub fn put(&mut self, key: K, value: V, weight: u64) -> Vec<(K, V)> {
        let weight = weight.saturating_add(OVERHEAD);
        self.remove(&key);
        if weight > self.max {
            return vec![(key, value)];
        }
        self.used += weight;
        self.entries.put(key, (value, weight));
        let mut gone = Vec::new();
        while self.used > self.max {
            let Some((key, (value, weight))) = self.entries.pop_lru() else { break };
            self.used -= weight;
            gone.push((key, value));
        }
        gone
    }

    /// Forgets one.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (value, weight) = self.entries.pop(key)?;
        self.used -= weight;
        Some(value)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.used = 0;
    }

    /// All of it, what was used last first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (value, _))| (key, value))
    }

    /// As [`Bounded::iter`], to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, (value, _))| (key, value))
    }

    /// How many bytes are held, names and bookkeeping counted.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How many bytes may be held.
    pub fn max(&self) -> u64 {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first_and_the_bound_holds() {
        let mut cache = Bounded::new(3 * (1000 + OVERHEAD));
        for name in ["a", "b", "c"] {
            cache.put(name, (), 1000);
        }
        assert!(cache.get(&"a").is_some());
        assert_eq!(cache.put("d", (), 1000), [("b", ())]);
        assert!(cache.get(&"b").is_none(), "b was used longest ago");
        assert!(["a", "c", "d"].iter().all(|name| cache.get(name).is_some()));
        assert!(cache.used <= cache.max);
    }

    #[test]
    fn replacing_and_forgetting_keep_the_count_right() {
        let mut cache = Bounded::new(1 << 20);
        for weight in [10, 5000, 0] {
            cache.put("a", (), weight);
            assert_eq!(cache.used, weight + OVERHEAD);
        }
        cache.put("a", (), 2 << 20);
        assert!((cache.used, cache.get(&"a").is_none()) == (0, true), "too large to be remembered");
        cache.put("b", (), 1);
        assert_eq!(cache.remove(&"b"), Some(()));
        assert_eq!(cache.used, 0);
    }
}
