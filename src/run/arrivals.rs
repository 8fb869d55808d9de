//! What is done when a fetch has ended, whoever it was for.

use std::sync::Arc;

use super::Daemon;
use crate::resolve::{Arrival, Told};

impl Daemon {
    /// Tells of what arrives, for as long as the daemon runs.
    pub(super) async fn tell_of_arrivals(self: Arc<Self>) {
        let Some(mut told) = self.told.lock().take() else { return };
        while let Some(told) = told.recv().await {
            match told {
                Told::Arrival(arrival) => self.tell_of(&arrival),
                Told::Revoked(revoked) => self.access.put_end_on_record(&revoked),
            }
        }
    }

    fn tell_of(&self, arrival: &Arrival) {
        if arrival.purpose.is_behind() && arrival.is_news {
            self.access.put_on_record(arrival);
        }
        self.metrics.fetched(arrival);
        self.watchers.tell(arrival);
        if let Some((before, now)) = arrival.change() {
            tracing::info!(secret = %arrival.reference, before, now, "another version");
            self.changed(&arrival.reference, Some(before), now);
            self.listings.changed(&arrival.reference);
        }
    }
}
