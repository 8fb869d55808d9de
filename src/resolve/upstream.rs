//! One provider: whether it is asked, and what was asked of it.

use std::time::Duration;

use super::ResolveError;
use super::backoff::Chance;
use super::circuit::{Circuit, Went};
use crate::clock::Moment;
use crate::policy::Purpose;
use crate::providers::Asks;
use crate::reference::Reference;

/// Fetches that nobody waits for, under way at one provider. The rest is for readers.
const BEHIND: usize = 8;

/// How long until it is looked at again whether one more may begin: a fetch ends soon, a circuit later.
const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_millis(250);

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

/// An answer to a question, as far as it tells of the provider.
pub(super) struct Answered<'a> {
    pub(super) reference: &'a Reference,
    /// Why there was none.
    pub(super) failed: Option<&'a ResolveError>,
    /// When it was asked, if it was.
    pub(super) asked: Option<Moment>,
    pub(super) purpose: Purpose,
    pub(super) asks: Asks,
}

impl Upstream {
    /// It is asked something.
    pub(super) fn ask(&mut self, purpose: Purpose) {
        self.circuit.asked();
        self.asked += 1;
        if purpose.is_behind() {
            self.behind += 1;
        }
    }

    /// A question came to nothing that is remembered.
    pub(super) fn call_off(&mut self, purpose: Purpose, now: Moment) {
        self.circuit.unsent(now);
        if purpose.is_behind() {
            self.behind = self.behind.saturating_sub(1);
        }
    }

    /// What came of a question. Says whether it is there again after it was not.
    pub(super) fn landed(&mut self, answer: &Answered<'_>, now: Moment, chance: &mut dyn Chance) -> bool {
        if answer.purpose.is_behind() {
            self.behind = self.behind.saturating_sub(1);
        }
        let Some(asked) = answer.asked else {
            self.circuit.unsent(now);
            return false;
        };
        let was_closed = self.circuit.is_closed();
        let went = match answer.failed {
            Some(why) if why.passes() && answer.asks == Asks::Service => {
                self.failed += 1;
                Went::Failed { why: why.clone(), asked: why.asks_to_wait() }
            }
            _ => {
                (self.took, self.answered) = (Some(now.since(asked)), Some(now));
                Went::Answered
            }
        };
        // Made for several, it is one thing still that fails.
        self.circuit.landed(&answer.reference.as_asked(), went, now, chance);
        !was_closed && self.circuit.is_closed()
    }

    /// When a fetch that nobody waits for may begin, where it may not now.
    pub(super) fn held_up(&self, now: Moment) -> Option<Moment> {
        let is_full = self.behind >= BEHIND;
        if !is_full && self.circuit.blocks(now).is_none() {
            return None;
        }
        let soon = now.after(if is_full { SOON } else { LATER });
        Some(self.circuit.until().filter(|until| *until > now).unwrap_or(soon))
    }
}
