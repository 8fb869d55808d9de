//! `file.NAME`: what a file shows and how.

use std::collections::{BTreeMap, BTreeSet};

use super::cache;
use super::checked::{CacheRules, File};
use super::merge::Merged;
use super::names;
use super::on_change;
use super::owners::{self, Owners};
use super::report::{Found, Report};
use super::table::{Entry, find, one_of, unknown};
use super::trust::Trust;
use super::workloads;
use crate::change::OnChange;
use crate::format::{DECODES, FORMATS, Form, NEWLINES};
use crate::providers::kind;
use crate::reference::Reference;
use crate::words::{listed, nearest};

const FILE: &[&str] = &["from", "format", "decode", "newline", "mode", "on_change", "per_caller"];

/// What holds for a file that says nothing else, and who is trusted.
pub(super) struct Inherited<'i, 's> {
    /// Owner, group and mode.
    pub(super) owners: &'i Owners,
    /// What is done on a change.
    pub(super) on_change: &'i [OnChange],
    /// Whom files may belong to.
    pub(super) trust: &'i Trust,
    /// What its scope says of how long secrets are kept.
    pub(super) cache: &'i [Entry<'s>],
    /// The workload that it is for (`scope/workload`), where the scope has some.
    pub(super) workload: Option<&'i str>,
    /// What is said of that for all, and by each provider.
    pub(super) providers: &'i BTreeMap<&'s str, CacheRules>,
}

/// One file with the place that its mode is to be reported at.
pub(super) struct Drafted<'e, 's> {
    pub(super) file: File,
    pub(super) mode: Option<&'e Entry<'s>>,
}

/// Reads one file.
pub(super) fn draft<'e, 's>(
    entry: &'e Entry<'s>,
    table: Option<&'e [Entry<'s>]>,
    inherited: &Inherited<'_, '_>,
    merged: &Merged<'_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Drafted<'e, 's>> {
    let file_mode = inherited.owners.file_mode;
    if let Err(error) = names::check(entry.key) {
        report.error(Found::at(&entry.key_at, format!("file: {error}")));
    }
    let name = entry.key.to_owned();
    let Some(table) = table else {
        if entry.value.as_str().is_none() {
            report.error(entry.wrong_type("a reference or a table"));
        }
        let from = reference(entry, merged, used, report)?;
        let cache = kept(inherited, &from, &[], report);
        let on_change = inherited.on_change.to_vec();
        let file = File { name, from, form: Form::RAW, mode: file_mode, cache, on_change };
        return Some(Drafted { file, mode: None });
    };
    let known: Vec<_> = FILE.iter().chain(cache::KEYS).copied().collect();
    for setting in table.iter().filter(|setting| !known.contains(&setting.key)) {
        unknown(report, setting, &known, "a file", quote_hint(entry, setting));
    }
    let form = form(table, report);
    let mode = find(table, "mode");
    let bits = mode.map_or(Some(file_mode), |mode| owners::mode(mode, report));
    let on_change = match find(table, "on_change") {
        Some(entry) => on_change::on_change(entry, inherited.owners, inherited.trust, report),
        None => Some(inherited.on_change.to_vec()),
    };
    let Some(from) = find(table, "from") else {
        // `file.mcp.json = …` is a table `mcp` to TOML; that was reported above.
        if table.iter().all(|setting| known.contains(&setting.key)) {
            let found = Found::at(&entry.key_at, format!("file `{}` has no `from`", entry.key));
            report.error(found.hint("write `from = \"provider:path\"` or `from = \"provider:path#key\"`"));
        }
        return None;
    };
    let from = reference(from, merged, used, report)?;
    let from = match find(table, "per_caller") {
        Some(entry) => per_caller(entry, from, inherited, merged, report)?,
        None => from,
    };
    let cache = kept(inherited, &from, table, report);
    let (form, bits, on_change) = (form?, bits?, on_change?);
    Some(Drafted { file: File { name, from, form, mode: bits, cache, on_change }, mode })
}

/// What the file shows: to each workload its own, where that is written.
fn per_caller(
    entry: &Entry<'_>,
    from: Reference,
    inherited: &Inherited<'_, '_>,
    merged: &Merged<'_>,
    report: &mut Report,
) -> Option<Reference> {
    if !cache::switch(entry, report)? {
        return Some(from);
    }
    let Some(workload) = inherited.workload else {
        let message =
            "one file shows one thing, and this scope has no workloads that could have files of their own";
        let hint = format!("add them to the scope. {}", workloads::EXAMPLE);
        report.error(Found::at(&entry.key_at, message).hint(hint));
        return None;
    };
    if let Some(false) = mints(from.provider(), merged) {
        let message = format!(
            "`{}` makes nothing for a fetch: each workload is shown the same, fetched for it alone",
            from.provider()
        );
        report.warn(Found::at(&entry.key_at, message).hint("leave `per_caller` out"));
    }
    Some(from.made_for(workload))
}

/// Whether a provider may make what it gives; `None` where it is wrong, which is reported with it.
fn mints(provider: &str, merged: &Merged<'_>) -> Option<bool> {
    let settings = merged.providers.get(provider)?.plain(&mut Report::default())?;
    let settings = settings.as_table()?;
    let kind = kind(settings.get("kind")?.as_str()?)?;
    Some((kind.mints)(settings))
}

/// How long the secret is kept: what is said for all, by its provider, by the scope and by the file, each over the one before.
fn kept(
    inherited: &Inherited<'_, '_>,
    from: &Reference,
    table: &[Entry<'_>],
    report: &mut Report,
) -> CacheRules {
    let of_provider = inherited.providers.get(from.provider()).copied().unwrap_or(CacheRules::DEFAULT);
    // What is wrong in the scope's was reported with the scope.
    let of_scope = cache::over(of_provider, inherited.cache, &mut Report::default());
    cache::over(of_scope, table, report)
}

/// A name with a dot that was not quoted looks like an unknown key.
fn quote_hint(file: &Entry<'_>, setting: &Entry<'_>) -> Option<String> {
    let looks_like_value = setting.value.as_str().is_some_and(|text| text.parse::<Reference>().is_ok());
    let looks_like_file = setting.value.as_table().is_some_and(|table| table.contains_key("from"));
    (looks_like_value || looks_like_file)
        .then(|| format!("a name with a dot is quoted: `file.\"{}.{}\"`", file.key, setting.key))
}

/// How it is written.
fn form(table: &[Entry<'_>], report: &mut Report) -> Option<Form> {
    let format = word(table, "format", FORMATS, Form::RAW.format, report);
    let words: Vec<_> = DECODES.iter().map(|(word, decode)| (*word, Some(*decode))).collect();
    let decode = word(table, "decode", &words, Form::RAW.decode, report);
    let newline = word(table, "newline", NEWLINES, Form::RAW.newline, report);
    let form = Form { format: format?, decode: decode?, newline: newline? };
    if let (Err(error), Some(decode)) = (form.check(), find(table, "decode")) {
        let hint = "leave `format` out for the decoded bytes; `from = \"provider:path#key\"` takes one of several values";
        report.error(Found::at(&decode.key_at, error.to_string()).hint(hint));
        return None;
    }
    Some(form)
}

/// What is written for `key`, or what holds without.
fn word<T: Copy>(
    table: &[Entry<'_>],
    key: &str,
    words: &[(&str, T)],
    without: T,
    report: &mut Report,
) -> Option<T> {
    find(table, key).map_or(Some(without), |entry| one_of(entry, words, report))
}

fn reference(
    entry: &Entry<'_>,
    merged: &Merged<'_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Reference> {
    let text = entry.value.as_str()?;
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => {
            // It may be a secret that was written in place of its reference.
            report.hide(&entry.at);
            report.error(Found::at(&entry.at, format!("not a reference: {error}")));
            return None;
        }
    };
    used.insert(reference.provider().to_owned());
    if !merged.providers.contains_key(reference.provider()) && report.is_complete() {
        let names: Vec<_> = merged.providers.keys().map(String::as_str).collect();
        let known = match names.as_slice() {
            [] => "none is configured".to_owned(),
            names => format!("providers are {}", listed(names)),
        };
        let message = format!("there is no provider `{}`; {known}", reference.provider());
        let near = nearest(reference.provider(), &names).map(|near| format!("did you mean `{near}`?"));
        let add = || format!("add `[provider.{}]`", reference.provider());
        report.error(Found::at(&entry.at, message).hint(near.unwrap_or_else(add)));
        return None;
    }
    Some(reference)
}
