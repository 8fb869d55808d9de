//! Attempts that no rule allowed, put together by who made them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::audit::{Op, Outcome, Record};
use crate::identity::{Cgroup, NamedUnit};
use crate::words::is_plain;

/// What the kernel adds to the path of an executable that was replaced or removed.
const DELETED: &str = " (deleted)";

/// Who tried to read the files of a scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Caller {
    pub(super) scope: String,
    pub(super) uid: u32,
    pub(super) place: Place,
}

/// What tells callers of one uid apart: the strongest thing that the record has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The container's id.
    Container(String),
    /// The system service's name.
    Unit(String),
    /// A service of its user's own manager, and the executable's path: anything of that user can be in the service.
    OfUser { unit: String, program: String },
    /// The executable's path, where it is in none of these.
    Program(String),
}

/// What a caller did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Attempts {
    pub(super) count: u64,
    /// How many of them learning allowed.
    pub(super) learned: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// Names of files, without the scope.
    pub(super) files: BTreeSet<String>,
    /// Paths of executables.
    pub(super) programs: BTreeSet<String>,
    /// One of them was replaced while it ran.
    pub(super) replaced: bool,
    pub(super) gids: BTreeSet<u32>,
    /// The control groups, as paths.
    pub(super) cgroups: BTreeSet<String>,
    /// The unit as a rule would name it: another text for each group below it.
    pub(super) units: BTreeSet<String>,
    /// It was seen in another user namespace.
    pub(super) foreign: bool,
    /// Why, the last time.
    pub(super) reason: String,
}

/// Why attempts are not made into a rule. In the order in which they are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    Systemd,
    OtherUserNamespace,
    Unidentified,
    /// The path of the executable is no path, or has characters that hide what it is.
    OddProgram,
}

/// What was found in the log.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) callers: BTreeMap<Caller, Attempts>,
    /// By scope, uid and why.
    pub(super) left_out: BTreeMap<(String, u32, LeftOut), u64>,
}

impl Gathered {
    /// Takes a record, if it is of an attempt that no rule allowed.
    pub(super) fn add(&mut self, record: Record) {
        let refused = record.outcome == Outcome::Denied || record.learned;
        let of_file = matches!(record.op, Op::Open | Op::Read | Op::Stat);
        if !refused || !of_file {
            return;
        }
        let program = record.exe.strip_suffix(DELETED).unwrap_or(&record.exe).to_owned();
        let cgroup = cgroup(&record);
        let named = NamedUnit::of(&Cgroup::at(&cgroup), record.uid);
        let place = match place(&record, &program, named.as_ref()) {
            Ok(place) => place,
            Err(why) => {
                let left_out = self.left_out.entry((record.scope, record.uid, why)).or_default();
                *left_out = left_out.saturating_add(record.count);
                return;
            }
        };
        let caller = Caller { scope: record.scope, uid: record.uid, place };
        let attempts = self.callers.entry(caller).or_default();
        attempts.count = attempts.count.saturating_add(record.count);
        if record.learned {
            attempts.learned = attempts.learned.saturating_add(record.count);
        }
        attempts.first = Some(attempts.first.map_or(record.time, |first| first.min(record.time)));
        if attempts.last.is_none_or(|last| last <= record.time) {
            attempts.last = Some(record.time);
            attempts.reason = record.reason;
        }
        attempts.files.extend(record.path.rsplit_once('/').map(|(_, name)| name.to_owned()));
        attempts.replaced |= program.len() != record.exe.len();
        attempts.foreign |= record.other_user_namespace;
        attempts.programs.insert(program);
        attempts.gids.insert(record.gid);
        attempts.units.extend(named.map(|named| named.written));
        attempts.cgroups.insert(cgroup);
    }
}

/// The control group of a record, or one that says the same of unit and container, where a record has not got it or names a
/// container that another hierarchy told of.
fn cgroup(record: &Record) -> String {
    let in_container = || Cgroup::at(&record.cgroup).container().is_some();
    match (&record.container, &record.cgroup, &record.unit) {
        (container, _, _) if !container.is_empty() && !in_container() => format!("/docker/{container}"),
        (_, cgroup, unit) if cgroup.is_empty() => format!("/{unit}"),
        (_, cgroup, _) => cgroup.clone(),
    }
}

fn place(record: &Record, program: &str, named: Option<&NamedUnit>) -> Result<Place, LeftOut> {
    if record.exe.is_empty() && record.unit.is_empty() && record.container.is_empty() {
        return Err(LeftOut::Unidentified);
    }
    if !record.container.is_empty() {
        return Ok(Place::Container(record.container.clone()));
    }
    // A session is a unit too, but no other will have its name; and below a user's manager is all that the user runs.
    if record.unit.ends_with(".service") && !record.unit.starts_with("user@") {
        return Ok(Place::Unit(record.unit.clone()));
    }
    if record.uid == 0 && is_systemd(program) {
        return Err(LeftOut::Systemd);
    }
    if record.other_user_namespace {
        return Err(LeftOut::OtherUserNamespace);
    }
    if !program.starts_with('/') || program.ends_with('…') || !is_plain(program) {
        return Err(LeftOut::OddProgram);
    }
    let program = program.to_owned();
    Ok(match named {
        Some(named) if named.key == "user_unit" && named.unit.ends_with(".service") => {
            Place::OfUser { unit: named.unit.clone(), program }
        }
        _ => Place::Program(program),
    })
}

/// What reads for `LoadCredential=` of a unit, and so for every unit.
fn is_systemd(program: &str) -> bool {
    let below = program.strip_prefix("/usr/lib/systemd/").or_else(|| program.strip_prefix("/lib/systemd/"));
    matches!(below, Some("systemd" | "systemd-executor"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audit::record::LAYOUT;

    pub(in crate::cli::suggest) fn denied(exe: &str) -> Record {
        Record {
            v: LAYOUT,
            time: Timestamp::from_second(1_700_000_000).unwrap(),
            request: String::new(),
            op: Op::Open,
            outcome: Outcome::Denied,
            path: "web/token".to_owned(),
            scope: "web".to_owned(),
            uid: 1000,
            gid: 1000,
            pid: 7,
            exe: exe.to_owned(),
            unit: String::new(),
            container: String::new(),
            cgroup: String::new(),
            other_user_namespace: false,
            rule: String::new(),
            learned: false,
            version: String::new(),
            stale: false,
            reason: "no rule matches".to_owned(),
            errno: "EACCES".to_owned(),
            micros: 1,
            count: 1,
        }
    }

    pub(in crate::cli::suggest) fn gathered(records: impl IntoIterator<Item = Record>) -> Gathered {
        let mut gathered = Gathered::default();
        records.into_iter().for_each(|record| gathered.add(record));
        gathered
    }

    fn only(records: impl IntoIterator<Item = Record>) -> (Caller, Attempts) {
        let callers = gathered(records).callers;
        assert_eq!(callers.len(), 1, "{callers:?}");
        callers.into_iter().next().unwrap()
    }

    #[test]
    fn several_files_of_a_scope_by_one_caller_are_one_caller() {
        let other = Record { path: "web/key".to_owned(), count: 45, ..denied("/usr/bin/app") };
        let learned = Record { outcome: Outcome::Allowed, learned: true, count: 2, ..denied("/usr/bin/app") };
        let (_, attempts) = only([denied("/usr/bin/app"), other, learned]);
        assert_eq!((attempts.count, attempts.learned), (48, 2));
        assert_eq!(attempts.files.into_iter().collect::<Vec<_>>(), ["key", "token"]);
    }

    #[test]
    fn what_a_rule_allowed_what_failed_and_what_operators_did_is_none_of_it() {
        let allowed = Record { outcome: Outcome::Allowed, ..denied("/usr/bin/app") };
        let failed = Record { outcome: Outcome::Failed, ..denied("/usr/bin/app") };
        let operator = Record { op: Op::Operator, ..denied("/usr/bin/app") };
        let gathered = gathered([allowed, failed, operator]);
        assert!(gathered.callers.is_empty() && gathered.left_out.is_empty(), "{gathered:?}");
    }

    #[test]
    fn the_container_comes_before_the_unit_and_the_unit_before_the_program() {
        let unit = Record { unit: "web.service".to_owned(), ..denied("/usr/bin/app") };
        let container = Record { container: "ab12".to_owned(), ..unit.clone() };
        assert_eq!(only([denied("/usr/bin/app")]).0.place, Place::Program("/usr/bin/app".into()));
        assert_eq!(only([unit]).0.place, Place::Unit("web.service".into()));
        assert_eq!(only([container]).0.place, Place::Container("ab12".into()));
    }

    #[test]
    fn programs_of_one_unit_are_one_caller_and_users_are_not() {
        let unit = |exe: &str| Record { unit: "web.service".to_owned(), ..denied(exe) };
        assert_eq!(only([unit("/usr/bin/a"), unit("/usr/bin/b")]).1.programs.len(), 2);
        let callers = gathered([unit("/usr/bin/a"), Record { uid: 7, ..unit("/usr/bin/a") }]).callers;
        assert_eq!(callers.len(), 2);
    }

    #[test]
    fn a_session_and_a_users_own_manager_are_no_units_to_make_a_rule_of() {
        for unit in ["user@1000.service", "session-4.scope"] {
            let record = Record { unit: unit.to_owned(), ..denied("/usr/bin/app") };
            assert_eq!(only([record]).0.place, Place::Program("/usr/bin/app".into()));
        }
    }

    #[test]
    fn a_replaced_program_goes_by_the_path_that_it_had() {
        let (caller, attempts) = only([denied("/usr/bin/app (deleted)"), denied("/usr/bin/app")]);
        assert_eq!(caller.place, Place::Program("/usr/bin/app".into()));
        assert!(attempts.replaced);
    }

    #[test]
    fn what_must_not_become_a_rule_is_left_out() {
        let root = |exe: &str| Record { uid: 0, ..denied(exe) };
        let foreign = Record { other_user_namespace: true, ..denied("/usr/bin/app") };
        let cases = [
            (denied(""), LeftOut::Unidentified),
            (foreign, LeftOut::OtherUserNamespace),
            (root("/usr/lib/systemd/systemd"), LeftOut::Systemd),
            (denied("relative"), LeftOut::OddProgram),
            (denied("/tmp/a\nb"), LeftOut::OddProgram),
            (denied("/tmp/\u{202e}a"), LeftOut::OddProgram),
            (denied("/tmp/\u{1b}[2J"), LeftOut::OddProgram),
            (denied("/tmp/cut…"), LeftOut::OddProgram),
        ];
        for (record, why) in cases {
            let gathered = gathered([record]);
            assert!(gathered.callers.is_empty(), "{why:?}: {gathered:?}");
            assert_eq!(gathered.left_out.keys().map(|key| &key.2).collect::<Vec<_>>(), [&why]);
        }
    }
}
