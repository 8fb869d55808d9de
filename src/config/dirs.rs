//! `dir.NAME`: a directory of which the files are what the provider has: the keys of a secret, or the secrets below a path.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::checked::{Dir, DirOf, File, How, Shows};
use super::inherited::{Inherited, What};
use super::names;
use super::report::{Found, Report};
use super::scope_files::{Drafted, draft};
use super::table::{Entry, find};
use crate::units;

/// A directory.
const A_DIR: What = What {
    word: "a dir",
    keys: &["from", "under", "keys", "depth"],
    sources: &["from", "under"],
    remedy: "write `from = \"provider:path\"` for the keys of a secret, or `under = \"provider:path\"` for all secrets below a path",
};

/// The deepest that a directory may be.
const DEEPEST: u32 = 16;

/// One directory as it is written.
pub(super) enum Written<'e, 's> {
    /// Its files are found out at the provider.
    Listed(Drafted<'e, 's>, DirOf),
    /// Its files are written.
    Named(Vec<Drafted<'e, 's>>),
}

/// Reads one directory.
pub(super) fn dir<'e, 's>(
    entry: &'e Entry<'s>,
    table: Option<&'e [Entry<'s>]>,
    inherited: &Inherited<'_, 's>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Written<'e, 's>> {
    let settings = table.unwrap_or_default();
    let like = draft(&A_DIR, entry, table, inherited, used, report);
    let depth = find(settings, "depth").map(|depth| (depth, read_depth(depth, report)));
    let keys = find(settings, "keys").map(|keys| (keys, read_keys(keys, report)));
    let is_under = find(settings, "under").is_some();
    if let (Some((depth, _)), false) = (&depth, is_under) {
        let found = Found::at(&depth.key_at, "`depth` is for a directory of the secrets below a path");
        report.error(found.hint("write `under` instead of `from`, or leave `depth` out"));
        return None;
    }
    if let (Some((keys, _)), true) = (&keys, is_under) {
        let found = Found::at(&keys.key_at, "`keys` is for a directory of the keys of one secret");
        report.error(found.hint("write `from` instead of `under`, or leave `keys` out"));
        return None;
    }
    let like = like?;
    let How::Secret { from, .. } = like.file.shows.how() else { return None };
    let source = find(settings, if is_under { "under" } else { "from" }).unwrap_or(entry);
    if from.key().is_some() {
        let found = Found::at(&source.at, "a directory is of a whole secret, or of a path: this is one key");
        report.error(found.hint("leave out `#` and what follows it; for one key write `file.NAME`"));
        return None;
    }
    if is_under && from.version().is_some() {
        let found = Found::at(&source.at, "a path has no versions: each secret below it has its own");
        report.error(found.hint("leave out `?version=…`"));
        return None;
    }
    match (is_under, keys) {
        (true, _) => {
            let depth = depth.map_or(Some(1), |(_, depth)| depth)?;
            Some(Written::Listed(like, DirOf::Secrets { depth }))
        }
        (false, None) => Some(Written::Listed(like, DirOf::Keys)),
        (false, Some((_, keys))) => {
            let one = |key: String| Drafted { file: of_key(&like.file, &key), ..like };
            Some(Written::Named(keys?.into_iter().map(one).collect()))
        }
    }
}

impl Drafted<'_, '_> {
    /// As a directory.
    pub(super) fn into_dir(self, of: DirOf) -> Arc<Dir> {
        Arc::new(Dir { like: Arc::new(self.file), of })
    }
}

/// The file of one key that is written.
fn of_key(like: &File, key: &str) -> File {
    let shows = match like.shows.how() {
        How::Secret { from, form } => Arc::new(Shows::secret(from.with_key(key), *form)),
        How::Template(_) => Arc::clone(&like.shows),
    };
    File { name: format!("{}/{key}", like.name), shows, ..like.clone() }
}

fn read_depth(entry: &Entry<'_>, report: &mut Report) -> Option<u32> {
    let written = units::whole(entry.value).and_then(|depth| u32::try_from(depth).ok());
    let depth = written.filter(|depth| (1..=DEEPEST).contains(depth));
    if depth.is_none() {
        let message = format!("`depth` takes a whole number from 1 to {DEEPEST}");
        report.error(Found::at(&entry.at, message).hint("1 is what lies in the path itself"));
    }
    depth
}

fn read_keys(entry: &Entry<'_>, report: &mut Report) -> Option<Vec<String>> {
    let plain = entry.plain(report)?;
    let list = plain.as_array();
    let keys: Option<Vec<String>> =
        list.and_then(|list| list.iter().map(|key| key.as_str().map(str::to_owned)).collect());
    let Some(mut keys) = keys.filter(|keys| !keys.is_empty()) else {
        report.error(entry.wrong_type("a list of keys"));
        return None;
    };
    for key in &keys {
        if let Err(error) = names::check(key) {
            let found = Found::at(&entry.at, format!("the key `{key}` cannot be a file\'s name: {error}"));
            report.error(found.hint("write it as `file.NAME = \"provider:path#key\"` under another name"));
            return None;
        }
    }
    keys.sort();
    keys.dedup();
    Some(keys)
}

/// Reports directories that are called like a file of their scope.
pub(super) fn clash(files: &[Entry<'_>], dirs: &[Entry<'_>], report: &mut Report) {
    for dir in dirs {
        if files.iter().any(|file| file.key == dir.key) {
            let message = format!("the scope has a file `{}` as well", dir.key);
            report.error(Found::at(&dir.key_at, message).hint("give one of them another name"));
        }
    }
}
