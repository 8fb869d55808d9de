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

use super::gather::Gathered;
use super::{Access, Target};
use crate::failure::Failure;
use crate::identity::{By, Identity, ProcessId, Watch, ended};
use crate::policy::{Grant, Purpose};
use crate::reference::Reference;
use crate::resolve::{Found, ResolveError};

/// How long a generation lasts. Who opens the rest later than that sees what is current then.
const LASTS: Duration = Duration::from_mins(5);

/// How long the open of one file waits for what the others show. What takes longer is found by whoever opens it.
const PATIENCE: Duration = Duration::from_secs(2);

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
    secrets: HashMap<Reference, Found>,
    /// The files that were opened in it.
    opened: HashSet<String>,
}

/// How a process stands with a file that it opens.
enum Sees {
    /// It sees this in its generation.
    Pinned(Gathered),
    /// It has a generation, in which this could not be had.
    Lacking,
    /// A generation begins.
    Anew,
}

impl Default for Generations {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Generations {
    /// How the process stands with `target`.
    fn sees(&self, process: ProcessId, bundle: &Bundle, target: &Target) -> Sees {
        let all = self.0.lock();
        match all.peek(&(process, bundle.name.clone())) {
            Some(generation) if generation.is_for(target) => {
                generation.all_of(target).map_or(Sees::Lacking, Sees::Pinned)
            }
            _ => Sees::Anew,
        }
    }

    /// The process is given that of `target`: in its generation, if it has one that began after `asked`, or lacked just this; else
    /// one begins with it. Gives what it is given after all: another thread of it may have begun one meanwhile.
    fn give(
        &self,
        process: ProcessId,
        bundle: &Bundle,
        target: &Target,
        asked: Instant,
        given: Given,
    ) -> Gathered {
        let Given { own, others } = given;
        let mut all = self.0.lock();
        let key = (process, bundle.name.clone());
        if let Some(generation) = all.get_mut(&key)
            && generation.is_for(target)
            && (generation.since >= asked || generation.all_of(target).is_none())
        {
            generation.opened.insert(target.path.clone());
            let one = |(whole, own): (&Reference, _)| {
                generation.secrets.entry(whole.clone()).or_insert(own).clone()
            };
            return target.secrets.iter().zip(own).map(one).collect();
        }
        let mut secrets = others;
        secrets.extend(target.secrets.iter().cloned().zip(own.iter().cloned()));
        let opened = HashSet::from([target.path.clone()]);
        all.put(key, Generation { since: Instant::now(), secrets, opened });
        own
    }

    /// The process is given what it sees of `target` in its generation.
    fn opened(&self, process: ProcessId, bundle: &Bundle, target: &Target) {
        if let Some(generation) = self.0.lock().get_mut(&(process, bundle.name.clone())) {
            generation.opened.insert(target.path.clone());
        }
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

/// What was found of a bundle.
struct Given {
    own: Gathered,
    others: HashMap<Reference, Found>,
}

impl Generation {
    /// Whether the process may see it when it opens `target`.
    fn is_for(&self, target: &Target) -> bool {
        self.since.elapsed() < LASTS && !self.opened.contains(&target.path)
    }

    /// What `target` takes, if it has all of it.
    fn all_of(&self, target: &Target) -> Option<Gathered> {
        target.secrets.iter().map(|whole| self.secrets.get(whole).cloned()).collect()
    }
}

impl Access {
    /// What is known of what `target` shows, without asking anybody; `None` where that has to be asked for.
    pub(super) fn known_to(
        &self,
        who: &Identity,
        grant: &Grant,
        target: &Target,
    ) -> Option<Result<Gathered, ResolveError>> {
        let Some(bundle) = bundled(grant, target) else { return self.cached(grant, &target.secrets) };
        let asked = Instant::now();
        let mut found = HashMap::new();
        match self.generations.sees(who.process, bundle, target) {
            Sees::Pinned(pinned) if self.all_last(target, &pinned) => {
                self.generations.opened(who.process, bundle, target);
                return Some(Ok(pinned));
            }
            Sees::Lacking => {}
            Sees::Pinned(_) | Sees::Anew => {
                let behind = grant.to_refresh();
                for member in others(bundle, target) {
                    // One that cannot be had is found by itself, by whoever opens a file that shows it.
                    if let Ok(one) = self.resolver.cached(&behind, member)? {
                        found.insert(member.clone(), one);
                    }
                }
            }
        }
        let own = self.cached(grant, &target.secrets)?;
        let given = |own| Given { own, others: found };
        Some(own.map(|own| self.generations.give(who.process, bundle, target, asked, given(own))))
    }

    /// The same, asking for what is not known: all that belongs together at once.
    pub(super) async fn find(
        &self,
        who: &Identity,
        grant: &Grant,
        target: &Target,
    ) -> Result<Gathered, Failure> {
        let Some(bundle) = bundled(grant, target) else {
            return self.fetch(who, grant, &target.secrets).await;
        };
        let turns = |of: &Reference| self.turns.of(who.uid, of.provider());
        let asked = Instant::now();
        let lacking = matches!(self.generations.sees(who.process, bundle, target), Sees::Lacking);
        let fetched: Vec<_> = others(bundle, target)
            .filter(|_| !lacking)
            .map(|member| {
                let (resolver, turns) = (Arc::clone(&self.resolver), turns(member));
                let (behind, member) = (grant.to_refresh(), member.clone());
                tokio::spawn(async move {
                    let may_ask = || Ok::<_, ResolveError>(Arc::clone(&turns));
                    let found = tokio::time::timeout(PATIENCE, resolver.fetch(&behind, &member, may_ask));
                    found.await.ok()?.ok().map(|found| (member, found))
                })
            })
            .collect();
        let own = self.fetch(who, grant, &target.secrets).await?;
        let mut others = HashMap::new();
        for one in fetched {
            if let Ok(Some((member, found))) = one.await {
                others.insert(member, found);
            }
        }
        Ok(self.generations.give(who.process, bundle, target, asked, Given { own, others }))
    }

    fn all_last(&self, target: &Target, pinned: &Gathered) -> bool {
        target.secrets.iter().zip(pinned).all(|(whole, one)| self.resolver.still_lasts(whole, &one.secret))
    }
}

/// The bundle of a file that is opened: a stat begins no generation.
fn bundled<'t>(grant: &Grant, target: &'t Target) -> Option<&'t Bundle> {
    target.bundle.as_deref().filter(|_| grant.purpose() == Purpose::Read)
}

fn others<'t>(bundle: &'t Bundle, target: &'t Target) -> impl Iterator<Item = &'t Reference> {
    bundle.members.iter().filter(|member| !target.secrets.contains(member))
}
