//! Whether a rule's callers get past owner, group and mode at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;

use nix::unistd::{Gid, Uid, User};

use super::owners::Owners;
use super::report::{Found, Report};
use super::rules::Checked;
use super::scope_files::{Drafted, Own};
use super::table::{Entry, find};

/// What is said of a user that is not in a group.
const GIVEN: &str = "it matches only where the service is given that group (`SupplementaryGroups=`)";

/// How many users a message names at most.
const SHOWN: usize = 4;

/// How a caller of a rule gets past owner, group and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Passes {
    /// Not at all.
    No,
    /// Where it was given this group, which its user is not in: a service may be.
    InGroup(u32),
    /// It does.
    Yes,
}

/// Reports rules and files of which the kernel lets nobody through, and modes for a group where there is none. `unread` are the
/// tables of files that are wrong.
pub(super) fn check(
    rules: &[Checked],
    scope: &Owners,
    settings: &[Entry<'_>],
    files: &[&Drafted<'_, '_>],
    unread: &[Option<&[Entry<'_>]>],
    report: &mut Report,
) {
    let own = files.iter().filter_map(|draft| Some((draft.own.mode?, &draft.owners)));
    for (entry, owners) in find(settings, "mode").map(|entry| (entry, scope)).into_iter().chain(own) {
        group_needs_name(entry, owners, report);
    }
    if unread.iter().flatten().any(|table| Own::find(table).any().is_some()) {
        // For whom those are is not known.
        return;
    }
    let of_rules =
        |owners: &Owners| rules.iter().map(|rule| passes(owners, rule.uid, &rule.gids)).collect::<Vec<_>>();
    let by_scope = of_rules(scope);
    let mut all: BTreeMap<Owners, Vec<Passes>> = files
        .iter()
        .map(|draft| draft.owners)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|one| (one, of_rules(&one)))
        .collect();
    if !unread.is_empty() || files.is_empty() {
        all.insert(*scope, by_scope.clone());
    }
    let best = |number: usize| all.values().filter_map(|of| of.get(number)).max().copied();
    let best: Vec<_> = (0..rules.len()).map(|number| best(number).unwrap_or(Passes::No)).collect();
    let mut is_for_nobody = false;
    if best.iter().chain(&by_scope).any(|passes| *passes != Passes::No) {
        for draft in files {
            let Some(at) = draft.own.any() else { continue };
            let of_rules = all.get(&draft.owners).map(Vec::as_slice).unwrap_or_default();
            is_for_nobody |= of_file(draft, at, rules, of_rules, &best, report) == Passes::No;
        }
    }
    for ((rule, best), by_scope) in rules.iter().zip(&best).zip(&by_scope) {
        // Where the scope would let it in, what is wrong is what those files say.
        if *best != Passes::No || *by_scope == Passes::No || !is_for_nobody {
            of_rule(rule, *best, scope, &all, report);
        }
    }
}

/// Reports a mode for a group where there is none.
fn group_needs_name(entry: &Entry<'_>, owners: &Owners, report: &mut Report) {
    if owners.file_mode & 0o044 == 0o040 && !owners.names_group() {
        let found = Found::at(&entry.at, "this mode lets a group read, and the scope names no `group`");
        report
            .error(found.hint("add `group = \"…\"` beside it or to the scope, or use \"0400\" or \"0444\""));
    }
}

/// Reports a rule that can never match because the kernel turns its callers away first.
fn of_rule(
    rule: &Checked,
    best: Passes,
    scope: &Owners,
    all: &BTreeMap<Owners, Vec<Passes>>,
    report: &mut Report,
) {
    match (best, rule.uid) {
        (Passes::No, _) => {
            let uids: BTreeSet<_> = all.keys().map(|owners| owners.uid).collect();
            let whose = match uids.iter().map(u32::to_string).collect::<Vec<_>>().as_slice() {
                [one] if *one == scope.uid.to_string() => format!("directory and files are for uid {one}"),
                [one] => format!("the files are for uid {one}"),
                [some @ .., last] if some.len() < SHOWN => {
                    format!("the files are for the uids {} and {last}", some.join(", "))
                }
                many => format!("the files are for {} users", many.len()),
            };
            let message =
                format!("this rule can never match: {whose} alone, and the rule asks for {}", demanded(rule));
            let hint =
                "make that user the `owner`, or name a `group` that it is in, or set `mode = \"0444\"`";
            report.error(Found::at(&rule.at, message).hint(hint));
        }
        (Passes::InGroup(gid), Some(uid)) => {
            let whose = if gid == scope.gid { "the scope's group" } else { "its files' group" };
            let message = format!("uid {uid} is not in {whose} {gid} on this host");
            report.warn(Found::at(&rule.at, message).hint(GIVEN));
        }
        _ => {}
    }
}

/// Reports a file of which its own owner, group and mode turn away the callers of all rules. Gives how the one that comes
/// furthest passes.
fn of_file(
    draft: &Drafted<'_, '_>,
    at: &Entry<'_>,
    rules: &[Checked],
    of_rules: &[Passes],
    best: &[Passes],
    report: &mut Report,
) -> Passes {
    let name = &draft.file.name;
    let furthest = of_rules.iter().max().copied().unwrap_or(Passes::No);
    match furthest {
        Passes::Yes => {}
        Passes::InGroup(gid) => {
            // What holds for all files of a rule was said of the rule.
            let given = |(of_file, best): (&Passes, &Passes)| *of_file != Passes::No && *best == Passes::Yes;
            let is_news = of_rules.iter().zip(best).any(given);
            let first = of_rules.iter().zip(rules).find(|(passes, _)| **passes != Passes::No);
            if let Some(uid) = first.and_then(|(_, rule)| rule.uid).filter(|_| is_news) {
                let message = format!("uid {uid} is not in the group {gid} of `{name}` on this host");
                report.warn(Found::at(&draft.own.group.unwrap_or(at).at, message).hint(GIVEN));
            }
        }
        Passes::No if draft.own.owner.is_some() => {
            let uid = draft.owners.uid;
            let message = format!("no rule of the scope can match for `{name}`: it is for uid {uid} alone");
            report.error(Found::at(&at.at, message).hint(
                "add a rule for that user, or name a `group` that the callers are in, or remove `owner`",
            ));
        }
        Passes::No => {
            let message = format!("with this mode no rule of the scope can match for `{name}`");
            report.error(Found::at(&at.at, message).hint("remove it: files have the scope's mode"));
        }
    }
    furthest
}

fn demanded(checked: &Checked) -> String {
    match (checked.uid, checked.gids.first()) {
        (Some(uid), _) => format!("uid {uid}"),
        (None, Some(gid)) => format!("gid {gid}"),
        (None, None) => "others".to_owned(),
    }
}

/// How a caller with these ids gets past owner, group and mode. The host's database of groups cannot say that it does not: a
/// service may be given a group that its user is not in.
fn passes(owners: &Owners, uid: Option<u32>, gids: &[u32]) -> Passes {
    let lets = |class: u16| owners.file_mode & class != 0;
    match uid {
        // Root passes by CAP_DAC_READ_SEARCH.
        Some(uid) if uid == 0 || uid == owners.uid => Passes::Yes,
        _ if lets(0o004) => Passes::Yes,
        Some(uid) if lets(0o040) && owners.names_group() && !is_member(uid, owners.gid) => {
            Passes::InGroup(owners.gid)
        }
        _ if lets(0o040) => Passes::Yes,
        Some(_) => Passes::No,
        None if gids.iter().all(|gid| is_member(owners.uid, *gid)) => Passes::Yes,
        None => Passes::No,
    }
}

/// Whether the host's database has the user in the group.
pub(crate) fn is_member(uid: u32, gid: u32) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let listed = |name: CString| nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default();
    user.gid.as_raw() == gid
        || CString::new(user.name.clone()).is_ok_and(|name| listed(name).contains(&Gid::from_raw(gid)))
}

#[cfg(test)]
mod tests {
    use super::super::owners::Written;
    use super::*;

    fn mine(mode: u16) -> Owners {
        Owners::new(Written { owner: Some(1000), group: Some(4_000_000), mode: Some(mode) }, None)
    }

    #[test]
    fn a_foreign_uid_is_shut_out_where_only_the_owner_may_read() {
        assert_eq!(passes(&mine(0o400), Some(1001), &[]), Passes::No);
        assert_eq!(passes(&mine(0o400), Some(1000), &[]), Passes::Yes);
        assert_eq!(passes(&mine(0o400), Some(0), &[]), Passes::Yes);
        assert_eq!(passes(&mine(0o444), Some(1001), &[]), Passes::Yes);
        assert_eq!(passes(&mine(0o440), Some(1001), &[]), Passes::InGroup(4_000_000));
        assert_eq!(passes(&mine(0o400), None, &[4_000_000]), Passes::No);
        assert_eq!(passes(&mine(0o400), None, &[]), Passes::Yes);
    }
}
