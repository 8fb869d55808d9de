//! One store and its key on this host: read, changed under the lock, re-keyed.

use std::path::{Path, PathBuf};

use age::secrecy::SecretString;

use super::file::{self, Lock, Over};
use super::key::{self, KEY_LIMIT, Keys};
use super::seal::{self, FILE_LIMIT, Sealed};
use super::{Document, Stamp, StoreError};

/// Where a store and its key are.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The store.
    pub(crate) path: PathBuf,
    /// Its key file.
    pub(crate) key: PathBuf,
}

/// Gives the passphrase of the key, when it has one.
pub(crate) type Ask<'a> = &'a dyn Fn() -> Result<SecretString, StoreError>;

/// Whether a change is to be written.
#[derive(Debug)]
#[must_use]
pub(crate) enum Change<T> {
    /// Write the document.
    Save(T),
    /// It is as it was.
    Leave(T),
}

impl Site {
    /// The key file that belongs to a store when none is named.
    pub(crate) fn default_key(path: &Path) -> PathBuf {
        path.with_extension("key")
    }

    /// Reads the store. Takes no lock: what is at the path is always whole.
    pub(crate) fn read(&self, ask: Ask<'_>) -> Result<(Document, Stamp), StoreError> {
        self.open(&self.keys(ask)?, ask)
    }

    /// The keys in the key file.
    pub(crate) fn keys(&self, ask: Ask<'_>) -> Result<Keys, StoreError> {
        let (content, _) = file::read(&self.key, "key", KEY_LIMIT)?;
        Keys::read(&content, &self.key, ask)
    }

    /// Reads the store with `keys`; if they do not fit, with those in the file now: they may have been rotated since.
    fn open(&self, keys: &Keys, ask: Ask<'_>) -> Result<(Document, Stamp), StoreError> {
        match self.open_with(keys) {
            Err(StoreError::WrongKey { .. }) => self.open_with(&self.keys(ask)?),
            other => other,
        }
    }

    /// Reads the store with just these keys.
    fn open_with(&self, keys: &Keys) -> Result<(Document, Stamp), StoreError> {
        let (sealed, stamp) = file::read(&self.path, "store", FILE_LIMIT)?;
        let plain = seal::unseal(keys.identities(), &sealed).map_err(|why| match why {
            Sealed::WrongKey => StoreError::WrongKey { store: self.path.clone(), key: self.key.clone() },
            Sealed::Damaged(why) => StoreError::NotAStore { path: self.path.clone(), why },
        })?;
        Ok((Document::parse(&plain, &self.path)?, stamp))
    }

    /// Changes the store: nobody else writes meanwhile, readers go on with the old one.
    pub(crate) fn change<T>(
        &self,
        ask: Ask<'_>,
        change: impl FnOnce(&mut Document) -> Result<Change<T>, StoreError>,
    ) -> Result<T, StoreError> {
        // Before the lock: a passphrase may be typed, and others should not wait for that.
        let keys = self.keys(ask)?;
        let real = self.real()?;
        let _lock = Lock::take(&real.path)?;
        let (mut document, _) = real.open(&keys, ask)?;
        match change(&mut document)? {
            Change::Leave(done) => Ok(done),
            Change::Save(done) => {
                real.save(&document, Over::Old)?;
                Ok(done)
            }
        }
    }

    /// Makes an empty store and its key. The key is first: a store without one could never be opened.
    pub(crate) fn create(&self, keys: &Keys, document: &Document) -> Result<(), StoreError> {
        let _lock = Lock::take(&self.path)?;
        for path in [&self.path, &self.key] {
            if path.symlink_metadata().is_ok() {
                return Err(StoreError::Exists(path.clone()));
            }
        }
        file::put(&self.key, &keys.to_file(&self.key)?, Over::Nothing)?;
        self.save(document, Over::Nothing)
    }

    /// Replaces the key. At every moment the key file on disk opens the store on disk: first the key file holds both
    /// keys, then the store is encrypted to the new one, then the old one goes. Stopped in between, it can be run again.
    ///
    /// Answers the new public key.
    pub(crate) fn rotate(&self, ask: Ask<'_>) -> Result<String, StoreError> {
        let mut keys = self.keys(ask)?;
        let real = self.real()?;
        let _lock = Lock::take(&real.path)?;
        let opened = match real.open_with(&keys) {
            Err(StoreError::WrongKey { .. }) => {
                // Somebody else rotated it while we waited for the lock.
                keys = real.keys(ask)?;
                real.open_with(&keys)
            }
            opened => opened,
        };
        let (mut document, _) = opened?;
        let old = keys.recipients();
        let keys = keys.with_new_first();
        file::put(&real.key, &keys.to_file(&real.key)?, Over::Old)?;
        let new = keys.recipients().into_iter().next().unwrap_or_default();
        document.recipients.retain(|recipient| !old.contains(recipient));
        document.recipients.insert(0, new.clone());
        real.save(&document, Over::Old)?;
        let keys = keys.only_first();
        file::put(&real.key, &keys.to_file(&real.key)?, Over::Old)?;
        Ok(new)
    }

    fn save(&self, document: &Document, over: Over) -> Result<(), StoreError> {
        let recipients =
            document.recipients.iter().map(|text| key::recipient(text)).collect::<Result<Vec<_>, _>>()?;
        let plain = document.to_plain(&self.path)?;
        let sealed = seal::seal(recipients.iter().map(|r| r as &dyn age::Recipient), &plain)
            .map_err(StoreError::io("encrypt", &self.path))?;
        if sealed.len() > FILE_LIMIT {
            return Err(StoreError::TooLarge { what: "the whole store".to_owned(), limit: FILE_LIMIT });
        }
        file::put(&self.path, &sealed, over)
    }

    /// The same with links followed, so that a replacement takes the place of the file and not of a link to it.
    fn real(&self) -> Result<Self, StoreError> {
        let follow = |path: &Path, what| {
            std::fs::canonicalize(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => StoreError::Missing { what, path: path.to_owned() },
                _ => StoreError::io("open", path)(error),
            })
        };
        Ok(Self { path: follow(&self.path, "store")?, key: follow(&self.key, "key")? })
    }
}

/// Writes a key of its own to a new file: a recovery key.
pub(crate) fn write_key(path: &Path, keys: &Keys) -> Result<(), StoreError> {
    file::put(path, &keys.to_file(path)?, Over::Nothing)
}

/// Checks a public key.
pub(crate) fn check_recipient(text: &str) -> Result<(), StoreError> {
    key::recipient(text).map(drop)
}
