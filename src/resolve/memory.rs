//! Everything that is remembered, behind one lock: secrets, providers, and what is to be done when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::{Chance, Drawn};
use super::entry::{Duty, Look};
use super::lent::Retired;
use super::single::Flights;
use super::slot::Slot;
use super::upstream::Upstream;
use super::{ResolveError, Secret};
use crate::bounded::Bounded;
use crate::clock::Moment;
use crate::config::checked::CacheRules;
use crate::policy::{Grant, Purpose};
use crate::providers::Mint;
use crate::reference::Reference;

/// What a fetch came to, for all who wait for it.
pub(super) type Landed = Result<Arc<Secret>, ResolveError>;

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
    pub(super) retired: Retired,
    agenda: BTreeSet<(Moment, Reference)>,
    rules: HashMap<Reference, CacheRules>,
    pub(super) chance: Drawn,
    /// Reads that were answered from memory since the start, and reads and stats that waited for a fetch.
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Memory {
    pub(super) fn new(cache_max: u64) -> Self {
        Self {
            slots: Bounded::new(cache_max),
            upstreams: HashMap::new(),
            flights: Flights::new(),
            retired: Retired::default(),
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

    /// What a reader gets now; `current` as in [`Entry::look`](super::entry::Entry::look).
    pub(super) fn look(&mut self, grant: &Grant, reference: &Reference, current: bool) -> Look<Arc<Secret>> {
        let now = Moment::now();
        let down = |upstreams: &HashMap<String, Upstream>| {
            let why = upstreams.get(reference.provider()).and_then(|upstream| upstream.circuit.blocks(now));
            why.map(ResolveError::left_alone)
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

    /// Whether nothing is remembered that has to be looked after.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.used() == 0 && self.retired.len() == 0
    }

    /// Has nothing done about a secret before `from`.
    pub(super) fn put_off(&mut self, reference: &Reference, from: Moment) {
        let due = self.slots.peek(reference).and_then(|slot| slot.due);
        self.plan_for(reference, due.map(|(at, duty)| (at.max(from), duty)));
    }

    /// Takes a secret out, to be put back.
    pub(super) fn forget_place(&mut self, reference: &Reference) -> Option<Slot> {
        let mut slot = self.slots.remove(reference)?;
        self.off_the_agenda(reference, &slot);
        slot.due = None;
        Some(slot)
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

    /// Lets go of one that may not be served any more.
    pub(super) fn let_go(&mut self, reference: &Reference) {
        let Some(mut slot) = self.forget(reference) else { return };
        if slot.entry.expire() {
            slot.due = None;
            self.put(reference.clone(), slot);
            self.plan(reference, true);
        }
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, reference: &Reference) -> Option<Slot> {
        let mut slot = self.forget_place(reference)?;
        slot.retire(reference, &mut self.retired);
        Some(slot)
    }

    /// Forgets everything but the leases, which are still to be ended.
    pub(super) fn clear(&mut self) {
        for (reference, slot) in self.slots.iter_mut() {
            slot.retire(reference, &mut self.retired);
        }
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
        self.retired.forget_provider(name);
        self.upstreams.remove(name);
    }

    /// Has these rules hold from now on. What is to be there always is fetched soon.
    pub(super) fn configure(&mut self, rules: HashMap<Reference, CacheRules>) {
        let now = Moment::now();
        self.rules = rules;
        let known: Vec<_> = self.slots.iter().map(|(reference, _)| reference.clone()).collect();
        for reference in &known {
            // What no file shows any more is fetched for nobody. Of a version that somebody holds the secret is what counts.
            if !self.rules.contains_key(reference) && !self.rules.contains_key(&reference.unpinned()) {
                drop(self.forget(reference));
                continue;
            }
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

    /// Has one fetched again soon that is to be there always.
    pub(super) fn plant(&mut self, reference: &Reference) {
        let rules = self.rules(reference);
        if rules.prefetch && self.slots.peek(reference).is_none() {
            self.put(reference.clone(), Slot::new(rules));
            self.plan_for(reference, Some((Moment::now().after(AFRESH), Duty::Refresh)));
        }
    }

    pub(super) fn put(&mut self, reference: Reference, slot: Slot) {
        let weight = slot.weight();
        for (gone, mut slot) in self.slots.put(reference, slot, weight) {
            self.off_the_agenda(&gone, &slot);
            slot.retire(&gone, &mut self.retired);
        }
    }

    fn off_the_agenda(&mut self, reference: &Reference, slot: &Slot) {
        if let Some((at, _)) = slot.due {
            self.agenda.remove(&(at, reference.clone()));
        }
    }
}

/// How long after it was evicted what is to be there always is fetched again.
const AFRESH: Duration = Duration::from_secs(1);

/// What each secret that is fetched before it is read adds to the time over which they are spread, and the most of it.
const PREFETCH_EACH: Duration = Duration::from_millis(20);
const PREFETCH_ALL: Duration = Duration::from_secs(30);
