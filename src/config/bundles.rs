//! `bundle.NAME`: files of a scope that belong together, as a certificate and its key.

use std::collections::BTreeMap;

use super::report::{Found, Report};
use super::table::{Entry, find};
use crate::words::nearest;

/// Checks the bundles of a scope: which files are in which. `files` are the names of the scope's files.
pub(super) fn bundles(
    settings: &[Entry<'_>],
    files: &[&str],
    report: &mut Report,
) -> BTreeMap<String, Vec<String>> {
    let mut bundles = BTreeMap::new();
    let mut taken = BTreeMap::<String, String>::new();
    let list = find(settings, "bundle");
    for entry in list.and_then(|entry| entry.table(report)).unwrap_or_default() {
        let names = names(&entry, files, report);
        for name in &names {
            if let Some(other) = taken.insert(name.clone(), entry.key.to_owned()) {
                let message = match other == entry.key {
                    true => format!("`{name}` is there twice in the bundle `{other}`"),
                    false => {
                        format!("`{name}` is in the bundle `{other}` already, and a file is in one alone")
                    }
                };
                report.error(Found::at(&entry.at, message).hint("remove one of them"));
            }
        }
        bundles.insert(entry.key.to_owned(), names);
    }
    bundles
}

fn names(entry: &Entry<'_>, files: &[&str], report: &mut Report) -> Vec<String> {
    let plain = entry.plain(report);
    let list = plain.as_ref().and_then(|value| value.as_array());
    let names: Option<Vec<String>> =
        list.and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    let Some(names) = names else {
        report.error(entry.wrong_type("a list of names of files"));
        return Vec::new();
    };
    for name in names.iter().filter(|name| !files.contains(&name.as_str())) {
        let near = nearest(name, files).map(|near| format!("did you mean `{near}`?"));
        let message = format!("the scope has no file `{name}`");
        report.error(Found::at(&entry.at, message).maybe_hint(near));
    }
    if names.len() < 2 {
        let message = format!("the bundle `{}` takes the names of two files or more", entry.key);
        report.error(Found::at(&entry.at, message).hint("write `bundle.tls = [\"site.crt\", \"site.key\"]`"));
    }
    names
}
