//! Whether a provider is asked at all: one that is down costs nobody anything.
//!
//! ```text
//!            two different secrets fail in a row, or it says when to come again
//!   Closed ----------------------------------------------------------------------> Open
//!     ^                                                                             | its pause is over,
//!     | it answers, be it with "no"                                                 v somebody wants something
//!     '--------------------------------------------------------------------------- HalfOpen
//!                                                          it fails: Open again
//! ```
//!
//! One secret that always fails opens nothing: it has a pause of its own (`entry.rs`), and the others are asked for as ever.

use std::time::Duration;

use super::backoff::{Backoff, Chance};
use crate::clock::Moment;

/// Short, as there is one question for the whole provider: who comes back is found again within two seconds.
const PAUSES: Backoff = Backoff {
    least: Duration::from_millis(250),
    first: Duration::from_millis(500),
    most: Duration::from_millis(1750),
};

/// What is known of one provider. `K` tells its secrets apart, `E` says why it failed.
#[derive(Debug)]
pub(super) enum Circuit<K, E> {
    /// It is asked.
    Closed {
        /// The last secret that failed, if nothing has succeeded since, and why.
        failed: Option<(K, E)>,
    },
    /// It is left alone.
    Open {
        /// Until then.
        until: Moment,
        /// Why.
        why: E,
        /// How often it failed since it was last there.
        failures: u32,
    },
    /// One question is on its way, to find out.
    HalfOpen {
        /// Why it was left alone before.
        why: E,
        /// How often it failed since it was last there.
        failures: u32,
    },
}

/// How a question went, as far as it tells of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Went<E> {
    /// It answered.
    Answered,
    /// It could not be reached, or has too much to do.
    Failed {
        /// Why.
        why: E,
        /// How long it wants to be left alone, where it says so.
        asked: Option<Duration>,
    },
}

impl<K, E> Default for Circuit<K, E> {
    fn default() -> Self {
        Self::Closed { failed: None }
    }
}

impl<K: PartialEq + Clone, E: Clone> Circuit<K, E> {
    /// Why nobody asks it now; `None` where somebody may.
    pub(super) fn blocks(&self, now: Moment) -> Option<&E> {
        match self {
            Self::Open { until, why, .. } if now < *until => Some(why),
            Self::HalfOpen { why, .. } => Some(why),
            Self::Closed { .. } | Self::Open { .. } => None,
        }
    }

    /// Why its last question failed, whether it is left alone for that or not.
    pub(super) fn trouble(&self) -> Option<&E> {
        match self {
            Self::Closed { failed } => failed.as_ref().map(|(_, why)| why),
            Self::Open { why, .. } | Self::HalfOpen { why, .. } => Some(why),
        }
    }

    /// From when on somebody may ask, where nobody may now.
    pub(super) fn until(&self) -> Option<Moment> {
        match self {
            Self::Open { until, .. } => Some(*until),
            Self::Closed { .. } | Self::HalfOpen { .. } => None,
        }
    }

    /// Whether it is asked as ever.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// A question is sent.
    pub(super) fn asked(&mut self) {
        if let Self::Open { why, failures, .. } = self {
            *self = Self::HalfOpen { why: why.clone(), failures: *failures };
        }
    }

    /// The next question finds out, whenever it was to be.
    pub(super) fn try_now(&mut self, now: Moment) {
        if let Self::Open { until, .. } = self {
            *until = (*until).min(now);
        }
    }

    /// A question came to nothing that says anything about it: it was not sent after all.
    pub(super) fn unsent(&mut self, now: Moment) {
        if let Self::HalfOpen { why, failures } = self {
            *self = Self::Open { until: now, why: why.clone(), failures: *failures };
        }
    }

    /// A question for `secret` went so.
    pub(super) fn landed(&mut self, secret: &K, went: Went<E>, now: Moment, chance: &mut dyn Chance) {
        let (why, asked) = match went {
            Went::Answered => return *self = Self::default(),
            Went::Failed { why, asked } => (why, asked),
        };
        let failures = match self {
            Self::Closed { failed } => {
                let of_another = failed.as_ref().is_some_and(|(failed, _)| failed != secret);
                if !of_another && asked.is_none() {
                    *failed = Some((secret.clone(), why));
                    return;
                }
                1
            }
            // One that was on its way when it opened says nothing new.
            Self::Open { until, .. } if now < *until && asked.is_none() => return,
            Self::Open { failures, .. } | Self::HalfOpen { failures, .. } => failures.saturating_add(1),
        };
        *self = Self::Open { until: now.after(PAUSES.pause(failures, asked, chance)), why, failures };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Longest;
    impl Chance for Longest {
        fn next(&mut self) -> f64 {
            1.0
        }
    }

    type Tested = Circuit<u8, &'static str>;

    fn fail(circuit: &mut Tested, secret: u8, at: Moment) {
        circuit.landed(&secret, Went::Failed { why: "down", asked: None }, at, &mut Longest);
    }

    #[test]
    fn one_broken_secret_opens_nothing_however_often_it_fails() {
        let (mut circuit, now) = (Tested::default(), Moment::now());
        (0..100).for_each(|_| fail(&mut circuit, 1, now));
        assert_eq!(circuit.blocks(now), None);
    }

    #[test]
    fn two_that_fail_in_a_row_open_it_and_one_question_finds_out() {
        let (mut circuit, now) = (Tested::default(), Moment::now());
        fail(&mut circuit, 1, now);
        circuit.landed(&1, Went::Answered, now, &mut Longest);
        fail(&mut circuit, 2, now);
        assert_eq!(circuit.blocks(now), None, "one succeeded in between");
        fail(&mut circuit, 1, now);
        assert_eq!(circuit.blocks(now), Some(&"down"));
        let later = circuit.until().unwrap();
        assert_eq!(circuit.blocks(later), None);
        circuit.asked();
        assert_eq!(circuit.blocks(later), Some(&"down"), "the others wait for that one");
        fail(&mut circuit, 1, later);
        let again = circuit.until().unwrap();
        assert!(again > later && again.since(later) <= PAUSES.most);
        circuit.asked();
        circuit.landed(&3, Went::Answered, again, &mut Longest);
        assert!(circuit.is_closed() && circuit.blocks(again).is_none());
    }

    #[test]
    fn a_provider_that_says_when_to_come_again_is_left_alone_until_then() {
        let (mut circuit, now) = (Tested::default(), Moment::now());
        let asked = Some(Duration::from_secs(60));
        circuit.landed(&1, Went::Failed { why: "slow down", asked }, now, &mut Longest);
        assert_eq!(circuit.blocks(now.after(Duration::from_secs(59))), Some(&"slow down"));
        assert_eq!(circuit.blocks(now.after(Duration::from_secs(62))), None);
    }

    #[test]
    fn a_question_that_was_not_sent_leaves_the_next_one_to_find_out() {
        let (mut circuit, now) = (Tested::default(), Moment::now());
        fail(&mut circuit, 1, now);
        fail(&mut circuit, 2, now);
        let later = circuit.until().unwrap();
        circuit.asked();
        circuit.unsent(later);
        assert_eq!(circuit.blocks(later), None);
    }
}
