//! From a grant to a secret: the cache, then one fetch for all who wait, then the fetcher.
//!
//! This folder owns what is remembered and for how long. It is the only user of the fetcher, and it takes a
//! [`Grant`]: without a decision there is no way to a provider.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::bounded::Bounded;
use crate::fetcher::Link;
use crate::policy::Grant;
use crate::providers::{Fetched, Mint, ProviderError, Stamp};
use crate::reference::Reference;
use crate::secret::SecretBytes;

/// A secret as it was fetched: the whole of it.
pub struct Secret {
    /// Its bytes.
    pub bytes: SecretBytes,
    /// The provider's name for this version.
    pub version: String,
    /// When the provider made this version.
    pub created: SystemTime,
    /// When it was fetched.
    pub fetched: SystemTime,
    /// Until when it holds, where the provider says so.
    pub expires: Option<SystemTime>,
    /// What its owner noted beside it, which is no secret.
    pub notes: BTreeMap<String, String>,
    stamp: Option<Stamp>,
    since: std::time::Instant,
}

impl Secret {
    /// What was fetched for somebody who asked at `since`.
    pub fn new(fetched: Fetched, since: std::time::Instant) -> Self {
        Self {
            bytes: fetched.bytes,
            version: fetched.version,
            created: fetched.created,
            fetched: SystemTime::now(),
            expires: fetched.expires,
            notes: fetched.notes,
            stamp: fetched.stamp,
            since,
        }
    }

    /// Whether the local file it came from, if it did, is as it was.
    fn is_current(&self) -> bool {
        self.stamp.as_ref().is_none_or(Stamp::still_holds)
    }
}

#[cfg(test)]
impl Secret {
    /// A secret that no provider gave.
    pub(crate) fn made_up(bytes: &[u8], version: &str) -> Arc<Self> {
        Arc::new(Self {
            bytes: SecretBytes::copy_from(bytes),
            version: version.to_owned(),
            created: SystemTime::UNIX_EPOCH,
            fetched: SystemTime::UNIX_EPOCH,
            expires: None,
            notes: BTreeMap::new(),
            stamp: None,
            since: std::time::Instant::now(),
        })
    }
}

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The provider says so.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider did not answer in time.
    #[error("the provider did not answer in time")]
    TimedOut,
}

type Landed = Option<Result<Arc<Secret>, ResolveError>>;

/// Finds secrets. Shared by all requests.
pub struct Resolver {
    link: Link,
    cache: Mutex<Bounded<Reference, Arc<Secret>>>,
    flights: Mutex<HashMap<Reference, watch::Receiver<Landed>>>,
    fresh_for: Duration,
    deadline: Duration,
}

impl Resolver {
    /// One that asks over `link`, holds at most `cache_max` bytes, serves a value for `fresh_for` before it asks again, and
    /// lets a fetch take `deadline`.
    pub fn new(link: Link, cache_max: u64, fresh_for: Duration, deadline: Duration) -> Arc<Self> {
        Arc::new(Self {
            link,
            cache: Mutex::new(Bounded::new(cache_max)),
            flights: Mutex::new(HashMap::new()),
            fresh_for,
            deadline,
        })
    }

    /// The secret, if it is known and fresh. `reference` is to the whole secret ([`Reference::whole`]). Never waits: it
    /// looks at the cache, and for a provider that reads a local file at that file's state.
    pub fn cached(&self, _grant: &Grant, reference: &Reference) -> Option<Arc<Secret>> {
        let secret = self.cache.lock().get(reference)?;
        self.is_fresh(&secret).then_some(secret)
    }

    /// What is known of the secret without asking anybody and whether it is fresh, for attributes that tell about it.
    pub fn known(&self, _grant: &Grant, reference: &Reference) -> Option<(Arc<Secret>, Freshness)> {
        let secret = self.cache.lock().peek(reference)?;
        let freshness = if self.is_fresh(&secret) {
            let until = secret.fetched.checked_add(self.fresh_for).unwrap_or(secret.fetched);
            Freshness::Fresh { until: secret.expires.map_or(until, |expires| expires.min(until)) }
        } else {
            Freshness::Stale
        };
        Some((secret, freshness))
    }

    /// The secret, fetched if need be. All who ask for the same wait for one fetch. `may_ask` is asked before one is started,
    /// and only then: who is answered from memory or joins a fetch that is under way makes no provider be asked. What it gives
    /// is where the fetch waits for its turn.
    ///
    /// # Errors
    /// As the provider or `may_ask` answers, or [`ResolveError::TimedOut`].
    pub async fn fetch<E: From<ResolveError>>(
        self: &Arc<Self>,
        grant: &Grant,
        reference: &Reference,
        may_ask: impl Fn() -> Result<Arc<Semaphore>, E>,
    ) -> Result<Arc<Secret>, E> {
        // A flight that started before the value changed brings the old one; the next brings the new one. Whoever asks
        // after the change must not get the old one, so a stale landing is asked for once more.
        for _ in 0..2 {
            if let Some(secret) = self.cached(grant, reference) {
                return Ok(secret);
            }
            let secret = self.join_flight(reference, &may_ask).await?;
            if secret.is_current() {
                return Ok(secret);
            }
        }
        self.join_flight(reference, &may_ask).await
    }

    /// Forgets everything, wiping it where nobody holds it any more.
    pub fn clear(&self) {
        self.cache.lock().clear();
    }

    /// Forgets the secrets of these providers: they are configured anew. What is being fetched from them is not remembered.
    pub fn forget_providers(&self, names: &[String]) {
        let stays = |reference: &Reference| !names.iter().any(|name| name == reference.provider());
        let mut flights = self.flights.lock();
        flights.retain(|reference, _| stays(reference));
        self.cache.lock().retain(stays);
    }

    /// The fetcher, to configure or close it.
    pub fn link(&self) -> &Link {
        &self.link
    }

    fn is_fresh(&self, secret: &Secret) -> bool {
        secret.since.elapsed() < self.fresh_for
            && secret.expires.is_none_or(|expires| SystemTime::now() < expires)
            && secret.is_current()
    }

    async fn join_flight<E: From<ResolveError>>(
        self: &Arc<Self>,
        reference: &Reference,
        may_ask: impl Fn() -> Result<Arc<Semaphore>, E>,
    ) -> Result<Arc<Secret>, E> {
        let mut landing = {
            let mut flights = self.flights.lock();
            match flights.get(reference) {
                // One that has ended without landing (its task panicked) is none.
                Some(flight) if flight.has_changed().is_ok() => flight.clone(),
                _ => {
                    let turns = may_ask()?;
                    let (sender, flight) = watch::channel(None);
                    flights.insert(reference.clone(), flight.clone());
                    // A task of its own: it goes on when the one that asked first gives up.
                    tokio::spawn(Arc::clone(self).fly(reference.clone(), turns, sender));
                    flight
                }
            }
        };
        let landed = landing.wait_for(Option::is_some).await;
        Ok(landed.ok().and_then(|landed| landed.clone()).unwrap_or(Err(ResolveError::TimedOut))?)
    }

    async fn fly(
        self: Arc<Self>,
        reference: Reference,
        turns: Arc<Semaphore>,
        landing: watch::Sender<Landed>,
    ) {
        let fetch = async {
            // Never closed, so this always is a turn.
            let _turn = turns.acquire().await;
            let since = std::time::Instant::now();
            self.link.fetch(&reference, Mint::Allowed).await.map(|fetched| (fetched, since))
        };
        let result = match tokio::time::timeout(self.deadline, fetch).await {
            Err(_) => Err(ResolveError::TimedOut),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok((fetched, since))) => Ok(Arc::new(Secret::new(fetched, since))),
        };
        let mut flights = self.flights.lock();
        // One that was called off asked the provider as it was before: its answer is for those who asked then.
        if flights.get(&reference).is_some_and(|flight| flight.same_channel(&landing.subscribe())) {
            flights.remove(&reference);
            if let Ok(secret) = &result {
                self.cache.lock().put(reference, Arc::clone(secret), secret.bytes.len() as u64);
            }
        }
        landing.send_replace(Some(result));
    }
}

/// Whether a known value would be served without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It would, until then at the latest.
    Fresh {
        /// When it will be asked for again.
        until: SystemTime,
    },
    /// It would not.
    Stale,
}
