//! What is fetched though nobody waits for it, on record.

use std::time::Duration;

use super::Access;
use super::attempt::Behind;
use crate::audit::record::Op;
use crate::failure::Failure;
use crate::policy::Purpose;
use crate::reference::Reference;
use crate::resolve::{Arrival, ResolveError, Revoked};

impl Access {
    /// Puts the end of a credential on record that was lent.
    pub fn put_end_on_record(&self, revoked: &Revoked) {
        let result = match &revoked.result {
            Ok(()) => Ok(revoked.version.as_str()),
            Err(why) => Err(why.clone().into()),
        };
        let took = Duration::ZERO;
        let behind = Behind { op: Op::Revoke, reference: &revoked.reference, took, result };
        self.requests.put_on_record(&self.audit, behind);
    }

    /// Puts on record that the names below a path were asked for.
    pub fn put_list_on_record(&self, under: &Reference, took: Duration, result: Result<(), ResolveError>) {
        let result = result.map(|()| "").map_err(Failure::from);
        self.requests.put_on_record(&self.audit, Behind { op: Op::List, reference: under, took, result });
    }

    /// Puts a fetch on record that nobody waited for.
    pub fn put_on_record(&self, arrival: &Arrival) {
        let op = match arrival.purpose {
            Purpose::Prefetch => Op::Prefetch,
            Purpose::List => Op::List,
            _ => Op::Refresh,
        };
        let result = arrival.result.as_ref().map(String::as_str).map_err(|why| why.clone().into());
        let took = arrival.took.unwrap_or_default();
        let behind = Behind { op, reference: &arrival.reference, took, result };
        self.requests.put_on_record(&self.audit, behind);
    }
}
