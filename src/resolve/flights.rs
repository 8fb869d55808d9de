//! One fetch for all who wait for the same secret.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::memory::{Landed, Landing, Memory};
use super::single::{Flight, Joined, Pilot};
use super::{Arrival, ResolveError, Resolver, Secret};
use crate::clock::Moment;
use crate::policy::{Grant, Purpose};
use crate::reference::Reference;

/// Waits until it has landed.
pub(super) async fn wait(flight: Flight<Landed>) -> Landed {
    flight.landed().await.unwrap_or(Err(ResolveError::TimedOut))
}

impl Resolver {
    /// The fetch that is under way, or else one that begins now, if `may_ask` lets it: it waits for its turn where that says.
    pub(super) fn join<E>(
        self: &Arc<Self>,
        grant: &Grant,
        reference: &Reference,
        may_ask: impl FnOnce() -> Result<Arc<Semaphore>, E>,
    ) -> Result<Flight<Landed>, E> {
        let mut memory = self.memory.lock();
        if let Some(flight) = memory.flights.under_way(reference) {
            return Ok(flight);
        }
        let turns = may_ask()?;
        match memory.flights.join(reference.clone()) {
            Joined::Passenger(flight) => Ok(flight),
            Joined::First(pilot, flight) => {
                memory.asking(reference, grant);
                // A task of its own: it goes on when the one that asked first gives up.
                self.runtime.spawn(Arc::clone(self).fly(grant.clone(), reference.clone(), turns, pilot));
                Ok(flight)
            }
        }
    }

    async fn fly(
        self: Arc<Self>,
        grant: Grant,
        reference: Reference,
        turns: Arc<Semaphore>,
        pilot: Pilot<Landed>,
    ) {
        let (asked, result) = self.ask(&reference, &turns).await;
        let landing = Landing { reference, result, asked, purpose: grant.purpose() };
        let change = {
            let mut memory = self.memory.lock();
            // One that was called off asked the provider as it was before: its answer is for those who asked then.
            if memory.flights.land(&landing.reference, &pilot) {
                Some(memory.landed(&landing))
            } else {
                memory.called_off(&landing);
                None
            }
        };
        let Landing { reference, result, asked, purpose } = landing;
        if let Some(change) = change {
            self.earlier.notify_one();
            let _ = self.landings.send(Arrival {
                reference,
                purpose,
                before: change.before,
                result: result.as_ref().map(|secret| secret.version.clone()).map_err(Clone::clone),
                is_news: change.is_news,
                took: asked.map(|asked| Moment::now().since(asked)),
            });
        }
        pilot.bring(result);
    }

    /// Asks the provider, once it is its turn, and says when that was. All of it takes no longer than the deadline.
    async fn ask(&self, reference: &Reference, turns: &Semaphore) -> (Option<Moment>, Landed) {
        let until = tokio::time::Instant::now() + self.deadline;
        // Never closed, so this always is a turn.
        let Ok(_turn) = tokio::time::timeout_at(until, turns.acquire()).await else {
            return (None, Err(ResolveError::NotAsked));
        };
        let asked = Moment::now();
        let result = match tokio::time::timeout_at(until, self.link.fetch(reference)).await {
            Err(_) => Err(ResolveError::TimedOut),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(fetched)) => Ok(Arc::new(Secret::new(fetched))),
        };
        (Some(asked), result)
    }
}

impl Memory {
    /// Somebody waited for a fetch: for its bytes, or for its size, which the kernel asks for before an open.
    pub(super) fn missed(&mut self, grant: &Grant, reference: &Reference) {
        self.misses += 1;
        if grant.purpose() == Purpose::Read
            && let Some(slot) = self.slots.peek_mut(reference)
        {
            slot.reads += 1;
        }
    }
}
