//! One attempt and its record: the one place where records are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Target;
use super::bursts::Bursts;
use super::deciding::Rejected;
use crate::audit::record::{LAYOUT, Op, Outcome, Record};
use crate::audit::{Audit, Verdict};
use crate::failure::Failure;
use crate::identity::{Caller, Identity, UserNamespace};
use crate::metrics::Metrics;
use crate::policy::Grant;
use crate::providers::ProviderError;
use crate::reference::Reference;

/// Numbers attempts.
pub(super) struct Requests {
    run: String,
    next: AtomicU64,
    bursts: Arc<Bursts>,
    metrics: Arc<Metrics>,
}

/// An attempt that is not answered yet.
pub(super) struct Attempt {
    op: Op,
    caller: Caller,
    target: Arc<Target>,
    request: String,
    since: Instant,
    bursts: Arc<Bursts>,
    metrics: Arc<Metrics>,
}

/// What somebody is given.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Given<'v> {
    /// The provider's name for the version; empty where that was told before.
    pub(super) version: &'v str,
    /// Whether it is beyond its time, because its provider fails.
    pub(super) stale: bool,
}

impl Requests {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { run: format!("{seconds:x}"), next: AtomicU64::new(1), bursts: Arc::default(), metrics }
    }

    pub(super) fn begin(&self, op: Op, caller: Caller, target: &Arc<Target>) -> Attempt {
        let request = self.number();
        let (target, since) = (Arc::clone(target), Instant::now());
        let (bursts, metrics) = (Arc::clone(&self.bursts), Arc::clone(&self.metrics));
        Attempt { op, caller, target, request, since, bursts, metrics }
    }
}

/// What was fetched though nobody waited for it.
pub(super) struct Behind<'b> {
    pub(super) op: Op,
    pub(super) reference: &'b Reference,
    pub(super) took: Duration,
    /// The version, or why there is none.
    pub(super) result: Result<&'b str, Failure>,
}

impl Requests {
    /// Puts it on record. Nobody is given anything, so a record that is lost denies nothing.
    pub(super) fn put_on_record(&self, audit: &Audit, behind: Behind<'_>) {
        let Behind { op, reference, took, result } = behind;
        let (version, failure) = match result {
            Ok(version) => (version.to_owned(), None),
            Err(failure) => (String::new(), Some(failure)),
        };
        if let Some(failure) = &failure {
            tracing::warn!(secret = %reference, "{op:?} failed: {failure}");
        }
        let record = Record {
            outcome: if failure.is_none() { Outcome::Allowed } else { Outcome::Failed },
            // What is made for one workload is told from what is made for another.
            scope: reference.whom().unwrap_or_default().to_owned(),
            version,
            reason: failure.as_ref().map(ToString::to_string).unwrap_or_default(),
            errno: failure.as_ref().map(Failure::errno_name).unwrap_or_default().to_owned(),
            ..blank(self.number(), op, reference.to_string(), took)
        };
        let _ = audit.record(record);
    }

    /// A number that no other record of this run has.
    pub(super) fn number(&self) -> String {
        format!("{}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What an operator had done by the daemon.
pub struct Act<'a> {
    /// The verb, as typed.
    pub verb: &'static str,
    /// What was named: a file, a scope, a reference, or all.
    pub path: String,
    /// Who asked, by the kernel's word.
    pub by: Caller,
    /// The version it came to, where it is about one secret.
    pub version: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// What is to be told besides.
    pub told: &'a str,
    /// How long it took.
    pub took: Duration,
}

impl Requests {
    /// Puts on record what an operator had done.
    pub(super) fn put_act_on_record(&self, audit: &Audit, act: &Act<'_>) -> Verdict {
        let words = [act.verb, act.told].into_iter().filter(|words| !words.is_empty());
        audit.record(Record {
            outcome: act.outcome,
            uid: act.by.uid,
            gid: act.by.gid,
            pid: act.by.tid.0,
            version: act.version.unwrap_or_default().to_owned(),
            reason: words.collect::<Vec<_>>().join("; "),
            ..blank(self.number(), Op::Operator, act.path.clone(), act.took)
        })
    }
}

/// A record by hushfs itself, of something at `path`.
pub(super) fn blank(request: String, op: Op, path: String, took: Duration) -> Record {
    Record {
        v: LAYOUT,
        time: jiff::Timestamp::now(),
        request,
        op,
        outcome: Outcome::Allowed,
        path,
        scope: String::new(),
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        pid: std::process::id(),
        exe: String::new(),
        unit: String::new(),
        container: String::new(),
        cgroup: String::new(),
        other_user_namespace: false,
        rule: String::new(),
        learned: false,
        version: String::new(),
        stale: false,
        reason: String::new(),
        errno: String::new(),
        micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        count: 1,
    }
}

impl Attempt {
    /// What is asked for.
    pub(super) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Records that it is allowed.
    pub(super) fn allowed(
        mut self,
        audit: &Audit,
        who: &Identity,
        grant: &Grant,
        given: Given<'_>,
    ) -> Result<(), Failure> {
        let record = Record {
            rule: grant.rule().to_owned(),
            reason: grant.learned().unwrap_or_default().to_owned(),
            learned: grant.learned().is_some(),
            version: given.version.to_owned(),
            stale: given.stale,
            ..self.record(Outcome::Allowed, Some(who))
        };
        let recorded = match audit.record(record) {
            Verdict::Recorded | Verdict::Waived => Ok(()),
            Verdict::Lost => Err(Failure::NotOnRecord),
        };
        self.counted(if recorded.is_ok() { Outcome::Allowed } else { Outcome::Failed });
        recorded
    }

    /// As [`Attempt::failed`], for what a decision gives.
    pub(super) fn rejected(self, audit: &Audit, (failure, who): Rejected) -> Failure {
        self.failed(audit, who.as_deref(), failure)
    }

    /// Records that it is denied or failed, and gives back why. The caller gets nothing either way, so a record that is lost
    /// changes nothing for it.
    pub(super) fn failed(mut self, audit: &Audit, who: Option<&Identity>, failure: Failure) -> Failure {
        // Nobody was asked, and nobody was to be given anything but a size: no attempt.
        if let Failure::Provider(ProviderError::WouldMint(_)) = failure {
            return failure;
        }
        let outcome = if failure.is_denial() { Outcome::Denied } else { Outcome::Failed };
        let again = failure.is_over_a_bound() && !self.bursts.begins(self.caller.uid, &failure, self.since);
        let record = Record {
            reason: failure.to_string(),
            errno: failure.errno_name().to_owned(),
            ..self.record(outcome, who)
        };
        match outcome {
            Outcome::Failed if !again => {
                tracing::warn!(path = record.path, uid = record.uid, errno = record.errno, "{failure}");
            }
            Outcome::Failed => tracing::trace!(path = record.path, "{failure}"),
            _ => tracing::debug!(path = record.path, uid = record.uid, pid = record.pid, "denied: {failure}"),
        }
        let _ = audit.record(record);
        self.counted(outcome);
        failure
    }

    fn counted(&self, outcome: Outcome) {
        self.metrics.attempt(&self.target.scope.name, self.op, outcome);
    }

    /// Its record. It is made once.
    fn record(&mut self, outcome: Outcome, who: Option<&Identity>) -> Record {
        Record {
            outcome,
            scope: self.target.scope.name.clone(),
            uid: self.caller.uid,
            gid: self.caller.gid,
            pid: who.map_or(self.caller.tid.0, |who| who.process.pid.0),
            exe: who.and_then(|who| who.exe.as_ref()).map(|exe| exe.path.clone()).unwrap_or_default(),
            unit: who.and_then(Identity::unit).unwrap_or_default().to_owned(),
            container: who
                .and_then(Identity::container)
                .map(|container| container.id.clone())
                .unwrap_or_default(),
            cgroup: who
                .map(|who| who.cgroup.path())
                .filter(|path| *path != "/")
                .unwrap_or_default()
                .to_owned(),
            other_user_namespace: who.is_some_and(|who| who.user_namespace == UserNamespace::Other),
            ..blank(
                std::mem::take(&mut self.request),
                self.op,
                self.target.path.clone(),
                self.since.elapsed(),
            )
        }
    }
}
