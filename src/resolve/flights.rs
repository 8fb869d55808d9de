//! One fetch for all who wait for the same secret.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::memory::{Landed, Landing};
use super::{Arrival, ResolveError, Resolver, Secret};
use crate::clock::Moment;
use crate::policy::Grant;
use crate::reference::Reference;

/// What is waited for.
pub(super) type Flight = watch::Receiver<Landed>;

/// Waits until it has landed.
pub(super) async fn wait(mut flight: Flight) -> Result<Arc<Secret>, ResolveError> {
    let landed = flight.wait_for(Option::is_some).await;
    landed.ok().and_then(|landed| landed.clone()).unwrap_or(Err(ResolveError::TimedOut))
}

impl Resolver {
    /// The fetch that is under way, or else one that begins now, if `may_ask` lets it: it waits for its turn where that says.
    pub(super) fn join<E>(
        self: &Arc<Self>,
        grant: &Grant,
        reference: &Reference,
        may_ask: impl FnOnce() -> Result<Arc<Semaphore>, E>,
    ) -> Result<Flight, E> {
        let mut memory = self.memory.lock();
        match memory.flights.get(reference) {
            // One that has ended without landing (its task panicked) is none.
            Some(flight) if flight.has_changed().is_ok() => Ok(flight.clone()),
            _ => {
                let turns = may_ask()?;
                let (sender, flight) = watch::channel(None);
                memory.flights.insert(reference.clone(), flight.clone());
                memory.asking(reference, grant);
                // A task of its own: it goes on when the one that asked first gives up.
                self.runtime.spawn(Arc::clone(self).fly(grant.clone(), reference.clone(), turns, sender));
                Ok(flight)
            }
        }
    }

    async fn fly(
        self: Arc<Self>,
        grant: Grant,
        reference: Reference,
        turns: Arc<Semaphore>,
        landing: watch::Sender<Landed>,
    ) {
        let began = tokio::time::Instant::now();
        // Never closed, so this always is a turn.
        let turn = tokio::time::timeout(self.deadline, turns.acquire()).await;
        let (asked, result) = match turn {
            Err(_) => (None, Err(ResolveError::NotAsked)),
            Ok(_turn) => {
                let asked = Moment::now();
                let fetched = tokio::time::timeout_at(began + self.deadline, self.link.fetch(&reference));
                let result = match fetched.await {
                    Err(_) => Err(ResolveError::TimedOut),
                    Ok(Err(error)) => Err(error.into()),
                    Ok(Ok(fetched)) => Ok(Arc::new(Secret::new(fetched))),
                };
                (Some(asked), result)
            }
        };
        let landed = Landing { reference, result, asked, purpose: grant.purpose() };
        let change = {
            let mut memory = self.memory.lock();
            // One that was called off asked the provider as it was before: its answer is for those who asked then.
            let flight = memory.flights.get(&landed.reference);
            if flight.is_some_and(|flight| flight.same_channel(&landing.subscribe())) {
                memory.flights.remove(&landed.reference);
                Some(memory.landed(&landed))
            } else {
                memory.called_off(&landed);
                None
            }
        };
        let Landing { reference, result, asked, purpose } = landed;
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
        landing.send_replace(Some(result));
    }
}
