//! Which engine is mounted where: told by the settings, else asked of the server once in a while.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::ProviderError;
use super::answers::{Data, other, parse};
use super::cluster::Cluster;
use super::exchange::Request;

/// How long what was found out holds. An engine can be unmounted, and a key/value engine upgraded.
const HOLDS: Duration = Duration::from_secs(600);

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Engine {
    /// Key/value, without versions.
    #[serde(rename = "kv-1")]
    Kv1,
    /// Key/value, with versions.
    #[serde(rename = "kv-2")]
    Kv2,
    /// Any other: what is read at the path is the secret.
    #[serde(rename = "other")]
    Other,
}

/// What stands where a path begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Without slashes around it.
    pub(super) at: String,
    pub(super) engine: Engine,
}

/// What is known of the mounts. No mount lies inside of another, so that the first that fits is the right one.
pub(super) struct Mounts {
    told: Vec<Mount>,
    found: Mutex<Vec<(Mount, Instant)>>,
}

impl Mount {
    /// The rest of a path below it.
    pub(super) fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.at.as_str())?.strip_prefix('/').filter(|rest| !rest.is_empty())
    }

    /// Whether a path is the mount itself, or below it.
    fn is_around(&self, path: &str) -> bool {
        self.at == path || self.rest(path).is_some()
    }

    /// The path without the `data/` that those write after the mount who have the server's own path in mind.
    pub(super) fn meant(&self, path: &str) -> Option<String> {
        let rest = self.rest(path)?.strip_prefix("data/")?;
        Some(format!("{}/{rest}", self.at))
    }

    /// A word on that, before what else is said of a refusal.
    pub(super) fn slip(&self, path: &str) -> String {
        self.meant(path)
            .map(|meant| format!("if `{meant}` is meant, leave `data/` out of the reference; else "))
            .unwrap_or_default()
    }
}

impl Mounts {
    pub(super) fn new(told: Vec<(String, Engine)>) -> Self {
        let mut told: Vec<_> = told.into_iter().map(|(at, engine)| Mount { at, engine }).collect();
        told.sort_by_key(|mount| std::cmp::Reverse(mount.at.len()));
        Self { told, found: Mutex::default() }
    }

    /// What is mounted where `path` begins; `None` where the server does not say, as to a token that may see nothing there.
    pub(super) async fn of(
        &self,
        path: &str,
        cluster: &Cluster,
        token: &HeaderValue,
        deadline: Instant,
    ) -> Result<Option<Mount>, ProviderError> {
        let mount = self.around(path, cluster, token, deadline).await?;
        // The mount itself is no secret.
        Ok(mount.filter(|mount| mount.rest(path).is_some()))
    }

    /// As [`Mounts::of`], for a path that may be the mount itself.
    pub(super) async fn around(
        &self,
        path: &str,
        cluster: &Cluster,
        token: &HeaderValue,
        deadline: Instant,
    ) -> Result<Option<Mount>, ProviderError> {
        if let Some(mount) = self.known(path) {
            return Ok(Some(mount));
        }
        let question = format!("sys/internal/ui/mounts/{path}");
        let answer = cluster.ask(&Request::read(&question, Some(token)), deadline).await?;
        match answer.status {
            200 => {}
            400 | 401 | 403 | 404 | 405 => return Ok(None),
            _ => return Err(other(path, &answer)),
        }
        let Data::<Description> { data } = parse(path, &answer)?;
        let version = data.options.and_then(|options| options.version);
        let engine = match (data.kind.as_str(), version.as_deref()) {
            ("kv", Some("2")) => Engine::Kv2,
            ("kv" | "generic" | "cubbyhole", _) => Engine::Kv1,
            _ => Engine::Other,
        };
        let mount = Mount { at: data.path.trim_matches('/').to_owned(), engine };
        if !mount.is_around(path) {
            return Ok(None);
        }
        self.found(mount.clone());
        Ok(Some(mount))
    }

    /// Remembers what turned out.
    pub(super) fn found(&self, mount: Mount) {
        let mut found = self.found.lock();
        found.retain(|(known, since)| known.at != mount.at && since.elapsed() < HOLDS);
        found.push((mount, Instant::now()));
    }

    /// Forgets what was found at `mount`, for it seems to have changed.
    pub(super) fn forget(&self, mount: &Mount) {
        self.found.lock().retain(|(known, _)| known != mount);
    }

    fn known(&self, path: &str) -> Option<Mount> {
        let fits = |mount: &&Mount| mount.is_around(path);
        self.told.iter().find(fits).cloned().or_else(|| {
            let found = self.found.lock();
            let fresh = found.iter().filter(|(_, since)| since.elapsed() < HOLDS);
            fresh.map(|(mount, _)| mount).find(fits).cloned()
        })
    }
}

#[derive(Deserialize)]
struct Description {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<Options>,
}

#[derive(Deserialize)]
struct Options {
    version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_mount_that_it_lies_in_and_not_to_one_that_only_begins_like_it() {
        let told =
            [("team", Engine::Kv1), ("team/a", Engine::Kv2)].map(|(at, engine)| (at.to_owned(), engine));
        let mounts = Mounts::new(told.to_vec());
        let at = |path: &str| mounts.known(path).map(|mount| mount.at);
        assert_eq!(at("team/a/x").as_deref(), Some("team/a"));
        assert_eq!(at("team/b").as_deref(), Some("team"));
        assert_eq!(at("team/a").as_deref(), Some("team/a"), "what is below it can be listed");
        assert_eq!(at("teams/x"), None);
    }
}
