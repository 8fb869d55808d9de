//! What questions and their answers change in what is remembered.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Chance;
use super::entry::{Duty, Span, State};
use super::memory::Memory;
use super::slot::Slot;
use super::upstream::Answered;
use super::{ResolveError, Secret};
use crate::clock::Moment;
use crate::policy::{Grant, Purpose};
use crate::providers::{Lease, ProviderError};
use crate::reference::Reference;

/// How long what could not be asked for is left alone, where nobody waits for it.
const UNASKED: Duration = Duration::from_secs(1);

/// After a provider is there again, what failed is asked for again within that time.
const SPREAD: Duration = Duration::from_secs(1);

/// A fetch that ended.
pub(super) struct Landing {
    pub(super) reference: Reference,
    pub(super) result: Result<Arc<Secret>, ResolveError>,
    /// When the provider was asked, if it was.
    pub(super) asked: Option<Moment>,
    /// What allowed it.
    pub(super) grant: Grant,
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
        self.upstreams.entry(reference.provider().to_owned()).or_default().ask(purpose);
    }

    /// A lease was renewed, or not.
    pub(super) fn renewed(&mut self, renewal: &Renewal) {
        let now = Moment::now();
        let Renewal { reference, handle, asked, result } = renewal;
        let failed = result.as_ref().err();
        self.upstream_landed(reference, failed, Some(*asked), Purpose::Refresh);
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
                Err(ResolveError::Provider(ProviderError::NotFound(_))) => {
                    slot.lease = None;
                    slot.entry.state = State::Unknown;
                    return self.plan_for(reference, Some((now, Duty::Refresh)));
                }
                // It lasts, and another is made before it ends.
                Err(why) if why.needs_somebody() => {
                    if let Some(lease) = &mut slot.lease {
                        lease.renewable = false;
                    }
                }
                Err(why) => slot.entry.not_renewed(why.clone(), now, &mut self.chance),
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
        self.retired.forget_ended(is_over);
    }

    /// What came of a question.
    pub(super) fn landed(&mut self, landing: &Landing) -> Change {
        let now = Moment::now();
        let Landing { reference, result, asked, grant } = landing;
        self.upstream_landed(reference, result.as_ref().err(), *asked, grant.purpose());
        let rules = self.rules(reference);
        // It may have had to make room for others meanwhile.
        let mut slot = self.forget_place(reference).unwrap_or_else(|| Slot::new(rules));
        if grant.purpose() == Purpose::Read {
            slot.entry.read.get_or_insert(now);
            slot.grant.get_or_insert_with(|| grant.clone());
        }
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
                slot.retire(reference, &mut self.retired);
                slot.entry.fetched(Arc::clone(secret), span);
                slot.lease.clone_from(&secret.lease);
                slot.version = Some(secret.version.clone());
            }
            (Err(why), Some(_)) => {
                slot.entry.failed(why.clone(), now, &mut self.chance);
            }
            // The provider was not asked, so nothing is known that was not before.
            _ => {}
        }
        if !matches!(slot.entry.state, State::Held(_)) {
            slot.retire(reference, &mut self.retired);
        }
        self.put(reference.clone(), slot);
        self.plan(reference, true);
        if asked.is_none() {
            // Nothing was found out, so nothing would come of trying again at once.
            self.put_off(reference, now.after(UNASKED));
        }
        Change { before, is_news }
    }

    /// A question was called off while it was on its way: its answer is not remembered.
    pub(super) fn called_off(&mut self, landing: &Landing) {
        if let Some(upstream) = self.upstreams.get_mut(landing.reference.provider()) {
            upstream.call_off(landing.grant.purpose(), Moment::now());
        }
        // Who waited for it is given it all the same, so what was made is to be ended when nobody uses it any more.
        if let Ok(secret) = &landing.result {
            let mut slot = Slot::new(self.rules(&landing.reference));
            (slot.lease, slot.version) = (secret.lease.clone(), Some(secret.version.clone()));
            slot.retire(&landing.reference, &mut self.retired);
        }
    }

    pub(super) fn upstream_landed(
        &mut self,
        reference: &Reference,
        failed: Option<&ResolveError>,
        asked: Option<Moment>,
        purpose: Purpose,
    ) {
        let (now, asks) = (Moment::now(), self.rules(reference).asks);
        let upstream = self.upstreams.entry(reference.provider().to_owned()).or_default();
        let answer = Answered { reference, failed, asked, purpose, asks };
        if upstream.landed(&answer, now, &mut self.chance) {
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
}
