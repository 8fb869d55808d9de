//! Who wants secrets, reading aside: whoever read one and still runs, and whoever watches one.

use std::sync::Arc;

use super::watchers::Watchers;
use crate::readers::Readers;
use crate::reference::Reference;
use crate::resolve::Demand;

/// Those of both lists.
pub(super) struct Alive {
    pub(super) readers: Arc<Readers>,
    pub(super) watchers: Arc<Watchers>,
}

impl Demand for Alive {
    fn wants(&self, whole: &Reference) -> bool {
        self.readers.lives(whole) || self.watchers.any(whole)
    }

    fn holds(&self, whole: &Reference, version: &str) -> bool {
        self.readers.lives_at(whole, version)
    }
}
