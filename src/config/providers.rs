//! `[provider.NAME]`: the kind checks its own settings; the files they name are checked here.

use std::path::Path;

use super::cache;
use super::checked::Provider;
use super::files::{Presence, normal};
use super::merge::Merged;
use super::report::{At, Found, Report};
use super::source::Source;
use super::table::{Entry, find};
use super::trust::{Trust, Want, quoted};
use crate::providers::{KINDS, NamedFile, Secrecy, kind};
use crate::words::{listed, nearest};

/// Checks all providers; they come out in the order of their names.
pub(super) fn providers(
    merged: &Merged<'_>,
    sources: &[Source<'_>],
    trust: &Trust,
    report: &mut Report,
) -> Vec<Provider> {
    merged.providers.values().filter_map(|entry| provider(entry, sources, trust, report)).collect()
}

fn provider(
    entry: &Entry<'_>,
    sources: &[Source<'_>],
    trust: &Trust,
    report: &mut Report,
) -> Option<Provider> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if entry.key.is_empty() || !entry.key.chars().all(plain) {
        let message = "a provider's name has letters, digits, `-` and `_`, so that references can name it";
        report.error(Found::at(&entry.key_at, message));
    }
    let settings = entry.table(report)?;
    // Hidden whether right or wrong: which of them is a secret only their kind knows.
    for setting in
        settings.iter().filter(|setting| setting.key != "kind" && !cache::KEYS.contains(&setting.key))
    {
        report.hide(&setting.at);
    }
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    let Some(written) = find(&settings, "kind") else {
        let found = Found::at(&entry.key_at, format!("provider `{}` has no `kind`", entry.key));
        report.error(found.hint(format!("kinds are {}", listed(&names))));
        return None;
    };
    let name = written.text(report)?;
    let Some(kind) = kind(name) else {
        let near = nearest(name, &names).map(|near| format!("did you mean \"{near}\"?"));
        let message = format!("there is no kind `{name}` of provider; kinds are {}", listed(&names));
        report.error(Found::at(&written.at, message).maybe_hint(near));
        return None;
    };
    let mut table = entry.plain(report)?.as_table().cloned()?;
    table.remove("kind");
    cache::KEYS.iter().for_each(|key| drop(table.remove(*key)));
    let base = sources.iter().find(|source| source.number == entry.at.source)?.base.clone();
    match (kind.check)(table.clone(), &base) {
        Ok(files) => check_files(&files, kind.name, entry, &settings, trust, report),
        Err(error) => {
            let at = place(error.key.as_deref(), entry, &settings);
            report.error(Found::at(&at, error.message).maybe_hint(error.hint));
            return None;
        }
    }
    Some(Provider { name: entry.key.to_owned(), kind, settings: table, base })
}

/// Checks the files that the settings of a provider name, or imply.
fn check_files(
    files: &[NamedFile],
    kind: &str,
    entry: &Entry<'_>,
    settings: &[Entry<'_>],
    trust: &Trust,
    report: &mut Report,
) {
    for (number, file) in files.iter().enumerate() {
        let path = normal(&file.path);
        let want = match file.secret {
            Secrecy::Private => Want::Private,
            Secrecy::Public => Want::Public,
        };
        let remedy = match kind {
            "store" => remedy_of_store(&path, files),
            _ => format!("create it, or correct `{}`", file.key),
        };
        let found = trust.named(&path, want, &place(Some(file.key), entry, settings), &remedy, report);
        if found == Presence::Missing && number == 0 && kind == "store" {
            // A new store comes with what belongs to it.
            break;
        }
    }
}

/// How to come by a file of a store. The store itself is named first, its key after it.
fn remedy_of_store(missing: &Path, files: &[NamedFile]) -> String {
    match files {
        [store, rest @ ..] if normal(&store.path) == missing => {
            let key = rest.iter().find(|file| file.key == "key").map(|file| normal(&file.path));
            let key = key.map(|key| format!(" --key {}", quoted(&key))).unwrap_or_default();
            format!("`hushfs store init --store {}{key}` makes a new one", quoted(missing))
        }
        _ => "restore it from its backup: without it the store cannot be opened".to_owned(),
    }
}

/// Where a setting's key stands, or else the provider's name.
fn place(key: Option<&str>, entry: &Entry<'_>, settings: &[Entry<'_>]) -> At {
    let setting = key.and_then(|key| find(settings, key));
    setting.map_or(&entry.key_at, |setting| &setting.key_at).clone()
}
