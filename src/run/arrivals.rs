//! What is done when a fetch has ended, whoever it was for.

use std::sync::Arc;

use super::Daemon;
use crate::resolve::Arrival;

impl Daemon {
    /// Tells of what arrives, for as long as the daemon runs.
    pub(super) async fn tell_of_arrivals(self: Arc<Self>) {
        let Some(mut arrivals) = self.arrivals.lock().take() else { return };
        while let Some(arrival) = arrivals.recv().await {
            self.tell_of(&arrival);
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
        }
    }
}
