//! `file.NAME`: one file of a scope. What it shows is read in `file_shows.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cache;
use super::checked::{CacheRules, File};
use super::file_shows;
use super::inherited::{Inherited, What};
use super::names;
use super::on_change;
use super::owners::{self, Owners};
use super::report::{Found, Report};
use super::table::{Entry, find, unknown};
use crate::reference::Reference;

const FILE: &[&str] = &["on_change"];

/// One file with whose it is, and the entries that this is to be reported at.
pub(super) struct Drafted<'e, 's> {
    pub(super) file: File,
    pub(super) owners: Owners,
    pub(super) own: Own<'e, 's>,
}

/// What a file says itself of whose it is.
#[derive(Clone, Copy)]
pub(super) struct Own<'e, 's> {
    pub(super) owner: Option<&'e Entry<'s>>,
    pub(super) group: Option<&'e Entry<'s>>,
    pub(super) mode: Option<&'e Entry<'s>>,
}

impl<'e, 's> Own<'e, 's> {
    /// What stands in the table of a file.
    pub(super) fn find(settings: &'e [Entry<'s>]) -> Self {
        let find = |key| find(settings, key);
        Self { owner: find("owner"), group: find("group"), mode: find("mode") }
    }

    /// The first of it.
    pub(super) fn any(&self) -> Option<&'e Entry<'s>> {
        self.owner.or(self.mode).or(self.group)
    }
}

/// A file.
pub(super) const A_FILE: What = What {
    word: "a file",
    keys: &["from", "template", "text"],
    sources: &["from", "template", "text"],
    remedy: "write `from = \"provider:path\"` or `from = \"provider:path#key\"`, or `template = \"FILE\"`",
};

/// Reads one file, or what the files of a directory are like.
pub(super) fn draft<'e, 's>(
    what: &What,
    entry: &'e Entry<'s>,
    table: Option<&'e [Entry<'s>]>,
    inherited: &Inherited<'_, 's>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Drafted<'e, 's>> {
    if let Err(error) = names::check(entry.key) {
        report.error(Found::at(&entry.key_at, format!("{}: {error}", what.word.trim_start_matches("a "))));
    }
    let settings = table.unwrap_or_default();
    let keys = what.keys.iter().chain(FILE).chain(owners::KEYS).chain(file_shows::KEYS);
    let known: Vec<_> = keys.chain(cache::KEYS).copied().collect();
    for setting in settings.iter().filter(|setting| !known.contains(&setting.key)) {
        unknown(report, setting, &known, what.word, quote_hint(entry, setting));
    }
    let written = owners::written(settings, report);
    let owners = inherited.owners.of_file(written.unwrap_or_default());
    let on_change = match find(settings, "on_change") {
        Some(entry) => on_change::on_change(entry, &owners, inherited.trust, report),
        None => inherited.on_change.of(&owners, report),
    };
    let shows = file_shows::shows(what, entry, table, &known, inherited, used, report)?;
    let cache = shows.secrets().iter().map(|of| kept(inherited, of, settings, report)).collect();
    let (_, on_change, name) = (written?, on_change?, entry.key.to_owned());
    let (shows, Owners { uid, gid, file_mode: mode, .. }) = (Arc::new(shows), owners);
    let file = File { name, shows, uid, gid, mode, cache, on_change };
    Some(Drafted { file, owners, own: Own::find(settings) })
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
