//! Everything that is remembered, behind one lock: secrets, providers, and what is to be done when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::{Chance, Drawn};
use super::circuit::{Circuit, Went};
use super::entry::{Duty, Entry, Look, Span, State};
use super::leases::Leases;
use super::single::Flights;
use super::{ResolveError, Secret};
use crate::bounded::Bounded;
use crate::clock::Moment;
use crate::config::checked::CacheRules;
use crate::policy::{Grant, Purpose};
use crate::providers::{Asks, Lease, Mint, ProviderError};
use crate::reference::Reference;

/// What a fetch came to, for all who wait for it.
pub(super) type Landed = Result<Arc<Secret>, ResolveError>;

/// Fetches that nobody waits for, under way at one provider. The rest is for readers.
const BEHIND: usize = 8;

/// After a provider is there again, what failed is asked for again within that time.
const SPREAD: Duration = Duration::from_secs(1);

/// What a fetch is for, as far as that makes a difference to what it brings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) reference: Reference,
    pub(super) mint: Mint,
}

/// What is remembered.
pub(super) struct Memory {
    pub(super) slots: Bounded<Reference, Slot>,
    pub(super) upstreams: HashMap<String, Upstream>,
    pub(super) flights: Flights<Wanted, Landed>,
    pub(super) leases: Leases,
    agenda: BTreeSet<(Moment, Reference)>,
    rules: HashMap<Reference, CacheRules>,
    chance: Drawn,
}

/// One secret.
pub(super) struct Slot {
    pub(super) entry: Entry<Arc<Secret>>,
    /// When something is to be done about it.
    due: Option<(Moment, Duty)>,
    /// What allowed somebody to read it: fetching it again derives from that.
    pub(super) grant: Option<Grant>,
    /// The terms of its value, as they were renewed last.
    pub(super) lease: Option<Lease>,
    /// The version that was known last, also where it is not served any more.
    version: Option<String>,
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

/// A renewal that ended.
pub(super) struct Renewal {
    pub(super) reference: Reference,
    /// Of the lease that was to be renewed.
    pub(super) handle: String,
    pub(super) asked: Moment,
    pub(super) result: Result<Lease, ResolveError>,
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
            leases: Leases::default(),
            agenda: BTreeSet::new(),
            rules: HashMap::new(),
            chance: Drawn::new(),
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
            slot.read_at(now, grant, &look);
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
        self.upstream_asked(reference, grant.purpose());
        self.plan(reference, true);
    }

    /// A provider is asked something.
    pub(super) fn upstream_asked(&mut self, reference: &Reference, purpose: Purpose) {
        let upstream = self.upstreams.entry(reference.provider().to_owned()).or_default();
        upstream.circuit.asked();
        upstream.asked += 1;
        if purpose.is_behind() {
            upstream.behind += 1;
        }
    }

    /// A lease was renewed, or not.
    pub(super) fn renewed(&mut self, renewal: &Renewal) {
        let now = Moment::now();
        let Renewal { reference, handle, asked, result } = renewal;
        let failed = result.as_ref().err();
        self.upstream_landed(reference, failed, Some(*asked), Purpose::Refresh, now);
        let Some(slot) = self.slots.peek_mut(reference) else { return };
        slot.entry.asking = false;
        // It may have been replaced meanwhile.
        if slot.lease.as_ref().is_some_and(|lease| lease.handle == *handle) {
            match result {
                Ok(lease) => {
                    slot.entry.lent_anew(Span::lent(*asked, lease.lasts));
                    slot.lease = Some(lease.clone());
                }
                // It is over, so there is nothing to be ended either.
                Err(why) if matches!(why, ResolveError::Provider(ProviderError::NotFound(_))) => {
                    slot.lease = None;
                    slot.entry.state = State::Unknown;
                    return self.plan_for(reference, Some((now, Duty::Refresh)));
                }
                // It lasts, and another is made before it ends.
                Err(why) if why.is_no() => {
                    if let Some(lease) = &mut slot.lease {
                        lease.renewable = false;
                    }
                }
                Err(why) => slot.entry.failed(why.clone(), now, &mut self.chance),
            }
        }
        self.plan(reference, true);
    }

    /// The logins ended on which these leases hang: what was lent is no good any more.
    pub(super) fn ended(&mut self, is_over: impl Fn(&str, &Lease) -> bool) {
        let now = Moment::now();
        let over = |(reference, slot): (&Reference, &Slot)| {
            let lease = slot.lease.as_ref()?;
            is_over(reference.provider(), lease).then(|| reference.clone())
        };
        let over: Vec<_> = self.slots.iter().filter_map(over).collect();
        for reference in over {
            if let Some(slot) = self.slots.peek_mut(&reference) {
                slot.lease = None;
                slot.entry.state = State::Unknown;
            }
            self.plan_for(&reference, Some((now, Duty::Refresh)));
        }
        self.leases.ended(is_over);
    }

    /// What came of a question.
    pub(super) fn landed(&mut self, landing: &Landing) -> Change {
        let now = Moment::now();
        let Landing { reference, result, asked, purpose } = landing;
        self.upstream_landed(reference, result.as_ref().err(), *asked, *purpose, now);
        let rules = self.rules(reference);
        let mut slot = self.slots.remove(reference).unwrap_or_else(|| Slot::new(rules));
        slot.entry.asking = false;
        slot.entry.rules = rules;
        let before = slot.version.clone();
        let failed_before = match &slot.entry.state {
            State::Unknown => None,
            State::Held(held) => held.trouble.as_ref().map(|trouble| trouble.why.clone()),
            State::Failed(trouble) => Some(trouble.why.clone()),
        };
        let is_news = match (result, &failed_before) {
            (Ok(secret), None) => before.as_ref() != Some(&secret.version),
            (Ok(_), Some(_)) => true,
            (Err(why), Some(before)) => why.cause() != before.cause(),
            (Err(why), None) => !why.would_mint(),
        };
        match (result, asked) {
            (Ok(secret), Some(asked)) => {
                let span = match &secret.lease {
                    Some(lease) => Span::lent(*asked, lease.lasts),
                    None => Span::stored(*asked, &rules, secret.expires, &mut self.chance),
                };
                self.leases.retire(reference, &mut slot);
                slot.entry.fetched(Arc::clone(secret), span);
                slot.lease.clone_from(&secret.lease);
                slot.version = Some(secret.version.clone());
            }
            (Err(why), Some(_)) if !why.would_mint() => {
                slot.entry.failed(why.clone(), now, &mut self.chance);
            }
            // The provider was not asked, so nothing is known that was not before.
            _ => {}
        }
        if !matches!(slot.entry.state, State::Held(_)) {
            self.leases.retire(reference, &mut slot);
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

    pub(super) fn upstream_landed(
        &mut self,
        reference: &Reference,
        failed: Option<&ResolveError>,
        asked: Option<Moment>,
        purpose: Purpose,
        now: Moment,
    ) {
        let asks = self.rules(reference).asks;
        let upstream = self.upstreams.entry(reference.provider().to_owned()).or_default();
        if purpose.is_behind() {
            upstream.behind = upstream.behind.saturating_sub(1);
        }
        let Some(asked) = asked else { return upstream.circuit.unsent(now) };
        let was_closed = upstream.circuit.is_closed();
        let went = match failed {
            Some(why) if why.passes() && asks == Asks::Service => {
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

    /// Calls off what is being fetched: its answer is for those who wait for it, and nobody else.
    pub(super) fn call_off(&mut self, reference: &Reference) {
        self.flights.retain(|wanted| wanted.reference != *reference);
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, reference: &Reference) -> Option<Slot> {
        let mut slot = self.slots.remove(reference)?;
        self.off_the_agenda(reference, &slot);
        self.leases.retire(reference, &mut slot);
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
        self.flights.retain(|wanted| wanted.reference.provider() != name);
        self.leases.forget_provider(name);
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
        for (gone, mut slot) in self.slots.put(reference, slot, weight) {
            self.off_the_agenda(&gone, &slot);
            self.leases.retire(&gone, &mut slot);
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
        Self {
            entry: Entry::new(rules),
            due: None,
            grant: None,
            lease: None,
            version: None,
            reads: 0,
            hits: 0,
        }
    }

    /// The version that was known last.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
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

    fn read_at(&mut self, now: Moment, grant: &Grant, look: &Look<Arc<Secret>>) {
        self.entry.read = Some(now);
        self.reads += 1;
        if !matches!(look, Look::Fetch(_)) {
            self.hits += 1;
        }
        if self.grant.is_none() {
            self.grant = Some(grant.clone());
        }
    }
}
