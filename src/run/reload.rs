//! A reload: whole or not at all. The mount, open handles and what did not change stay.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;

use super::changed::ShownAnew;
use super::{Daemon, providers};
use crate::config::{self, Changes, Problems};
use crate::control::Answer;
use crate::fetcher::ProviderSettings;
use crate::fs::Replaced;

/// How long a reload waits for the kernel to forget what is no longer so.
const TELLING: Duration = Duration::from_secs(2);

/// What came of a reload.
struct Applied {
    message: String,
    /// Word of when the kernel knows.
    told: Option<oneshot::Receiver<()>>,
    /// Files that show something else now.
    changed: Vec<String>,
}

/// Why nothing was applied.
enum Reload {
    Wrong(Problems),
    Refused(String),
}

impl Daemon {
    /// Reads the configuration again, if it is the one that is meant, and says what came of it.
    pub(super) async fn reload_meant(&self, meant: Option<&Path>) -> Answer {
        let _one = self.reloading.lock().await;
        let served = self.state.lock().config.path.clone();
        if meant.is_some_and(|meant| meant != served) {
            let message = format!("this hushfs serves {}: name that one with --config", served.display());
            return Answer::Refused { message };
        }
        self.audit.reopen();
        match self.apply().await {
            Ok(Applied { message, told, changed }) => {
                // Owners and modes that the kernel remembers stay in force until it is told otherwise.
                if let Some(told) = told
                    && tokio::time::timeout(TELLING, told).await.is_err()
                {
                    tracing::warn!("the kernel may still remember old names, owners and modes");
                }
                // Not sooner: who reads at once must be let in by the owner and mode that are in force.
                self.announce(&changed);
                tracing::info!("configuration applied: {message}");
                Answer::Done { message }
            }
            Err(Reload::Refused(message)) => {
                tracing::error!("configuration not applied: {message}");
                Answer::Refused { message }
            }
            Err(Reload::Wrong(problems)) => {
                let message = problems.to_string();
                tracing::error!("configuration not applied: {message}");
                Answer::Wrong { message }
            }
        }
    }

    /// Reads the configuration and applies it whole, or not at all.
    async fn apply(&self) -> Result<Applied, Reload> {
        let path = self.state.lock().config.path.clone();
        // Not in place: the runtime may put another thread in this one's stead, and the fetcher ends with the thread that
        // started it.
        let mut new = tokio::task::spawn_blocking(move || config::load(&path))
            .await
            .map_err(|_| Reload::Refused("the configuration could not be read: a bug in hushfs".into()))?
            .map_err(Reload::Wrong)?;
        let before = {
            let state = self.state.lock();
            refuse_what_takes_a_restart(&config::diff(&state.config, &new))?;
            providers(&state.config)
        };
        // The fetcher first: a file that is there must not be asked of a provider that is not there yet.
        let gone = self.apply_providers(&before, &providers(&new)).await?;
        for warning in &new.warnings {
            tracing::warn!("{warning}");
        }
        self.access.attestor().ask_runtimes_at(&new.runtimes);
        let mut state = self.state.lock();
        let written = new.scopes.clone();
        self.listings.configure(&written);
        new.scopes = written.iter().map(|scope| self.listings.filled(scope)).collect();
        config::keep_unchanged(&mut new.scopes, &state.config);
        let changes = config::diff(&state.config, &new);
        let Replaced { forget, changed } = self.fs.replace(&new);
        let shown = super::changed::shown_anew(&state.config, &new);
        self.changes.watch(super::changed::watched(&new));
        let told = state.notifications.as_ref().map(|notifications| notifications.send(forget));
        (state.config, state.written) = (new, written);
        self.reloaded.notify_one();
        for ShownAnew { path, secrets, version } in shown {
            self.changes.noticed(&path, &secrets, None, &version);
        }
        self.access.forget_providers(&gone);
        self.resolver.configure(state.config.cache_rules());
        let count = |names: &[String]| names.len();
        let message = format!(
            "{} scopes unchanged, {} changed, {} added, {} removed, {} providers changed",
            count(&changes.unchanged),
            count(&changes.changed),
            count(&changes.added),
            count(&changes.removed),
            count(&changes.providers),
        );
        Ok(Applied { message, told, changed })
    }

    /// Has the fetcher open providers anew where one is set differently. Gives those from which nothing is good any more.
    async fn apply_providers(
        &self,
        before: &[ProviderSettings],
        after: &[ProviderSettings],
    ) -> Result<Vec<String>, Reload> {
        if before == after {
            return Ok(Vec::new());
        }
        let refused = |error| Reload::Refused(format!("the fetcher does not take the providers: {error}"));
        self.resolver.link().configure(after).await.map_err(refused)?;
        let changed = before.iter().filter(|one| !after.contains(one));
        Ok(changed.map(|one| one.name.clone()).collect())
    }
}

fn refuse_what_takes_a_restart(changes: &Changes) -> Result<(), Reload> {
    if !changes.restart.is_empty() {
        return Err(Reload::Refused(changes.restart.join("\n")));
    }
    if changes.settings {
        return Err(Reload::Refused("limits or audit changed, which takes a restart of hushfs".into()));
    }
    Ok(())
}
