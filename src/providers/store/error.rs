//! Why the store cannot do what was asked, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::ProviderError;

/// Grouped by who must act: whoever named something, the operator, or nobody (it passes). No text carries content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Whoever wrote the name.
    #[error("the store has no secret `{0}`")]
    NoSecret(String),
    /// Whoever pinned the version.
    #[error("the store has no version `{version}` of `{name}`")]
    NoVersion { name: String, version: String },
    /// Whoever wrote the key.
    #[error("`{name}` has no value named `{key}`")]
    NoKey { name: String, key: String },
    /// Whoever wrote the name.
    #[error("not a name: {0}")]
    BadName(String),
    /// Whoever gave the value.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: String, limit: usize },
    /// Whoever asked: what is there does not fit what was asked.
    #[error("{message}")]
    Unfit { message: String, hint: String },
    /// The operator: another key is needed.
    #[error("the key {} does not open the store {}", .key.display(), .store.display())]
    WrongKey { store: PathBuf, key: PathBuf },
    /// The operator.
    #[error("the passphrase does not open the key {}", .0.display())]
    WrongPassphrase(PathBuf),
    /// The operator.
    #[error("the key {} is under a passphrase, and none was given", .0.display())]
    NoPassphrase(PathBuf),
    /// The operator: the file is damaged or is something else.
    #[error("{} is not a whole store: {why}", .path.display())]
    NotAStore { path: PathBuf, why: &'static str },
    /// The operator.
    #[error("{} is not a key: {why}", .path.display())]
    NotAKey { path: PathBuf, why: &'static str },
    /// The operator: a newer hushfs wrote it.
    #[error("{} has layout {layout}, which this hushfs does not know", .path.display())]
    NewerLayout { path: PathBuf, layout: u32 },
    /// The operator.
    #[error("there is no {what} at {}", .path.display())]
    Missing { what: &'static str, path: PathBuf },
    /// The operator: nothing is ever overwritten by `init`.
    #[error("{} is already there", .0.display())]
    Exists(PathBuf),
    /// The operator.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// Nobody: another writer is at work.
    #[error("another hushfs{} is writing to {}", holder_text(.holder), .path.display())]
    Busy { path: PathBuf, holder: Option<u32> },
}

fn holder_text(holder: &Option<u32>) -> String {
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl StoreError {
    /// An operation on a file that failed.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSecret(_) => "`hushfs store list` shows what there is".to_owned(),
            Self::NoVersion { name, .. } => format!("`hushfs store list --history {name}` shows what is kept"),
            Self::NoKey { name, .. } => format!("`hushfs store list --history {name}` shows its keys"),
            Self::BadName(_) => "names look like `app/db` or, for one value, `app/db#password`".to_owned(),
            Self::TooLarge { .. } => "the store is for credentials; keep large files elsewhere, encrypted under one".to_owned(),
            Self::Unfit { hint, .. } => hint.clone(),
            Self::WrongKey { .. } => {
                "name the key this store was made with, or a recovery key (a rotated key opens only older backups)".to_owned()
            }
            Self::WrongPassphrase(_) => "try again, or use a recovery key".to_owned(),
            Self::NoPassphrase(_) => {
                "set `passphrase_credential` or `passphrase_file`; on the command line use a terminal or --passphrase-file".to_owned()
            }
            Self::NotAStore { .. } => "restore the file from a backup; see docs/store.md".to_owned(),
            Self::NotAKey { .. } => {
                "a key file is lines of `AGE-SECRET-KEY-1…` and comments, or the same in age's binary form under a passphrase".to_owned()
            }
            Self::NewerLayout { .. } => "use the hushfs that wrote it, or a newer one".to_owned(),
            Self::Missing { what: "store", .. } => "`hushfs store init` makes one; --store names another place".to_owned(),
            Self::Missing { .. } => "name the right file, restore it from a backup, or make a new store: `hushfs store init`".to_owned(),
            Self::Exists(_) => "move it away, or name another place".to_owned(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "only the owner of the store may use it: run this as that user".to_owned()
            }
            Self::Io { .. } => return None,
            Self::Busy { .. } => "wait for it, then try again".to_owned(),
        })
    }
}

impl From<StoreError> for ProviderError {
    fn from(error: StoreError) -> Self {
        let text = match error.hint() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        };
        match error {
            StoreError::NoSecret(_) | StoreError::NoVersion { .. } | StoreError::NoKey { .. } => {
                Self::NotFound(text)
            }
            StoreError::WrongKey { .. } | StoreError::WrongPassphrase(_) => Self::Refused(text),
            StoreError::NotAStore { .. } => Self::Malformed(text),
            StoreError::Busy { .. } => Self::unavailable(text),
            StoreError::Io { ref source, .. } if source.kind() != io::ErrorKind::PermissionDenied => {
                Self::unavailable(text)
            }
            StoreError::NoPassphrase(_)
            | StoreError::NotAKey { .. }
            | StoreError::NewerLayout { .. }
            | StoreError::Missing { .. }
            | StoreError::Exists(_)
            | StoreError::BadName(_)
            | StoreError::TooLarge { .. }
            | StoreError::Unfit { .. }
            | StoreError::Io { .. } => Self::Misconfigured(text),
        }
    }
}
