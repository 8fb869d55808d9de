//! How long to stay away from what failed: longer each time, and never all at the same moment.

use std::time::Duration;

/// What comes of chance, so that a model can decide it: a number from 0 up to, not including, 1.
pub(super) trait Chance {
    /// The next one.
    fn next(&mut self) -> f64;
}

/// Exponential with full jitter: each pause is anything between `least` and a bound that doubles from `first` to `most`.
/// Full jitter takes the fewest attempts of all that were compared in "Exponential Backoff And Jitter" (AWS Architecture
/// Blog, 2015).
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    pub(super) least: Duration,
    pub(super) first: Duration,
    pub(super) most: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row; at least what the provider asks for.
    pub(super) fn pause(&self, failures: u32, asked: Option<Duration>, chance: &mut dyn Chance) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(24)));
        let bound = doubled.clamp(self.least, self.most);
        let pause = self.least + bound.saturating_sub(self.least).mul_f64(chance.next());
        asked.map_or(pause, |asked| asked.saturating_add(pause.min(self.first)))
    }
}

/// A chance by a small generator (splitmix64): what it decides is when to ask again, which nobody gains by guessing.
pub(super) struct Drawn(u64);

impl Drawn {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without one all hosts that start at once ask at once: no worse than that.
        let _ = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty());
        Self(u64::from_ne_bytes(seed))
    }
}

impl Chance for Drawn {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 53 bits, as many as a double has.
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        least: Duration::from_millis(100),
        first: Duration::from_secs(1),
        most: Duration::from_secs(30),
    };

    struct Always(f64);
    impl Chance for Always {
        fn next(&mut self) -> f64 {
            self.0
        }
    }

    #[test]
    fn pauses_double_up_to_the_most_and_lie_anywhere_below() {
        let longest: Vec<_> = (1..8).map(|n| BACKOFF.pause(n, None, &mut Always(1.0)).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(BACKOFF.pause(u32::MAX, None, &mut Always(0.0)), Duration::from_millis(100));
    }

    #[test]
    fn what_the_provider_asks_for_is_kept_and_not_to_the_moment() {
        let asked = Some(Duration::from_secs(60));
        assert_eq!(BACKOFF.pause(9, asked, &mut Always(0.0)), Duration::from_millis(60_100));
        assert_eq!(BACKOFF.pause(9, asked, &mut Always(1.0)), Duration::from_secs(61));
    }

    #[test]
    fn chances_are_spread() {
        let mut drawn = Drawn::new();
        let drawn: Vec<_> = (0..1000).map(|_| drawn.next()).collect();
        assert!(drawn.iter().all(|one| (0.0..1.0).contains(one)));
        assert!(drawn.iter().filter(|one| **one < 0.5).count() > 300);
        assert!(drawn.iter().filter(|one| **one >= 0.5).count() > 300);
    }
}
