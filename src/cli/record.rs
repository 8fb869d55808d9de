//! The record that an operator's look at a value leaves: the only place that makes one.

use std::path::Path;
use std::time::Duration;

use crate::audit::record::{LAYOUT, Op, Outcome, Record};
use crate::audit::{Audit, Verdict, keeps_journal};
use crate::cli::{ConfigArg, Failure};
use crate::config::checked::{self, AuditSink, Config, OnFailure};

/// What an operator did.
pub(crate) struct Attempt<'a> {
    /// The verb, as typed: `store show`.
    pub(crate) verb: &'static str,
    /// The secret, or one value of it: `store:app/token`.
    pub(crate) path: String,
    /// Its version; empty where none was reached.
    pub(crate) version: &'a str,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Why, where it was denied or failed.
    pub(crate) why: &'a str,
}

/// How long the sink may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Puts it on record, before any value is shown: a look that cannot be recorded does not happen.
pub(crate) fn record(to: AuditSink, attempt: &Attempt<'_>) -> Result<(), Failure> {
    let failed = |why: &str| {
        Failure::new(format!("cannot record this: {why}")).hint("nothing was shown or changed; see --audit")
    };
    let log = Audit::start(&checked::Audit { to, on_failure: OnFailure::Deny })
        .map_err(|error| Failure::new(format!("cannot record this: {error}")).hint(error.hint()))?;
    let verdict = log.record(to_record(attempt));
    if verdict != Verdict::Recorded || log.shutdown(PATIENCE) > 0 {
        return Err(failed("the audit log does not take it"));
    }
    Ok(())
}

/// To that file, or where the daemon's records go by the configuration in its usual place.
pub(crate) fn sink(audit: Option<&Path>) -> Result<AuditSink, Failure> {
    if let Some(path) = audit {
        return Ok(AuditSink::File(path.to_owned()));
    }
    let path = ConfigArg::default().path();
    let exists = path.try_exists().unwrap_or(true);
    match exists.then(|| crate::config::load(&path)).transpose() {
        Err(_) => Err(Failure::new(format!("{} is wrong, so it cannot tell where to record this", path.display()))
            .hint("`hushfs check` says what is wrong; or name a log with --audit FILE; nothing was shown or changed")),
        Ok(config) => Ok(sink_of(config.as_ref())),
    }
}

/// Where the daemon's records go. Where it writes to its standard error, or there is no configuration, that is the journal,
/// else the operator's own standard error.
pub(crate) fn sink_of(config: Option<&Config>) -> AuditSink {
    match config.map(|config| &config.audit.to) {
        Some(AuditSink::File(path)) => AuditSink::File(path.clone()),
        _ if keeps_journal() => AuditSink::Journal,
        _ => AuditSink::Stderr,
    }
}

fn to_record(attempt: &Attempt<'_>) -> Record {
    let now = jiff::Timestamp::now();
    let time = now.round(jiff::Unit::Microsecond).unwrap_or(now);
    let pid = std::process::id();
    let login = login();
    let reason =
        [attempt.verb, &login, attempt.why].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    Record {
        v: LAYOUT,
        time,
        request: format!("{:x}-{pid}", time.as_second()),
        op: Op::Operator,
        outcome: attempt.outcome,
        path: attempt.path.clone(),
        scope: String::new(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        pid,
        exe: std::env::current_exe().map(|exe| exe.display().to_string()).unwrap_or_default(),
        unit: String::new(),
        container: String::new(),
        cgroup: String::new(),
        other_user_namespace: false,
        rule: String::new(),
        learned: false,
        version: attempt.version.to_owned(),
        stale: false,
        reason: reason.join("; "),
        errno: String::new(),
        micros: 0,
        count: 1,
    }
}

/// Who logged in, which `sudo` and `su` do not change. The kernel says 4294967295 where nobody did.
fn login() -> String {
    match std::fs::read_to_string("/proc/self/loginuid").map(|text| text.trim().to_owned()) {
        Ok(uid) if uid != "4294967295" => format!("login uid {uid}"),
        _ => "no login uid".to_owned(),
    }
}
