//! Who wants secrets, reading aside: whoever read one and still runs.

use std::sync::Arc;

use crate::readers::Readers;
use crate::reference::Reference;
use crate::resolve::Demand;

/// Those of the inventory.
pub(super) struct OfReaders(pub(super) Arc<Readers>);

impl Demand for OfReaders {
    fn wants(&self, whole: &Reference) -> bool {
        self.0.lives(whole)
    }

    fn holds(&self, whole: &Reference, version: &str) -> bool {
        self.0.lives_at(whole, version)
    }
}
