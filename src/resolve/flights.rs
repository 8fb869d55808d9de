//! One fetch for all who wait for the same secret.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::landings::Landing;
use super::memory::{Landed, Memory, Wanted};
use super::single::{Flight, Joined, Pilot};
use super::{Arrival, ResolveError, Resolver, Secret, Told};
use crate::clock::Moment;
use crate::policy::{Grant, Purpose};
use crate::providers::{Mint, ProviderError};
use crate::reference::Reference;

pub(super) fn wanted(reference: &Reference, mint: Mint) -> Wanted {
    Wanted { reference: reference.clone(), mint }
}

/// Waits until it has landed.
pub(super) async fn wait(flight: Flight<Landed>) -> Landed {
    flight.landed().await.unwrap_or(Err(ResolveError::TimedOut))
}

/// Which fetch that is under way will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// Any.
    Any,
    /// One that may have a credential made.
    WhatMints,
}

impl Resolver {
    /// The fetch that is under way, or else one that begins now, if `may_ask` lets it: it waits for its turn where that says.
    pub(super) fn join<E>(
        self: &Arc<Self>,
        grant: &Grant,
        reference: &Reference,
        join: Join,
        may_ask: impl FnOnce() -> Result<Arc<Semaphore>, E>,
    ) -> Result<Flight<Landed>, E> {
        let mut memory = self.memory.lock();
        let mint = if grant.mints() { Mint::Allowed } else { Mint::Never };
        let will_do: &[Mint] = match join {
            Join::Any => &[Mint::Allowed, Mint::Never],
            Join::WhatMints => &[Mint::Allowed],
        };
        for mint in will_do {
            if let Some(flight) = memory.flights.under_way(&wanted(reference, *mint)) {
                return Ok(flight);
            }
        }
        let turns = may_ask()?;
        match memory.flights.join(wanted(reference, mint)) {
            Joined::Passenger(flight) => Ok(flight),
            Joined::First(pilot, flight) => {
                memory.asking(reference, grant);
                // A task of its own: it goes on when the one that asked first gives up.
                let (grant, wanted) = (grant.clone(), wanted(reference, mint));
                self.runtime.spawn(Arc::clone(self).fly(grant, wanted, turns, pilot));
                Ok(flight)
            }
        }
    }

    async fn fly(self: Arc<Self>, grant: Grant, wanted: Wanted, turns: Arc<Semaphore>, pilot: Pilot<Landed>) {
        let (asked, result) = self.ask(&wanted, &turns).await;
        let reference = wanted.reference.clone();
        let landing = Landing { reference, result, asked, grant };
        let change = {
            let mut memory = self.memory.lock();
            // One that was called off asked the provider as it was before: its answer is for those who asked then.
            if memory.flights.land(&wanted, &pilot) {
                Some(memory.landed(&landing))
            } else {
                memory.called_off(&landing);
                None
            }
        };
        let Landing { reference, result, asked, grant } = landing;
        let purpose = grant.purpose();
        if let Some(change) = change {
            self.earlier.notify_one();
            let _ = self.told.send(Told::Arrival(Arrival {
                reference,
                purpose,
                before: change.before,
                result: result.as_ref().map(|secret| secret.version.clone()).map_err(Clone::clone),
                is_news: change.is_news,
                took: asked.map(|asked| Moment::now().since(asked)),
            }));
        }
        pilot.bring(result);
    }

    /// Asks the provider, once it is its turn, and says when that was. All of it takes no longer than the deadline.
    async fn ask(&self, wanted: &Wanted, turns: &Semaphore) -> (Option<Moment>, Landed) {
        let until = tokio::time::Instant::now() + self.deadline;
        // Never closed, so this always is a turn.
        let Ok(_turn) = tokio::time::timeout_at(until, turns.acquire()).await else {
            return (None, Err(ResolveError::NotAsked));
        };
        let asked = Moment::now();
        let result =
            match tokio::time::timeout_at(until, self.link.fetch(&wanted.reference, wanted.mint)).await {
                Err(_) => Err(ResolveError::TimedOut),
                // The fetcher said so, and asked nobody.
                Ok(Err(error @ ProviderError::WouldMint(_))) => return (None, Err(error.into())),
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
