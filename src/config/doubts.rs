//! Rules that say less than they seem to: selectors whose worth depends on the host or on what stands beside them.

use std::path::Path;

use nix::unistd::{Gid, Group};

use super::report::{Found, Report};
use super::scripts;
use super::table::Entry;
use super::trust::{Trust, Want};
use crate::identity::{PinnedId, Says, Selector, Step, exe, is_interpreter, selector};

/// A selector with where it stands.
pub(super) type Part<'e, 's> = (&'e Entry<'s>, Box<dyn Selector>);

/// Names of members that a warning shows.
const SHOWN: usize = 3;

/// Warns of what is doubtful in a rule.
pub(super) fn warn(rule: &[Part<'_, '_>], trust: &Trust, report: &mut Report) {
    warn_of_interpreter(rule, report);
    warn_of_scripts(rule, report);
    warn_of_exe_alone(rule, report);
    warn_of_executables(rule, trust, report);
    warn_of_members(rule, report);
    warn_of_wide_slices(rule, report);
    warn_of_labels(rule, report);
    warn_of_root(rule, report);
}

/// A member of the group can make a setgid program of his own.
fn warn_of_members(rule: &[Part<'_, '_>], report: &mut Report) {
    for (entry, selector) in rule {
        let Some(PinnedId::Egid(gid)) = selector.pins() else { continue };
        let members = members(gid);
        if members.is_empty() {
            continue;
        }
        let mut names =
            members.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if members.len() > SHOWN {
            names += " and others";
        }
        let message =
            format!("group {gid} has members ({names}), who can make setgid programs of it themselves");
        let hint = "give the program a group that nobody is in (`groupadd --system`)";
        report.warn(Found::at(&entry.at, message).hint(hint));
    }
}

/// Who is in a group by the host's database: names, for people. Users whose first group it is are looked for in
/// /etc/passwd alone.
fn members(gid: u32) -> Vec<String> {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    let mut members = group.map(|group| group.mem).unwrap_or_default();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    members.extend(passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, first) = (fields.next()?, fields.nth(2)?);
        (first.parse() == Ok(gid)).then(|| name.to_owned())
    }));
    members.retain(|name| !name.is_empty());
    members
}

/// Slices that systemd puts things into which nobody put anywhere.
fn warn_of_wide_slices(rule: &[Part<'_, '_>], report: &mut Report) {
    if rule.iter().any(|(entry, _)| entry.key == "unit") {
        return;
    }
    for (entry, _) in rule.iter().filter(|(entry, _)| entry.key == "slice") {
        let everybody = match entry.value.as_str() {
            Some("system.slice") => "every service of which the unit names no slice",
            Some("user.slice") => "every session of every user",
            Some("machine.slice") => "every container of Podman and every virtual machine",
            _ => continue,
        };
        let message = format!("{everybody} is in this slice");
        let hint = "name a slice of your own (`Slice=` in the units), or the unit with `unit`";
        report.warn(Found::at(&entry.at, message).hint(hint));
    }
}

/// Labels come with an image as well, and are whatever the one who starts a container says.
fn warn_of_labels(rule: &[Part<'_, '_>], report: &mut Report) {
    for (entry, _) in rule.iter().filter(|(entry, _)| entry.key == "container") {
        let Some(table) = entry.value.as_table() else { continue };
        let has = |key: &&str| table.contains_key(*key);
        let Some(by) = ["compose", "label"].into_iter().find(has) else { continue };
        if ["id", "name", "image", "digest", "pod_uid"].iter().any(has) {
            continue;
        }
        let what = if by == "compose" { "`compose` goes by labels, which" } else { "labels" };
        let message = format!(
            "{what} can be set by whoever may start containers, and come with an image as its author wrote them"
        );
        let hint = "name the `image` (or its `digest`) in the table as well";
        report.warn(Found::at(&entry.within(&[Step::Key(by.to_owned())]), message).hint(hint));
    }
}

/// Of root's processes the kernel shows no difference.
fn warn_of_root(rule: &[Part<'_, '_>], report: &mut Report) {
    let is_roots = rule.iter().any(|(_, selector)| selector.pins() == Some(PinnedId::Uid(0)));
    let Some((entry, _)) = rule.iter().find(|(entry, _)| is_roots && entry.key == "not_dumpable") else {
        return;
    };
    let message = "this rule never matches: for uid 0 it cannot be told whether a process is dumpable";
    report.warn(Found::at(&entry.at, message).hint("leave it out, or run the program as a user of its own"));
}

/// A rule that says nothing of who the caller is but an interpreter and a uid lets every script of that uid in.
fn warn_of_interpreter(read: &[Part<'_, '_>], report: &mut Report) {
    let runs = |selector: &dyn Selector| {
        selector
            .executable()
            .map(exe::Reference::path)
            .filter(|path| is_interpreter(path))
            .map(Path::to_owned)
    };
    let Some((entry, path)) = read.iter().find_map(|(entry, one)| Some((entry, runs(one.as_ref())?))) else {
        return;
    };
    let narrows = |(part, selector): &Part<'_, '_>| {
        let is_uid = matches!(selector.pins(), Some(PinnedId::Uid(_)));
        !is_uid && !is_program(part) && says(part) != Some(Says::How)
    };
    if read.iter().any(narrows) {
        return;
    }
    let who = if pins_uid(read) { "that user" } else { "anybody" };
    let message =
        format!("`{}` runs any script: whatever {who} runs with it matches this rule", path.display());
    let better =
        "name what it runs in as well: its systemd unit (`unit = \"app.service\"`) or its `container`";
    report.warn(Found::at(&entry.at, message).hint(better));
}

/// Of a script the kernel runs the interpreter: the script itself is nobody's executable.
fn warn_of_scripts(read: &[Part<'_, '_>], report: &mut Report) {
    for (entry, selector) in read {
        let Some(path) = selector.executable().map(exe::Reference::path) else { continue };
        let Some(runs) = scripts::interpreter(path) else { continue };
        let runs = runs.display();
        let message =
            format!("this rule never matches: `{}` is a script, and what runs is `{runs}`", path.display());
        let better = format!(
            "name what it runs in: its systemd unit (`unit = \"app.service\"`) or its `container`; naming `{runs}` \
             as `exe`, with a user beside it, would let in every script that the user runs with it"
        );
        report.warn(Found::at(&entry.at, message).hint(better));
    }
}

/// Whoever can replace the executable of a rule, or run it as he likes, matches the rule.
fn warn_of_executables(read: &[Part<'_, '_>], trust: &Trust, report: &mut Report) {
    for (entry, selector) in read {
        let Some(reference) = selector.executable() else { continue };
        if let Err(error) = trust.check(reference.path(), Want::Public) {
            let message = format!("whoever can replace this program matches the rule: {error}");
            report.warn(Found::at(&entry.at, message).maybe_hint(error.hint()));
        }
    }
}

/// A process can make itself show another executable (SECURITY.md), so a rule of nothing else is for everybody.
fn warn_of_exe_alone(read: &[Part<'_, '_>], report: &mut Report) {
    let interprets = |(_, selector): &Part<'_, '_>| {
        selector.executable().is_some_and(|reference| is_interpreter(reference.path()))
    };
    let Some((entry, _)) = who(read).find(|(entry, _)| is_program(entry)) else { return };
    if who(read).all(|(entry, _)| is_program(entry)) && !who(read).any(interprets) {
        let message = "any user of this host can run this program, or pretend to";
        let better = format!("say whose it is as well: `{{ user = \"…\", {} = \"…\" }}`", entry.key);
        report.warn(Found::at(&entry.at, message).hint(better));
    }
}

/// Whether a part of a rule says which program it is, and no more.
fn is_program(part: &Entry<'_>) -> bool {
    matches!(part.key, "exe" | "exe_sha256")
}

/// What a part of a rule speaks of.
pub(super) fn says(part: &Entry<'_>) -> Option<Says> {
    selector(part.key).map(|kind| kind.says)
}

/// Whether a rule says for which uid it is.
pub(super) fn pins_uid(read: &[Part<'_, '_>]) -> bool {
    read.iter().any(|(_, selector)| matches!(selector.pins(), Some(PinnedId::Uid(_))))
}

/// The selectors of a rule that say who the caller is.
fn who<'r, 'e, 's>(rule: &'r [Part<'e, 's>]) -> impl Iterator<Item = &'r Part<'e, 's>> {
    rule.iter().filter(|(entry, _)| says(entry) == Some(Says::Who))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_both_tables() {
        assert!(members(1).contains(&"daemon".to_owned()), "its first group");
        assert!(members(4_000_000).is_empty());
    }
}
