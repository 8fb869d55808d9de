//! The clock by which values age.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// A point in time by `CLOCK_BOOTTIME` (clock_gettime(2)): it goes on while the host sleeps, so that nothing that was fetched
/// before counts as fresh after, and nobody who sets the clock of the wall makes a value older or younger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    /// So much later; the end of time where that is later still.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How much later it is than `earlier`; nothing where it is not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// When the clock of the wall shows that time, as it is set now. For people.
    pub fn wall(self) -> SystemTime {
        let (now, wall) = (Self::now(), SystemTime::now());
        let moved =
            if self > now { wall.checked_add(self.since(now)) } else { wall.checked_sub(now.since(self)) };
        moved.unwrap_or(wall)
    }

    /// When that is what the clock of the wall shows, as it is set now.
    pub fn at_wall(time: SystemTime) -> Self {
        let now = Self::now();
        match time.duration_since(SystemTime::now()) {
            Ok(ahead) => now.after(ahead),
            Err(behind) => Self(now.0.saturating_sub(behind.duration())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_time_since_the_host_was_started_its_sleep_included() {
        // What /proc/uptime tells is CLOCK_BOOTTIME (proc_uptime(5)).
        let uptime = || {
            let text = std::fs::read_to_string("/proc/uptime").unwrap();
            Duration::from_secs_f64(text.split(' ').next().unwrap().parse().unwrap())
        };
        let (before, now, after) = (uptime(), Moment::now(), uptime());
        let tick = Duration::from_millis(20);
        assert!(now.0 + tick >= before && now.0 <= after + tick, "{before:?} {now:?} {after:?}");
    }

    #[test]
    fn it_goes_on_and_back_to_the_wall() {
        let now = Moment::now();
        let later = now.after(Duration::from_secs(60));
        assert_eq!(later.since(now), Duration::from_secs(60));
        assert_eq!(now.since(later), Duration::ZERO);
        let ahead = later.wall().duration_since(SystemTime::now()).unwrap();
        assert!(ahead > Duration::from_secs(50) && ahead <= Duration::from_secs(60), "{ahead:?}");
        let back = Moment::at_wall(later.wall());
        assert!(back.since(now) > Duration::from_secs(59) && back.since(now) < Duration::from_secs(61));
        assert!(now.after(Duration::MAX) > later);
    }
}
