//! `workload`: a scope with a directory for each of its workloads, in which the files are, so that each can be shown its own.
//!
//! Who may read in one is who matches both a rule of the scope's `allow`, where there is one, and a rule of the workload: each pair
//! of them is one rule.

use super::doubts::Part;
use super::names;
use super::report::{At, Found, Report};
use super::rules::{self, Checked, WrittenRule};
use super::table::Entry;
use super::trust::Trust;
use crate::identity::PinnedId;

/// What a workload looks like, for whoever has none yet.
pub(super) const EXAMPLE: &str = "write who each is: `workload = { web = { unit = \"web.service\" }, worker = { unit = \"worker.service\" } }`";

/// A directory of files, and who may read them.
pub(super) struct Directory {
    /// Its path below the mount: `scope`, or `scope/workload`.
    pub(super) name: String,
    /// Where its rules are written.
    pub(super) at: At,
    /// `None` when one of them is wrong.
    pub(super) rules: Option<Vec<Checked>>,
    /// Whether it is one workload's.
    pub(super) is_of_workload: bool,
}

/// Checks the workloads of a scope: a directory for each. Where there are none, which is reported, one that stands for them, so
/// that what else is wrong with the scope is shown as well.
pub(super) fn directories(
    scope: &Entry<'_>,
    workloads: &Entry<'_>,
    allow: Option<&Entry<'_>>,
    trust: &Trust,
    report: &mut Report,
) -> Vec<Directory> {
    let written = match workloads.value.as_table() {
        Some(_) => workloads.table(report).unwrap_or_default(),
        None => {
            report.error(workloads.wrong_type("a table").hint(EXAMPLE));
            Vec::new()
        }
    };
    if written.is_empty() {
        if workloads.value.as_table().is_some() {
            report.error(Found::at(&workloads.key_at, "there is no workload here").hint(EXAMPLE));
        }
        let (name, at) = (scope.key.to_owned(), workloads.key_at.clone());
        return vec![Directory { name, at, rules: None, is_of_workload: true }];
    }
    let common = match allow {
        Some(allow) => rules::written(allow, trust, report),
        // Then the rules of the workloads say it all.
        None => Some(vec![WrittenRule { at: workloads.at.clone(), parts: Vec::new() }]),
    };
    let mut matched = vec![false; common.as_ref().map_or(0, Vec::len)];
    let mut directories = Vec::new();
    for workload in &written {
        if let Err(error) = names::check(workload.key) {
            report.error(Found::at(&workload.key_at, format!("workload: {error}")));
        }
        let name = format!("{}/{}", scope.key, workload.key);
        let own = rules::written(workload, trust, report);
        let rules = common.as_ref().zip(own.as_ref());
        let rules = rules.and_then(|(common, own)| pairs(&name, common, own, &mut matched, trust, report));
        directories.push(Directory { name, at: workload.key_at.clone(), rules, is_of_workload: true });
    }
    // Where a workload is wrong, it may be the one that a rule is for.
    if directories.iter().all(|one| one.rules.is_some()) {
        for (rule, _) in common.iter().flatten().zip(matched).filter(|(_, matched)| !matched) {
            let message = "this rule can never match: it contradicts the rules of all workloads";
            report.error(Found::at(&rule.at, message).hint("remove it, or add the workload that it is for"));
        }
    }
    directories
}

/// The rules of a workload: one for each of its own with each of the scope's that does not contradict it.
fn pairs(
    name: &str,
    common: &[WrittenRule<'_>],
    own: &[WrittenRule<'_>],
    matched: &mut [bool],
    trust: &Trust,
    report: &mut Report,
) -> Option<Vec<Checked>> {
    let mut rules = Vec::new();
    let mut is_wrong = false;
    for one in own {
        let mut against = None;
        let mut fits = false;
        for (with, matched) in common.iter().zip(matched.iter_mut()) {
            let (first, second) = (with.read(trust, report)?, one.read(trust, report)?);
            if let Some(contradiction) = contradiction(&first, &second) {
                against = Some(contradiction);
                continue;
            }
            (fits, *matched) = (true, true);
            let number = rules.len().saturating_add(1);
            match rules::rule(format!("{name}.{number}"), &one.at, both(first, second), trust, report) {
                Some(rule) => rules.push(rule),
                None => is_wrong = true,
            }
        }
        if let Some(against) = against.filter(|_| !fits) {
            let message =
                format!("this rule can never match: {against}, and the scope's `allow` holds as well");
            report
                .error(Found::at(&one.at, message).hint("add a rule to `allow` that lets this workload in"));
            is_wrong = true;
        }
    }
    (!is_wrong).then_some(rules)
}

/// What both demand, each selector once.
fn both<'e, 's>(first: Vec<Part<'e, 's>>, second: Vec<Part<'e, 's>>) -> Vec<Part<'e, 's>> {
    let mut parts = first;
    for part in second {
        if !parts.iter().any(|(_, known)| known.describe() == part.1.describe()) {
            parts.push(part);
        }
    }
    parts
}

/// Why no caller can be what both demand, where that is plain.
fn contradiction(first: &[Part<'_, '_>], second: &[Part<'_, '_>]) -> Option<String> {
    let against = |a: &Part<'_, '_>, b: &Part<'_, '_>| {
        contradict(a, b).then(|| format!("`{}` is not `{}`", b.1.describe(), a.1.describe()))
    };
    first.iter().find_map(|a| second.iter().find_map(|b| against(a, b)))
}

fn contradict((a, first): &Part<'_, '_>, (b, second): &Part<'_, '_>) -> bool {
    if let (Some(PinnedId::Uid(a)), Some(PinnedId::Uid(b))) = (first.pins(), second.pins()) {
        return a != b;
    }
    match (a.key, b.key) {
        ("unit", "unit") | ("user_unit", "user_unit") => unit(a).zip(unit(b)).is_some_and(|(a, b)| a != b),
        ("exe", "exe") => first.describe() != second.describe(),
        _ => false,
    }
}

/// The unit that an entry names, where it is one alone.
fn unit<'s>(entry: &Entry<'s>) -> Option<&'s str> {
    entry.value.as_str()?.split('/').next().filter(|name| !name.contains('*'))
}
