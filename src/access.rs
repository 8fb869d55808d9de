//! The whole way of one open, from top to bottom. Read this file first.
//!
//! [`Access::open`] is the way: who is asking, may they, is the value known, and what goes on record. What is known is
//! answered on the thread that asked ([`Answer::Now`]); what has to be fetched is answered later ([`Answer::Later`]), so
//! that one slow secret holds up nobody else.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::audit::Audit;
use crate::audit::record::Op;
use crate::config::checked::{File, Limits, Scope};
use crate::failure::Failure;
use crate::identity::{Attestor, Caller, Identity, Refusal, Tid};
use crate::policy::{self, Decision, Grant, Purpose};
use crate::reference::Reference;
use crate::render::{Content, Renderer};
use crate::resolve::{Freshness, Resolver, Secret};

mod attempt;
mod pauses;
mod waiting;

use attempt::{Attempt, Requests};
use pauses::Pauses;
use waiting::Waiting;

/// What is asked for: a file of a scope.
pub struct Target {
    /// The scope with its rules.
    pub scope: Arc<Scope>,
    /// The file.
    pub file: Arc<File>,
    /// `scope/name`, for the record.
    pub path: String,
    /// The whole secret that the file shows, or shows a key of.
    pub whole: Reference,
}

/// An answer that is there, or one to wait for.
pub enum Answer<T> {
    /// There.
    Now(Result<T, Failure>),
    /// To be waited for, off the thread that asked. Bounded in time.
    Later(Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>),
}

/// Who was let in, or why not and, where it could be told, who was not.
type Decided = Result<(Arc<Identity>, Grant), (Failure, Option<Arc<Identity>>)>;

/// What an open gives: the bytes, and who was proven to ask for them.
pub type Opened = (Arc<Content>, Arc<Identity>);

/// Decides and answers. Shared by all requests.
pub struct Access {
    attestor: Attestor,
    resolver: Arc<Resolver>,
    renderer: Renderer,
    audit: Audit,
    limits: Limits,
    requests: Requests,
    pauses: Pauses,
    waiting: Waiting,
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
        if let Err(full) = room {
            return Answer::Now(Err(match self.decide(caller, target, Purpose::Read) {
                Ok((who, _)) => attempt.failed(&self.audit, Some(&who), full),
                Err((failure, who)) => attempt.failed(&self.audit, who.as_deref(), failure),
            }));
        }
        self.obtain(attempt, caller, target, Purpose::Read, self.limits.deadline)
    }

    /// What `target` shows, for the sake of its true size, for a `caller` that may read it; `None` where the caller may not,
    /// or it cannot be found out in the time that a stat may take. Asking for what is known is not an attempt and leaves no
    /// record.
    pub fn size(self: &Arc<Self>, caller: Caller, target: &Arc<Target>) -> Answer<Option<Arc<Content>>> {
        let known = |grant: &Grant| {
            let secret = self.resolver.cached(grant, &target.whole)?;
            Some(Answer::Now(Ok(self.renderer.render(&target.file, secret).ok())))
        };
        // The kernel asks this before each open. Only a size is told, so a caller that was let in before is not proven again.
        if let Some(who) = self.attestor.recall(caller)
            && let Decision::Allow(grant) = policy::decide(&target.scope.rules, &who, Purpose::Stat)
            && let Some(answer) = known(&grant)
        {
            return answer;
        }
        let Ok((_, grant)) = self.decide(caller, target, Purpose::Stat) else { return Answer::Now(Ok(None)) };
        if let Some(answer) = known(&grant) {
            return answer;
        }
        let Some(pass) = self.pauses.enter(target.whole.provider()) else { return Answer::Now(Ok(None)) };
        let attempt = self.requests.begin(Op::Stat, caller, target);
        match self.obtain(attempt, caller, target, Purpose::Stat, self.limits.stat_wait) {
            Answer::Now(result) => Answer::Now(Ok(result.ok().map(|(content, _)| content))),
            Answer::Later(answer) => Answer::Later(Box::pin(async move {
                let result = answer.await;
                pass.leave(result.as_ref().err());
                Ok(result.ok().map(|(content, _)| content))
            })),
        }
    }

    /// Whether a descriptor `knows` the caller: it opened it, or was let in before, and is the same program still.
    pub fn is_known(&self, caller: Caller, knows: impl Fn(&Arc<Identity>) -> bool) -> bool {
        self.attestor.identify(caller).is_ok_and(|who| knows(&who))
    }

    /// Lets somebody read through a descriptor that another process opened, who inherited it or was passed it: decided, and
    /// put on record.
    ///
    /// # Errors
    /// A denial, or that it could not be recorded.
    pub fn read(&self, caller: Caller, target: &Arc<Target>) -> Result<Arc<Identity>, Failure> {
        let attempt = self.requests.begin(Op::Read, caller, target);
        match self.decide(caller, target, Purpose::Read) {
            Ok((who, grant)) => attempt.allowed(&self.audit, &who, &grant, "").map(|()| who),
            Err((failure, who)) => Err(attempt.failed(&self.audit, who.as_deref(), failure)),
        }
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
        let pinned = Arc::new(Target {
            scope: Arc::clone(&target.scope),
            file: Arc::clone(&target.file),
            path: target.path.clone(),
            whole: target.whole.at_version(version),
        });
        match self.obtain(attempt, caller, &pinned, Purpose::Read, self.limits.deadline) {
            Answer::Now(result) => Answer::Now(result.map_err(gone)),
            Answer::Later(answer) => Answer::Later(Box::pin(async move { answer.await.map_err(gone) })),
        }
    }

    /// What is known of the target's secret, without asking anybody, for a caller that may read it.
    ///
    /// # Errors
    /// A denial.
    pub fn known(
        &self,
        caller: Caller,
        target: &Target,
    ) -> Result<Option<(Arc<Secret>, Freshness)>, Failure> {
        let (_, grant) = self.decide(caller, target, Purpose::Stat).map_err(|(failure, _)| failure)?;
        Ok(self.resolver.known(&grant, &target.whole))
    }

    /// The one way to a secret's bytes: decide, find, render, record.
    fn obtain(
        self: &Arc<Self>,
        attempt: Attempt,
        caller: Caller,
        target: &Arc<Target>,
        purpose: Purpose,
        wait: Duration,
    ) -> Answer<Opened> {
        let (who, grant) = match self.decide(caller, target, purpose) {
            Ok(decided) => decided,
            Err((failure, who)) => {
                return Answer::Now(Err(attempt.failed(&self.audit, who.as_deref(), failure)));
            }
        };
        if let Some(secret) = self.resolver.cached(&grant, &target.whole) {
            return Answer::Now(self.finish(attempt, target, who, &grant, secret));
        }
        if self.audit.ready().is_err() {
            return Answer::Now(Err(attempt.failed(&self.audit, Some(&who), Failure::NotOnRecord)));
        }
        let Some(place) = self.waiting.enter(caller.uid) else {
            return Answer::Now(Err(attempt.failed(&self.audit, Some(&who), Failure::TooManyWaiting)));
        };
        let (access, target) = (Arc::clone(self), Arc::clone(target));
        Answer::Later(Box::pin(async move {
            let _place = place;
            let fetched = access.wait(caller.tid, wait, &grant, &target.whole).await;
            // The wait may have been long: who asks and what they may are looked at again, last before the reply.
            match (access.decide(caller, &target, purpose), fetched) {
                (Err((failure, who)), _) => Err(attempt.failed(&access.audit, who.as_deref(), failure)),
                (Ok((who, _)), Err(failure)) => Err(attempt.failed(&access.audit, Some(&who), failure)),
                (Ok((who, grant)), Ok(secret)) => access.finish(attempt, &target, who, &grant, secret),
            }
        }))
    }

    /// Who is asking, and may they.
    fn decide(&self, caller: Caller, target: &Target, purpose: Purpose) -> Decided {
        let unidentified = |refusal: Refusal| (refusal.into(), None);
        let who = self.attestor.identify(caller).map_err(unidentified)?;
        let rules = &target.scope.rules;
        if let Decision::Allow(grant) = policy::decide(rules, &who, purpose) {
            return Ok((who, grant));
        }
        // Before somebody is turned away: an executable may have been replaced since, and a caller that had no groups may
        // have some now.
        rules.look_again();
        let who = if rules.ask_for_groups() {
            self.attestor.identify_anew(caller).map_err(unidentified)?
        } else {
            who
        };
        match policy::decide(rules, &who, purpose) {
            Decision::Allow(grant) => Ok((who, grant)),
            Decision::Deny(denial) => Err((Failure::Denied(denial), Some(who))),
        }
    }

    /// Waits for a fetch: no longer than `limit`, and not for a caller that is being stopped.
    async fn wait(
        &self,
        tid: Tid,
        limit: Duration,
        grant: &Grant,
        whole: &Reference,
    ) -> Result<Arc<Secret>, Failure> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            fetched = self.resolver.fetch(grant, whole) => fetched.map_err(Failure::from),
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
        secret: Arc<Secret>,
    ) -> Result<Opened, Failure> {
        match self.renderer.render(&target.file, secret) {
            Ok(content) => {
                attempt.allowed(&self.audit, &who, grant, &content.secret().version)?;
                Ok((content, who))
            }
            Err(error) => Err(attempt.failed(&self.audit, Some(&who), error.into())),
        }
    }
}

fn gone(failure: Failure) -> Failure {
    if failure.is_denial() { failure } else { Failure::VersionGone }
}

impl Access {
    /// One that works with these.
    pub fn new(attestor: Attestor, resolver: Arc<Resolver>, audit: Audit, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            attestor,
            resolver,
            renderer: Renderer::new(limits.size_max, limits.cache_max / 2),
            audit,
            limits,
            requests: Requests::new(),
            pauses: Pauses::default(),
            waiting: Waiting::default(),
            closing: watch::Sender::new(false),
        })
    }

    /// Who can be asked about callers.
    pub fn attestor(&self) -> &Attestor {
        &self.attestor
    }

    /// Forgets what came from these providers: they are configured anew.
    pub fn forget_providers(&self, names: &[String]) {
        self.resolver.forget_providers(names);
        // What was rendered holds the secret it was rendered from.
        self.renderer.clear();
    }

    /// Answers everybody who waits, and wipes what is remembered.
    pub fn close(&self) {
        self.closing.send_replace(true);
        self.resolver.clear();
        self.renderer.clear();
    }
}
