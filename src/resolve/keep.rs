//! What is done though nobody waits for it: values are fetched ahead of their end while somebody wants them, and forgotten when
//! nobody could be given them any more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Resolver;
use super::entry::Duty;
use super::flights::Join;
use super::memory::Memory;
use crate::clock::Moment;
use crate::policy::Grant;
use crate::reference::Reference;

/// The longest sleep: a timer stands still while the host sleeps, and values age. Leases and files are looked at as often.
const NAP: Duration = Duration::from_secs(1);

impl Resolver {
    /// Does so for as long as the daemon runs.
    pub async fn keep(self: Arc<Self>) -> Infallible {
        let mut ended = self.ended.clone();
        let mut looked = Moment::now();
        loop {
            let next = self.do_what_is_due();
            let now = Moment::now();
            if now.since(looked) >= NAP {
                looked = now;
                self.end_unused_leases();
                self.runtime.spawn(Arc::clone(&self).look_at_files());
            }
            // Nothing is remembered: then something has to land first.
            let idle = self.memory.lock().is_empty();
            let nap = if idle { Duration::MAX } else { NAP.saturating_sub(now.since(looked)) };
            tokio::select! {
                () = tokio::time::sleep(next.map_or(nap, |next| next.since(now).min(nap))) => {}
                () = self.earlier.notified() => {}
                Ok(()) = ended.changed() => {
                    let over = ended.borrow_and_update().clone();
                    self.memory.lock().ended(|provider, lease| over.has(provider, lease));
                }
            }
        }
    }

    /// Does what is due, and says when the next is.
    fn do_what_is_due(self: &Arc<Self>) -> Option<Moment> {
        let now = Moment::now();
        let due = self.memory.lock().take_due(now);
        // Asked without the lock: it has one of its own.
        let due: Vec<_> = due
            .into_iter()
            .map(|(reference, duty)| {
                let wanted = duty == Duty::Refresh && self.demand.wants(&reference);
                (reference, duty, wanted)
            })
            .collect();
        for (reference, duty, wanted) in due {
            let mut memory = self.memory.lock();
            let grant = match duty {
                Duty::Forget => {
                    memory.let_go(&reference);
                    continue;
                }
                Duty::Refresh => to_refresh(&memory, &reference, wanted, now),
            };
            match (
                grant,
                memory.upstreams.get(reference.provider()).and_then(|upstream| upstream.held_up(now)),
            ) {
                (None, _) => memory.plan(&reference, false),
                (Some(_), Some(until)) => memory.plan_for(&reference, Some((until, Duty::Refresh))),
                (Some(grant), None) => match memory.renewable(&reference) {
                    Some(lease) => self.renew(&mut memory, &reference, lease),
                    None => {
                        drop(memory);
                        self.begin_behind(&grant, &reference);
                    }
                },
            }
        }
        self.memory.lock().next()
    }

    /// Has it fetched, though nobody waits.
    pub(super) fn begin_behind(self: &Arc<Self>, grant: &Grant, reference: &Reference) {
        // No more than so many are begun, so that none has to wait for its turn, with readers that join it behind it.
        let turn = || Ok::<_, Infallible>(Arc::new(Semaphore::new(1)));
        match self.join(grant, reference, Join::Any, turn) {
            Ok(_flight) => {}
            Err(never) => match never {},
        }
    }
}

/// What allows it to be fetched again, if somebody wants it.
fn to_refresh(memory: &Memory, reference: &Reference, wanted: bool, now: Moment) -> Option<Grant> {
    let slot = memory.slots.peek(reference)?;
    if !wanted && !slot.entry.is_wanted(now) {
        return None;
    }
    match &slot.grant {
        Some(grant) => Some(grant.to_refresh()),
        None if slot.entry.rules.prefetch => Some(Grant::to_prefetch()),
        // Fetched for an operator, and watched.
        None if wanted => Some(Grant::of_operator().to_refresh()),
        None => None,
    }
}
