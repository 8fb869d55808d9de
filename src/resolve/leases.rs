//! What was lent to us: renewed while somebody wants it, and ended before its time where nobody can.

use std::sync::Arc;
use std::time::Duration;

use super::entry::State;
use super::landings::Renewal;
use super::lent::{Lent, MOMENT};
use super::memory::Memory;
use super::slot::Slot;
use super::{ResolveError, Resolver, Revoked, Told};
use crate::clock::Moment;
use crate::config::checked::Revoke;
use crate::policy::Purpose;
use crate::providers::{Lease, ProviderError};
use crate::reference::Reference;

/// A renewal that gives less than this part of what was asked for is one of the last: another is made before that ends.
const NEAR_ITS_END: f64 = 0.9;

/// How long the ending of all leases may take when hushfs is stopped.
const AT_THE_END: Duration = Duration::from_secs(4);

impl Memory {
    /// The lease of a value, where it is to be renewed and not replaced.
    pub(super) fn renewable(&self, reference: &Reference) -> Option<Lease> {
        let slot = self.slots.peek(reference)?;
        let lease = slot.lease.as_ref().filter(|lease| lease.renewable)?;
        let is_held = matches!(slot.entry.state, State::Held(_));
        let is_held = is_held && !slot.entry.is_late(Moment::now());
        (is_held && lease.lasts >= lease.term.mul_f64(NEAR_ITS_END)).then(|| lease.clone())
    }

    /// Forgets values that are ended with their last reader, where that one is gone.
    fn forget_the_unread(&mut self, now: Moment, holds: impl Fn(&Reference, &str) -> bool) {
        let is_unread = |(reference, slot): (&Reference, &Slot)| {
            let is_meant = slot.lease.is_some() && slot.entry.rules.revoke == Revoke::OnExit;
            let quiet = slot.entry.read.is_none_or(|read| now.since(read) > MOMENT) && !slot.entry.asking;
            let unread = is_meant
                && quiet
                && !slot.version.as_deref().is_some_and(|version| holds(reference, version));
            unread.then(|| reference.clone())
        };
        let unread: Vec<_> = self.slots.iter().filter_map(is_unread).collect();
        unread.iter().for_each(|reference| drop(self.forget(reference)));
    }
}

impl Resolver {
    /// Has a lease renewed.
    pub(super) fn renew(self: &Arc<Self>, memory: &mut Memory, reference: &Reference, lease: Lease) {
        memory.upstream_asked(reference, Purpose::Refresh);
        if let Some(slot) = memory.slots.peek_mut(reference) {
            slot.entry.asking = true;
        }
        let (resolver, reference) = (Arc::clone(self), reference.clone());
        self.runtime.spawn(async move {
            let asked = Moment::now();
            let renewed = resolver.link.renew(reference.provider(), &lease);
            let result = match tokio::time::timeout(resolver.deadline, renewed).await {
                Ok(result) => result.map_err(ResolveError::from),
                Err(_) => Err(ResolveError::TimedOut),
            };
            if let Err(why) = &result {
                tracing::warn!(secret = %reference, "its lease was not renewed: {why}");
            }
            let renewal = Renewal { reference, handle: lease.handle, asked, result };
            resolver.memory.lock().renewed(&renewal);
            resolver.earlier.notify_one();
        });
    }

    /// Ends the leases that nobody can use any more.
    pub(super) fn end_unused_leases(self: &Arc<Self>) {
        let now = Moment::now();
        let holds = |reference: &Reference, version: &str| self.demand.holds(reference, version);
        let unused = {
            let mut memory = self.memory.lock();
            memory.forget_the_unread(now, holds);
            memory.retired.take_unused(now, holds)
        };
        for one in unused {
            self.runtime.spawn(Arc::clone(self).revoke(one));
        }
    }

    /// Forgets everything, and ends all leases: hushfs is being stopped. Bounded in time.
    pub async fn end_leases(self: &Arc<Self>) {
        let all = {
            let mut memory = self.memory.lock();
            memory.clear();
            memory.retired.take_all()
        };
        let mut endings = tokio::task::JoinSet::new();
        for one in all {
            endings.spawn(Arc::clone(self).revoke(one));
        }
        if tokio::time::timeout(AT_THE_END, async { while endings.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            tracing::warn!(left = endings.len(), "not all leases could be ended: they lapse by themselves");
        }
    }

    /// Ends one lease, and tells of it.
    async fn revoke(self: Arc<Self>, one: Lent) {
        let revoked = self.link.revoke(one.reference.provider(), &one.lease.handle);
        let result = match tokio::time::timeout(self.deadline, revoked).await {
            // It was over already.
            Ok(Err(ProviderError::NotFound(_))) => Ok(()),
            Ok(result) => result.map_err(ResolveError::from),
            Err(_) => Err(ResolveError::TimedOut),
        };
        if result.as_ref().is_err_and(ResolveError::passes) {
            self.memory.lock().retired.put_again(one.clone());
        }
        let _ =
            self.told.send(Told::Revoked(Revoked { reference: one.reference, version: one.version, result }));
    }
}
