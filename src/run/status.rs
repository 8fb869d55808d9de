//! How it goes, from memory alone: for operators, and for metrics.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;

use super::Daemon;
use crate::control::{MemoryStatus, MountStatus, ProviderRow, Report, SecretRow};
use crate::metrics::Sample;
use crate::resolve::ProviderStatus;
use crate::sys::arena;

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

    /// What operators are told.
    pub(super) fn report(&self) -> Report {
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
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (point, providers) = {
            let state = self.state.lock();
            for scope in &state.config.scopes {
                for file in &scope.files {
                    let shown = files.entry(file.from.whole().to_string()).or_default();
                    shown.push(format!("{}/{}", scope.name, file.name));
                }
            }
            let providers = state.config.providers.iter().map(|provider| ProviderRow {
                status: asked.remove(&provider.name).unwrap_or_else(|| ProviderStatus {
                    name: provider.name.clone(),
                    ..ProviderStatus::default()
                }),
                kind: provider.kind.name.to_owned(),
                login_until: None,
            });
            (state.config.mount.clone(), providers.collect())
        };
        let configured = files.len();
        let secrets = known.secrets.into_iter().map(|status| {
            let files = files.remove(&status.reference).unwrap_or_default();
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
