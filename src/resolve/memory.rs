//! Everything that is remembered, behind one lock: secrets, providers, and what is to be done when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::{Chance, Drawn};
use super::circuit::{Circuit, Went};
use super::entry::{Duty, Entry, Look, Span, State};
use super::single::Flights;
use super::{ResolveError, Secret};
use crate::bounded::Bounded;
use crate::clock::Moment;
use crate::config::checked::CacheRules;
use crate::policy::{Grant, Purpose};
use crate::reference::Reference;

/// What a fetch came to, for all who wait for it.
pub(super) type Landed = Result<Arc<Secret>, ResolveError>;

/// Fetches that nobody waits for, under way at one provider. The rest is for readers.
const BEHIND: usize = 8;

/// After a provider is there again, what failed is asked for again within that time.
const SPREAD: Duration = Duration::from_secs(1);

/// What is remembered.
pub(super) struct Memory {
    pub(super) slots: Bounded<Reference, Slot>,
    pub(super) upstreams: HashMap<String, Upstream>,
    pub(super) flights: Flights<Reference, Landed>,
    agenda: BTreeSet<(Moment, Reference)>,
    rules: HashMap<Reference, CacheRules>,
    chance: Drawn,
    /// Reads that were answered from memory since the start, and reads and stats that waited for a fetch.
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// One secret.
pub(super) struct Slot {
    pub(super) entry: Entry<Arc<Secret>>,
    /// When something is to be done about it.
    due: Option<(Moment, Duty)>,
    /// What allowed somebody to read it: fetching it again derives from that.
    pub(super) grant: Option<Grant>,
    /// Reads that were answered, and how many of them from memory.
    pub(super) reads: u64,
    pub(super) hits: u64,
}

/// One provider.
#[derive(Default)]
pub(super) struct Upstream {
    pub(super) circuit: Circuit<Reference, ResolveError>,
    /// Fetches under way that nobody waited for when they began.
    behind: usize,
    /// What was asked, what of it came to nothing, and how long the last answer took.
    pub(super) asked: u64,
    pub(super) failed: u64,
    pub(super) took: Option<Duration>,
    /// When it last answered.
    pub(super) answered: Option<Moment>,
}

/// A fetch that ended.
pub(super) struct Landing {
    pub(super) reference: Reference,
    pub(super) result: Result<Arc<Secret>, ResolveError>,
    /// When the provider was asked, if it was.
    pub(super) asked: Option<Moment>,
    pub(super) purpose: Purpose,
}

/// What a landing changed.
pub(super) struct Change {
    /// The version that was known before.
    pub(super) before: Option<String>,
    /// Whether it went otherwise than the time before: another version, another failure, or none any more.
    pub(super) is_news: bool,
}

impl Memory {
    pub(super) fn new(cache_max: u64) -> Self {
        Self {
            slots: Bounded::new(cache_max),
            upstreams: HashMap::new(),
            flights: Flights::new(),
            agenda: BTreeSet::new(),
            rules: HashMap::new(),
            chance: Drawn::new(),
            hits: 0,
            misses: 0,
        }
    }

    /// The rules of a secret. Of a version that somebody still holds they are those of the secret.
    pub(super) fn rules(&self, reference: &Reference) -> CacheRules {
        let known = self.rules.get(reference).or_else(|| self.rules.get(&reference.unpinned()));
        known.copied().unwrap_or(CacheRules::DEFAULT)
    }

    /// What a reader gets now; `current` as in [`Entry::look`].
    pub(super) fn look(&mut self, grant: &Grant, reference: &Reference, current: bool) -> Look<Arc<Secret>> {
        let now = Moment::now();
        let down = |upstreams: &HashMap<String, Upstream>| {
            upstreams.get(reference.provider()).and_then(|upstream| upstream.circuit.blocks(now)).cloned()
        };
        let Some(slot) = self.slots.get(reference) else {
            return down(&self.upstreams).map_or(Look::Fetch(None), Look::Fail);
        };
        // The state of the provider matters to nobody who is served.
        let mut look = slot.entry.look(now, current, None);
        if !matches!(look, Look::Serve(_))
            && let Some(why) = down(&self.upstreams)
        {
            look = slot.entry.look(now, current, Some(&why));
        }
        if grant.purpose() == Purpose::Read {
            self.hits += u64::from(slot.read_at(now, grant, &look));
            if slot.due.is_some_and(|(_, duty)| duty == Duty::Forget) {
                self.plan(reference, true);
            }
        }
        look
    }

    /// A question for `reference` is on its way.
    pub(super) fn asking(&mut self, reference: &Reference, grant: &Grant) {
        let rules = self.rules(reference);
        if self.slots.peek(reference).is_none() {
            self.put(reference.clone(), Slot::new(rules));
        }
        if let Some(slot) = self.slots.peek_mut(reference) {
            slot.entry.asking = true;
            if grant.purpose() == Purpose::Read {
                slot.entry.read = Some(Moment::now());
                slot.grant = Some(grant.clone());
            }
        }
        let upstream = self.upstreams.entry(reference.provider().to_owned()).or_default();
        upstream.circuit.asked();
        upstream.asked += 1;
        if grant.purpose().is_behind() {
            upstream.behind += 1;
        }
        self.plan(reference, true);
    }

    /// What came of a question.
    pub(super) fn landed(&mut self, landing: &Landing) -> Change {
        let now = Moment::now();
        let Landing { reference, result, asked, purpose } = landing;
        self.upstream_landed(reference, result, *asked, *purpose, now);
        let rules = self.rules(reference);
        let mut slot = self.slots.remove(reference).unwrap_or_else(|| Slot::new(rules));
        slot.entry.asking = false;
        slot.entry.rules = rules;
        let (before, failed_before) = match &slot.entry.state {
            State::Unknown => (None, None),
            State::Held(held) => {
                (Some(held.value.version.clone()), held.trouble.as_ref().map(|t| t.why.clone()))
            }
            State::Failed(trouble) => (None, Some(trouble.why.clone())),
        };
        let is_news = match (result, &failed_before) {
            (Ok(secret), None) => before.as_ref() != Some(&secret.version),
            (Ok(_), Some(_)) => true,
            (Err(why), Some(before)) => why.cause() != before.cause(),
            (Err(_), None) => true,
        };
        match (result, asked) {
            (Ok(secret), Some(asked)) => {
                let span = match &secret.lease {
                    Some(lease) => Span::lent(*asked, lease.lasts),
                    None => Span::stored(*asked, &rules, secret.expires, &mut self.chance),
                };
                slot.entry.fetched(Arc::clone(secret), span);
            }
            (Err(why), Some(_)) => slot.entry.failed(why.clone(), now, &mut self.chance),
            // The provider was not asked, so nothing is known that was not before.
            (_, None) => {}
        }
        slot.due = None;
        self.put(reference.clone(), slot);
        self.plan(reference, true);
        Change { before, is_news }
    }

    /// A question was called off while it was on its way: its answer is not remembered.
    pub(super) fn called_off(&mut self, landing: &Landing) {
        let Some(upstream) = self.upstreams.get_mut(landing.reference.provider()) else { return };
        upstream.circuit.unsent(Moment::now());
        if landing.purpose.is_behind() {
            upstream.behind = upstream.behind.saturating_sub(1);
        }
    }

    fn upstream_landed(
        &mut self,
        reference: &Reference,
        result: &Result<Arc<Secret>, ResolveError>,
        asked: Option<Moment>,
        purpose: Purpose,
        now: Moment,
    ) {
        let upstream = self.upstreams.entry(reference.provider().to_owned()).or_default();
        if purpose.is_behind() {
            upstream.behind = upstream.behind.saturating_sub(1);
        }
        let Some(asked) = asked else { return upstream.circuit.unsent(now) };
        let was_closed = upstream.circuit.is_closed();
        let went = match result {
            Err(why) if why.passes() => {
                upstream.failed += 1;
                Went::Failed { why: why.clone(), asked: why.asks_to_wait() }
            }
            _ => {
                upstream.took = Some(now.since(asked));
                upstream.answered = Some(now);
                Went::Answered
            }
        };
        upstream.circuit.landed(reference, went, now, &mut self.chance);
        if !was_closed && upstream.circuit.is_closed() {
            self.provider_is_back(reference.provider(), now);
        }
    }

    fn provider_is_back(&mut self, provider: &str, now: Moment) {
        let mut back = Vec::new();
        for (reference, slot) in self.slots.iter_mut().filter(|(of, _)| of.provider() == provider) {
            slot.entry.provider_is_back(now.after(SPREAD.mul_f64(self.chance.next())));
            back.push(reference.clone());
        }
        back.iter().for_each(|reference| self.plan(reference, true));
    }

    /// Writes down when something is to be done about a secret; `wanted` is whether somebody wants it.
    pub(super) fn plan(&mut self, reference: &Reference, wanted: bool) {
        let Some(slot) = self.slots.peek(reference) else { return };
        let due = slot.entry.due(wanted);
        self.plan_for(reference, due);
    }

    /// As [`Memory::plan`], for what its state does not tell.
    pub(super) fn plan_for(&mut self, reference: &Reference, due: Option<(Moment, Duty)>) {
        let Some(slot) = self.slots.peek_mut(reference) else { return };
        let before = std::mem::replace(&mut slot.due, due);
        if before == due {
            return;
        }
        if let Some((at, _)) = before {
            self.agenda.remove(&(at, reference.clone()));
        }
        if let Some((at, _)) = due {
            self.agenda.insert((at, reference.clone()));
        }
    }

    /// When the next thing is to be done.
    pub(super) fn next(&self) -> Option<Moment> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Takes what is to be done by now off the agenda.
    pub(super) fn take_due(&mut self, now: Moment) -> Vec<(Reference, Duty)> {
        let mut due = Vec::new();
        while let Some((at, reference)) = self.agenda.pop_first() {
            if at > now {
                self.agenda.insert((at, reference));
                break;
            }
            if let Some((_, duty)) = self.slots.peek_mut(&reference).and_then(|slot| slot.due.take()) {
                due.push((reference, duty));
            }
        }
        due
    }

    /// When a fetch that nobody waits for may begin, where it may not now.
    pub(super) fn held_up(&self, provider: &str, now: Moment) -> Option<Moment> {
        let upstream = self.upstreams.get(provider)?;
        let full = upstream.behind >= BEHIND;
        if upstream.circuit.blocks(now).is_some() || full {
            let soon = now.after(Duration::from_millis(if full { 10 } else { 250 }));
            return Some(upstream.circuit.until().filter(|until| *until > now).unwrap_or(soon));
        }
        None
    }

    /// Has it asked for anew by the next who wants it, whatever is remembered of it or of its provider.
    pub(super) fn outdate(&mut self, reference: &Reference, now: Moment) {
        if let Some(upstream) = self.upstreams.get_mut(reference.provider()) {
            upstream.circuit.try_now(now);
        }
        if let Some(slot) = self.slots.peek_mut(reference) {
            slot.entry.outdate(now);
        }
        self.plan(reference, true);
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, reference: &Reference) -> Option<Slot> {
        let slot = self.slots.remove(reference)?;
        self.off_the_agenda(reference, &slot);
        Some(slot)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.agenda.clear();
        self.upstreams.clear();
    }

    /// Forgets what came from a provider, and that it was down.
    pub(super) fn forget_provider(&mut self, name: &str) {
        let of: Vec<_> =
            self.slots.iter().map(|(of, _)| of.clone()).filter(|of| of.provider() == name).collect();
        of.iter().for_each(|reference| drop(self.forget(reference)));
        self.flights.retain(|reference| reference.provider() != name);
        self.upstreams.remove(name);
    }

    /// Has these rules hold from now on. What is to be there always is fetched soon.
    pub(super) fn configure(&mut self, rules: HashMap<Reference, CacheRules>) {
        let now = Moment::now();
        self.rules = rules;
        let known: Vec<_> = self.slots.iter().map(|(reference, _)| reference.clone()).collect();
        for reference in &known {
            let rules = self.rules(reference);
            if let Some(slot) = self.slots.peek_mut(reference) {
                slot.entry.obey(rules, &mut self.chance);
            }
            self.plan(reference, true);
        }
        let prefetched: Vec<_> = self
            .rules
            .iter()
            .filter(|(reference, rules)| rules.prefetch && self.slots.peek(reference).is_none())
            .map(|(reference, rules)| (reference.clone(), *rules))
            .collect();
        // Not all in one moment: a host with a thousand of them starts with as many others, maybe.
        let spread = PREFETCH_EACH.saturating_mul(u32::try_from(prefetched.len()).unwrap_or(u32::MAX));
        for (reference, rules) in prefetched {
            let at = now.after(spread.min(PREFETCH_ALL).mul_f64(self.chance.next()));
            self.put(reference.clone(), Slot::new(rules));
            self.plan_for(&reference, Some((at, Duty::Refresh)));
        }
    }

    fn put(&mut self, reference: Reference, slot: Slot) {
        let weight = slot.weight();
        for (gone, slot) in self.slots.put(reference, slot, weight) {
            self.off_the_agenda(&gone, &slot);
        }
    }

    fn off_the_agenda(&mut self, reference: &Reference, slot: &Slot) {
        if let Some((at, _)) = slot.due {
            self.agenda.remove(&(at, reference.clone()));
        }
    }
}

/// What each secret that is fetched before it is read adds to the time over which they are spread, and the most of it.
const PREFETCH_EACH: Duration = Duration::from_millis(20);
const PREFETCH_ALL: Duration = Duration::from_secs(30);

impl Slot {
    fn new(rules: CacheRules) -> Self {
        Self { entry: Entry::new(rules), due: None, grant: None, reads: 0, hits: 0 }
    }

    /// What is to be done about it though nobody asks, and when.
    pub(super) fn due(&self) -> Option<(Moment, Duty)> {
        self.due
    }

    fn weight(&self) -> u64 {
        match &self.entry.state {
            State::Held(held) => held.value.bytes.len() as u64,
            State::Unknown | State::Failed(_) => 0,
        }
    }

    /// Somebody reads it now. Gives whether memory answers: who has to wait looks several times, and is counted once it has.
    fn read_at(&mut self, now: Moment, grant: &Grant, look: &Look<Arc<Secret>>) -> bool {
        self.entry.read = Some(now);
        if self.grant.is_none() {
            self.grant = Some(grant.clone());
        }
        let answers = !matches!(look, Look::Fetch(_));
        if answers {
            self.reads += 1;
            self.hits += 1;
        }
        answers
    }
}
