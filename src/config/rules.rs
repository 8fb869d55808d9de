//! `allow`: the rules of a scope, each a table of selectors.

use std::path::Path;

use super::doubts::{self, Part, pins_uid, says};
use super::report::{At, Found, Report};
use super::slips::not_a_selector;
use super::table::{Entry, entries, items};
use super::trust::Trust;
use crate::identity::{PinnedId, Says, Selector, Step, selector};
use crate::policy::Rule;

/// What a rule looks like, for whoever has none yet under this key.
fn example(key: &str) -> String {
    format!(
        "add a rule that says who may read, such as `{key} = {{ user = \"app\", exe = \"/usr/bin/app\" }}`"
    )
}

/// A rule with what it demands of the caller's ids.
pub(super) struct Checked {
    pub(super) rule: Rule,
    /// The place of the rule.
    pub(super) at: At,
    pub(super) uid: Option<u32>,
    pub(super) gids: Vec<u32>,
}

/// A rule as it is written, with at least one selector.
pub(super) struct WrittenRule<'s> {
    /// The place of the rule.
    pub(super) at: At,
    /// Its selectors.
    pub(super) parts: Vec<Entry<'s>>,
}

impl<'s> WrittenRule<'s> {
    /// Reads its selectors. `None` when one of them is wrong.
    pub(super) fn read(&self, trust: &Trust, report: &mut Report) -> Option<Vec<Part<'_, 's>>> {
        let read: Vec<_> = self.parts.iter().map(|part| Some((part, one(part, trust, report)?))).collect();
        read.into_iter().collect()
    }
}

/// Checks the rules of the scope named `scope`. `None` when one of them is wrong.
pub(super) fn rules(
    scope: &Entry<'_>,
    allow: Option<&Entry<'_>>,
    trust: &Trust,
    report: &mut Report,
) -> Option<Vec<Checked>> {
    let Some(allow) = allow else {
        let message = format!("scope `{}` has no `allow`: nobody could read it", scope.key);
        report.error(Found::at(&scope.key_at, message).hint(example("allow")));
        return None;
    };
    let written = written(allow, trust, report)?;
    let number = 1_usize..;
    let checked = number.zip(&written).map(|(n, one)| {
        let read = one.read(trust, report)?;
        rule(format!("{}.{n}", scope.key), &one.at, read, trust, report)
    });
    let checked: Vec<_> = checked.collect();
    checked.into_iter().collect()
}

/// The rules that stand there. `None` when one of them is none, or has a selector that is wrong.
pub(super) fn written<'s>(
    list: &Entry<'s>,
    trust: &Trust,
    report: &mut Report,
) -> Option<Vec<WrittenRule<'s>>> {
    let Some(items) = items(list) else {
        report.error(list.wrong_type("a rule or a list of rules").hint(example(list.key)));
        return None;
    };
    if items.is_empty() {
        report.error(Found::at(&list.at, "an empty list of rules lets nobody in").hint(example(list.key)));
        return None;
    }
    let rules: Vec<_> = items.iter().map(|item| written_rule(item, trust, report)).collect();
    rules.into_iter().collect()
}

fn written_rule<'s>(entry: &Entry<'s>, trust: &Trust, report: &mut Report) -> Option<WrittenRule<'s>> {
    let Some(table) = entry.value.as_table() else {
        report.error(entry.wrong_type("rules, which are tables").hint(example(entry.key)));
        return None;
    };
    let rule = WrittenRule { at: entry.at.clone(), parts: entries(entry.at.source, table) };
    if rule.parts.is_empty() {
        let found = Found::at(&entry.at, "a rule without selectors would let everybody in");
        report.error(found.hint(example(entry.key)));
        return None;
    }
    rule.read(trust, report)?;
    Some(rule)
}

/// Checks the rule at a place that demands all of these.
pub(super) fn rule(
    name: String,
    at: &At,
    read: Vec<Part<'_, '_>>,
    trust: &Trust,
    report: &mut Report,
) -> Option<Checked> {
    if let Some(found) = nobody_in_particular(at, &read) {
        report.error(found);
        return None;
    }
    let uid = one_uid(&read, report)?;
    doubts::warn(&read, trust, report);
    let gids = read.iter().filter_map(|(_, selector)| match selector.pins() {
        Some(PinnedId::Gid(gid)) => Some(gid),
        _ => None,
    });
    let gids = gids.collect();
    let selectors = read.into_iter().map(|(_, selector)| selector).collect();
    Some(Checked { rule: Rule::new(name, selectors), at: at.clone(), uid: uid.value, gids })
}

/// What is wrong with a rule that does not say who the caller must be.
fn nobody_in_particular(rule: &At, read: &[Part<'_, '_>]) -> Option<Found> {
    let of_a_user = read.iter().find(|(part, _)| says(part) == Some(Says::WhichOfAUser));
    if let Some((part, _)) = of_a_user
        && !pins_uid(read)
    {
        let message = format!(
            "`{}` is what any user may call his own, and this rule does not say whose it is",
            part.key
        );
        return Some(Found::at(&part.at, message).hint("add the user: `uid` or `user`"));
    }
    if !read.iter().any(|(part, _)| says(part) == Some(Says::Who)) {
        let message = "this rule says in what state the caller must be, and not who it is";
        return Some(Found::at(rule, message).hint("add a selector that names somebody, such as `user`"));
    }
    None
}

/// Reads one selector.
fn one(entry: &Entry<'_>, trust: &Trust, report: &mut Report) -> Option<Box<dyn Selector>> {
    let Some(kind) = selector(entry.key) else {
        report.hide(&entry.at);
        report.error(not_a_selector(entry));
        return None;
    };
    let value = entry.plain(report)?;
    if value.as_str().is_some_and(|text| trust.is_below_mount(Path::new(text))) {
        report.error(Found::at(&entry.at, format!("`{}` lies below the mount", entry.key)));
        return None;
    }
    match (kind.parse)(&value) {
        Ok(selector) => Some(selector),
        Err(error) => {
            if let Some(Step::Key(key)) = error.within.last() {
                // As with any unknown key: what stands there may be a secret.
                report.hide(&entry.within(&[Step::Value(key.clone())]));
            }
            // A list where the selector takes one value: it did not look into it.
            let found = match value.as_array() {
                Some(list) if !list.is_empty() && error.within.is_empty() => {
                    let hint =
                        format!("write a rule for each: `allow = [{{ {0} = … }}, {{ {0} = … }}]`", entry.key);
                    entry.wrong_type("one value").hint(hint)
                }
                _ => Found::at(&entry.within(&error.within), error.message).maybe_hint(error.hint),
            };
            report.error(found);
            None
        }
    }
}

/// The uid that a rule demands, if it does.
struct Demanded {
    value: Option<u32>,
}

/// The one uid of a rule; `None` after a report that it demands two.
fn one_uid(read: &[Part<'_, '_>], report: &mut Report) -> Option<Demanded> {
    let mut first: Option<(u32, &Entry<'_>)> = None;
    for (entry, selector) in read {
        let Some(PinnedId::Uid(uid)) = selector.pins() else { continue };
        match first {
            Some((other, by)) if other != uid => {
                let message = format!(
                    "this rule can never match: `{}` is uid {uid}, and `{}` is uid {other}",
                    entry.key, by.key
                );
                report.error(Found::at(&entry.at, message).hint("write two rules if either may read"));
                return None;
            }
            _ => first = Some((uid, entry)),
        }
    }
    Some(Demanded { value: first.map(|(uid, _)| uid) })
}
