//! What is below a path of a key/value engine: folder by folder, a few at a time.
//!
//! The server has no question for a whole tree. Versions that were deleted are not told apart: that would take a question
//! for each secret.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use tokio::task::JoinSet;

use super::super::NAMES_MAX;
use super::answers::{Data, other, parse};
use super::cluster::Cluster;
use super::exchange::{Answer, Request};
use super::mounts::{Engine, Mount};
use super::session::Session;
use super::{Listing, ProviderError};

/// Folders that are asked for at the same time, of one list.
const AT_ONCE: usize = 8;

/// Where to look, and with what.
pub(super) struct Tree {
    pub(super) cluster: Arc<Cluster>,
    pub(super) session: Arc<Session>,
    pub(super) mount: Mount,
    pub(super) path: String,
    pub(super) deadline: Instant,
}

impl Tree {
    /// Gathers the names down to `depth`. One folder that cannot be listed fails it all: a list with a hole looks like one
    /// without.
    pub(super) async fn list(self, mut listing: Listing, depth: u32) -> Result<Vec<String>, ProviderError> {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let tree = Arc::new(self);
        let (mut waiting, mut folders) = (vec![String::new()], 0);
        // Ends what is under way when it is dropped.
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some(folder) = waiting.pop()
            {
                under_way.spawn(Arc::clone(&tree).folder(folder));
            }
            let Some(done) = under_way.join_next().await else { break };
            let (folder, keys) = done.map_err(|_| ProviderError::unavailable("closing"))??;
            for key in keys {
                let name = format!("{folder}{key}");
                if key.strip_suffix('/').is_none_or(|segment| matches!(segment, "" | "." | "..")) {
                    // Of a folder that no path leads to, its name is all that can be told.
                    listing.add(&name)?;
                } else if name.matches('/').count() < depth {
                    folders += 1;
                    if folders > NAMES_MAX {
                        return Err(listing.too_many("folders"));
                    }
                    waiting.push(name);
                } else {
                    listing.found_deeper();
                }
            }
        }
        listing.found()
    }

    /// The keys of a folder, which is named relative to the path and ends with `/`; the path itself by nothing.
    async fn folder(self: Arc<Self>, folder: String) -> Result<(String, Vec<String>), ProviderError> {
        let mut asked = self.asked()?;
        if let Some(below) = folder.strip_suffix('/') {
            asked = format!("{asked}/{below}");
        }
        let request = Request { query: LIST, ..Request::read(&asked, Some(&self.session.token)) };
        let answer = self.cluster.ask(&request, self.deadline).await?;
        match answer.status {
            200 => {
                let Data::<Keys> { data } = parse(&self.path, &answer)?;
                Ok((folder, data.keys))
            }
            // What was in it is gone since.
            404 if !folder.is_empty() => Ok((folder, Vec::new())),
            _ => Err(self.refused(&answer, &asked)),
        }
    }

    /// Where the server lists what is below the path.
    fn asked(&self) -> Result<String, ProviderError> {
        let (at, path) = (&self.mount.at, &self.path);
        match (self.mount.engine, self.mount.rest(path)) {
            (Engine::Kv2, None) => Ok(format!("{at}/metadata")),
            (Engine::Kv2, Some(rest)) => Ok(format!("{at}/metadata/{rest}")),
            (Engine::Kv1, _) => Ok(path.clone()),
            (Engine::Other, _) => Err(ProviderError::Misconfigured(format!(
                "`{path}`: the engine there is no key/value one, and what it makes cannot be listed: name each path that is wanted"
            ))),
        }
    }

    fn refused(&self, answer: &Answer, asked: &str) -> ProviderError {
        let (path, status) = (&self.path, answer.status);
        match status {
            401 | 403 => ProviderError::Refused(format!(
                "`{path}`: the token may not list what is below it (HTTP {status}): {}its policies need {}",
                self.mount.slip(path),
                rule(asked)
            )),
            404 => {
                let meant = self.mount.meant(path);
                let meant = meant.map(|meant| format!("; leave `data/` out: `{meant}`")).unwrap_or_default();
                ProviderError::NotFound(format!("`{path}`: there is nothing below it (HTTP 404){meant}"))
            }
            _ => other(path, answer),
        }
    }
}

/// What to say of a path where the server does not tell what is mounted. Key/value engines of either version answer a
/// listing alike and keep their names in different places, so nothing is guessed.
pub(super) async fn unknown(
    cluster: &Cluster,
    session: &Session,
    path: &str,
    deadline: Instant,
) -> ProviderError {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let metadata = format!("{first}/metadata/{rest}");
    let metadata = metadata.trim_end_matches('/');
    let request = Request { query: LIST, ..Request::read(metadata, Some(&session.token)) };
    match cluster.ask(&request, deadline).await {
        Err(error) => error,
        Ok(answer) => match answer.status {
            401 | 403 => ProviderError::Refused(format!(
                "`{path}`: the token may not list what is below it (HTTP {}), nor see which engine is there: its policies need {} for key/value 2, or {} for key/value 1",
                answer.status,
                rule(metadata),
                rule(path)
            )),
            200 | 204 | 400 | 404 | 405 => ProviderError::Misconfigured(format!(
                "`{path}`: the server does not say which engine is there: name it in `mounts`, as \"kv-2\" or \"kv-1\""
            )),
            _ => other(path, &answer),
        },
    }
}

/// What makes a list of a read.
const LIST: Option<(&str, &str)> = Some(("list", "true"));

/// What lets a token list there, and in all folders below.
fn rule(asked: &str) -> String {
    format!("`path \"{asked}/*\" {{ capabilities = [\"list\"] }}`")
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}
