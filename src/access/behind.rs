//! What is fetched though nobody waits for it, on record.

use super::Access;
use super::attempt::Behind;
use crate::audit::record::Op;
use crate::policy::Purpose;
use crate::resolve::Arrival;

impl Access {
    /// Puts a fetch on record that nobody waited for.
    pub fn put_on_record(&self, arrival: &Arrival) {
        let op = match arrival.purpose {
            Purpose::Prefetch => Op::Prefetch,
            _ => Op::Refresh,
        };
        let result = arrival.result.as_ref().map(String::as_str).map_err(|why| why.clone().into());
        let took = arrival.took.unwrap_or_default();
        let behind = Behind { op, reference: &arrival.reference, took, result };
        self.requests.put_on_record(&self.audit, behind);
    }
}
