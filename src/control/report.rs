//! What operators are told: the layout of `status --json`, and of what `refresh`, `evict` and `watch` answer.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::readers::Row;
use crate::resolve::{ProviderStatus, SecretStatus};

/// How it goes. Never a value, nor how long it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of hushfs that runs.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When this was so.
    pub time: Timestamp,
    /// Where the secrets appear.
    pub mount: MountStatus,
    /// What is held in memory.
    pub memory: MemoryStatus,
    /// Attempts that are not on record, because the audit log did not take them.
    pub audit_lost: u64,
    /// The providers that are configured, by name.
    pub providers: Vec<ProviderRow>,
    /// How many secrets the configuration names.
    pub configured: usize,
    /// Those of which anything is known, by reference.
    pub secrets: Vec<SecretRow>,
}

/// The mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountStatus {
    /// Where it is.
    pub point: PathBuf,
    /// Since when.
    pub since: Timestamp,
    /// Files that are open.
    pub open_handles: usize,
}

/// The memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Bytes that the cache holds, bookkeeping counted.
    pub cache_used: u64,
    /// Bytes that it may hold.
    pub cache_max: u64,
    /// Whether all memory for values is locked, so that none is swapped out.
    pub locked: bool,
    /// Why not, where it is not.
    pub unlocked_because: Option<String>,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRow {
    /// What fetches told of it. One that was not asked yet has only zeros.
    #[serde(flatten)]
    pub status: ProviderStatus,
    /// Its kind, as configured.
    pub kind: String,
    /// Until when its login is good; `None` where it has none, or that is not known.
    pub login_until: Option<Timestamp>,
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRow {
    /// What is known of it.
    #[serde(flatten)]
    pub status: SecretStatus,
    /// The files that show it, or a key of it: `scope/name`.
    pub files: Vec<String>,
}

/// Who read what, and still runs: the layout of `status --readers --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadersReport {
    /// When this was so.
    pub time: Timestamp,
    /// One for each process, file and version, by file.
    pub readers: Vec<ReaderRow>,
    /// Readings that were forgotten because there were too many: unless it is 0, somebody may be missing here.
    pub forgotten: u64,
}

/// A process that read a version of a file, and still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderRow {
    /// Who read what, and when.
    #[serde(flatten)]
    pub row: Row,
    /// Whether it has that version open at this moment.
    pub open: bool,
    /// The version that an open would give now; `None` where none is known.
    pub current: Option<String>,
    /// Whether it holds an old version: another is the current one, and this one is the last that it opened, or is open still.
    pub stale: bool,
}

/// What came of fetching one secret again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// Its reference, whole, and for whom it is made.
    pub reference: String,
    /// The version that was known before.
    pub before: Option<String>,
    /// The version that is known now; `None` where it could not be fetched.
    pub version: Option<String>,
    /// Why it could not.
    pub error: Option<String>,
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// The reference, whole, and for whom it is made.
    pub reference: String,
    /// Whether anything was known of it.
    pub known: bool,
    /// How many open handles keep the version they were opened with.
    pub held_open: usize,
}

/// A version of what is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSeen {
    /// `scope/name`.
    pub path: String,
    /// The provider's name for the version.
    pub version: String,
    /// When it was seen; of the first, when it was fetched.
    pub time: Timestamp,
}

impl Report {
    /// What is not well: the providers that are left alone, and the secrets that are stale or failed.
    pub fn troubles(&self) -> impl Iterator<Item = Trouble<'_>> {
        let providers = self.providers.iter().filter(|row| row.status.down.is_some()).map(Trouble::Provider);
        let secrets = self.secrets.iter().filter(|row| row.status.is_in_trouble()).map(Trouble::Secret);
        providers.chain(secrets)
    }
}

/// What is not well.
pub enum Trouble<'r> {
    /// A provider that is left alone.
    Provider(&'r ProviderRow),
    /// A secret that is stale or failed.
    Secret(&'r SecretRow),
}
