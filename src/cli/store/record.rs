//! The record that an operator's look at a value leaves: the only place that makes one.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::audit::record::{LAYOUT, Op, Outcome, Record};
use crate::cli::Failure;
use crate::providers::store::Name;

/// What an operator did.
pub(super) struct Attempt<'a> {
    /// The verb, as typed: `store show`.
    pub(super) verb: &'static str,
    /// The secret, or one value of it.
    pub(super) name: &'a Name,
    /// Its version; empty where none was reached.
    pub(super) version: &'a str,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// Why, where it was denied or failed.
    pub(super) why: &'a str,
}

/// Puts it on record, before any value is shown: a look that cannot be recorded does not happen.
pub(super) fn record(audit: Option<&Path>, attempt: &Attempt<'_>) -> Result<(), Failure> {
    let failed =
        |why: String| Failure::new(format!("cannot record this: {why}")).hint("nothing was shown or changed");
    let line = serde_json::to_string(&to_record(attempt)).map_err(|error| failed(error.to_string()))?;
    let Some(path) = audit else {
        tracing::info!(target: "hushfs::audit", "{line}");
        return Ok(());
    };
    // One write, so that lines of two operators do not mix.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .map_err(|error| failed(format!("{}: {error}", path.display())))
}

fn to_record(attempt: &Attempt<'_>) -> Record {
    let time = jiff::Timestamp::now();
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
        path: format!("store:{}", attempt.name),
        scope: String::new(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        pid,
        exe: std::env::current_exe().map(|exe| exe.display().to_string()).unwrap_or_default(),
        unit: String::new(),
        rule: String::new(),
        version: attempt.version.to_owned(),
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
