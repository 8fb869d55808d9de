//! How long secrets are kept: `[cache]` for all, and the same keys in a provider, a scope or a file, each over the one before.

use std::time::Duration;

use super::checked::{CacheRules, Revoke};
pub(super) use super::merge::CACHE as KEYS;
use super::merge::Merged;
use super::report::{Found, Report};
use super::table::{Entry, find, one_of};
use crate::providers::kind;
use crate::units;

/// The shortest time for which a value is fetched ahead: below it, hosts would do nothing else.
const SHORTEST: Duration = Duration::from_secs(1);

/// The rules that `[cache]` gives.
pub(super) fn top(merged: &Merged<'_>, report: &mut Report) -> CacheRules {
    let written = |key: &&str| merged.values.get(&format!("cache.{key}")).cloned();
    let entries: Vec<_> = KEYS.iter().filter_map(written).collect();
    over(CacheRules::DEFAULT, &entries, report)
}

/// The rules that a provider gives for what comes from it: `top` but for what it says itself. What is wrong in it is reported
/// once, with `report`.
pub(super) fn of_provider(
    merged: &Merged<'_>,
    provider: &str,
    top: CacheRules,
    report: &mut Report,
) -> CacheRules {
    let entries = merged.providers.get(provider).and_then(|entry| {
        let table = entry.value.as_table()?;
        Some(super::table::entries(entry.at.source, table))
    });
    let entries = entries.unwrap_or_default();
    // What is no kind is reported with the provider.
    let kind = find(&entries, "kind").and_then(|entry| kind(entry.value.as_str()?));
    let asks = kind.map_or(top.asks, |kind| kind.asks);
    over(CacheRules { asks, ..top }, &entries, report)
}

/// `base`, but for what `entries` say of it.
pub(super) fn over(base: CacheRules, entries: &[Entry<'_>], report: &mut Report) -> CacheRules {
    let mut rules = base;
    for entry in entries.iter().filter(|entry| KEYS.contains(&entry.key)) {
        if entry.key == "prefetch" {
            rules.prefetch = switch(entry, report).unwrap_or(base.prefetch);
            continue;
        }
        if entry.key == "revoke" {
            let words =
                [("on_exit", Revoke::OnExit), ("on_shutdown", Revoke::OnShutdown), ("never", Revoke::Never)];
            rules.revoke = one_of(entry, &words, report).unwrap_or(base.revoke);
            continue;
        }
        let Some(duration) = duration(entry, report) else { continue };
        match entry.key {
            "fresh_for" => rules.fresh_for = duration,
            "stale_for" => rules.stale_for = duration,
            "missing_for" => rules.missing_for = duration,
            "refused_for" => rules.refused_for = duration,
            _ => rules.idle_after = duration,
        }
    }
    let prefetch = entries.iter().find(|entry| entry.key == "prefetch" && rules.prefetch);
    if let Some(entry) = prefetch
        && rules.fresh_for < SHORTEST
    {
        let message =
            "`prefetch` keeps a value fresh, and with so short a `fresh_for` nothing else would be done";
        report.error(Found::at(&entry.key_at, message).hint("write a `fresh_for` of \"1s\" or more"));
    }
    rules
}

fn duration(entry: &Entry<'_>, report: &mut Report) -> Option<Duration> {
    let duration = units::duration(entry.value.as_str());
    duration
        .map_err(|hint| {
            report.error(Found::at(&entry.at, format!("`{}` takes a duration", entry.key)).hint(hint));
        })
        .ok()
}

/// A switch that is on or off.
pub(super) fn switch(entry: &Entry<'_>, report: &mut Report) -> Option<bool> {
    let written = entry.value.as_bool();
    if written.is_none() {
        report.error(entry.wrong_type("true or false"));
    }
    written
}
