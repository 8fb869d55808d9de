//! `on_change`: what is done when a file has changed, for one file or all of a scope.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{Uid, User};

use super::owners::Owners;
use super::report::{Found, Report};
use super::table::{Entry, entries, find, items, unknown};
use super::trust::{Trust, Want};
use super::users;
use crate::change::{Action, Command, OnChange, Signal, Unit, Verb};
use crate::identity::{is_managed_unit, whole_unit_name};
use crate::sandbox::Account;
use crate::units;
use crate::words::nearest;

const KNOWN: &[&str] = &["signal", "reload", "restart", "run", "user", "timeout", "at_most_every"];
const EXAMPLE: &str = "write one of `{ signal = \"SIGHUP\" }`, `{ reload = \"nginx.service\" }`, `{ restart = \"app.service\" }` and \
     `{ run = [\"/usr/local/bin/notify\"], user = \"app\" }`, or a list of them";

/// What each action is written as, and how it is read.
const ACTIONS: &[(&str, Read)] =
    &[("signal", signal), ("reload", reload), ("restart", restart), ("run", run)];
type Read = fn(&Entry<'_>, &Options<'_, '_>, &mut Report) -> Option<Action>;

/// The shortest and the longest that something may be waited for, and what is usual for a program and for a unit.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(10));
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);
const UNIT_TIMEOUT: Duration = Duration::from_secs(90);
/// As `at_most_every`.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

/// What else stands in the table, and whose file it is.
struct Options<'e, 's> {
    table: &'e [Entry<'s>],
    owners: &'e Owners,
    trust: &'e Trust,
}

/// What a scope says for its files. Read once for each of their owners: as whom a program runs follows from that.
pub(super) struct OfScope<'e, 's> {
    entry: Option<&'e Entry<'s>>,
    trust: &'e Trust,
    read: RefCell<BTreeMap<u32, Option<Vec<OnChange>>>>,
}

impl<'e, 's> OfScope<'e, 's> {
    /// What is written there, if something is.
    pub(super) fn new(entry: Option<&'e Entry<'s>>, trust: &'e Trust) -> Self {
        Self { entry, trust, read: RefCell::default() }
    }

    /// For files that belong to these. `None` when something is wrong.
    pub(super) fn of(&self, owners: &Owners, report: &mut Report) -> Option<Vec<OnChange>> {
        let Some(entry) = self.entry else { return Some(Vec::new()) };
        let mut read = self.read.borrow_mut();
        read.entry(owners.uid).or_insert_with(|| on_change(entry, owners, self.trust, report)).clone()
    }
}

/// Reads one table or a list of tables. `None` when something is wrong.
pub(super) fn on_change(
    entry: &Entry<'_>,
    owners: &Owners,
    trust: &Trust,
    report: &mut Report,
) -> Option<Vec<OnChange>> {
    let Some(written) = items(entry) else {
        report.error(entry.wrong_type("a table or a list of tables").hint(EXAMPLE));
        return None;
    };
    let all: Vec<_> = written.iter().map(|one| read(one, owners, trust, report)).collect();
    all.into_iter().collect()
}

fn read(entry: &Entry<'_>, owners: &Owners, trust: &Trust, report: &mut Report) -> Option<OnChange> {
    let Some(table) = entry.value.as_table() else {
        report.error(entry.wrong_type("actions, which are tables").hint(EXAMPLE));
        return None;
    };
    let table = entries(entry.at.source, table);
    let mut is_wrong = false;
    for one in table.iter().filter(|one| !KNOWN.contains(&one.key)) {
        let meant = match one.key {
            "exec" | "command" | "program" | "cmd" => {
                Some("write `run = [\"/usr/local/bin/notify\"]`".to_owned())
            }
            "unit" | "service" | "systemctl" => {
                Some("write `reload = \"nginx.service\"` or `restart = …`".to_owned())
            }
            _ => None,
        };
        unknown(report, one, KNOWN, "`on_change`", meant);
        is_wrong = true;
    }
    let actions: Vec<_> =
        ACTIONS.iter().filter_map(|(key, read)| Some((find(&table, key)?, *read))).collect();
    let [(action, read)] = actions.as_slice() else {
        let message = match actions.len() {
            0 => "nothing is to be done here",
            _ => "two things are to be done here",
        };
        if !is_wrong {
            report.error(Found::at(&entry.at, message).hint(EXAMPLE));
        }
        return None;
    };
    for (option, of) in [("user", &["run"][..]), ("timeout", &["run", "reload", "restart"])] {
        if let Some(option) = find(&table, option)
            && !of.contains(&action.key)
        {
            let message = format!("`{}` means nothing for `{}`", option.key, action.key);
            report.error(Found::at(&option.key_at, message).hint("remove it"));
            is_wrong = true;
        }
    }
    let options = Options { table: &table, owners, trust };
    let read = read(action, &options, report);
    let at_most_every = options.duration("at_most_every", PAUSES.0, PAUSES, report);
    Some(OnChange { action: read?, at_most_every: at_most_every? }).filter(|_| !is_wrong)
}

impl Options<'_, '_> {
    fn duration(
        &self,
        key: &str,
        usual: Duration,
        (least, most): (Duration, Duration),
        report: &mut Report,
    ) -> Option<Duration> {
        let Some(entry) = find(self.table, key) else { return Some(usual) };
        let wrong = match units::duration(entry.value.as_str()) {
            Ok(duration) if (least..=most).contains(&duration) => return Some(duration),
            Ok(_) => Found::at(&entry.at, format!("`{key}` is out of range"))
                .hint(format!("choose from {least:?} to {most:?}")),
            Err(hint) => Found::at(&entry.at, format!("`{key}` takes a duration")).hint(hint),
        };
        report.error(wrong);
        None
    }
}

fn signal(entry: &Entry<'_>, _: &Options<'_, '_>, report: &mut Report) -> Option<Action> {
    let text = entry.text(report)?;
    if let Some(signal) = Signal::named(text) {
        return Some(Action::Signal(signal));
    }
    let (names, whole) = (Signal::names().collect::<Vec<_>>(), format!("SIG{}", text.to_ascii_uppercase()));
    let near = names.iter().copied().find(|name| *name == whole).or_else(|| nearest(text, &names));
    let hint = near.map_or_else(
        || "write a name such as \"SIGHUP\"".to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    );
    report.error(Found::at(&entry.at, format!("there is no signal `{text}`")).hint(hint));
    None
}

fn reload(entry: &Entry<'_>, options: &Options<'_, '_>, report: &mut Report) -> Option<Action> {
    unit(Verb::Reload, entry, options, report)
}

fn restart(entry: &Entry<'_>, options: &Options<'_, '_>, report: &mut Report) -> Option<Action> {
    unit(Verb::Restart, entry, options, report)
}

fn unit(verb: Verb, entry: &Entry<'_>, options: &Options<'_, '_>, report: &mut Report) -> Option<Action> {
    let timeout = options.duration("timeout", UNIT_TIMEOUT, TIMEOUTS, report);
    let text = entry.text(report)?;
    let name = whole_unit_name(text);
    if !is_managed_unit(&name) {
        let found = Found::at(
            &entry.at,
            format!("`{text}` is not the name of a unit that systemd can {}", entry.key),
        );
        report.error(
            found.hint(
                "write it whole, \"nginx.service\"; of a template name the instance, \"app@1.service\"",
            ),
        );
        return None;
    }
    Some(Action::Unit(Unit { verb, name: name.into_owned(), timeout: timeout? }))
}

fn run(entry: &Entry<'_>, options: &Options<'_, '_>, report: &mut Report) -> Option<Action> {
    let timeout = options.duration("timeout", PROGRAM_TIMEOUT, TIMEOUTS, report);
    let account = account(entry, options, report);
    let words: Option<Vec<_>> =
        entry.value.as_array().map(|list| list.iter().map(|word| word.get_ref().as_str()).collect());
    let Some(Some(words)) = words.map(|words| words.into_iter().collect::<Option<Vec<_>>>()) else {
        let hint = "write the program and each argument by itself: `run = [\"/usr/local/bin/notify\", \"arg\"]`; no shell is asked";
        report.error(entry.wrong_type("a list of strings").hint(hint));
        return None;
    };
    let Some((program, args)) = words.split_first() else {
        report.error(
            Found::at(&entry.at, "there is no program to run")
                .hint("write `run = [\"/usr/local/bin/notify\"]`"),
        );
        return None;
    };
    if words.iter().any(|word| word.contains('\0')) {
        report
            .error(Found::at(&entry.at, "no text that is passed on can hold a zero byte").hint("remove it"));
        return None;
    }
    let path = PathBuf::from(program);
    if !path.is_absolute() {
        let found = Found::at(&entry.at, format!("`{program}` is no absolute path"));
        report.error(found.hint("write the path from the root: no shell and no PATH is asked"));
        return None;
    }
    options.trust.named(&path, Want::Public, &entry.at, "install it first, or correct the path", report);
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Some(Action::Command(Command { path, args, account: account?, timeout: timeout? }))
}

/// Whom a program is to be: who is written, else the owner of the files, but never root without being told.
#[expect(clippy::option_option, reason = "outer: nothing wrong; inner: somebody else than we are")]
fn account(run: &Entry<'_>, options: &Options<'_, '_>, report: &mut Report) -> Option<Option<Account>> {
    let us = rustix::process::geteuid();
    let written = find(options.table, "user");
    let account = match written {
        Some(entry) => Some(users::account(entry, "name another", report)?),
        None => None,
    };
    if !us.is_root() {
        if let (Some(entry), Some(account)) = (written, account)
            && account.uid != us.as_raw()
        {
            let message =
                format!("only root can run a program as another user, and this is uid {}", us.as_raw());
            report.error(Found::at(&entry.at, message).hint("leave `user` out"));
            return None;
        }
        return Some(None);
    }
    if account.is_some() {
        return Some(account);
    }
    let uid = options.owners.uid;
    if uid == 0 {
        let found =
            Found::at(&run.at, "as whom the program is to run is not said, and the files belong to root");
        report.error(found.hint("add `user = \"app\"`, or one that may do nothing: `user = \"nobody\"`; for root write `user = \"root\"`"));
        return None;
    }
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => Some(Some(users::account_of(&user))),
        _ => {
            let found = Found::at(
                &run.at,
                format!("the files belong to uid {uid}, which is no user of this host to run a program as"),
            );
            report.error(found.hint("add `user = \"app\"`"));
            None
        }
    }
}
