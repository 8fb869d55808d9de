//! Files that belong together: a process sees one generation of them, whatever is rotated while it opens one after the other.
//!
//! A generation begins with an open of any file of a `bundle`: what all of them show at that moment is kept for that process. Its
//! next opens of the others give that; to open again what it has opened in this generation begins the next one, as a
//! program does that loads its certificate and key anew.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use super::{Access, Target};
use crate::failure::Failure;
use crate::identity::{By, Identity, ProcessId, Watch, ended};
use crate::policy::{Grant, Purpose};
use crate::reference::Reference;
use crate::resolve::{Found, ResolveError, Secret};

/// How long a generation lasts. Who opens the rest later than that sees what is current then.
const LASTS: Duration = Duration::from_mins(5);

/// Generations that are kept; what was begun longest ago goes first.
const KEPT: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Files of a scope that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// `scope/name`.
    pub name: String,
    /// The whole secrets that its files show, each once.
    pub members: Vec<Reference>,
}

type Key = (ProcessId, String);

/// The generations that processes see.
pub(super) struct Generations(Mutex<LruCache<Key, Generation>>);

struct Generation {
    since: Instant,
    secrets: HashMap<Reference, Arc<Secret>>,
    /// The files that were opened in it.
    opened: HashSet<String>,
}

impl Default for Generations {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Generations {
    /// What the process is to see of a file that it has not opened in its generation yet.
    fn pinned(&self, process: ProcessId, bundle: &Bundle, target: &Target) -> Option<Arc<Secret>> {
        let mut all = self.0.lock();
        let generation = all.get_mut(&(process, bundle.name.clone()))?;
        if generation.since.elapsed() >= LASTS || generation.opened.contains(&target.path) {
            return None;
        }
        let secret = Arc::clone(generation.secrets.get(&target.whole)?);
        generation.opened.insert(target.path.clone());
        Some(secret)
    }

    /// Has a generation begin with the open of `target`.
    fn begin(
        &self,
        process: ProcessId,
        bundle: &Bundle,
        target: &Target,
        secrets: HashMap<Reference, Arc<Secret>>,
    ) {
        let opened = HashSet::from([target.path.clone()]);
        let generation = Generation { since: Instant::now(), secrets, opened };
        self.0.lock().put((process, bundle.name.clone()), generation);
    }

    /// Lets go of those that are over, and of those of processes that have ended.
    pub(super) fn forget_the_ended(&self) {
        let known: Vec<_> = {
            let all = self.0.lock();
            let watch = |process| Watch::of(process, By::StartTime);
            all.iter().map(|(key, generation)| (key.clone(), generation.since, watch(key.0))).collect()
        };
        // Looked at without the lock.
        let ended = ended(known.iter().map(|(_, _, watch)| watch));
        let mut all = self.0.lock();
        for ((key, since, _), ended) in known.iter().zip(ended) {
            // It may be another generation by now.
            let is_that = all.peek(key).is_some_and(|generation| generation.since == *since);
            if is_that && (ended || since.elapsed() >= LASTS) {
                all.pop(key);
            }
        }
    }

    /// Forgets all: what was remembered is not to be given any more.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Access {
    /// What is known of what `target` shows, without asking anybody; `None` where that has to be asked for.
    pub(super) fn known_to(
        &self,
        who: &Identity,
        grant: &Grant,
        target: &Target,
    ) -> Option<Result<Found, ResolveError>> {
        let Some(bundle) = bundled(grant, target) else {
            return self.resolver.cached(grant, &target.whole);
        };
        if let Some(found) = self.pinned(who, bundle, target) {
            return Some(Ok(found));
        }
        let own = self.resolver.cached(grant, &target.whole)?;
        let behind = grant.to_refresh();
        let mut secrets = HashMap::new();
        for member in others(bundle, target) {
            // One that cannot be had is found by itself, by whoever opens a file that shows it.
            if let Ok(found) = self.resolver.cached(&behind, member)? {
                secrets.insert(member.clone(), found.secret);
            }
        }
        self.begin(who, bundle, target, secrets, own.as_ref().ok());
        Some(own)
    }

    /// The same, asking for what is not known: all that belongs together at once.
    pub(super) async fn find(
        &self,
        who: &Identity,
        grant: &Grant,
        target: &Target,
    ) -> Result<Found, Failure> {
        let turns = |of: &Reference| self.turns.of(who.uid, of.provider());
        let may_ask = || self.misses.count(who).map(|()| turns(&target.whole));
        let Some(bundle) = bundled(grant, target) else {
            return self.resolver.fetch(grant, &target.whole, may_ask).await;
        };
        let fetched: Vec<_> = others(bundle, target)
            .map(|member| {
                let (resolver, turns) = (Arc::clone(&self.resolver), turns(member));
                let (behind, member) = (grant.to_refresh(), member.clone());
                tokio::spawn(async move {
                    let may_ask = || Ok::<_, ResolveError>(Arc::clone(&turns));
                    let found = resolver.fetch(&behind, &member, may_ask).await;
                    (member, found)
                })
            })
            .collect();
        let own = self.resolver.fetch(grant, &target.whole, may_ask).await?;
        let mut secrets = HashMap::new();
        for one in fetched {
            if let Ok((member, Ok(found))) = one.await {
                secrets.insert(member, found.secret);
            }
        }
        self.begin(who, bundle, target, secrets, Some(&own));
        Ok(own)
    }

    /// What the process sees in its generation, as long as that may be given.
    fn pinned(&self, who: &Identity, bundle: &Bundle, target: &Target) -> Option<Found> {
        let secret = self.generations.pinned(who.process, bundle, target)?;
        self.resolver.still_lasts(&target.whole, &secret).then_some(Found { secret, stale: false })
    }

    fn begin(
        &self,
        who: &Identity,
        bundle: &Bundle,
        target: &Target,
        mut secrets: HashMap<Reference, Arc<Secret>>,
        own: Option<&Found>,
    ) {
        if let Some(own) = own {
            secrets.insert(target.whole.clone(), Arc::clone(&own.secret));
            self.generations.begin(who.process, bundle, target, secrets);
        }
    }
}

/// The bundle of a file that is opened: a stat begins no generation.
fn bundled<'t>(grant: &Grant, target: &'t Target) -> Option<&'t Bundle> {
    target.bundle.as_deref().filter(|_| grant.purpose() == Purpose::Read)
}

fn others<'t>(bundle: &'t Bundle, target: &'t Target) -> impl Iterator<Item = &'t Reference> {
    bundle.members.iter().filter(|member| **member != target.whole)
}
