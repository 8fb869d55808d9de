//! Where secrets come from: one file for each kind of provider, and a line in [`KINDS`].
//!
//! This folder owns talking to the owner of a secret. It runs in the fetcher process and must not know who asked: no
//! `fuser`, `identity` or `policy` type reaches it. A kind's own settings live in the kind's own file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::reference::Reference;
use crate::secret::SecretBytes;

#[cfg(any(feature = "vault", feature = "aws", feature = "gcp"))]
mod answers;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "command")]
mod command;
pub(crate) mod credentials;
pub(crate) mod files;
#[cfg(feature = "gcp")]
mod gcp;
mod lease;
mod listing;
mod login;
pub(crate) mod settings;
pub mod store;
#[cfg(feature = "vault")]
mod vault;

pub use lease::{Lease, Mint};
pub use listing::{Listing, NAMES_MAX};
pub use login::{LoginState, LoginTime};

/// Every kind of provider that a configuration can name.
pub const KINDS: &[Kind] = &[
    store::KIND,
    #[cfg(feature = "vault")]
    vault::KIND,
    #[cfg(feature = "aws")]
    aws::SECRETS_MANAGER,
    #[cfg(feature = "aws")]
    aws::PARAMETER_STORE,
    #[cfg(feature = "gcp")]
    gcp::KIND,
    #[cfg(feature = "command")]
    command::KIND,
];

/// One kind of provider: how its settings are checked and how it is opened.
#[derive(Debug)]
pub struct Kind {
    /// The value of `kind =` in the configuration.
    pub name: &'static str,
    /// One line for `check` and the docs.
    pub about: &'static str,
    /// In which process it runs.
    pub runs: Runs,
    /// Whom it asks.
    pub asks: Asks,
    /// Whether it may make a credential for a fetch, with these settings.
    pub mints: fn(settings: &toml::Table) -> bool,
    /// Reads the settings (the table without `kind`) and names the files they mention, without opening any provider.
    pub check: fn(settings: toml::Table, base: &Path) -> Result<Vec<NamedFile>, SettingsError>,
    /// Opens the provider; runs in the fetcher. Reaches nobody: a provider that is down never stops a mount.
    pub open: Open,
}

/// In which process a provider runs: a sandbox is handed down to whatever is started in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runs {
    /// In the sandbox, in which no program can be started.
    Confined,
    /// Beside it, with what it takes to start programs as other users.
    WithPrograms,
}

/// Whom a provider asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asks {
    /// A service, that may be down and has others to serve: failures are remembered for a while.
    Service,
    /// A file of this host: asking again costs nobody anything.
    LocalFile,
}

/// Opens a provider from its settings; relative paths start from the second argument.
pub type Open = fn(settings: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError>;

/// A file that a provider's settings name, to be checked like the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// The key that names it, for the message.
    pub key: &'static str,
    /// The file, absolute.
    pub path: PathBuf,
    /// Whether others than its owner must not be able to read it either.
    pub secret: Secrecy,
}

/// Whether a named file is itself secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Nobody but root or its owner may read or write it.
    Private,
    /// Anybody may read it, nobody but root or its owner may write it.
    Public,
}

/// Why settings cannot be used. `key` is the setting at fault where one is.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// The key at fault, to point at in the source.
    pub key: Option<String>,
    /// What is wrong: lower case, no value of a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a provider answers: the whole secret, never one key of it.
pub struct Fetched {
    /// The value's bytes. With named values: a JSON object of strings.
    pub bytes: SecretBytes,
    /// The provider's own name for this version.
    pub version: String,
    /// When this version was made; of what is made for each fetch, as a leased credential is, now.
    pub created: SystemTime,
    /// Until when the value holds, where the provider says so: the end of a lease or of a certificate, a planned deletion.
    pub expires: Option<SystemTime>,
    /// The terms on which it was made for us alone, where it was.
    pub lease: Option<Lease>,
    /// What its owner noted beside the value, which is no secret: custom metadata, tags.
    pub notes: BTreeMap<String, String>,
    /// For a provider that reads a local file: the state of that file, so that the front can tell a change by one `stat`.
    pub stamp: Option<Stamp>,
}

/// The state of a local file that a secret came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The file.
    pub path: PathBuf,
    /// Its inode, size in bytes and modification time in nanoseconds: what an atomic replacement changes.
    pub state: (u64, u64, i64),
}

/// Why a fetch failed, grouped by who must act. No text here ever carries a byte of a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ProviderError {
    /// The secret, or this version of it, does not exist: whoever wrote the reference, or the secret's owner.
    #[error("not found: {0}")]
    NotFound(String),
    /// The provider refuses our credentials: the operator.
    #[error("refused: {0}")]
    Refused(String),
    /// The provider cannot be reached or is overloaded: nobody, it passes.
    #[error("unavailable: {message}")]
    Unavailable {
        /// What was seen.
        message: String,
        /// When the provider wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The provider answered what it should not: the provider's owner.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The settings do not fit what is found there: the operator.
    #[error("misconfigured: {0}")]
    Misconfigured(String),
    /// It was not asked, since that would make a credential, which was not to be made ([`Mint::Never`]): nobody.
    #[error("not asked: {0}")]
    WouldMint(String),
}

/// A source of secrets.
#[async_trait::async_trait]
pub trait Provider: Send + Sync {
    /// Fetches the whole secret at `reference` (its key is ignored), at its pinned version if it has one. A provider that
    /// makes nothing need not look at `mint`.
    ///
    /// # Errors
    /// As [`ProviderError`] groups them. A provider bounds its own waits; the caller bounds them again.
    async fn fetch(&self, reference: &Reference, mint: Mint) -> Result<Fetched, ProviderError>;

    /// Reaches the provider and logs in, without asking for a secret: what `check --online` does first.
    ///
    /// # Errors
    /// As [`Provider::fetch`].
    async fn log_in(&self) -> Result<(), ProviderError>;

    /// The paths of all secrets below `under` (its key and version are ignored), relative to it: sorted, each once, of at most
    /// `depth` segments. What lies deeper is left out. No value is fetched, and nothing is made.
    ///
    /// Names come as the provider has them. One may hold what no [`Reference`] can (`..`, `#`, a control character): whoever
    /// makes references of them finds that out and says so.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`] when there is nothing below `under`, also where the provider cannot tell a folder that is empty
    /// from a path that was never there: an empty list says that there are secrets, deeper than was asked for, or that the
    /// provider is sure. [`ProviderError::Misconfigured`] when the
    /// provider cannot list, or there are more than [`NAMES_MAX`]. Else as [`Provider::fetch`]; a list is whole or an error.
    async fn list(&self, _under: &Reference, _depth: u32) -> Result<Vec<String>, ProviderError> {
        Err(ProviderError::Misconfigured("this provider cannot list what it has".into()))
    }

    /// Renews what was made, for as long again as it lasted at first if it may.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`] when it is over; [`ProviderError::Misconfigured`] when it cannot be renewed, or no further;
    /// else as [`Provider::fetch`].
    async fn renew(&self, _lease: &Lease) -> Result<Lease, ProviderError> {
        Err(ProviderError::Misconfigured("what this provider gives cannot be renewed".into()))
    }

    /// Ends what was made. What is over already counts as ended where the server does not tell the one from the other.
    ///
    /// # Errors
    /// As [`Provider::renew`].
    async fn revoke(&self, _handle: &str) -> Result<(), ProviderError> {
        Err(ProviderError::Misconfigured("what this provider gives cannot be revoked".into()))
    }

    /// Where it stands with its login. Reaches nobody.
    async fn login_state(&self) -> LoginState {
        LoginState::NotNeeded
    }

    /// Tells when logins end on which leases hang: all of those made before the time that it shows.
    fn ended_logins(&self) -> Option<watch::Receiver<LoginTime>> {
        None
    }
}

impl ProviderError {
    /// Unavailable, for as long as nobody knows.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: None }
    }
}

impl Fetched {
    /// A value of that version, made then; nothing else is known of it.
    pub fn new(bytes: SecretBytes, version: impl Into<String>, created: SystemTime) -> Self {
        let (version, notes) = (version.into(), BTreeMap::new());
        Self { bytes, version, created, expires: None, lease: None, notes, stamp: None }
    }
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Stamp {
    /// The state of the file that `meta` describes.
    pub fn of(path: &Path, meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanos = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        Self { path: path.to_owned(), state: (meta.ino(), meta.len(), nanos) }
    }

    /// Whether the file is still in that state. One `stat`, which asks no remote file system (`AT_STATX_DONT_SYNC`).
    pub fn still_holds(&self) -> bool {
        use rustix::fs::{AtFlags, CWD, StatxFlags};
        let wanted = StatxFlags::INO | StatxFlags::SIZE | StatxFlags::MTIME;
        rustix::fs::statx(CWD, &self.path, AtFlags::STATX_DONT_SYNC, wanted).is_ok_and(|now| {
            let nanos = now.stx_mtime.tv_sec.saturating_mul(1_000_000_000) + i64::from(now.stx_mtime.tv_nsec);
            (now.stx_ino, now.stx_size, nanos) == self.state
        })
    }
}
