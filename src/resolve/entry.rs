//! What is known of one secret, and what that means for whoever wants it now.
//!
//! ```text
//!               fetched                       fetched
//!   Unknown --------------> Held(fresh) <------------------ Held(stale)
//!      |                        |  ^                           |   ^ |
//!      |                        |  |  the provider fails       |   | | and fails again
//!      |                        '--+---------------------------+---' |
//!      |                           |                                 | `stale_for` is over, or the provider says no
//!      |   fails, or says no       | fetched                         v
//!      '---------------------> Failed  <-----------------------------'
//! ```
//!
//! Pure: no clock, no chance and no provider of its own, so that a model can try everything (`model.rs`). It does not know what
//! a value is.

use std::time::Duration;

use super::ResolveError;
use super::backoff::{Backoff, Chance};
use crate::clock::Moment;
use crate::config::checked::CacheRules;
use crate::providers::{Asks, ProviderError};

/// The pauses of one secret that keeps failing.
const PAUSES: Backoff = Backoff {
    least: Duration::from_millis(250),
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
};

/// The part of its time after which a value is fetched ahead; up to a tenth more by chance, so that what was fetched
/// together is not fetched together for ever.
const AHEAD: f64 = 0.8;
const SPREAD: f64 = 0.1;

/// The part of its time after which a lease is renewed.
const RENEWED: f64 = 2.0 / 3.0;

/// What is added to the pause where nobody waits and the provider has said no.
const SELDOM: Duration = Duration::from_mins(1);

/// The part of its time after which a lease that could not be renewed is not tried again.
const LATE: f64 = 0.85;

/// The shortest time after which anything is fetched ahead.
const SHORT: Duration = Duration::from_millis(500);

/// How long a failure is remembered after its pause, so that the next one has a longer pause.
const REMEMBERED: Duration = Duration::from_mins(2);

/// What is known.
#[derive(Debug)]
pub(super) enum State<V> {
    /// Nothing.
    Unknown,
    /// A value.
    Held(Held<V>),
    /// That there is none.
    Failed(Trouble),
}

/// A value, and for how long.
#[derive(Debug)]
pub(super) struct Held<V> {
    pub(super) value: V,
    pub(super) span: Span,
    /// Why it could not be fetched again, if that was tried.
    pub(super) trouble: Option<Trouble>,
}

/// How long a value is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// When it was asked for.
    asked: Moment,
    /// When it ends at its provider.
    end: Moment,
    /// Whether it was made for us, and lent.
    lent: bool,
    /// When it is fetched ahead or its lease renewed, if somebody wants it.
    pub(super) ahead: Moment,
    /// Until when it is served without a question.
    pub(super) fresh: Moment,
    /// Until when it is served where its provider fails.
    pub(super) usable: Moment,
}

/// A failure, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) why: ResolveError,
    pub(super) again: Moment,
    /// Failures in a row.
    pub(super) failures: u32,
}

/// One secret.
#[derive(Debug)]
pub(super) struct Entry<V> {
    pub(super) state: State<V>,
    pub(super) rules: CacheRules,
    /// When it was last wanted by a reader.
    pub(super) read: Option<Moment>,
    /// Whether a question is on its way.
    pub(super) asking: bool,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look<V> {
    /// The value.
    Serve(V),
    /// The value though it is no longer fresh: its provider fails.
    ServeStale(V),
    /// The same, and it is time to try again; the reader does not wait for that.
    ServeAndRetry(V),
    /// It has to be fetched. The value is for a reader whose patience ends before.
    Fetch(Option<V>),
    /// Nothing, without a question.
    Fail(ResolveError),
}

/// What is to be done about a secret that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Fetch it.
    Refresh,
    /// Forget it: nobody could be given it any more.
    Forget,
}

impl Span {
    /// Of a value that was asked for at `asked` and is nobody's in particular.
    pub(super) fn stored(
        asked: Moment,
        rules: &CacheRules,
        expires: Option<Moment>,
        chance: &mut dyn Chance,
    ) -> Self {
        let end = expires.unwrap_or(asked.after(Duration::MAX));
        let mut span = Self { asked, end, lent: false, ahead: asked, fresh: asked, usable: asked };
        span.obey(rules, chance);
        span
    }

    /// Of a value that was made at `made` for us and is lent for so long: it is kept for that time, whatever the rules say,
    /// since each fetch makes another.
    pub(super) fn lent(made: Moment, lasts: Duration) -> Self {
        let end = made.after(lasts);
        let ahead = made.after(lasts.mul_f64(RENEWED));
        Self { asked: made, end, lent: true, ahead, fresh: end, usable: end }
    }

    /// From when on another is made, rather than the lease of this one be renewed.
    fn late(&self) -> Moment {
        self.asked.after(self.end.since(self.asked).mul_f64(LATE))
    }

    /// Whether it lasts so short a time that it is not fetched ahead: hosts would do nothing else.
    fn is_short(&self) -> bool {
        self.ahead.since(self.asked) < SHORT
    }

    /// Has these rules hold for it.
    fn obey(&mut self, rules: &CacheRules, chance: &mut dyn Chance) {
        if !self.lent {
            self.fresh = self.asked.after(rules.fresh_for).min(self.end);
            let fresh_for = self.fresh.since(self.asked);
            self.ahead = self.asked.after(fresh_for.mul_f64(AHEAD + SPREAD * chance.next()));
            self.usable = self.fresh.after(rules.stale_for).min(self.end);
        }
    }
}

impl<V: Clone> Entry<V> {
    pub(super) fn new(rules: CacheRules) -> Self {
        Self { state: State::Unknown, rules, read: None, asking: false }
    }

    /// What a reader gets now. `current` is whether the value is as it was where it came from, as far as that can be told
    /// without a question; `down` is why the whole provider is left alone, if it is.
    pub(super) fn look(&self, now: Moment, current: bool, down: Option<&ResolveError>) -> Look<V> {
        let held = match &self.state {
            State::Unknown => return down.map_or(Look::Fetch(None), |why| Look::Fail(why.clone())),
            State::Failed(trouble) if now < trouble.again => return Look::Fail(trouble.why.clone()),
            State::Failed(trouble) => {
                return down.map_or(Look::Fetch(None), |why| Look::Fail(trouble.why.because(why)));
            }
            State::Held(held) => held,
        };
        if now < held.span.fresh && current {
            return Look::Serve(held.value.clone());
        }
        let pausing = held.trouble.as_ref().filter(|trouble| now < trouble.again).map(|trouble| &trouble.why);
        // One that is known to be another by now is beyond its time, however young it is.
        let usable =
            now < held.span.usable && (current || !(held.span.lent || self.rules.stale_for.is_zero()));
        match (usable, pausing.or(down), &held.trouble) {
            (true, Some(_), _) => Look::ServeStale(held.value.clone()),
            (true, None, Some(_)) if self.rules.asks == Asks::LocalFile => {
                Look::Fetch(Some(held.value.clone()))
            }
            (true, None, Some(_)) if self.asking => Look::ServeStale(held.value.clone()),
            (true, None, Some(_)) => Look::ServeAndRetry(held.value.clone()),
            (true, None, None) => Look::Fetch(Some(held.value.clone())),
            (false, Some(why), _) => Look::Fail(why.expired()),
            (false, None, _) => Look::Fetch(None),
        }
    }

    /// A value arrived.
    pub(super) fn fetched(&mut self, value: V, span: Span) {
        self.state = State::Held(Held { value, span, trouble: None });
    }

    /// The value is lent for longer.
    pub(super) fn lent_anew(&mut self, span: Span) {
        if let State::Held(held) = &mut self.state {
            (held.span, held.trouble) = (span, None);
        }
    }

    /// Its lease could not be renewed. It is tried again, and another is made in time if that fails as well.
    pub(super) fn not_renewed(&mut self, why: ResolveError, now: Moment, chance: &mut dyn Chance) {
        self.failed(why, now, chance);
        if let State::Held(Held { span, trouble: Some(trouble), .. }) = &mut self.state
            && now < span.late()
        {
            trouble.again = trouble.again.min(span.late());
        }
    }

    /// Whether it is so late that another is to be made, rather than the lease of this one be renewed.
    pub(super) fn is_late(&self, now: Moment) -> bool {
        matches!(&self.state, State::Held(held) if now >= held.span.late())
    }

    /// It could not be had.
    pub(super) fn failed(&mut self, why: ResolveError, now: Moment, chance: &mut dyn Chance) {
        let before = match &self.state {
            State::Unknown => 0,
            State::Held(held) => held.trouble.as_ref().map_or(0, |trouble| trouble.failures),
            State::Failed(trouble) => trouble.failures,
        };
        let failures = before.saturating_add(1);
        let pause = match (self.rules.asks, &why) {
            // To look at a file once more costs nobody anything, and its owner may have mended it just now.
            (Asks::LocalFile, _) => Duration::ZERO,
            (_, ResolveError::Provider(ProviderError::NotFound(_))) => self.rules.missing_for,
            (_, why) if why.needs_somebody() => self.rules.refused_for,
            (_, why) => PAUSES.pause(failures, why.asks_to_wait(), chance),
        };
        let (is_no, again) = (why.is_no(), now.after(pause));
        self.state = match std::mem::replace(&mut self.state, State::Unknown) {
            // An answer ends what was stored: it is not so any more. What was lent is ours until its end.
            State::Held(held) if now < held.span.usable && (held.span.lent || !is_no) => {
                State::Held(Held { trouble: Some(Trouble { why, again, failures }), ..held })
            }
            State::Held(_) if !is_no => State::Failed(Trouble { why: why.expired(), again, failures }),
            State::Failed(before) if !is_no => {
                State::Failed(Trouble { why: before.why.because(&why), again, failures })
            }
            _ => State::Failed(Trouble { why, again, failures }),
        };
    }

    /// Has these rules hold from now on.
    pub(super) fn obey(&mut self, rules: CacheRules, chance: &mut dyn Chance) {
        if self.rules != rules
            && let State::Held(held) = &mut self.state
        {
            held.span.obey(&rules, chance);
        }
        self.rules = rules;
    }

    /// The value is asked for anew by the next who wants it; it stays for where that fails.
    pub(super) fn outdate(&mut self, now: Moment) {
        match &mut self.state {
            State::Unknown => {}
            State::Failed(_) => self.state = State::Unknown,
            State::Held(held) => {
                held.span.fresh = held.span.fresh.min(now);
                held.span.ahead = held.span.ahead.min(now);
                held.trouble = None;
            }
        }
    }

    /// The value may not be served any more, and its provider fails: what stays is that there was one. Says whether it was so.
    pub(super) fn expire(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Unknown) {
            State::Held(Held { trouble: Some(trouble), .. }) => {
                self.state = State::Failed(Trouble { why: trouble.why.expired(), ..trouble });
                true
            }
            state => {
                self.state = state;
                false
            }
        }
    }

    /// The provider is there again: what failed only for its sake is tried again at `at`.
    pub(super) fn provider_is_back(&mut self, at: Moment) {
        let trouble = match &mut self.state {
            State::Held(Held { trouble: Some(trouble), .. }) | State::Failed(trouble) => trouble,
            State::Unknown | State::Held(_) => return,
        };
        if trouble.why.passes() {
            trouble.again = trouble.again.min(at);
        }
    }

    /// Whether somebody wants it, reading aside that goes on: it was read lately, or is to be there always.
    pub(super) fn is_wanted(&self, now: Moment) -> bool {
        self.rules.prefetch || self.read.is_some_and(|read| now.since(read) < self.rules.idle_after)
    }

    /// When something has to be done about it though nobody asks; `wanted` is whether somebody wants it.
    pub(super) fn due(&self, wanted: bool) -> Option<(Moment, Duty)> {
        // What is tried again at once for a reader is not for nobody.
        let again = |trouble: &Trouble| match self.rules.asks {
            Asks::Service => trouble.again,
            Asks::LocalFile => trouble.again.after(PAUSES.first),
        };
        match &self.state {
            _ if self.asking => None,
            State::Unknown => None,
            State::Held(held) => {
                let refresh = held.trouble.as_ref().map_or(held.span.ahead, again);
                match wanted && refresh < held.span.usable && !held.span.is_short() {
                    true => Some((refresh, Duty::Refresh)),
                    false => Some((held.span.usable, Duty::Forget)),
                }
            }
            // Who had a value may still wait for the next one. Who never had any asks again himself.
            State::Failed(trouble @ Trouble { why: ResolveError::Expired(_), .. }) if wanted => {
                Some((again(trouble), Duty::Refresh))
            }
            State::Failed(trouble) if self.rules.prefetch => {
                // An answer is no outage: nobody waits for another one.
                let pause = if trouble.why.is_no() { SELDOM } else { Duration::ZERO };
                Some((again(trouble).after(pause), Duty::Refresh))
            }
            State::Failed(trouble) => Some((trouble.again.after(REMEMBERED), Duty::Forget)),
        }
    }
}
