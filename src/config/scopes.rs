//! `[scope.NAME]`: a directory of files, who owns it and who may read.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::checked::{File, Format, Scope};
use super::merge::Merged;
use super::names;
use super::owners::{self, Owners, Written, dir_mode, lets_in};
use super::report::{Found, Report};
use super::rules::{self, Checked};
use super::table::{Entry, find, listed, nearest, unknown};
use super::trust::Trust;
use crate::policy::Rules;
use crate::reference::Reference;

const SCOPE: &[&str] = &["owner", "group", "mode", "allow", "file"];
const FILE: &[&str] = &["from", "format", "mode"];
const FORMATS: &[&str] = &["raw", "dotenv", "json"];

/// Checks all scopes; they come out in the order of their names.
pub(super) fn scopes(merged: &Merged<'_>, trust: &Trust, report: &mut Report) -> Vec<Arc<Scope>> {
    let mut used = BTreeSet::new();
    let one = |entry| scope(entry, merged, trust, &mut used, report);
    let scopes: Vec<_> = merged.scopes.values().filter_map(one).map(Arc::new).collect();
    // A configuration without any scope is one that is only begun.
    let idle =
        merged.providers.values().filter(|entry| !merged.scopes.is_empty() && !used.contains(entry.key));
    for entry in idle {
        report.warn(Found::at(&entry.key_at, format!("no file uses the provider `{}`", entry.key)));
    }
    scopes
}

/// One file with the place that its mode is to be reported at.
struct Drafted<'e, 's> {
    file: File,
    mode: Option<&'e Entry<'s>>,
}

fn scope(
    entry: &Entry<'_>,
    merged: &Merged<'_>,
    trust: &Trust,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Scope> {
    if let Err(error) = names::check(entry.key) {
        report.error(Found::at(&entry.key_at, format!("scope: {error}")));
    }
    let settings = entry.table(report)?;
    for setting in settings.iter().filter(|setting| !SCOPE.contains(&setting.key)) {
        let hint = (setting.key == "files").then(|| "write `file.NAME = \"provider:path\"`".to_owned());
        unknown(report, setting, SCOPE, "a scope", hint);
    }
    let allowed = rules::rules(entry, find(&settings, "allow"), trust, report);
    let mode = find(&settings, "mode");
    let written = Written {
        owner: find(&settings, "owner").and_then(|entry| owners::owner(entry, report)),
        group: find(&settings, "group").and_then(|entry| owners::group(entry, report)),
        mode: mode.and_then(|entry| owners::mode(entry, report)),
    };
    if let (Some(mode), Some(bits), None) = (mode, written.mode, written.group) {
        group_needs_name(mode, bits, report);
    }
    let owners = Owners::new(written, one_uid(allowed.as_deref().unwrap_or_default()));
    let list = find(&settings, "file").and_then(|file| file.table(report)).unwrap_or_default();
    if list.is_empty() {
        let found = Found::at(&entry.key_at, format!("scope `{}` has no files", entry.key));
        report.warn(found.hint("add one: `file.token = \"provider:path\"`"));
    }
    let tables: Vec<_> =
        list.iter().map(|file| (file, file.value.as_table().and_then(|_| file.table(report)))).collect();
    let drafted = tables
        .iter()
        .filter_map(|(file, table)| draft(file, table.as_deref(), &owners, merged, used, report));
    let mut drafted: Vec<_> = drafted.collect();
    drafted.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    for mode in drafted.iter().filter_map(|draft| {
        draft.mode.filter(|_| written.group.is_none()).map(|mode| (mode, draft.file.mode))
    }) {
        group_needs_name(mode.0, mode.1, report);
    }
    let widest = drafted.iter().fold(owners.file_mode, |mode, draft| mode | draft.file.mode);
    let allowed = allowed?;
    shut_out(&allowed, &owners, widest, &drafted, written, report);
    Some(Scope {
        name: entry.key.to_owned(),
        uid: owners.uid,
        gid: owners.gid,
        dir_mode: dir_mode(widest),
        rules: Rules::new(allowed.into_iter().map(|checked| checked.rule).collect()),
        files: drafted.into_iter().map(|draft| Arc::new(draft.file)).collect(),
    })
}

/// The uid that every rule demands, if it is the same in all.
fn one_uid(rules: &[Checked]) -> Option<u32> {
    let first = rules.first()?.uid?;
    rules.iter().all(|checked| checked.uid == Some(first)).then_some(first)
}

fn group_needs_name(entry: &Entry<'_>, mode: u16, report: &mut Report) {
    if mode & 0o044 == 0o040 {
        let found = Found::at(&entry.at, "this mode lets a group read, and the scope names no `group`");
        report.error(found.hint("add `group = \"…\"` to the scope, or use \"0400\" or \"0444\""));
    }
}

/// Reports rules that can never match because the kernel turns their callers away first.
fn shut_out(
    rules: &[Checked],
    owners: &Owners,
    widest: u16,
    files: &[Drafted<'_, '_>],
    written: Written,
    report: &mut Report,
) {
    let enters = |checked: &Checked, mode| lets_in(owners, mode, checked.uid, &checked.gids);
    for checked in rules {
        if !enters(checked, widest) {
            let message = format!(
                "this rule can never match: directory and files are for uid {} alone, and the rule asks for {}",
                owners.uid,
                demanded(checked)
            );
            let hint =
                "make that user the `owner`, or name a `group` that it is in, or set `mode = \"0444\"`";
            report.error(Found::at(&checked.at, message).hint(hint));
            continue;
        }
        let (Some(uid), Some(gid)) = (checked.uid, written.group) else { continue };
        if widest & 0o044 == 0o040 && uid != 0 && uid != owners.uid && !owners::is_member(uid, gid) {
            let message = format!("uid {uid} is not in the scope's group {gid} on this host");
            let hint = "it matches only where the service is given that group (`SupplementaryGroups=`)";
            report.warn(Found::at(&checked.at, message).hint(hint));
        }
    }
    for draft in files {
        let Some(mode) = draft.mode else { continue };
        if rules.iter().any(|checked| enters(checked, widest))
            && !rules.iter().any(|c| enters(c, draft.file.mode))
        {
            let message = format!("with this mode no rule of the scope can match for `{}`", draft.file.name);
            report.error(Found::at(&mode.at, message).hint("remove it: files have the scope's mode"));
        }
    }
}

fn demanded(checked: &Checked) -> String {
    match (checked.uid, checked.gids.first()) {
        (Some(uid), _) => format!("uid {uid}"),
        (None, Some(gid)) => format!("gid {gid}"),
        (None, None) => "others".to_owned(),
    }
}

/// Reads one file.
fn draft<'e, 's>(
    entry: &'e Entry<'s>,
    table: Option<&'e [Entry<'s>]>,
    owners: &Owners,
    merged: &Merged<'_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Drafted<'e, 's>> {
    if let Err(error) = names::check(entry.key) {
        report.error(Found::at(&entry.key_at, format!("file: {error}")));
    }
    let name = entry.key.to_owned();
    let Some(table) = table else {
        if entry.value.as_str().is_none() {
            report.error(entry.wrong_type("a reference or a table"));
        }
        let from = reference(entry, merged, used, report)?;
        return Some(Drafted {
            file: File { name, from, format: Format::Raw, mode: owners.file_mode },
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
    let Some(from) = find(table, "from") else {
        // `file.mcp.json = …` is a table `mcp` to TOML; that was reported above.
        if table.iter().all(|setting| FILE.contains(&setting.key)) {
            let found = Found::at(&entry.key_at, format!("file `{}` has no `from`", entry.key));
            report.error(found.hint("write `from = \"provider:path\"` or `from = \"provider:path#key\"`"));
        }
        return None;
    };
    let from = reference(from, merged, used, report)?;
    Some(Drafted { file: File { name, from, format: format?, mode: bits? }, mode })
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
        let message =
            format!("there is no provider `{}`; providers are {}", reference.provider(), listed(&names));
        let near = nearest(reference.provider(), &names).map(|near| format!("did you mean `{near}`?"));
        let add = || format!("add `[provider.{}]`", reference.provider());
        report.error(Found::at(&entry.at, message).hint(near.unwrap_or_else(add)));
        return None;
    }
    Some(reference)
}
