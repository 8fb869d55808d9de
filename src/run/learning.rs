//! Says in the log when a scope has learned for as long as it was to.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;

use super::Daemon;

/// The longest sleep: the clock of the wall may be set, and goes on while the host sleeps.
const NAP: Duration = Duration::from_secs(30);

impl Daemon {
    /// Logs the end of each learning. Sleeps until a reload where none is going on.
    pub(super) async fn tell_when_learned(&self) -> Infallible {
        let mut told = Timestamp::now();
        loop {
            match self.next_learned(told) {
                None => self.reloaded.notified().await,
                Some(next) => {
                    let left = Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default();
                    tokio::select! {
                        () = tokio::time::sleep(left.min(NAP)) => {}
                        () = self.reloaded.notified() => {}
                    }
                }
            }
            let now = Timestamp::now();
            for scope in &self.state.lock().config.scopes {
                if scope.learn_until.is_some_and(|until| told < until && until <= now) {
                    tracing::warn!(scope = scope.name, "learning ended: now the rules alone decide");
                }
            }
            told = now;
        }
    }

    /// When the next scope will have learned, of those of which that was not told.
    fn next_learned(&self, told: Timestamp) -> Option<Timestamp> {
        let state = self.state.lock();
        let ends = state.config.scopes.iter().filter_map(|scope| scope.learn_until);
        ends.filter(|until| told < *until).min()
    }
}
