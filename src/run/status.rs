//! How it goes, from memory alone: for operators, and for metrics.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::Daemon;
use crate::control::{MemoryStatus, MountStatus, ProviderRow, ReaderRow, ReadersReport, Report, SecretRow};
use crate::metrics::Sample;
use crate::providers::LoginState;
use crate::readers::Row;
use crate::resolve::ProviderStatus;
use crate::sys::arena;

/// How long the providers may take to say where their logins stand, which reaches nobody.
const LOGINS: Duration = Duration::from_millis(500);

impl Daemon {
    /// What is so now, for metrics.
    pub(super) fn sample(&self) -> Sample {
        let (providers, with_references) = {
            let config = &self.state.lock().config;
            let names = config.providers.iter().map(|provider| provider.name.clone()).collect();
            (names, config.metrics.as_ref().is_some_and(|metrics| metrics.secrets))
        };
        Sample {
            known: self.resolver.status(),
            providers,
            open_handles: self.fs.open_handles(),
            audit_lost: self.audit.counts().lost,
            with_references,
        }
    }

    /// Until when logins are good, of the providers that say so at once.
    async fn logins(&self) -> HashMap<String, Option<Timestamp>> {
        let names: Vec<_> =
            self.state.lock().config.providers.iter().map(|provider| provider.name.clone()).collect();
        let mut asked = tokio::task::JoinSet::new();
        for name in names {
            let link = self.resolver.link().clone();
            asked.spawn(async move {
                let state = tokio::time::timeout(LOGINS, link.login_state(&name)).await;
                let until = match state {
                    Ok(Ok(LoginState::LoggedIn { until })) => until.and_then(|until| until.try_into().ok()),
                    _ => None,
                };
                (name, until)
            });
        }
        asked.join_all().await.into_iter().collect()
    }

    /// Who read which version of what, and still runs.
    pub(super) fn who_reads(&self) -> ReadersReport {
        let versions: HashMap<_, _> = self
            .resolver
            .status()
            .secrets
            .into_iter()
            .filter_map(|secret| Some(((secret.reference, secret.made_for), secret.version?)))
            .collect();
        let open: HashSet<_> = self
            .fs
            .open_versions()
            .into_iter()
            .map(|(process, path, reference, version)| (process.pid.0, path, reference, version))
            .collect();
        let one = |row: Row| {
            let is_open = (row.pid, row.path.clone(), row.reference.clone(), row.version.clone());
            let open = open.contains(&is_open);
            let current = versions.get(&(row.reference.clone(), row.made_for.clone())).cloned();
            let is_old = current.as_ref().is_some_and(|current| *current != row.version);
            ReaderRow { open, stale: is_old && (row.newest || open), current, row }
        };
        let (readers, forgotten) =
            (self.readers.rows().into_iter().map(one).collect(), self.readers.forgotten());
        ReadersReport { time: Timestamp::now(), readers, forgotten }
    }

    /// What operators are told.
    pub(super) async fn report(&self) -> Report {
        let logins = self.logins().await;
        let known = self.resolver.status();
        let unlocked = arena::unlocked().map(|errno| io::Error::from_raw_os_error(errno).to_string());
        let memory = MemoryStatus {
            cache_used: known.cache_used,
            cache_max: known.cache_max,
            locked: unlocked.is_none(),
            unlocked_because: unlocked,
        };
        let mut asked: BTreeMap<_, _> =
            known.providers.into_iter().map(|status| (status.name.clone(), status)).collect();
        let mut files: BTreeMap<_, Vec<String>> = BTreeMap::new();
        let (point, providers) = {
            let state = self.state.lock();
            for scope in &state.config.scopes {
                for file in &scope.files {
                    for whole in file.shows.secrets() {
                        let key = (whole.to_string(), whole.whom().map(str::to_owned));
                        let shown = files.entry(key).or_default();
                        shown.push(format!("{}/{}", scope.name, file.name));
                    }
                }
            }
            let providers = state.config.providers.iter().map(|provider| ProviderRow {
                status: asked.remove(&provider.name).unwrap_or_else(|| ProviderStatus {
                    name: provider.name.clone(),
                    ..ProviderStatus::default()
                }),
                kind: provider.kind.name.to_owned(),
                login_until: logins.get(&provider.name).copied().flatten(),
            });
            (state.config.mount.clone(), providers.collect())
        };
        let configured = files.len();
        let secrets = known.secrets.into_iter().map(|status| {
            let key = (status.reference.clone(), status.made_for.clone());
            let files = files.remove(&key).unwrap_or_default();
            SecretRow { status, files }
        });
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            time: Timestamp::now(),
            mount: MountStatus { point, since: self.since, open_handles: self.fs.open_handles() },
            memory,
            audit_lost: self.audit.counts().lost,
            providers,
            configured,
            secrets: secrets.collect(),
        }
    }
}
