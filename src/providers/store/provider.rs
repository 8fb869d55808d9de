//! Fetches from the store: decrypts when the file changed, answers from memory when it did not.

use std::path::PathBuf;
use std::sync::Arc;

use age::secrecy::SecretString;
use parking_lot::Mutex;

use super::snapshot::Snapshot;
use super::{Fetched, Listing, Mint, Provider, ProviderError, Site, StoreError, file, passphrase_from};
use crate::reference::Reference;
use crate::sys::stack;

/// The opened provider. Nothing is read before the first fetch: a host whose store is missing still mounts.
pub(super) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    site: Site,
    passphrase: Option<PathBuf>,
    /// Held while the file is decrypted, so that many fetches decrypt it once.
    snapshot: Mutex<Option<Snapshot>>,
}

impl Store {
    /// A store at `site`, with the file that holds the passphrase of its key if it has one.
    pub(super) fn new(site: Site, passphrase: Option<PathBuf>) -> Self {
        Self { inner: Arc::new(Inner { site, passphrase, snapshot: Mutex::new(None) }) }
    }
}

#[async_trait::async_trait]
impl Provider for Store {
    async fn fetch(&self, reference: &Reference, _: Mint) -> Result<Fetched, ProviderError> {
        let (name, version) = (reference.path().to_owned(), reference.version().map(str::to_owned));
        self.ask(move |snapshot| snapshot.value(&name, version.as_deref())).await
    }

    async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let (mut listing, under) = (Listing::new(under, depth)?, under.path().to_owned());
        let gathered = self.ask(move |snapshot| {
            Ok(snapshot.below(&under).try_for_each(|name| listing.add(name)).map(|()| listing))
        });
        gathered.await??.found()
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        self.ask(|_| Ok(())).await
    }
}

impl Store {
    /// What `question` makes of the store as it is now.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || inner.ask(question)).await {
            Ok(answer) => answer.map_err(ProviderError::from),
            Err(_) => Err(ProviderError::unavailable("the fetch from the store was cancelled")),
        }
    }
}

impl Inner {
    fn ask<T>(&self, question: impl FnOnce(&Snapshot) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut snapshot = self.snapshot.lock();
        let now = file::stamp_at(&self.site.path).ok();
        if let (Some(kept), Some(now)) = (snapshot.as_ref(), &now)
            && kept.is_of(now)
        {
            return question(kept);
        }
        // What an older file held is not an answer any more, even if the new one cannot be opened.
        *snapshot = None;
        let fresh = stack::wiped_after(|| {
            let (document, stamp) = self.site.read(&|| self.passphrase())?;
            Snapshot::new(&document, stamp)
        })?;
        let answer = question(&fresh);
        *snapshot = Some(fresh);
        answer
    }

    fn passphrase(&self) -> Result<SecretString, StoreError> {
        match &self.passphrase {
            Some(path) => passphrase_from(path),
            None => Err(StoreError::NoPassphrase(self.site.key.clone())),
        }
    }
}
