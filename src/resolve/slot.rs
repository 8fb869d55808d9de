//! One secret with what belongs to it.

use std::sync::Arc;

use super::Secret;
use super::entry::{Duty, Entry, Look, State};
use super::lent::Retired;
use crate::clock::Moment;
use crate::config::checked::{CacheRules, Revoke};
use crate::policy::Grant;
use crate::providers::Lease;
use crate::reference::Reference;

/// One secret.
pub(super) struct Slot {
    pub(super) entry: Entry<Arc<Secret>>,
    /// When something is to be done about it.
    pub(super) due: Option<(Moment, Duty)>,
    /// What allowed somebody to read it: fetching it again derives from that.
    pub(super) grant: Option<Grant>,
    /// The terms of its value, as they were renewed last.
    pub(super) lease: Option<Lease>,
    /// The version that was known last, also where it is not served any more.
    pub(super) version: Option<String>,
    /// Reads that were answered, and how many of them from memory.
    pub(super) reads: u64,
    pub(super) hits: u64,
}

impl Slot {
    pub(super) fn new(rules: CacheRules) -> Self {
        Self {
            entry: Entry::new(rules),
            due: None,
            grant: None,
            lease: None,
            version: None,
            reads: 0,
            hits: 0,
        }
    }

    /// Gives up the lease of a value that is no longer given out, to be ended when nobody can use it any more.
    pub(super) fn retire(&mut self, reference: &Reference, retired: &mut Retired) {
        if let (Some(lease), Some(version)) = (self.lease.take(), &self.version)
            && lease.revocable
            && self.entry.rules.revoke != Revoke::Never
        {
            retired.put(reference, version, lease);
        }
    }

    /// How many bytes it holds.
    pub(super) fn weight(&self) -> u64 {
        match &self.entry.state {
            State::Held(held) => held.value.bytes.len() as u64,
            State::Unknown | State::Failed(_) => 0,
        }
    }

    /// Somebody reads it now. Gives whether memory answers: who has to wait looks several times, and is counted once it has.
    pub(super) fn read_at(&mut self, now: Moment, grant: &Grant, look: &Look<Arc<Secret>>) -> bool {
        self.entry.read = Some(now);
        if self.grant.is_none() {
            self.grant = Some(grant.clone());
        }
        let answers = !matches!(look, Look::Fetch(_));
        if answers {
            self.reads += 1;
            self.hits += 1;
        }
        answers
    }
}
