//! From a grant to a secret: the cache, then one fetch for all who wait, then the fetcher.
//!
//! This folder owns what is remembered and for how long. It is the only user of the fetcher, and it takes a
//! [`Grant`]: without a decision there is no way to a provider.
//!
//! ```text
//!   entry.rs      what is known of one secret, and what a reader gets for it   pure
//!   circuit.rs    whether its provider is asked at all                         pure
//!   memory.rs     all of them (slot.rs, upstream.rs), and what is to be done when
//!   landings.rs   what questions and their answers change in that
//!   flights.rs    one fetch for all who wait (single.rs)
//!   leases.rs     what was lent: renewed, and ended (lent.rs)
//!   listing.rs    the names below a path
//!   keep.rs       what is done though nobody waits: refreshing ahead, forgetting
//!   files.rs      files of this host that values come from: a change of theirs is noticed
//!   orders.rs     what operators have done: refresh, evict, watch
//!   status.rs     what of it is told to operators
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::clock::Moment;
use crate::config::checked::CacheRules;
use crate::fetcher::{Ended, Link};
use crate::policy::{Grant, Purpose};
use crate::reference::Reference;

mod backoff;
mod circuit;
mod entry;
mod files;
mod flights;
mod keep;
mod landings;
mod leases;
mod listing;
mod lent;
mod memory;
mod orders;
#[cfg(test)]
mod model;
mod secret;
mod single;
mod slot;
mod status;
mod upstream;

pub use secret::{ResolveError, Secret};
pub use status::{Kept, ProviderStatus, SecretStatus, Status};

use entry::{Look, State};
use flights::Join;
use memory::Memory;

/// How long a reader waits for a new value while there is one that may be served if need be. A provider that takes longer is
/// as good as one that fails.
const PATIENCE: Duration = Duration::from_secs(2);

/// Finds secrets. Shared by all requests.
pub struct Resolver {
    link: Link,
    memory: Mutex<Memory>,
    deadline: Duration,
    demand: Box<dyn Demand>,
    told: mpsc::UnboundedSender<Told>,
    /// Which logins are over, and with them the leases that hang on them.
    ended: watch::Receiver<Ended>,
    /// There is something to be done earlier than was thought.
    earlier: Notify,
    runtime: Handle,
    /// Where what operators want waits for its turn.
    orders: Arc<Semaphore>,
}

/// A secret that was found.
#[derive(Clone)]
pub struct Found {
    /// It.
    pub secret: Arc<Secret>,
    /// Whether it is served beyond its time because its provider fails.
    pub stale: bool,
}

/// Who wants secrets, reading aside.
pub trait Demand: Send + Sync {
    /// Whether somebody wants it to be fresh: a process lives that read it, or somebody watches it.
    fn wants(&self, whole: &Reference) -> bool;
    /// Whether a process lives that read this version.
    fn holds(&self, whole: &Reference, version: &str) -> bool;
}

/// What happened, for whoever has to tell others.
pub enum Told {
    /// A fetch ended.
    Arrival(Arrival),
    /// A lease was ended before its time.
    Revoked(Revoked),
}

/// A lease that was ended before its time.
pub struct Revoked {
    /// Of what.
    pub reference: Reference,
    /// In which version.
    pub version: String,
    /// Why not, where it could not be ended.
    pub result: Result<(), ResolveError>,
}

/// A fetch that ended, for whoever has to tell others.
pub struct Arrival {
    /// What was asked for.
    pub reference: Reference,
    /// What for.
    pub purpose: Purpose,
    /// The version that was known before.
    pub before: Option<String>,
    /// The version that is known now, or why there is none.
    pub result: Result<String, ResolveError>,
    /// Whether it went otherwise than the time before.
    pub is_news: bool,
    /// How long the provider took; `None` where it was not asked.
    pub took: Option<Duration>,
}

impl Arrival {
    /// The versions before and now, where a value that was known is another one now.
    pub fn change(&self) -> Option<(&str, &str)> {
        let (before, now) = (self.before.as_deref()?, self.result.as_deref().ok()?);
        (before != now).then_some((before, now))
    }
}

impl Resolver {
    /// One that asks over `link`, holds at most `cache_max` bytes and lets a fetch take `deadline`. What happens is told to the
    /// receiver. Must be called in a runtime.
    pub fn new(
        link: Link,
        cache_max: u64,
        deadline: Duration,
        demand: impl Demand + 'static,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Told>) {
        let (told, heard) = mpsc::unbounded_channel();
        let resolver = Self {
            ended: link.ended(),
            link,
            memory: Mutex::new(Memory::new(cache_max)),
            deadline,
            demand: Box::new(demand),
            told,
            earlier: Notify::new(),
            runtime: Handle::current(),
            orders: Self::new_orders(),
        };
        (Arc::new(resolver), heard)
    }

    /// Has these rules hold from now on, each for a whole secret.
    pub fn configure(&self, rules: HashMap<Reference, CacheRules>) {
        self.memory.lock().configure(rules);
        self.earlier.notify_one();
    }

    /// What is known of the secret without asking anybody: it, or why it cannot be had now. `None`: it has to be fetched.
    /// `reference` is to the whole secret ([`Reference::whole`]). Never waits: it looks at the cache, and for a provider that
    /// reads a local file at that file's state.
    pub fn cached(
        self: &Arc<Self>,
        grant: &Grant,
        reference: &Reference,
    ) -> Option<Result<Found, ResolveError>> {
        match self.look(grant, reference) {
            Look::Serve(secret) => Some(Ok(Found { secret, stale: false })),
            Look::ServeStale(secret) => Some(Ok(Found { secret, stale: true })),
            Look::ServeAndRetry(secret) => {
                self.begin_behind(&grant.to_refresh(), reference);
                Some(Ok(Found { secret, stale: true }))
            }
            Look::Fail(why) => Some(Err(why)),
            Look::Fetch(_) => None,
        }
    }

    /// What is known of the secret without asking anybody and whether it is fresh, for attributes that tell about it.
    pub fn known(&self, _grant: &Grant, reference: &Reference) -> Option<(Arc<Secret>, Freshness)> {
        let (secret, span) = {
            let memory = self.memory.lock();
            let State::Held(held) = &memory.slots.peek(reference)?.entry.state else { return None };
            (Arc::clone(&held.value), held.span)
        };
        let freshness = if !self.is_current(reference, &secret) {
            Freshness::Stale { since: SystemTime::now() }
        } else if Moment::now() < span.fresh {
            Freshness::Fresh { until: span.fresh.wall() }
        } else {
            Freshness::Stale { since: span.fresh.wall() }
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
    ) -> Result<Found, E> {
        // A flight that started before the value changed brings the old one; the next brings the new one. Whoever asks
        // after the change must not get the old one, so a stale landing is asked for once more.
        let mut last = ResolveError::TimedOut;
        let mut join = Join::Any;
        for _ in 0..3 {
            let instead = match self.look(grant, reference) {
                Look::Serve(secret) => return Ok(Found { secret, stale: false }),
                Look::ServeStale(secret) | Look::ServeAndRetry(secret) => {
                    return Ok(Found { secret, stale: true });
                }
                Look::Fail(why) => return Err(why.into()),
                Look::Fetch(instead) => instead,
            };
            let landing = self.join(grant, reference, join, &may_ask)?;
            let landed = match instead {
                None => flights::wait(landing).await,
                Some(_) => match tokio::time::timeout(PATIENCE, flights::wait(landing)).await {
                    Ok(landed) => landed,
                    Err(_) => {
                        self.memory.lock().missed(grant, reference);
                        // Looked at again: meanwhile it may have ended, or been found to be gone.
                        match self.look(grant, reference) {
                            Look::Serve(secret) => return Ok(Found { secret, stale: false }),
                            Look::ServeStale(secret)
                            | Look::ServeAndRetry(secret)
                            | Look::Fetch(Some(secret)) => return Ok(Found { secret, stale: true }),
                            Look::Fail(why) => return Err(why.into()),
                            Look::Fetch(None) => continue,
                        }
                    }
                },
            };
            self.memory.lock().missed(grant, reference);
            match landed {
                Ok(secret) if self.is_current(reference, &secret) => {
                    return Ok(Found { secret, stale: false });
                }
                Ok(_) => {}
                // It was for somebody for whom nothing is made.
                Err(why) if why.would_mint() && grant.mints() => join = Join::WhatMints,
                Err(why) => {
                    // What may still be served was kept, and anything else that is known now came from the same failure.
                    if let Look::ServeStale(secret)
                    | Look::ServeAndRetry(secret)
                    | Look::Fetch(Some(secret)) = self.look(grant, reference)
                    {
                        return Ok(Found { secret, stale: true });
                    }
                    last = why;
                    break;
                }
            }
        }
        Err(last.into())
    }

    /// Whether a value that somebody was given may be given again, however young another one is: its provider has not said since
    /// that there is none, or that it is not for us. What was lent may while it is the one that is given out: then it is renewed,
    /// and has not been ended.
    pub fn still_lasts(&self, reference: &Reference, secret: &Arc<Secret>) -> bool {
        let now = Moment::now();
        let (is_held, is_no) = match self.memory.lock().slots.peek(reference).map(|slot| &slot.entry.state) {
            Some(State::Held(held)) => (Arc::ptr_eq(&held.value, secret) && now < held.span.usable, false),
            Some(State::Failed(trouble)) => (false, trouble.why.is_no()),
            Some(State::Unknown) | None => (false, false),
        };
        match secret.lease {
            Some(_) => is_held && self.is_current(reference, secret),
            None => !is_no && secret.expires.is_none_or(|end| now < end),
        }
    }

    /// Forgets everything, wiping it where nobody holds it any more.
    pub fn clear(&self) {
        self.memory.lock().clear();
    }

    /// Forgets the secrets of these providers: they are configured anew. What is being fetched from them is not remembered.
    pub fn forget_providers(&self, names: &[String]) {
        let mut memory = self.memory.lock();
        names.iter().for_each(|name| memory.forget_provider(name));
    }

    /// The fetcher, to configure or close it.
    pub fn link(&self) -> &Link {
        &self.link
    }

    fn look(&self, grant: &Grant, reference: &Reference) -> Look<Arc<Secret>> {
        let look = self.memory.lock().look(grant, reference, true);
        match look {
            // Looked at without the lock: the disk may be slow.
            Look::Serve(secret) if !self.is_current(reference, &secret) => {
                self.memory.lock().look(grant, reference, false)
            }
            look => look,
        }
    }

    /// Whether a value is as it was where it came from, as far as that can be told without a question.
    fn is_current(&self, reference: &Reference, secret: &Secret) -> bool {
        let ended = |lease| self.ended.borrow().has(reference.provider(), lease);
        secret.is_current() && !secret.lease.as_ref().is_some_and(ended)
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
    Stale {
        /// Since when; now, where nobody can tell when it became another.
        since: SystemTime,
    },
}
