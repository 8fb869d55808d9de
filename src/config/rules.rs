//! `allow`: the rules of a scope, each a table of selectors.

use std::path::Path;

use super::doubts::{self, Part};
use super::report::{At, Found, Report};
use super::table::{Entry, entries, listed, nearest};
use super::trust::{Trust, Want};
use crate::identity::{PinnedId, SELECTORS, Says, Selector, selector};
use crate::policy::Rule;

/// What a rule looks like, for whoever has none yet.
const EXAMPLE: &str =
    "add a rule that says who may read, such as `allow = { user = \"app\", exe = \"/usr/bin/app\" }`";

/// What people try that proves nothing, and why.
const VOID: &[(&str, &str)] = &[
    ("argv", "a process writes its own arguments"),
    ("args", "a process writes its own arguments"),
    ("cmdline", "a process writes its own command line"),
    ("comm", "a process chooses its own name"),
    ("name", "a process chooses its own name"),
    ("process", "a process chooses its own name"),
    ("cwd", "a process chooses its own working directory"),
    ("env", "a process writes its own environment"),
    ("environ", "a process writes its own environment"),
    ("pid", "a number that the next process may have"),
    ("ppid", "a process may choose whose child it is"),
];

/// Programs that run what somebody else wrote: their path says nothing of it. A version may follow the name.
const INTERPRETERS: &[&str] = &[
    "node", "nodejs", "deno", "bun", "python", "pypy", "bash", "sh", "dash", "zsh", "ksh", "fish", "busybox",
    "java", "perl", "ruby", "php", "lua", "luajit", "tclsh", "env", "awk", "gawk", "mawk", "dotnet",
];

/// A rule with what it demands of the caller's ids.
pub(super) struct Checked {
    pub(super) rule: Rule,
    /// The place of the rule.
    pub(super) at: At,
    pub(super) uid: Option<u32>,
    pub(super) gids: Vec<u32>,
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
        report.error(Found::at(&scope.key_at, message).hint(EXAMPLE));
        return None;
    };
    let written: Vec<Entry<'_>> = match (allow.value.as_table(), allow.value.as_array()) {
        (Some(_), _) => vec![allow.clone()],
        (_, Some(list)) => {
            let one = |value| item(allow, value);
            list.iter().map(one).collect()
        }
        _ => {
            report.error(allow.wrong_type("a rule or a list of rules").hint(EXAMPLE));
            return None;
        }
    };
    if written.is_empty() {
        report.error(Found::at(&allow.at, "an empty list of rules lets nobody in").hint(EXAMPLE));
        return None;
    }
    let number = 1_usize..;
    let checked: Vec<_> = number
        .zip(&written)
        .map(|(n, entry)| rule(format!("{}.{n}", scope.key), entry, trust, report))
        .collect();
    checked.into_iter().collect()
}

/// One item of a list, under the list's key.
fn item<'s>(list: &Entry<'s>, value: &'s toml::Spanned<toml::de::DeValue<'s>>) -> Entry<'s> {
    Entry { value: value.get_ref(), at: At { source: list.at.source, span: value.span() }, ..list.clone() }
}

fn rule(name: String, entry: &Entry<'_>, trust: &Trust, report: &mut Report) -> Option<Checked> {
    let Some(table) = entry.value.as_table() else {
        report.error(entry.wrong_type("rules, which are tables").hint(EXAMPLE));
        return None;
    };
    let written = entries(entry.at.source, table);
    if written.is_empty() {
        let found = Found::at(&entry.at, "a rule without selectors would let everybody in");
        report.error(found.hint(EXAMPLE));
        return None;
    }
    let read: Vec<_> = written.iter().map(|part| Some((part, one(part, trust, report)?))).collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    if who(&read).next().is_none() {
        let found =
            Found::at(&entry.at, "this rule says in what state the caller must be, and not who it is");
        report.error(found.hint("add a selector that names somebody, such as `user`"));
        return None;
    }
    let uid = one_uid(&read, report)?;
    warn_of_interpreter(&read, report);
    warn_of_exe_alone(&read, report);
    warn_of_executables(&read, trust, report);
    doubts::warn(&read, report);
    let gids = read.iter().filter_map(|(_, selector)| match selector.pins() {
        Some(PinnedId::Gid(gid)) => Some(gid),
        _ => None,
    });
    let gids = gids.collect();
    let selectors = read.into_iter().map(|(_, selector)| selector).collect();
    Some(Checked { rule: Rule::new(name, selectors), at: entry.at.clone(), uid: uid.value, gids })
}

/// The selectors of a rule that say who the caller is.
fn who<'r, 'e, 's>(rule: &'r [Part<'e, 's>]) -> impl Iterator<Item = &'r Part<'e, 's>> {
    rule.iter().filter(|(entry, _)| selector(entry.key).is_some_and(|kind| kind.says == Says::Who))
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
            report.error(Found::at(&entry.at, error.message).maybe_hint(error.hint));
            None
        }
    }
}

fn not_a_selector(entry: &Entry<'_>) -> Found {
    let known: Vec<_> = SELECTORS.iter().map(|kind| kind.key).collect();
    let list = listed(&known);
    if let Some((key, why)) = VOID.iter().find(|(key, _)| *key == entry.key) {
        let message = format!("`{key}` is not offered as a selector: {why}, so it proves nothing");
        return Found::at(&entry.key_at, message).hint(format!("selectors that prove something are {list}"));
    }
    let near = nearest(entry.key, &known).map(|near| format!("did you mean `{near}`?"));
    let message = format!("`{}` is not a known selector; known are {list}", entry.key);
    Found::at(&entry.key_at, message).maybe_hint(near)
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

/// A rule of nothing but an interpreter and a uid lets every script of that uid in.
fn warn_of_interpreter(read: &[Part<'_, '_>], report: &mut Report) {
    if !who(read).all(|(entry, _)| matches!(entry.key, "exe" | "exe_sha256" | "uid" | "user")) {
        return;
    }
    let named = |entry: &Entry<'_>| {
        entry.value.as_str().filter(|path| is_interpreter(Path::new(path))).map(str::to_owned)
    };
    let Some((entry, path)) = read.iter().find_map(|(entry, _)| Some((entry, named(entry)?))) else { return };
    let pins_uid = read.iter().any(|(_, selector)| matches!(selector.pins(), Some(PinnedId::Uid(_))));
    let (who, better) = match pins_uid {
        true => ("that user", "run nothing else as that user, or name a program that runs only its own code"),
        false => {
            ("anybody", "give the program a user of its own and add it: `{ user = \"…\", exe = \"…\" }`")
        }
    };
    let message = format!("`{path}` runs any script: whatever {who} runs with it matches this rule");
    report.warn(Found::at(&entry.at, message).hint(better));
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
    let is_program = |entry: &Entry<'_>| matches!(entry.key, "exe" | "exe_sha256");
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

/// Whether the path, or what it links to, is an interpreter.
fn is_interpreter(path: &Path) -> bool {
    let by_name =
        |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_interpreter_name);
    by_name(path) || path.canonicalize().is_ok_and(|path| by_name(&path))
}

fn is_interpreter_name(name: &str) -> bool {
    if name.starts_with("ld-linux") || name.starts_with("ld-musl") || name == "ld.so" {
        return true;
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_with_and_without_a_version() {
        for name in ["node", "python3", "python3.12", "bash", "perl5.36.0", "ld-linux-x86-64.so.2", "java"] {
            assert!(is_interpreter_name(name), "{name}");
        }
        for name in ["nginx", "app", "pythonic", "redis-server", "3"] {
            assert!(!is_interpreter_name(name), "{name}");
        }
    }
}
