//! Directories of which the files are what a provider has: which files there are.
//!
//! This folder owns the lists: when one is asked for, what is known of it, and what it makes of a scope. A list is asked for when
//! somebody looks into the directory, and again while somebody does. Who may open a file is not decided here.
//!
//! ```text
//!   names.rs     what the provider calls something --> a file's name, and back
//!   listed.rs    what the provider has --> files
//!   listing.rs   one directory: what is known, and when it is asked for again
//! ```

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::access::Access;
use crate::clock::Moment;
use crate::config::checked::{Dir, DirOf, Scope};
use crate::format;
use crate::policy::Grant;
use crate::reference::Reference;
use crate::resolve::{ResolveError, Resolver};

mod listed;
mod listing;
mod names;

pub use listed::Listed;
pub use listing::{Listing, Seen};
pub use names::Unfit;

/// Lists that are asked for at once. More wait.
const AT_ONCE: usize = 8;

/// How long it is waited for a list that is being asked for already.
const MEANWHILE: Duration = Duration::from_millis(100);

/// Has the files of directories found anew in the tree.
type Apply = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// The lists of all directories.
pub struct Listings {
    access: Arc<Access>,
    resolver: Arc<Resolver>,
    runtime: Handle,
    by_path: Mutex<HashMap<String, Arc<Listing>>>,
    turns: tokio::sync::Semaphore,
    apply: OnceLock<Box<Apply>>,
}

impl Listings {
    /// None yet. Must be called in a runtime.
    pub fn new(access: Arc<Access>, resolver: Arc<Resolver>) -> Arc<Self> {
        Arc::new(Self {
            access,
            resolver,
            runtime: Handle::current(),
            by_path: Mutex::default(),
            turns: tokio::sync::Semaphore::new(AT_ONCE),
            apply: OnceLock::new(),
        })
    }

    /// Has `apply` called, and waits for it, whenever a directory has other files than before.
    pub fn when_changed(&self, apply: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        let _ = self.apply.set(Box::new(apply));
    }

    /// Has the directories of these scopes from now on, and no others. What is known of those that are the same is kept.
    pub fn configure(self: &Arc<Self>, scopes: &[Arc<Scope>]) {
        let mut new = HashMap::new();
        {
            let mut by_path = self.by_path.lock();
            for (path, dir) in scopes.iter().flat_map(|scope| dirs(scope)) {
                let known = by_path.get(&path).filter(|known| known.dir == *dir).cloned();
                let listing = known.unwrap_or_else(|| Arc::new(Listing::new(path.clone(), Arc::clone(dir))));
                new.insert(path, listing);
            }
            *by_path = new.clone();
        }
        for listing in new.into_values().filter(|listing| listing.rules().prefetch) {
            if listing.known().is_none() && listing.begin() {
                self.ask(listing);
            }
        }
    }

    /// The directory at a path below the mount.
    pub fn at(&self, path: &str) -> Option<Arc<Listing>> {
        self.by_path.lock().get(path).cloned()
    }

    /// The scope with the files that its directories are known to have.
    pub fn filled(&self, scope: &Arc<Scope>) -> Arc<Scope> {
        let known: Vec<_> = dirs(scope)
            .filter_map(|(path, dir)| Some((dir, self.at(&path)?.known()?)))
            .filter(|(_, listed)| !listed.files.is_empty())
            .collect();
        if known.is_empty() {
            return Arc::clone(scope);
        }
        let mut filled = Scope::clone(scope);
        for (dir, listed) in known {
            // The keys of one secret belong together.
            if dir.of == DirOf::Keys {
                let names = listed.files.iter().map(|file| file.name.clone()).collect();
                filled.bundles.insert(format!("{}/", dir.like.name), names);
            }
            filled.files.extend(listed.files.iter().cloned());
        }
        filled.files.sort_by(|a, b| a.name.cmp(&b.name));
        Arc::new(filled)
    }

    /// How a directory stands for somebody who looks into it; `missed` is whether he looked for something that it does not have.
    /// Never waits.
    pub fn look(self: &Arc<Self>, listing: &Arc<Listing>, missed: bool) -> Seen {
        let (seen, asks) = listing.look(missed);
        if asks {
            self.ask(Arc::clone(listing));
        }
        seen
    }

    /// A secret has another version: the directories of its keys may have other files.
    pub fn changed(self: &Arc<Self>, whole: &Reference) {
        let of: Vec<_> = self.by_path.lock().values().cloned().collect();
        for listing in of {
            let is_of = listing.dir.of == DirOf::Keys && listing.dir.like.shows.secrets().contains(whole);
            if is_of && listing.known().is_some() && listing.begin() {
                self.ask(listing);
            }
        }
    }

    /// Asks for a list now, and again for as long as somebody looks into the directory.
    fn ask(self: &Arc<Self>, listing: Arc<Listing>) {
        let listings = Arc::clone(self);
        self.runtime.spawn(async move {
            listings.ask_once(&listing).await;
            let Some(_kept) = listing.keep() else { return };
            while let Some(next) = listing.next().filter(|_| listings.is_in_force(&listing)) {
                let now = Moment::now();
                if next > now {
                    tokio::time::sleep(next.since(now)).await;
                } else if listing.begin() {
                    listings.ask_once(&listing).await;
                } else {
                    // Somebody's look has it asked for already: that has to get its turn.
                    tokio::time::sleep(MEANWHILE).await;
                }
            }
        });
    }

    async fn ask_once(&self, listing: &Listing) {
        let since = Instant::now();
        // Never closed, so this always is a turn.
        let turn = self.turns.acquire().await;
        let found = self.find_out(&listing.dir).await;
        drop(turn);
        let failure = found.as_ref().err().cloned();
        let came = listing.came(found.map(|names| Listed::of(&listing.dir, names)));
        // What a secret came to is on record with the secret.
        if came.is_news
            && let Some(under) = listing.dir.like.shows.secrets().first()
            && matches!(listing.dir.of, DirOf::Secrets { .. })
        {
            self.access.put_list_on_record(under, since.elapsed(), failure.map_or(Ok(()), Err));
        }
        if came.is_other
            && let Some(apply) = self.apply.get()
        {
            apply().await;
        }
        // Not sooner: who waits looks at the tree.
        listing.tell();
    }

    /// What the provider has.
    async fn find_out(&self, dir: &Dir) -> Result<Vec<String>, ResolveError> {
        let Some(of) = dir.like.shows.secrets().first() else { return Ok(Vec::new()) };
        let grant = Grant::to_list();
        match dir.of {
            DirOf::Secrets { depth } => self.resolver.list(&grant, of, depth).await,
            DirOf::Keys => {
                let turn = || Ok::<_, ResolveError>(Arc::new(tokio::sync::Semaphore::new(1)));
                let found = self.resolver.fetch(&grant, of, turn).await?;
                format::keys(&found.secret.bytes).map_err(|why| ResolveError::not_named(&why))
            }
        }
    }

    fn is_in_force(&self, listing: &Arc<Listing>) -> bool {
        self.at(&listing.path).is_some_and(|now| Arc::ptr_eq(&now, listing))
    }
}

/// The directories of a scope, by their paths below the mount.
fn dirs(scope: &Scope) -> impl Iterator<Item = (String, &Arc<Dir>)> {
    scope.dirs.iter().map(|dir| (format!("{}/{}", scope.name, dir.like.name), dir))
}
