//! `within = "30s"`.
//!
//! **Proves** that the calling process was started no longer ago than that. **Against** reads by a long-lived process that was
//! taken over after it had read what it needs. **Evaded** by a process that can start another, which is as young as can
//! be: it narrows a window and is no wall. Weak; a rule needs another selector beside it.
//!
//! The time counts from the start of the process (fork, not exec), by the clock that goes on while the host sleeps.

use std::time::Duration;

use super::{Says, Selector, SelectorError, SelectorKind, Strength, Verdict};
use crate::identity::evidence::{Fact, Subject};
use crate::units;

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "within",
    about: "the caller's process was started no longer ago than that",
    strength: Strength::Weak,
    says: Says::How,
    parse: |value| Ok(Box::new(Within(duration(value)?))),
};

struct Within(Duration);

fn duration(value: &toml::Value) -> Result<Duration, SelectorError> {
    let wrong = |hint: String| SelectorError::new("`within` takes a duration", hint);
    match units::duration(value.as_str()) {
        Ok(duration) if duration.is_zero() => {
            Err(wrong("nothing is that young: \"30s\" leaves time to start".into()))
        }
        other => other.map_err(wrong),
    }
}

impl Selector for Within {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match of.evidence.age {
            None => Verdict::Ask(Fact::Age),
            Some(age) => Verdict::of(age <= self.0),
        }
    }

    fn describe(&self) -> String {
        format!("within:{}s", self.0.as_secs_f64())
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match of.evidence.age {
            None => format!("{} is not known", Fact::Age),
            Some(age) => format!("the caller's process started {}s ago", age.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Evidence;
    use crate::identity::process::tests::somebody;

    #[test]
    fn the_age_is_asked_for_and_the_limit_counts_as_within() {
        let who = somebody();
        let check = |age| {
            let evidence = Evidence { age, ..Evidence::default() };
            Within(Duration::from_secs(30)).check(&Subject { who: &who, evidence: &evidence })
        };
        assert_eq!(check(None), Verdict::Ask(Fact::Age));
        assert_eq!(check(Some(Duration::ZERO)), Verdict::Yes);
        assert_eq!(check(Some(Duration::from_secs(30))), Verdict::Yes);
        assert_eq!(check(Some(Duration::from_millis(30_001))), Verdict::No);
    }
}
