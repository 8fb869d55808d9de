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

impl<K: Hash + Eq + Clone, V: Clone> Bounded<K, V> {
    /// One that holds at most `max` bytes.
    pub fn new(max: u64) -> Self {
        Self { entries: LruCache::unbounded(), used: 0, max }
    }

    /// The value, which counts as a use.
    pub fn get(&mut self, key: &K) -> Option<V> {
        self.entries.get(key).map(|(value, _)| value.clone())
    }

    /// The value, which does not count as a use.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.entries.peek(key).map(|(value, _)| value.clone())
    }

    /// Remembers a value of `weight` bytes. One that is larger than all there is room for is not remembered.
    pub fn put(&mut self, key: K, value: V, weight: u64) {
        let weight = weight.saturating_add(OVERHEAD);
        self.remove(&key);
        if weight > self.max {
            return;
        }
        self.used += weight;
        self.entries.put(key, (value, weight));
        while self.used > self.max {
            let Some((_, (_, weight))) = self.entries.pop_lru() else { break };
            self.used -= weight;
        }
    }

    /// Forgets what `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        let gone: Vec<K> =
            self.entries.iter().filter(|(key, _)| !keep(key)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.used = 0;
    }

    fn remove(&mut self, key: &K) {
        if let Some((_, weight)) = self.entries.pop(key) {
            self.used -= weight;
        }
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
        cache.put("d", (), 1000);
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
        assert_eq!((cache.used, cache.get(&"a")), (0, None), "too large to be remembered");
        cache.put("b", (), 1);
        cache.retain(|_| false);
        assert_eq!(cache.used, 0);
    }
}
