//! What operators have done by the daemon.

use std::collections::BTreeSet;

use super::Access;
use super::attempt::Act;
use crate::audit::Verdict;
use crate::failure::Failure;
use crate::reference::Reference;

impl Access {
    /// Forgets secrets, named whole, and what was rendered from them. Open handles keep theirs. Says of which anything was
    /// known.
    pub fn evict(&self, secrets: &BTreeSet<Reference>) -> Vec<bool> {
        let known = secrets.iter().map(|secret| self.resolver.evict(secret)).collect();
        // What was rendered holds the secret it was rendered from.
        self.renderer.forget(secrets);
        self.generations.clear();
        known
    }

    /// Whether what is done now could be put on record.
    ///
    /// # Errors
    /// When it could not, and nothing is to be done that is not.
    pub fn can_record(&self) -> Result<(), Failure> {
        self.audit.ready().map_err(|_| Failure::NotOnRecord)
    }

    /// Puts on record what an operator had done.
    ///
    /// # Errors
    /// When it is not on record, and should be.
    pub fn record_act(&self, act: &Act<'_>) -> Result<(), Failure> {
        match self.requests.put_act_on_record(&self.audit, act) {
            Verdict::Recorded | Verdict::Waived => Ok(()),
            Verdict::Lost => Err(Failure::NotOnRecord),
        }
    }
}
