//! The state machine of a secret against a model of it: the model keeps the whole history and reads from it what must be so,
//! the machine keeps a state.

use std::time::Duration;

use proptest::prelude::*;

use super::ResolveError;
use super::backoff::Chance;
use super::entry::{Duty, Entry, Look, Span};
use crate::clock::Moment;
use crate::config::checked::{CacheRules, Revoke};
use crate::providers::{Asks, ProviderError};

const RULES: CacheRules = CacheRules {
    fresh_for: Duration::from_secs(60),
    stale_for: Duration::from_secs(120),
    missing_for: Duration::from_secs(5),
    refused_for: Duration::from_secs(30),
    idle_after: Duration::from_secs(600),
    prefetch: false,
    revoke: Revoke::OnShutdown,
    asks: Asks::Service,
};

/// What chance decides in the machine is what the model can reckon with.
struct Longest;
impl Chance for Longest {
    fn next(&mut self) -> f64 {
        1.0
    }
}

/// What can happen.
#[derive(Debug, Clone)]
enum Event {
    Wait(Duration),
    Fetched { ends: Option<Duration>, lent: bool },
    Failed(ResolveError),
    Outdated,
    Back,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let wait = (0_u64..90_000).prop_map(|millis| Event::Wait(Duration::from_millis(millis)));
    let fetched = (prop::option::of(1_u64..200), any::<bool>())
        .prop_map(|(ends, lent)| Event::Fetched { ends: ends.map(Duration::from_secs), lent });
    let unavailable = prop::option::of(1_u64..100).prop_map(|asked| {
        let retry_after = asked.map(Duration::from_secs);
        ProviderError::Unavailable { message: "down".into(), retry_after }.into()
    });
    let failed = prop_oneof![
        3 => unavailable,
        2 => Just(ResolveError::TimedOut),
        1 => Just(ProviderError::Malformed("what?".into()).into()),
        1 => Just(ProviderError::NotFound("no".into()).into()),
        1 => Just(ProviderError::Refused("no".into()).into()),
        1 => Just(ProviderError::Misconfigured("no".into()).into()),
    ]
    .prop_map(Event::Failed);
    let event =
        prop_oneof![6 => wait, 3 => fetched, 4 => failed, 1 => Just(Event::Outdated), 1 => Just(Event::Back)];
    prop::collection::vec(event, 1..40)
}

/// All that happened, with its time.
struct Model {
    now: Moment,
    history: Vec<(Moment, Event)>,
}

/// A value of the model.
struct Known {
    number: usize,
    fresh: Moment,
    usable: Moment,
    lent: bool,
}

impl Model {
    /// The last value that nothing took away since.
    fn known(&self) -> Option<Known> {
        let (number, (asked, fetched)) = self
            .history
            .iter()
            .enumerate()
            .rev()
            .find(|(_, (_, event))| matches!(event, Event::Fetched { .. }))?;
        let Event::Fetched { ends, lent } = fetched else { return None };
        let end = ends.map(|ends| asked.after(ends));
        let (mut fresh, mut usable) = match (lent, end) {
            (true, Some(end)) => (end, end),
            (_, end) => {
                let end = end.unwrap_or(asked.after(Duration::MAX));
                let fresh = asked.after(RULES.fresh_for).min(end);
                (fresh, fresh.after(RULES.stale_for).min(end))
            }
        };
        for (at, event) in &self.history[number + 1..] {
            match event {
                // What was lent is ours until its end.
                Event::Failed(why) if why.is_no() && !(*lent && end.is_some()) => return None,
                // Tried and failed when it could no longer be served: it is gone.
                Event::Failed(_) if *at >= usable => return None,
                Event::Outdated => fresh = fresh.min(*at),
                _ => {}
            }
        }
        usable = usable.max(fresh);
        Some(Known { number, fresh, usable, lent: *lent && end.is_some() })
    }

    /// The failures in a row up to now, the last one with the end of its pause.
    fn failing(&self) -> Option<(ResolveError, Moment)> {
        let mut failures = 0_u32;
        let mut last = None;
        for (at, event) in &self.history {
            match event {
                Event::Fetched { .. } | Event::Outdated => (failures, last) = (0, None),
                Event::Failed(why) => {
                    failures += 1;
                    let pause = match why {
                        ResolveError::Provider(ProviderError::NotFound(_)) => RULES.missing_for,
                        why if why.needs_somebody() => RULES.refused_for,
                        why => {
                            let bound = Duration::from_secs(1 << (failures - 1).min(10));
                            let pause = bound.min(Duration::from_secs(30));
                            let first = pause.min(Duration::from_secs(1));
                            why.asks_to_wait().map_or(pause, |asked| asked + first)
                        }
                    };
                    last = Some((why.clone(), at.after(pause)));
                }
                Event::Back => {
                    if let Some((why, again)) = &mut last
                        && why.passes()
                    {
                        *again = (*again).min(*at);
                    }
                }
                Event::Wait(_) => {}
            }
        }
        last
    }

    /// What a reader must get: the number of a value, or nothing.
    fn look(&self, current: bool, down: bool) -> Expected {
        let failing = self.failing();
        let pausing = failing.as_ref().is_some_and(|(_, again)| self.now < *again);
        match self.known() {
            Some(known) if self.now < known.fresh && current => Expected::Serve(known.number),
            Some(known) if self.now < known.usable && (current || !known.lent) => {
                match (pausing || down, failing.is_some()) {
                    (true, _) => Expected::Stale(known.number),
                    (false, true) => Expected::Retry(known.number),
                    (false, false) => Expected::Fetch(Some(known.number)),
                }
            }
            _ if pausing || down => Expected::Fail,
            _ => Expected::Fetch(None),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Serve(usize),
    Stale(usize),
    Retry(usize),
    Fetch(Option<usize>),
    Fail,
}

fn seen(look: Look<usize>) -> Expected {
    match look {
        Look::Serve(number) => Expected::Serve(number),
        Look::ServeStale(number) => Expected::Stale(number),
        Look::ServeAndRetry(number) => Expected::Retry(number),
        Look::Fetch(number) => Expected::Fetch(number),
        Look::Fail(_) => Expected::Fail,
    }
}

fn apply(entry: &mut Entry<usize>, event: &Event, number: usize, now: Moment) {
    match event {
        Event::Wait(_) => {}
        Event::Fetched { ends: Some(ends), lent: true } => entry.fetched(number, Span::lent(now, *ends)),
        Event::Fetched { ends, .. } => {
            let expires = ends.map(|ends| now.after(ends));
            entry.fetched(number, Span::stored(now, &RULES, expires, &mut Longest));
        }
        Event::Failed(why) => entry.failed(why.clone(), now, &mut Longest),
        Event::Outdated => entry.outdate(now),
        Event::Back => entry.provider_is_back(now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_machine_and_the_model_agree_on_what_every_reader_gets(
        events in events(),
        current in any::<bool>(),
        down in any::<bool>(),
    ) {
        let mut model = Model { now: Moment::now(), history: Vec::new() };
        let mut entry = Entry::new(RULES);
        let why = ResolveError::TimedOut;
        for event in events {
            if let Event::Wait(wait) = &event {
                model.now = model.now.after(*wait);
            }
            apply(&mut entry, &event, model.history.len(), model.now);
            model.history.push((model.now, event));
            let look = entry.look(model.now, current, down.then_some(&why));
            prop_assert_eq!(seen(look), model.look(current, down), "after {:?}", model.history);
        }
    }

    #[test]
    fn what_has_to_be_done_is_never_late_for_a_reader(events in events()) {
        let mut now = Moment::now();
        let mut entry = Entry::new(RULES);
        for (number, event) in events.iter().enumerate() {
            if let Event::Wait(wait) = event {
                now = now.after(*wait);
            }
            apply(&mut entry, event, number, now);
            if let Look::Serve(_) = entry.look(now, true, None) {
                let (wanted, duty) = entry.due(true).unwrap();
                let (unwanted, forget) = entry.due(false).unwrap();
                // Whoever wants it finds it fetched ahead, and what nobody wants is there for as long as it may be served.
                prop_assert_eq!(forget, Duty::Forget);
                prop_assert!(wanted <= unwanted);
                prop_assert!(!matches!(entry.look(unwanted, true, None), Look::Serve(_)));
                prop_assert!(duty == Duty::Forget || wanted < unwanted);
            }
        }
    }
}

#[test]
fn however_many_read_a_failing_secret_it_is_asked_for_as_often_as_the_pauses_say() {
    let (start, mut entry) = (Moment::now(), Entry::<usize>::new(RULES));
    let unavailable: ResolveError = ProviderError::unavailable("down").into();
    let mut asked = 0;
    for millis in 0..600_000 {
        let now = start.after(Duration::from_millis(millis));
        if let Look::Fetch(_) | Look::ServeAndRetry(_) = entry.look(now, true, None) {
            asked += 1;
            entry.failed(unavailable.clone(), now, &mut Longest);
        }
    }
    // Pauses of 1, 2, 4, 8 and 16 s lie between the first six, and then there is one each 30 s: 18 in what is left.
    assert_eq!(asked, 24);
}

#[test]
fn a_value_that_ended_is_told_from_one_that_never_was() {
    let (now, unavailable) = (Moment::now(), ResolveError::from(ProviderError::unavailable("down")));
    let mut never = Entry::<usize>::new(RULES);
    never.failed(unavailable.clone(), now, &mut Longest);
    assert_eq!(never.look(now, true, None), Look::Fail(unavailable.clone()));
    let mut ended = Entry::new(RULES);
    ended.fetched(1, Span::stored(now, &RULES, None, &mut Longest));
    let over = now.after(RULES.fresh_for + RULES.stale_for);
    assert_eq!(ended.look(over, true, None), Look::Fetch(None));
    ended.failed(unavailable.clone(), over, &mut Longest);
    assert_eq!(
        ended.look(over, true, None),
        Look::Fail(ResolveError::Expired(Box::new(unavailable.clone())))
    );
    // And with the provider down before anybody asked again.
    let mut ended = Entry::new(RULES);
    ended.fetched(1, Span::stored(now, &RULES, None, &mut Longest));
    let look = ended.look(over, true, Some(&unavailable));
    assert_eq!(look, Look::Fail(ResolveError::Expired(Box::new(unavailable))));
}

#[test]
fn rules_that_change_hold_for_what_is_known() {
    let (now, mut entry) = (Moment::now(), Entry::new(RULES));
    entry.fetched(1, Span::stored(now, &RULES, None, &mut Longest));
    entry.obey(CacheRules { fresh_for: Duration::ZERO, stale_for: Duration::ZERO, ..RULES }, &mut Longest);
    assert_eq!(entry.look(now, true, None), Look::Fetch(None));
    entry.obey(RULES, &mut Longest);
    assert_eq!(entry.look(now, true, None), Look::Serve(1));
}
