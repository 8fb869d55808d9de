//! Who wants secrets, reading aside.

use crate::reference::Reference;
use crate::resolve::Demand;

pub(super) struct Readers;

impl Demand for Readers {
    fn wants(&self, _whole: &Reference) -> bool {
        false
    }

    fn holds(&self, _whole: &Reference, _version: &str) -> bool {
        false
    }
}
