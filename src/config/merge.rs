//! Puts the tables of all files together. What is said twice is an error that names both places.

use std::collections::BTreeMap;

use super::report::{Found, Report};
use super::source::Source;
use super::table::{Entry, entries, unknown};
use crate::identity::selector;

const TOP: &[&str] = &[
    "mount",
    "control",
    "namespaces",
    "audit",
    "limits",
    "cache",
    "metrics",
    "runtime",
    "fetcher",
    "provider",
    "scope",
];
const AUDIT: &[&str] = &["to", "on_failure"];
const METRICS: &[&str] = &["listen", "group", "secrets"];
const FETCHER: &[&str] = &["user"];
const RUNTIMES: &[&str] = &["docker", "podman"];
const RUNTIME: &[&str] = &["socket"];
const LIMITS: &[&str] = &[
    "cache_max",
    "size_max",
    "deadline",
    "stat_wait",
    "waiting_per_uid",
    "waiting_per_process",
    "misses_per_uid",
    "misses_per_process",
];

/// What can be said in `[cache]`, and in a provider, a scope or a file as well.
pub(super) const CACHE: &[&str] =
    &["fresh_for", "stale_for", "missing_for", "refused_for", "idle_after", "prefetch", "revoke"];

/// The tables of all files.
#[derive(Default)]
pub(super) struct Merged<'s> {
    /// Single values: `mount`, `audit.to`, `limits.deadline`, `runtime.docker.socket` and so on.
    pub(super) values: BTreeMap<String, Entry<'s>>,
    /// `[provider.NAME]`.
    pub(super) providers: BTreeMap<String, Entry<'s>>,
    /// `[scope.NAME]`.
    pub(super) scopes: BTreeMap<String, Entry<'s>>,
}

/// Puts the files together.
pub(super) fn merge<'s>(sources: &'s [Source<'s>], report: &mut Report) -> Merged<'s> {
    let mut merged = Merged::default();
    for source in sources {
        for entry in entries(source.number, &source.table) {
            match entry.key {
                "mount" | "control" | "namespaces" => {
                    put(&mut merged.values, entry.key.to_owned(), entry, report)
                }
                "audit" => values(&mut merged.values, "audit", &entry, AUDIT, report),
                "limits" => values(&mut merged.values, "limits", &entry, LIMITS, report),
                "cache" => values(&mut merged.values, "cache", &entry, CACHE, report),
                "metrics" => values(&mut merged.values, "metrics", &entry, METRICS, report),
                "fetcher" => values(&mut merged.values, "fetcher", &entry, FETCHER, report),
                "runtime" => runtimes(&mut merged.values, &entry, report),
                "provider" => tables(&mut merged.providers, &entry, report),
                "scope" => tables(&mut merged.scopes, &entry, report),
                _ => unknown(report, &entry, TOP, "a configuration", place_of(entry.key)),
            }
        }
    }
    merged
}

/// Where a key belongs that stands at the top.
fn place_of(key: &str) -> Option<String> {
    let table = [("audit", AUDIT), ("limits", LIMITS), ("cache", CACHE)]
        .into_iter()
        .find(|(_, keys)| keys.contains(&key));
    let plural = match key {
        "providers" => Some("write `[provider.NAME]`".to_owned()),
        "scopes" => Some("write `[scope.NAME]`".to_owned()),
        "allow" | "file" | "owner" | "group" | "mode" => Some("it belongs below `[scope.NAME]`".to_owned()),
        key if selector(key).is_some() => {
            Some(format!("it belongs into a rule: `allow = {{ {key} = … }}` below `[scope.NAME]`"))
        }
        "docker" | "podman" => Some(format!("write `[runtime.{key}]`")),
        _ => None,
    };
    table.map(|(table, _)| format!("it belongs below `[{table}]`")).or(plural)
}

/// `[runtime.docker]` and `[runtime.podman]`.
fn runtimes<'s>(into: &mut BTreeMap<String, Entry<'s>>, table: &Entry<'s>, report: &mut Report) {
    for entry in table.table(report).unwrap_or_default() {
        if RUNTIMES.contains(&entry.key) {
            values(into, &format!("runtime.{}", entry.key), &entry, RUNTIME, report);
        } else {
            unknown(report, &entry, RUNTIMES, "`[runtime]`", None);
        }
    }
}

/// The values of the table that is called `name`.
fn values<'s>(
    into: &mut BTreeMap<String, Entry<'s>>,
    name: &str,
    table: &Entry<'s>,
    known: &[&str],
    report: &mut Report,
) {
    for entry in table.table(report).unwrap_or_default() {
        if known.contains(&entry.key) {
            put(into, format!("{name}.{}", entry.key), entry, report);
        } else {
            unknown(report, &entry, known, &format!("`[{name}]`"), place_of(entry.key));
        }
    }
}

fn tables<'s>(into: &mut BTreeMap<String, Entry<'s>>, table: &Entry<'s>, report: &mut Report) {
    let hint = format!("write `[{}.NAME]`", table.key);
    if table.value.as_table().is_none() {
        report.hide(&table.at);
        report.error(table.wrong_type("named tables").hint(hint));
        return;
    }
    for entry in table.table(report).unwrap_or_default() {
        if entry.value.as_table().is_some() {
            put(into, entry.key.to_owned(), entry, report);
        } else {
            report.hide(&entry.at);
            report.error(entry.wrong_type("a table").hint(hint.clone()));
        }
    }
}

fn put<'s>(into: &mut BTreeMap<String, Entry<'s>>, name: String, entry: Entry<'s>, report: &mut Report) {
    match into.get(&name) {
        None => {
            into.insert(name, entry);
        }
        Some(first) => {
            let message =
                format!("`{}` is there twice: here and at {}", entry.key, report.place(&first.key_at));
            report.error(Found::at(&entry.key_at, message).hint("remove one of them"));
        }
    }
}
