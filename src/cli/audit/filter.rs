//! Which records are asked for.

use clap::ValueEnum;
use jiff::Timestamp;

use super::when;
use crate::audit::{Line, Op, Outcome, Record};
use crate::cli::Failure;
use crate::cli::names;
use crate::identity::ContainerId;

#[derive(Debug, Default, clap::Args)]
pub(super) struct FilterArgs {
    /// Only this file: scope/name, scope/workload/name, or its whole path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only this scope, with all its workloads; or one of those: scope/workload
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Only callers of this user, by name or number
    #[arg(long, value_name = "USER")]
    uid: Option<String>,
    /// Only callers in this system unit; .service may be left out
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Only callers in this container, by its id or the first 12 digits of that, or more
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// Only attempts that ended so; `learned` is what learning alone allowed
    #[arg(long)]
    outcome: Option<OutcomeArg>,
    /// The same as --outcome learned
    #[arg(long)]
    learned: bool,
    /// Only attempts of this kind
    #[arg(long)]
    op: Option<OpArg>,
    /// From then on: 90s, 30m, 24h, 7d, 2w (back from now), 2026-11-01 (local), or RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before then, written like --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutcomeArg {
    Allowed,
    Denied,
    Failed,
    Learned,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OpArg {
    Open,
    Read,
    Stat,
    Refresh,
    Prefetch,
    List,
    Revoke,
    Operator,
    Change,
}

/// What a record must be to be shown: all of what is set.
#[derive(Debug, Default)]
pub(super) struct Filter {
    path: Option<String>,
    scope: Option<String>,
    uid: Option<u32>,
    unit: Option<String>,
    container: Option<String>,
    outcome: Option<Outcome>,
    learned: bool,
    op: Option<Op>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl FilterArgs {
    /// Turns text into what records hold.
    pub(super) fn checked(&self, now: Timestamp) -> Result<Filter, Failure> {
        let time = |flag: &str, text: &Option<String>| {
            text.as_deref().map(|text| when::argument(flag, text, now)).transpose()
        };
        Ok(Filter {
            path: self.path.clone(),
            scope: self.scope.clone(),
            uid: self.uid.as_deref().map(uid).transpose()?,
            unit: self.unit.clone(),
            container: self.container.clone().map(container).transpose()?,
            outcome: self.outcome.map(|outcome| match outcome {
                OutcomeArg::Allowed | OutcomeArg::Learned => Outcome::Allowed,
                OutcomeArg::Denied => Outcome::Denied,
                OutcomeArg::Failed => Outcome::Failed,
            }),
            learned: self.learned || matches!(self.outcome, Some(OutcomeArg::Learned)),
            op: self.op.map(|op| match op {
                OpArg::Open => Op::Open,
                OpArg::Read => Op::Read,
                OpArg::Stat => Op::Stat,
                OpArg::Refresh => Op::Refresh,
                OpArg::Prefetch => Op::Prefetch,
                OpArg::List => Op::List,
                OpArg::Revoke => Op::Revoke,
                OpArg::Operator => Op::Operator,
                OpArg::Change => Op::Change,
            }),
            since: time("--since", &self.since)?,
            until: time("--until", &self.until)?,
        })
    }
}

impl Filter {
    /// Whether `line` is asked for. A line about losses is, within the time: what is lost might have matched.
    pub(super) fn matches(&self, line: &Line) -> bool {
        let time = line.time();
        let within =
            self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until);
        within
            && match line {
                Line::Lost(_) => true,
                Line::Record(record) => self.fits(record),
            }
    }

    /// The earliest time asked for.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    fn fits(&self, record: &Record) -> bool {
        self.path.as_ref().is_none_or(|path| names_file(path, &record.path))
            && self.scope.as_ref().is_none_or(|scope| record.is_of_scope(scope))
            && self.uid.is_none_or(|uid| uid == record.uid)
            && self.unit.as_ref().is_none_or(|unit| names_unit(unit, &record.unit))
            && self.container.as_ref().is_none_or(|digits| record.container.starts_with(digits))
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            && (record.learned || !self.learned)
            && self.op.is_none_or(|op| op == record.op)
    }
}

/// `scope/name`, or an absolute path that ends so.
fn names_file(asked: &str, path: &str) -> bool {
    asked == path
        || (asked.starts_with('/') && asked.strip_suffix(path).is_some_and(|before| before.ends_with('/')))
}

fn names_unit(asked: &str, unit: &str) -> bool {
    asked == unit || unit.strip_suffix(".service").is_some_and(|name| name == asked)
}

/// Records have ids alone: a name may have been another container's then.
fn container(text: String) -> Result<String, Failure> {
    if ContainerId::may_begin_with(&text) {
        return Ok(text);
    }
    let message =
        format!("--container: {text:?} is neither the id of a container nor 12 digits of one or more");
    Err(Failure::new(message)
        .hint("records have no names: `docker ps --no-trunc` or `podman ps --no-trunc` shows ids"))
}

fn uid(text: &str) -> Result<u32, Failure> {
    match text.parse() {
        Ok(uid) => Ok(uid),
        Err(_) => names::uid(text).ok_or_else(|| {
            Failure::new(format!("--uid: there is no user {text:?}"))
                .hint("a number works for users that are gone")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_below_the_mount_or_in_full() {
        assert!(names_file("mcpx/token", "mcpx/token"));
        assert!(names_file("/run/hushfs/mcpx/token", "mcpx/token"));
        assert!(!names_file("/run/hushfs/amcpx/token", "mcpx/token"));
        assert!(!names_file("token", "mcpx/token"));
        assert!(!names_file("mcpx/token", "token"));
    }

    #[test]
    fn a_unit_is_named_with_or_without_service() {
        assert!(names_unit("web.service", "web.service"));
        assert!(names_unit("web", "web.service"));
        assert!(!names_unit("web", "web.timer"));
    }

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!(uid("root").unwrap(), 0);
        assert_eq!(uid("4000000").unwrap(), 4_000_000);
        assert!(uid("no such user").is_err());
    }
}
