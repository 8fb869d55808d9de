//! What is done when a directory that lists a provider has other files than before.

use std::sync::Arc;

use super::{Daemon, State};
use crate::config;

impl Daemon {
    /// Has that done from now on.
    pub(super) fn apply_lists(self: &Arc<Self>) {
        let daemon = Arc::downgrade(self);
        self.listings.when_changed(move || {
            let daemon = daemon.upgrade();
            Box::pin(async move {
                if let Some(daemon) = daemon {
                    daemon.relisted().await;
                }
            })
        });
    }

    /// Puts the files that directories are known to have in force.
    async fn relisted(&self) {
        // No configuration is read meanwhile: it would be put in force with other lists.
        let _one = self.reloading.lock().await;
        let mut state = self.state.lock();
        let State { config, written, notifications } = &mut *state;
        let mut scopes: Vec<_> = written.iter().map(|scope| self.listings.filled(scope)).collect();
        config::keep_unchanged(&mut scopes, config);
        config.scopes = scopes;
        let replaced = self.fs.replace(config);
        // Nobody waits for the kernel to forget names of secrets that are gone: an open of one is refused in any case.
        if let Some(notifications) = notifications {
            drop(notifications.send(replaced.forget));
        }
        self.changes.watch(super::changed::watched(config));
        self.resolver.configure(config.cache_rules());
    }
}
