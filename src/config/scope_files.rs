//! `file.NAME`: what a file shows and how.

use std::collections::BTreeSet;

use super::checked::{File, Format};
use super::merge::Merged;
use super::names;
use super::on_change;
use super::owners::{self, Owners};
use super::report::{Found, Report};
use super::table::{Entry, find, unknown};
use super::trust::Trust;
use crate::change::OnChange;
use crate::reference::Reference;
use crate::words::{listed, nearest};

const FILE: &[&str] = &["from", "format", "mode", "on_change"];
const FORMATS: &[&str] = &["raw", "dotenv", "json"];

/// One file with the place that its mode is to be reported at.
pub(super) struct Drafted<'e, 's> {
    pub(super) file: File,
    pub(super) mode: Option<&'e Entry<'s>>,
}

/// What holds for a file that says nothing else, and who is trusted.
pub(super) struct OfScope<'a> {
    pub(super) owners: &'a Owners,
    pub(super) on_change: &'a [OnChange],
    pub(super) trust: &'a Trust,
}

/// Reads one file.
pub(super) fn draft<'e, 's>(
    entry: &'e Entry<'s>,
    table: Option<&'e [Entry<'s>]>,
    of_scope: &OfScope<'_>,
    merged: &Merged<'_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Drafted<'e, 's>> {
    if let Err(error) = names::check(entry.key) {
        report.error(Found::at(&entry.key_at, format!("file: {error}")));
    }
    let OfScope { owners, on_change, trust } = of_scope;
    let name = entry.key.to_owned();
    let Some(table) = table else {
        if entry.value.as_str().is_none() {
            report.error(entry.wrong_type("a reference or a table"));
        }
        let from = reference(entry, merged, used, report)?;
        let on_change = on_change.to_vec();
        return Some(Drafted {
            file: File { name, from, format: Format::Raw, mode: owners.file_mode, on_change },
            mode: None,
        });
    };
    for setting in table.iter().filter(|setting| !FILE.contains(&setting.key)) {
        unknown(report, setting, FILE, "a file", quote_hint(entry, setting));
    }
    let format = find(table, "format");
    let format = format.map_or(Some(Format::Raw), |format| read_format(format, report));
    let mode = find(table, "mode");
    let bits = mode.map_or(Some(owners.file_mode), |mode| owners::mode(mode, report));
    let on_change = match find(table, "on_change") {
        Some(entry) => on_change::on_change(entry, owners, trust, report),
        None => Some(on_change.to_vec()),
    };
    let Some(from) = find(table, "from") else {
        // `file.mcp.json = …` is a table `mcp` to TOML; that was reported above.
        if table.iter().all(|setting| FILE.contains(&setting.key)) {
            let found = Found::at(&entry.key_at, format!("file `{}` has no `from`", entry.key));
            report.error(found.hint("write `from = \"provider:path\"` or `from = \"provider:path#key\"`"));
        }
        return None;
    };
    let from = reference(from, merged, used, report)?;
    Some(Drafted { file: File { name, from, format: format?, mode: bits?, on_change: on_change? }, mode })
}

/// A name with a dot that was not quoted looks like an unknown key.
fn quote_hint(file: &Entry<'_>, setting: &Entry<'_>) -> Option<String> {
    let looks_like_value = setting.value.as_str().is_some_and(|text| text.parse::<Reference>().is_ok());
    let looks_like_file = setting.value.as_table().is_some_and(|table| table.contains_key("from"));
    (looks_like_value || looks_like_file)
        .then(|| format!("a name with a dot is quoted: `file.\"{}.{}\"`", file.key, setting.key))
}

fn read_format(entry: &Entry<'_>, report: &mut Report) -> Option<Format> {
    match entry.text(report)? {
        "raw" => Some(Format::Raw),
        "dotenv" => Some(Format::Dotenv),
        "json" => Some(Format::Json),
        text => {
            let near = nearest(text, FORMATS).map(|near| format!("did you mean \"{near}\"?"));
            let message = format!("there is no format `{text}`; formats are {}", listed(FORMATS));
            report.error(Found::at(&entry.at, message).maybe_hint(near));
            None
        }
    }
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
