//! The whole way of one open, from top to bottom. Read this file first.
//!
//! [`Access::open`] is the way: who is asking, may they, is the value known, and what goes on record. What is known is
//! answered on the thread that asked ([`Answer::Now`]); what has to be fetched, or looked into, is answered later
//! ([`Answer::Later`]), so that one slow secret or caller holds up nobody else.
//!
//! ```text
//!  open, read, reopen      one attempt, one record (attempt.rs)
//!    |-- who, and may they (deciding.rs)   --> a grant
//!    |-- room and rate     (waiting.rs, misses.rs, turns.rs)
//!    |-- the values        resolve/, all that the file takes (gather.rs); render/; of files that belong together, one generation (generations.rs)
//!    '-- counted           (spent.rs), and told to the inventory of readers/
//!  size                    what stat tells (size.rs)
//! ```

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::watch;

use crate::audit::Audit;
use crate::audit::record::{Op, Record};
use crate::config::checked::{File, Limits, Scope};
use crate::failure::Failure;
use crate::identity::{Attestor, Caller, Evidence, Identity, ProcessId, Tid};
use crate::metrics::Metrics;
use crate::policy::{Grant, Purpose};
use crate::readers::{Opening, Readers};
use crate::reference::Reference;
use crate::render::{Content, Renderer};
use crate::resolve::{Freshness, Resolver, Secret};

mod attempt;
mod behind;
mod bursts;
mod deciding;
mod gather;
mod generations;
mod misses;
mod operators;
mod pauses;
mod size;
mod spent;
mod turns;
mod waiting;

pub use attempt::Act;
pub use generations::Bundle;

use attempt::{Attempt, Given, Requests};
use deciding::{Rejected, Standing};
use gather::Gathered;
use generations::Generations;
use misses::Misses;
use pauses::Pauses;
use spent::Spent;
use turns::Turns;
use waiting::Waiting;

/// What is asked for: a file of a scope.
pub struct Target {
    /// The scope with its rules.
    pub scope: Arc<Scope>,
    /// The file.
    pub file: Arc<File>,
    /// `scope/name`, for the record.
    pub path: String,
    /// The whole secrets that are asked for: those that the file shows, or these in the version that a handle has.
    pub secrets: Vec<Reference>,
    /// What belongs together with it.
    pub bundle: Option<Arc<Bundle>>,
}

/// An answer that is there, or one to wait for.
pub enum Answer<T, E = Failure> {
    /// There.
    Now(Result<T, E>),
    /// To be waited for, off the thread that asked. Bounded in time.
    Later(Pin<Box<dyn Future<Output = Result<T, E>> + Send>>),
}

impl<T: 'static, E: 'static> Answer<T, E> {
    /// What `next` makes of it, once it is there.
    pub fn then<U, F>(
        self,
        next: impl FnOnce(Result<T, E>) -> Result<U, F> + Send + 'static,
    ) -> Answer<U, F> {
        match self {
            Self::Now(result) => Answer::Now(next(result)),
            Self::Later(result) => Answer::Later(Box::pin(async move { next(result.await) })),
        }
    }
}

type Find = Box<dyn Fn(&str) -> Option<Arc<Target>> + Send + Sync>;

/// A secret that is known, and whether it is fresh.
pub type Known = (Arc<Secret>, Freshness);

/// What an open gives: the bytes, and who was proven to ask for them.
pub type Opened = (Arc<Content>, Arc<Identity>);

/// Decides and answers. Shared by all requests.
pub struct Access {
    attestor: Arc<Attestor>,
    resolver: Arc<Resolver>,
    renderer: Renderer,
    audit: Audit,
    readers: Arc<Readers>,
    limits: Limits,
    requests: Requests,
    pauses: Pauses,
    waiting: Waiting,
    misses: Misses,
    spent: Spent,
    generations: Generations,
    /// Finds a file by its path, as it is configured at that time.
    find: OnceLock<Find>,
    turns: Turns,
    closing: watch::Sender<bool>,
}

impl Access {
    /// Opens `target` for `caller`: the way of every read. `room` says whether there is a handle to be had: asked for before,
    /// so that nothing is on record as allowed that is then not given.
    pub fn open(
        self: &Arc<Self>,
        caller: Caller,
        target: &Arc<Target>,
        room: Result<(), Failure>,
    ) -> Answer<Opened> {
        let attempt = self.requests.begin(Op::Open, caller, target);
        self.obtain(attempt, caller, target, Purpose::Read, self.limits.deadline, room)
    }

    /// Whether a descriptor of `target` `knows` the caller: it opened it, or was let in before, and is the same program still.
    pub fn is_known(&self, caller: Caller, target: &Target, knows: impl Fn(&Arc<Identity>) -> bool) -> bool {
        self.identify(caller, target).is_ok_and(|who| knows(&who))
    }

    /// Lets go of what is remembered of callers that have ended. For now and then.
    pub fn forget_the_ended(&self) {
        self.attestor.forget_the_ended();
        self.readers.forget_the_ended();
        self.generations.forget_the_ended();
    }

    /// Lets somebody read through a descriptor that another process opened, who inherited it or was passed it: decided, and
    /// put on record. `content` is what the descriptor holds.
    pub fn read(
        self: &Arc<Self>,
        caller: Caller,
        target: &Arc<Target>,
        content: &Arc<Content>,
    ) -> Answer<Arc<Identity>> {
        let attempt = self.requests.begin(Op::Read, caller, target);
        let (access, content) = (Arc::clone(self), Arc::clone(content));
        self.decide(caller, target, Purpose::Read).then(move |decided| match decided {
            Ok((who, grant)) => {
                let given = Given { version: content.version(), stale: false };
                access.let_in(attempt, &who, &grant, &content, given).map(|()| who)
            }
            Err(rejected) => Err(attempt.rejected(&access.audit, rejected)),
        })
    }

    /// As [`Access::read`] for a file that is no longer configured: there is no rule that could let anybody else in.
    pub fn read_removed(&self, caller: Caller, target: &Arc<Target>) -> Failure {
        let who = self.attestor.identify(caller).ok();
        self.requests.begin(Op::Read, caller, target).failed(
            &self.audit,
            who.as_deref(),
            Failure::Unconfigured,
        )
    }

    /// Finds the very version that a handle was opened with, after its bytes were lost with an earlier process.
    pub fn reopen(self: &Arc<Self>, caller: Caller, target: &Arc<Target>, version: &str) -> Answer<Opened> {
        let attempt = self.requests.begin(Op::Read, caller, target);
        // What a template shows is made again of what is current, and is another version unless all of that is the same.
        let is_template = target.file.shows.is_template();
        let pinned = |of: &Reference| if is_template { of.clone() } else { of.at_version(version) };
        let pinned = Arc::new(Target {
            scope: Arc::clone(&target.scope),
            file: Arc::clone(&target.file),
            path: target.path.clone(),
            secrets: target.secrets.iter().map(pinned).collect(),
            bundle: None,
        });
        let version = version.to_owned();
        self.obtain(attempt, caller, &pinned, Purpose::Read, self.limits.deadline, Ok(())).then(
            move |result| match result.map_err(gone)? {
                (content, _) if is_template && content.version() != version => Err(Failure::VersionGone),
                opened => Ok(opened),
            },
        )
    }

    /// What is known of all of the target's secrets, without asking a provider, for a caller that may read it.
    pub fn known(self: &Arc<Self>, caller: Caller, target: &Arc<Target>) -> Answer<Option<Vec<Known>>> {
        let (access, of) = (Arc::clone(self), Arc::clone(target));
        self.decide(caller, target, Purpose::Stat).then(move |decided| match decided {
            Ok((_, grant)) => Ok(of.secrets.iter().map(|one| access.resolver.known(&grant, one)).collect()),
            Err((failure, _)) => Err(failure),
        })
    }

    /// The one way to a secret's bytes: decide, find, render, record.
    fn obtain(
        self: &Arc<Self>,
        attempt: Attempt,
        caller: Caller,
        target: &Arc<Target>,
        purpose: Purpose,
        wait: Duration,
        room: Result<(), Failure>,
    ) -> Answer<Opened> {
        let who = match (self.standing(caller, target, purpose, &mut Evidence::default()), room.clone()) {
            (Standing::Rejected(rejected), _) => {
                return Answer::Now(Err(attempt.rejected(&self.audit, rejected)));
            }
            (Standing::Admitted((who, _)), Err(full)) => {
                return Answer::Now(Err(attempt.failed(&self.audit, Some(&who), full)));
            }
            (Standing::Admitted((who, grant)), Ok(())) => match self.known_to(&who, &grant, target) {
                Some(found) => {
                    let found = found.map_err(Failure::from);
                    return Answer::Now(self.finish(attempt, target, who, &grant, found));
                }
                None => who,
            },
            (Standing::Unsure(who, _), _) => who,
        };
        if self.audit.ready().is_err() {
            return Answer::Now(Err(attempt.failed(&self.audit, Some(&who), Failure::NotOnRecord)));
        }
        let place = match self.waiting.enter(&who) {
            Ok(place) => place,
            Err(full) => return Answer::Now(Err(attempt.failed(&self.audit, Some(&who), full))),
        };
        let (access, target) = (Arc::clone(self), Arc::clone(target));
        Answer::Later(Box::pin(async move {
            let _place = place;
            match access.obtain_later(caller, &target, purpose, wait, room).await {
                Ok((who, grant, found)) => access.finish(attempt, &target, who, &grant, Ok(found)),
                Err(rejected) => Err(attempt.rejected(&access.audit, rejected)),
            }
        }))
    }

    /// As [`Access::obtain`], where something has to be waited for.
    async fn obtain_later(
        &self,
        caller: Caller,
        target: &Target,
        purpose: Purpose,
        wait: Duration,
        room: Result<(), Failure>,
    ) -> Result<(Arc<Identity>, Grant, Gathered), Rejected> {
        let (who, grant) = self.settle(caller, target, purpose).await?;
        if let Err(full) = room {
            return Err((full, Some(who)));
        }
        match self.known_to(&who, &grant, target) {
            Some(Ok(found)) => return Ok((who, grant, found)),
            Some(Err(why)) => return Err((why.into(), Some(who))),
            None => {}
        }
        let fetched = self.wait(caller.tid, &who, wait, &grant, target).await;
        // The wait may have been long: who asks and what they may are looked at again, last before the reply, and by the rules
        // that are in force then.
        let Some(now) = self.in_force(target) else { return Err((Failure::Unconfigured, Some(who))) };
        let (who, grant) = self.settle(caller, now.as_deref().unwrap_or(target), purpose).await?;
        match fetched {
            Ok(found) => Ok((who, grant, found)),
            Err(failure) => Err((failure, Some(who))),
        }
    }

    /// The file as it is configured now, if it was looked up for who is waited for; the outer `None` where it is gone, or shows
    /// another secret.
    fn in_force(&self, target: &Target) -> Option<Option<Arc<Target>>> {
        let Some(find) = self.find.get() else { return Some(None) };
        let now = find(&target.path)?;
        (now.file.shows.secrets() == target.file.shows.secrets()).then_some(Some(now))
    }

    /// Waits for a fetch: no longer than `limit`, and not for a caller that is being stopped.
    async fn wait(
        &self,
        tid: Tid,
        who: &Identity,
        limit: Duration,
        grant: &Grant,
        target: &Target,
    ) -> Result<Gathered, Failure> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            found = self.find(who, grant, target) => found,
            () = tokio::time::sleep(limit) => Err(Failure::TimedOut),
            () = self.until_stopped(tid) => Err(Failure::Interrupted),
            _ = closing.wait_for(|closing| *closing) => Err(Failure::Closing),
        }
    }

    /// Returns when the caller has a signal waiting that ends it. The kernel does not say so: a request that was read cannot
    /// be interrupted, so the caller is looked at.
    async fn until_stopped(&self, tid: Tid) {
        loop {
            tokio::time::sleep(self.waiting.pause()).await;
            if self.attestor.wants_to_stop(tid) {
                return;
            }
        }
    }

    /// Renders and puts on record. The record is in the ring before the reply is sent.
    fn finish(
        &self,
        attempt: Attempt,
        target: &Target,
        who: Arc<Identity>,
        grant: &Grant,
        found: Result<Gathered, Failure>,
    ) -> Result<Opened, Failure> {
        let rendered = found.and_then(|found| {
            let stale = found.iter().any(|one| one.stale);
            Ok((self.rendered(target, found)?, stale))
        });
        match rendered {
            Ok((content, stale)) => {
                let given = Given { version: content.version(), stale };
                self.let_in(attempt, &who, grant, &content, given)?;
                Ok((content, who))
            }
            Err(failure) => Err(attempt.failed(&self.audit, Some(&who), failure)),
        }
    }

    /// Counts, where the rule does, puts on record and among the readers: the last that is done before the bytes are given.
    fn let_in(
        &self,
        attempt: Attempt,
        who: &Arc<Identity>,
        grant: &Grant,
        content: &Content,
        given: Given<'_>,
    ) -> Result<(), Failure> {
        // Asking for the size is not reading.
        if grant.purpose() == Purpose::Stat {
            return attempt.allowed(&self.audit, who, grant, given);
        }
        let target = Arc::clone(attempt.target());
        match self.spent.count(who.process, &target.path, grant) {
            Ok(counted) => attempt.allowed(&self.audit, who, grant, given).map(|()| counted.keep())?,
            Err(denial) => return Err(attempt.failed(&self.audit, Some(who), Failure::Denied(denial))),
        }
        let parts: SmallVec<[_; 1]> = content.parts().collect();
        self.readers.opened(who, &Opening { path: &target.path, parts: &parts });
        Ok(())
    }
}

fn gone(failure: Failure) -> Failure {
    if failure.is_denial() { failure } else { Failure::VersionGone }
}

impl Access {
    /// One that works with these.
    pub fn new(
        attestor: Arc<Attestor>,
        resolver: Arc<Resolver>,
        audit: Audit,
        metrics: Arc<Metrics>,
        readers: Arc<Readers>,
        limits: Limits,
    ) -> Arc<Self> {
        Arc::new(Self {
            attestor,
            resolver,
            renderer: Renderer::new(limits.size_max, limits.cache_max / 2),
            audit,
            readers,
            limits,
            requests: Requests::new(metrics),
            pauses: Pauses::default(),
            waiting: Waiting::new(&limits),
            misses: Misses::new(&limits),
            spent: Spent::new(),
            generations: Generations::default(),
            find: OnceLock::new(),
            turns: Turns::default(),
            closing: watch::Sender::new(false),
        })
    }

    /// Has files found by `find` whose rules may have changed while somebody waited.
    pub fn find_by(&self, find: impl Fn(&str) -> Option<Arc<Target>> + Send + Sync + 'static) {
        let _ = self.find.set(Box::new(find));
    }

    /// Who can be asked about callers.
    pub fn attestor(&self) -> &Arc<Attestor> {
        &self.attestor
    }

    /// A record of what hushfs does by itself with `path`, to be filled in.
    pub fn own_record(&self, op: Op, path: String, took: Duration) -> Record {
        attempt::blank(self.requests.number(), op, path, took)
    }

    /// How many times rules that count have let a process instance in to a file.
    pub fn reads(&self, process: ProcessId, path: &str) -> u32 {
        self.spent.of(process, path)
    }

    /// Forgets what came from these providers: they are configured anew.
    pub fn forget_providers(&self, names: &[String]) {
        self.resolver.forget_providers(names);
        // What was rendered holds the secret it was rendered from.
        self.renderer.clear();
        self.generations.clear();
    }

    /// Answers everybody who waits, and wipes what is remembered.
    pub fn close(&self) {
        self.closing.send_replace(true);
        self.resolver.clear();
        self.renderer.clear();
        self.generations.clear();
    }
}
