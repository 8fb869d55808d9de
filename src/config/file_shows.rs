//! What a file shows: a secret (`from`), or a template of several (`template`, `text`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::cache;
use super::checked::Shows;
use super::files::resolve;
use super::inherited::{Inherited, What};
use super::merge::Merged;
use super::report::{Found, Report};
use super::table::{Entry, find, one_of};
use super::trust::{Untrusted, Want};
use super::workloads;
use crate::format::{FORMATS, Form, Format};
use crate::providers::kind;
use crate::reference::Reference;
use crate::template::{Mistake, Template};
use crate::words::{listed, nearest};

/// Of a file, what is about what it shows.
pub(super) const KEYS: &[&str] = &["format", "per_caller"];

/// The longest template, in bytes.
const LONGEST: u64 = 1 << 20;

/// Reads what a file shows. `table` is what it is written as, unless that is a reference alone; `known` are all keys of a file.
pub(super) fn shows(
    what: &What,
    entry: &Entry<'_>,
    table: Option<&[Entry<'_>]>,
    known: &[&str],
    inherited: &Inherited<'_, '_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Shows> {
    let Some(table) = table else {
        if entry.value.as_str().is_none() {
            report.error(entry.wrong_type("a reference or a table"));
        }
        return Some(Shows::secret(reference(entry, inherited.merged, used, report)?, Form::RAW));
    };
    let written: Vec<_> = what.sources.iter().filter_map(|key| find(table, key)).collect();
    let source = match written.as_slice() {
        [one] => *one,
        [] => {
            // `file.mcp.json = …` is a table `mcp` to TOML; that was reported above.
            if table.iter().all(|setting| known.contains(&setting.key)) {
                let word = what.word.trim_start_matches("a ");
                let found = Found::at(&entry.key_at, format!("{word} `{}` has no `from`", entry.key));
                report.error(found.hint(what.remedy));
            }
            return None;
        }
        [first, second, ..] => {
            let message = format!("{} has `{}` or `{}`, not both", what.word, first.key, second.key);
            report.error(Found::at(&second.key_at, message).hint("remove one of them"));
            return None;
        }
    };
    let form = form(table, report);
    match source.key {
        "from" | "under" => {
            let from = reference(source, inherited.merged, used, report)?;
            let whom = whom(table, std::slice::from_ref(&from), inherited, report)?;
            Some(Shows::secret(whom.map_or(from.clone(), |whom| from.made_for(whom)), form?))
        }
        _ => {
            let form = find(table, "format");
            if let Some(form) = form {
                let found =
                    Found::at(&form.key_at, "a template is written as it stands there, in no other format");
                report.error(found.hint("remove it; in the template, filters such as `tojson` write values"));
            }
            let template = template(entry, source, inherited, used, report)?;
            let whom = whom(table, template.secrets(), inherited, report)?;
            form.is_none().then(|| Shows::template(template, whom))
        }
    }
}

fn form(table: &[Entry<'_>], report: &mut Report) -> Option<Form> {
    let format = find(table, "format").map_or(Some(Format::Raw), |entry| one_of(entry, FORMATS, report));
    Some(Form { format: format? })
}

/// Reads and compiles a template.
fn template(
    file: &Entry<'_>,
    entry: &Entry<'_>,
    inherited: &Inherited<'_, '_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Arc<Template>> {
    let written = entry.text(report)?;
    let (name, text) = match entry.key {
        "text" => (format!("{}/{}", inherited.scope, file.key), written.to_owned()),
        _ => {
            let path = resolve(written, &entry.at, inherited.sources);
            let text = read(&path, entry, inherited, report)?;
            (path.display().to_string(), text)
        }
    };
    let template = match Template::compile(&name, &text) {
        Ok(template) => template,
        Err(mistakes) => {
            if entry.key == "text" {
                // A mistake may be a secret that was written in place of its reference.
                report.hide(&entry.at);
            }
            for Mistake { line, message, hint } in mistakes {
                let place = match entry.key {
                    "text" => format!("line {line} of the template"),
                    _ => format!("{name}:{line}"),
                };
                report.error(Found::at(&entry.at, format!("{place}: {message}")).maybe_hint(hint));
            }
            return None;
        }
    };
    let found: Vec<_> =
        template.secrets().iter().filter(|of| !is_known(of, entry, inherited.merged, used, report)).collect();
    found.is_empty().then(|| Arc::new(template))
}

/// The text of a template's file, which nobody else may have written.
fn read(
    path: &Path,
    entry: &Entry<'_>,
    inherited: &Inherited<'_, '_>,
    report: &mut Report,
) -> Option<String> {
    let read = match inherited.trust.is_below_mount(path) {
        true => Err(Untrusted::BelowMount(path.to_owned())),
        false => inherited.trust.read(path, LONGEST, Want::Public),
    };
    let found = match read.map(String::from_utf8) {
        Ok(Ok(text)) if u64::try_from(text.len()).is_ok_and(|len| len <= LONGEST) => return Some(text),
        Ok(Ok(_)) => Found::at(&entry.at, format!("`{}` is longer than 1 MiB", path.display())),
        Ok(Err(error)) => {
            let good = error.utf8_error().valid_up_to();
            let message = format!("`{}` is not UTF-8: see the byte at offset {good}", path.display());
            Found::at(&entry.at, message)
        }
        Err(error @ Untrusted::Missing(_)) => Found::at(&entry.at, error.to_string())
            .hint("a relative path starts at this file; a template in place is written as `text = '…'`"),
        Err(error) => Found::at(&entry.at, error.to_string()).maybe_hint(error.hint()),
    };
    report.error(found);
    None
}

/// For whom what the file shows is made: each workload its own, where that is written.
#[expect(clippy::option_option, reason = "the outer `None` is a mistake, which was reported")]
fn whom<'i>(
    table: &[Entry<'_>],
    of: &[Reference],
    inherited: &Inherited<'i, '_>,
    report: &mut Report,
) -> Option<Option<&'i str>> {
    let Some(entry) = find(table, "per_caller") else { return Some(None) };
    if !cache::switch(entry, report)? {
        return Some(None);
    }
    let Some(workload) = inherited.workload else {
        let message =
            "one file shows one thing, and this scope has no workloads that could have files of their own";
        let hint = format!("add them to the scope. {}", workloads::EXAMPLE);
        report.error(Found::at(&entry.key_at, message).hint(hint));
        return None;
    };
    if of.iter().all(|of| mints(of.provider(), inherited.merged) == Some(false)) {
        let names: BTreeSet<_> = of.iter().map(Reference::provider).collect();
        let message = format!(
            "{} makes nothing for a fetch: each workload is shown the same, fetched for it alone",
            listed(&names.into_iter().collect::<Vec<_>>())
        );
        report.warn(Found::at(&entry.key_at, message).hint("leave `per_caller` out"));
    }
    Some(Some(workload))
}

/// Whether a provider may make what it gives; `None` where it is wrong, which is reported with it.
fn mints(provider: &str, merged: &Merged<'_>) -> Option<bool> {
    let settings = merged.providers.get(provider)?.plain(&mut Report::default())?;
    let settings = settings.as_table()?;
    let kind = kind(settings.get("kind")?.as_str()?)?;
    Some((kind.mints)(settings))
}

fn reference(
    entry: &Entry<'_>,
    merged: &Merged<'_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Reference> {
    let text = entry.value.as_str()?;
    match text.parse() {
        Ok(reference) => is_known(&reference, entry, merged, used, report).then_some(reference),
        Err(error) => {
            // It may be a secret that was written in place of its reference.
            report.hide(&entry.at);
            report.error(Found::at(&entry.at, format!("not a reference: {error}")));
            None
        }
    }
}

/// Whether there is the provider that it names, which is reported at `entry` otherwise.
fn is_known(
    reference: &Reference,
    entry: &Entry<'_>,
    merged: &Merged<'_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> bool {
    let provider = reference.provider();
    used.insert(provider.to_owned());
    if merged.providers.contains_key(provider) || !report.is_complete() {
        return true;
    }
    let names: Vec<_> = merged.providers.keys().map(String::as_str).collect();
    let known = match names.as_slice() {
        [] => "none is configured".to_owned(),
        names => format!("providers are {}", listed(names)),
    };
    let message = format!("there is no provider `{provider}`; {known}");
    let near = nearest(provider, &names).map(|near| format!("did you mean `{near}`?"));
    let add = || format!("add `[provider.{provider}]`");
    report.error(Found::at(&entry.at, message).hint(near.unwrap_or_else(add)));
    false
}
