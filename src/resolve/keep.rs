//! What is done though nobody waits for it: values are fetched ahead of their end while somebody wants them, and forgotten when
//! nobody could be given them any more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Resolver;
use super::entry::Duty;
use super::memory::Memory;
use crate::clock::Moment;
use crate::policy::Grant;
use crate::reference::Reference;

/// The longest sleep: a timer stands still while the host sleeps, and values age.
const NAP: Duration = Duration::from_secs(1);

impl Resolver {
    /// Does so for as long as the daemon runs.
    pub async fn keep(self: Arc<Self>) -> Infallible {
        loop {
            let next = self.do_what_is_due();
            let wait = next.map(|next| next.since(Moment::now()).min(NAP));
            tokio::select! {
                // Nothing to be done: then something has to land first.
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => {}
                () = self.earlier.notified() => {}
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
                let lives = duty == Duty::Refresh && (self.lives)(&reference);
                (reference, duty, lives)
            })
            .collect();
        for (reference, duty, lives) in due {
            let mut memory = self.memory.lock();
            let grant = match duty {
                Duty::Forget => {
                    memory.forget(&reference);
                    continue;
                }
                Duty::Refresh => to_refresh(&memory, &reference, lives, now),
            };
            match (grant, memory.held_up(reference.provider(), now)) {
                (None, _) => memory.plan(&reference, false),
                (Some(_), Some(until)) => memory.plan_for(&reference, Some((until, Duty::Refresh))),
                (Some(grant), None) => {
                    drop(memory);
                    self.begin_behind(&grant, &reference);
                }
            }
        }
        self.memory.lock().next()
    }

    /// Has it fetched, though nobody waits.
    pub(super) async fn fly_behind(self: Arc<Self>, reference: Reference, grant: Grant) {
        self.begin_behind(&grant, &reference);
    }

    fn begin_behind(self: &Arc<Self>, grant: &Grant, reference: &Reference) {
        // No more than so many are begun, so that none has to wait for its turn, with readers that join it behind it.
        let turn = || Ok::<_, std::convert::Infallible>(Arc::new(Semaphore::new(1)));
        match self.join(grant, reference, turn) {
            Ok(_flight) => {}
            Err(never) => match never {},
        }
    }
}

/// What allows it to be fetched again, if somebody wants it.
fn to_refresh(memory: &Memory, reference: &Reference, lives: bool, now: Moment) -> Option<Grant> {
    let slot = memory.slots.peek(reference)?;
    if !lives && !slot.entry.is_wanted(now) {
        return None;
    }
    match &slot.grant {
        Some(grant) => Some(grant.to_refresh()),
        None if slot.entry.rules.prefetch => Some(Grant::to_prefetch()),
        // Fetched for an operator, and watched.
        None if lives => Some(Grant::of_operator().to_refresh()),
        None => None,
    }
}
