//! What operators have done: fetch it again now, forget it now, keep it fresh.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::flights::{self, Join};
use super::{ResolveError, Resolver};
use crate::clock::Moment;
use crate::policy::Grant;
use crate::reference::Reference;

/// Fetches for operators that are under way at once. The rest is for readers.
const AT_ONCE: usize = 8;

impl Resolver {
    /// Has a secret fetched again now, whatever is remembered of it or of its provider, and gives its version. Where that
    /// fails, what was known stays for as long as it may be served.
    ///
    /// # Errors
    /// As the provider answers.
    pub async fn refresh(self: &Arc<Self>, reference: &Reference) -> Result<String, ResolveError> {
        let grant = {
            let mut memory = self.memory.lock();
            memory.outdate(reference, Moment::now());
            // One that is under way may have been answered with what was so before.
            memory.call_off(reference);
            // What was made for readers may be made for them again; nothing is made for operators.
            let made = memory.slots.peek(reference).filter(|slot| slot.lease.is_some());
            made.and_then(|slot| slot.grant.as_ref()).map_or_else(Grant::of_operator, Grant::to_operator)
        };
        let turns = || Ok::<_, ResolveError>(Arc::clone(&self.orders));
        let flight = self.join(&grant, reference, Join::Any, turns)?;
        flights::wait(flight).await.map(|secret| secret.version.clone())
    }

    /// Forgets a secret, and wipes it once no handle holds it. Says whether anything was known of it.
    pub fn evict(&self, reference: &Reference) -> bool {
        let mut memory = self.memory.lock();
        memory.call_off(reference);
        let known = memory.forget(reference).is_some();
        memory.plant(reference);
        known
    }

    /// Somebody wants it kept fresh from now on, if it is known: as long as the demand says so.
    pub fn want(&self, reference: &Reference) {
        self.memory.lock().plan(reference, true);
        self.earlier.notify_one();
    }

    /// The secrets of which anything is known.
    pub fn references(&self) -> Vec<Reference> {
        self.memory.lock().slots.iter().map(|(reference, _)| reference.clone()).collect()
    }

    pub(super) fn new_orders() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(AT_ONCE))
    }
}
