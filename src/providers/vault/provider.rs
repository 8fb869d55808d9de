//! Fetches: with the token in use from the engine at the path, and once more where that token is gone.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::answers::other;
use super::cluster::Cluster;
use super::exchange::{Answer, Repeat, Request};
use super::leases::{self, is_kept};
use super::listing::{self, Tree};
use super::login::Login;
use super::mounts::{Engine, Mount, Mounts};
use super::secret::{self, Reader, Sort};
use super::session::{Session, Sessions, Standing};
use super::settings::Settings;
use super::{Fetched, Lease, Listing, LoginState, LoginTime, Mint, Provider, ProviderError, SettingsError};
use crate::reference::Reference;

/// The opened provider. Nobody is reached before the first fetch.
struct Vault {
    cluster: Arc<Cluster>,
    sessions: Arc<Sessions>,
    mounts: Mounts,
    params: BTreeMap<String, Vec<u8>>,
    reader: Reader,
    /// Paths of engines other than key/value that gave something without a lease: it was there before anybody asked.
    kept: Mutex<HashSet<String>>,
}

/// Opens the provider.
pub(super) fn open(settings: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    let Settings { bounds, addresses, namespace, tls, auth, mounts, params } = Settings::new(settings, base)?;
    let cluster = Arc::new(Cluster::new(addresses, tls, namespace, bounds));
    let sessions = Sessions::new(Arc::clone(&cluster), Login::new(auth));
    let (mounts, reader, kept) = (Mounts::new(mounts), Reader::new(), Mutex::default());
    Ok(Box::new(Vault { cluster, sessions, mounts, params, reader, kept }))
}

#[async_trait::async_trait]
impl Provider for Vault {
    async fn fetch(&self, reference: &Reference, mint: Mint) -> Result<Fetched, ProviderError> {
        let deadline = self.cluster.deadline();
        let read =
            |session: Arc<Session>| async move { self.read(reference, mint, &session, deadline).await };
        self.with_token(&format!("`{}`", reference.path()), deadline, read).await
    }

    async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let deadline = self.cluster.deadline();
        let list =
            |session: Arc<Session>| async move { self.list_with(under, depth, session, deadline).await };
        self.with_token(&format!("`{}`", under.path()), deadline, list).await
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        self.sessions.proven(self.cluster.deadline()).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, ProviderError> {
        let deadline = self.cluster.deadline();
        let renew = |session: Arc<Session>| async move {
            leases::renew(&self.cluster, &session, lease, deadline).await
        };
        self.with_token("a renewal", deadline, renew).await
    }

    async fn revoke(&self, handle: &str) -> Result<(), ProviderError> {
        let deadline = self.cluster.deadline();
        let revoke = |session: Arc<Session>| async move {
            leases::revoke(&self.cluster, &session, handle, deadline).await
        };
        self.with_token("a revocation", deadline, revoke).await
    }

    async fn login_state(&self) -> LoginState {
        self.sessions.state().await
    }

    fn ended_logins(&self) -> Option<watch::Receiver<LoginTime>> {
        Some(self.sessions.ended())
    }
}

/// Of one fetch.
struct Ask<'a> {
    vault: &'a Vault,
    session: &'a Session,
    path: &'a str,
    version: Option<&'a str>,
    mint: Mint,
    deadline: Instant,
}

impl Vault {
    /// Asks with the token in use, and once more with another where the server does not know that one any more.
    async fn with_token<T, F: Future<Output = Result<T, ProviderError>> + Send>(
        &self,
        what: &str,
        deadline: Instant,
        ask: impl Fn(Arc<Session>) -> F + Send + Sync,
    ) -> Result<T, ProviderError> {
        let session = self.sessions.session(deadline).await?;
        match ask(Arc::clone(&session)).await {
            Err(ProviderError::Refused(message)) => {
                match self.sessions.after_refusal(&session, deadline).await? {
                    Standing::Replaced(new) => {
                        let result = ask(new).await;
                        if matches!(result, Err(ProviderError::Refused(_))) {
                            self.sessions.was_in_vain().await;
                        }
                        result
                    }
                    Standing::Known => Err(ProviderError::Refused(message)),
                    Standing::Gone => {
                        Err(ProviderError::Refused(format!("{what}: {} (HTTP 403)", self.sessions.gone())))
                    }
                }
            }
            result => result,
        }
    }

    async fn read(
        &self,
        reference: &Reference,
        mint: Mint,
        session: &Session,
        deadline: Instant,
    ) -> Result<Fetched, ProviderError> {
        let (path, version) = (reference.path(), reference.version());
        let ask = Ask { vault: self, session, path, version, mint, deadline };
        if let Some(params) = self.params.get(path) {
            return ask.written(params).await;
        }
        match self.mounts.of(path, &self.cluster, &session.token, deadline).await? {
            Some(mount) => self.unless_changed(&mount, ask.at(&mount).await),
            None => ask.anywhere().await,
        }
    }

    async fn list_with(
        &self,
        under: &Reference,
        depth: u32,
        session: Arc<Session>,
        deadline: Instant,
    ) -> Result<Vec<String>, ProviderError> {
        let listing = Listing::new(under, depth)?;
        let path = under.path();
        match self.mounts.around(path, &self.cluster, &session.token, deadline).await? {
            Some(mount) => {
                let cluster = Arc::clone(&self.cluster);
                let tree = Tree { cluster, session, mount: mount.clone(), path: path.to_owned(), deadline };
                self.unless_changed(&mount, tree.list(listing, depth).await)
            }
            None => Err(listing::unknown(&self.cluster, &session, path, deadline).await),
        }
    }

    /// What came of a mount. What was found out about it may be old: it is asked for again the next time.
    fn unless_changed<T>(&self, mount: &Mount, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        if matches!(result, Err(ProviderError::NotFound(_) | ProviderError::Misconfigured(_))) {
            self.mounts.forget(mount);
        }
        result
    }
}

impl Ask<'_> {
    async fn at(&self, mount: &Mount) -> Result<Fetched, ProviderError> {
        match mount.engine {
            Engine::Kv2 => {
                let answer = self.versioned(mount).await?;
                self.of_versioned(mount, &answer)
            }
            Engine::Kv1 => self.plain(Sort::Stored).await,
            Engine::Other => {
                self.may_make(mount.rest(self.path))?;
                self.plain(Sort::Made).await
            }
        }
    }

    /// Where the server does not say what is mounted: a key/value engine with versions at the first segment, else whatever
    /// answers at the path itself.
    async fn anywhere(&self) -> Result<Fetched, ProviderError> {
        let Some((first, rest)) = self.path.split_once('/') else {
            self.may_make(None)?;
            return self.plain(Sort::Unknown).await;
        };
        let mount = Mount { at: first.to_owned(), engine: Engine::Kv2 };
        let answer = self.versioned(&mount).await?;
        if secret::is_versioned(&answer) {
            self.vault.mounts.found(mount.clone());
            return self.of_versioned(&mount, &answer);
        }
        if !matches!(answer.status, 200 | 204 | 400 | 401 | 403 | 404 | 405) {
            return Err(other(self.path, &answer));
        }
        // Nothing else has versions.
        if self.version.is_some() && answer.status == 404 {
            return self.of_versioned(&mount, &answer);
        }
        self.may_make(Some(rest))?;
        match self.plain(Sort::Unknown).await {
            // To say that there is none takes more rights than to refuse.
            Err(ProviderError::Refused(_)) if answer.status == 404 => self.of_versioned(&mount, &answer),
            Err(ProviderError::Refused(_)) => Err(ProviderError::Refused(format!(
                "`{path}`: the token may not read it (HTTP 403), nor see which engine is there: {}its policies need `path \"{}\" {{ capabilities = [\"read\"] }}` for key/value 2, or `path \"{path}\" …` for any other engine",
                mount.slip(self.path),
                self.data(&mount),
                path = self.path,
            ))),
            result => result,
        }
    }

    /// Reads from a key/value engine with versions.
    async fn versioned(&self, mount: &Mount) -> Result<Answer, ProviderError> {
        if let Some(version) = self.version
            && !version.parse::<u32>().is_ok_and(|version| version > 0)
        {
            return Err(ProviderError::Misconfigured(format!(
                "`{}`: a version is a number from 1 on there",
                self.path
            )));
        }
        let path = self.data(mount);
        let query = self.version.map(|version| ("version", version));
        let request = Request { query, ..Request::read(&path, Some(&self.session.token)) };
        self.vault.cluster.ask(&request, self.deadline).await
    }

    fn of_versioned(&self, mount: &Mount, answer: &Answer) -> Result<Fetched, ProviderError> {
        match answer.status {
            200 => self.vault.reader.versioned(self.path, answer),
            404 => Err(secret::gone(self.path, answer).unwrap_or_else(|| {
                let what = self.version.map(|version| format!("version {version} of it")).unwrap_or_default();
                let what = if what.is_empty() { "secret" } else { &what };
                let mut message = format!("`{}`: there is no such {what}", self.path);
                if let Some(meant) = mount.meant(self.path) {
                    let _ = write!(message, "; leave `data/` out: `{meant}`");
                }
                ProviderError::NotFound(message)
            })),
            status @ (401 | 403) if mount.meant(self.path).is_some() => Err(ProviderError::Refused(format!(
                "`{}`: the token may not read it (HTTP {status}): {}{}",
                self.path,
                mount.slip(self.path),
                self.policy(&self.data(mount))
            ))),
            _ => Err(self.refused(answer, &self.data(mount))),
        }
    }

    /// Reads the path as it is.
    async fn plain(&self, sort: Sort) -> Result<Fetched, ProviderError> {
        self.no_version()?;
        let repeat = if sort == Sort::Stored { Repeat::Harmless } else { Repeat::MakesAnother };
        let request = Request { repeat, ..Request::read(self.path, Some(&self.session.token)) };
        let answer = self.vault.cluster.ask(&request, self.deadline).await?;
        self.of_plain(&answer, sort)
    }

    /// Writes to the path to read what that gives.
    async fn written(&self, params: &[u8]) -> Result<Fetched, ProviderError> {
        self.no_version()?;
        self.may_make(None)?;
        let request = Request {
            repeat: Repeat::MakesAnother,
            ..Request::write(self.path, params, Some(&self.session.token))
        };
        let answer = self.vault.cluster.ask(&request, self.deadline).await?;
        self.of_plain(&answer, Sort::Made)
    }

    fn of_plain(&self, answer: &Answer, sort: Sort) -> Result<Fetched, ProviderError> {
        match answer.status {
            200 => {
                let fetched = self.vault.reader.plain(self.path, answer, sort, self.session.lends())?;
                let mut kept = self.vault.kept.lock();
                if fetched.lease.is_some() || sort == Sort::Stored {
                    kept.remove(self.path);
                } else {
                    kept.insert(self.path.to_owned());
                }
                Ok(fetched)
            }
            404 => Err(ProviderError::NotFound(format!("`{}`: there is nothing (HTTP 404)", self.path))),
            _ => Err(self.refused(answer, self.path)),
        }
    }

    /// Whether it may be asked what could make a credential. `rest` is what is below the mount, where it is only read.
    fn may_make(&self, rest: Option<&str>) -> Result<(), ProviderError> {
        let kept = rest.is_some_and(is_kept) || rest.is_some() && self.vault.kept.lock().contains(self.path);
        if self.mint == Mint::Allowed || kept {
            return Ok(());
        }
        let path = self.path;
        Err(ProviderError::WouldMint(format!(
            "`{path}`: the engine there may make a credential for whoever asks"
        )))
    }

    fn no_version(&self) -> Result<(), ProviderError> {
        if self.version.is_none() {
            return Ok(());
        }
        let path = self.path;
        Err(ProviderError::Misconfigured(format!(
            "`{path}`: the engine there keeps no versions: leave out `?version=`"
        )))
    }

    fn refused(&self, answer: &Answer, asked: &str) -> ProviderError {
        let (path, status) = (self.path, answer.status);
        let written = self.vault.params.contains_key(path);
        match status {
            401 | 403 => ProviderError::Refused(format!(
                "`{path}`: the token may not read it (HTTP {status}): {}",
                self.policy(asked)
            )),
            400 if written => ProviderError::Misconfigured(format!(
                "`{path}`: the server does not do it with these `params` (HTTP {status}): the same by hand, with `vault write`, shows why"
            )),
            400 => ProviderError::Misconfigured(format!(
                "`{path}`: the server does not take the request (HTTP {status}): see `namespace`, and `mounts` or `params` for this path"
            )),
            405 => ProviderError::Misconfigured(format!(
                "`{path}`: it cannot be {} (HTTP {status}): {}",
                if written { "written" } else { "read" },
                if written {
                    "take it out of `params`"
                } else {
                    "name it in `params` if the engine wants to be written to"
                }
            )),
            204 => ProviderError::Misconfigured(format!("`{path}`: it gives nothing (HTTP {status})")),
            _ => other(path, answer),
        }
    }

    /// What lets a token read there.
    fn policy(&self, asked: &str) -> String {
        let capability = if self.vault.params.contains_key(self.path) { "update" } else { "read" };
        let hint = format!("its policies need `path \"{asked}\" {{ capabilities = [\"{capability}\"] }}`");
        if asked == self.path && capability == "read" {
            return format!("{hint}, or `params` for it if the engine wants to be written to");
        }
        hint
    }

    /// Where a key/value engine with versions has the values.
    fn data(&self, mount: &Mount) -> String {
        format!("{}/data/{}", mount.at, mount.rest(self.path).unwrap_or_default())
    }
}
