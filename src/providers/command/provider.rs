//! One fetch, listing, renewal or revocation: question, program, answer.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::program::Program;
use super::protocol::{self, Answer, Operation};
use super::{Fetched, Lease, Listing, Mint, Provider, ProviderError};
use crate::reference::Reference;

/// The opened provider.
pub(super) struct Command {
    program: Program,
    room: Semaphore,
    knows: Knows,
    /// What versions are told by where the program does not name any. Random, so that none gives away its value.
    key: Zeroizing<[u8; 32]>,
    /// Which version of a path was seen last, and since when: its time where the program does not tell it.
    seen: Mutex<HashMap<String, (String, SystemTime)>>,
}

/// What the operator says of a program, since none can be asked: one that knows no operation may take its question for a
/// fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knows {
    /// Whether each fetch makes a credential.
    pub(super) mints: bool,
    /// Whether it can list.
    pub(super) lists: bool,
}

impl Command {
    /// At most `at_once` of `program` run at a time.
    pub(super) fn new(program: Program, at_once: usize, knows: Knows) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // Before the kernel has random numbers it waits, and it has them long before there are users.
        let _ = rustix::rand::getrandom(key.as_mut_slice(), rustix::rand::GetRandomFlags::empty());
        Self { program, room: Semaphore::new(at_once), knows, key, seen: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Provider for Command {
    async fn fetch(&self, reference: &Reference, mint: Mint) -> Result<Fetched, ProviderError> {
        let path = reference.path();
        if self.knows.mints && mint == Mint::Never {
            return Err(ProviderError::WouldMint(format!(
                "`{path}`: the program makes a credential each time"
            )));
        }
        let question = protocol::question(reference)?;
        let answer = self.ask(&question, path, |output| protocol::answer(output, reference)).await?;
        if answer.lease.is_some() && !self.knows.mints {
            return Err(ProviderError::Misconfigured(format!(
                "`{path}`: the program makes credentials: say so by `mints = true`"
            )));
        }
        Ok(self.fetched(answer, reference))
    }

    async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let (mut listing, path) = (Listing::new(under, depth)?, under.path());
        if !self.knows.lists {
            return Err(ProviderError::Misconfigured(format!(
                "`{path}`: the program is not said to list what is below a path; if it knows that operation, say so by `lists = true`"
            )));
        }
        let question = protocol::question_below(path, depth)?;
        let names = self.ask(&question, path, |output| protocol::names(output, path)).await?;
        names.iter().try_for_each(|name| listing.add(name))?;
        Ok(listing.names())
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, ProviderError> {
        let question = protocol::question_about(Operation::Renew, &lease.handle)?;
        self.ask(&question, &lease.handle, |output| protocol::renewed(output, lease)).await
    }

    async fn revoke(&self, handle: &str) -> Result<(), ProviderError> {
        let question = protocol::question_about(Operation::Revoke, handle)?;
        self.ask(&question, handle, |output| protocol::revoked(output, handle)).await
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        let path = self.program.program.path.clone();
        let looked = tokio::task::spawn_blocking(move || std::fs::metadata(path)).await;
        let meta = looked.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let meta = meta.map_err(|error| self.program.cannot_start(&error))?;
        if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
            return Ok(());
        }
        Err(self.program.cannot_start(&std::io::ErrorKind::PermissionDenied.into()))
    }
}

impl Command {
    /// Runs the program, and reads what it says. `what` is what it is asked about.
    async fn ask<T>(
        &self,
        question: &[u8],
        what: &str,
        read: impl FnOnce(&[u8]) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let ended = {
            let _one = self.room.acquire().await.map_err(|_| ProviderError::unavailable("closing"))?;
            self.program.run(question, what).await?
        };
        let answer = read(&ended.output);
        if ended.status.success()
            || answer.as_ref().is_err_and(|error| !matches!(error, ProviderError::Malformed(_)))
        {
            return answer;
        }
        Err(ProviderError::unavailable(format!(
            "the program ended with {} over `{what}`, and {} bytes of standard error",
            ended.status, ended.complained
        )))
    }

    fn fetched(&self, answer: Answer, reference: &Reference) -> Fetched {
        let version = answer.version.unwrap_or_else(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "hashed with a key of this process: one value, one version"
            )]
            let value = answer.bytes.expose_secret();
            let digest = Sha256::new().chain_update(self.key.as_slice()).chain_update(value).finalize();
            digest.iter().take(8).fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        });
        let created = answer.created.unwrap_or_else(|| self.since(reference, &version));
        let lease = answer.lease.or_else(|| self.lasting(&version, answer.expires));
        let found = Fetched::new(answer.bytes, version, created);
        Fetched { expires: answer.expires, notes: answer.notes, lease, ..found }
    }

    /// The terms of what was made by a program that tells its end alone.
    fn lasting(&self, version: &str, expires: Option<SystemTime>) -> Option<Lease> {
        let lasts =
            expires.filter(|_| self.knows.mints)?.duration_since(SystemTime::now()).unwrap_or_default();
        let handle = version.to_owned();
        Some(Lease { handle, lasts, term: lasts, renewable: false, revocable: false, under: None })
    }

    /// Since when this version is known. A time that moves with each fetch would look like a change.
    fn since(&self, reference: &Reference, version: &str) -> SystemTime {
        let asked = format!("{}?{}", reference.path(), reference.version().unwrap_or_default());
        let mut seen = self.seen.lock();
        match seen.get(&asked) {
            Some((known, since)) if known == version => *since,
            _ => {
                let now = SystemTime::now();
                seen.insert(asked, (version.to_owned(), now));
                now
            }
        }
    }
}
