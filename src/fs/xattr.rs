//! Extended attributes: what is known of the value, without the value.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::access::{Known, Target};
use crate::listings::Listing;
use crate::reference::Reference;
use crate::resolve::Freshness;
use crate::words::printable;

/// What all of ours start with.
pub(super) const PREFIX: &str = "user.hushfs.";

/// Told even where nothing was fetched yet.
const ALWAYS: &[&str] = &["provider"];
/// Told of a value that is known.
const KNOWN: &[&str] = &["version", "fetched-at", "expires-at", "stale"];

/// What the owner's notes start with, after [`PREFIX`].
const NOTE: &str = "note.";

/// Of a template: which secrets it shows.
const OF_TEMPLATE: &str = "secrets";

/// The names, each ended by NUL as listxattr(2) wants them.
pub(super) fn list(known: Option<&[Known]>) -> Vec<u8> {
    let plain = ALWAYS.iter().chain(if known.is_some() { KNOWN } else { &[] });
    let secrets = known.unwrap_or_default();
    let own = (secrets.len() > 1).then_some(OF_TEMPLATE);
    let notes = secrets.iter().flat_map(|(secret, _)| secret.notes.keys());
    let notes: BTreeSet<_> = notes.filter(|name| is_name(name)).collect();
    let names = plain.copied().chain(own).map(|name| format!("{PREFIX}{name}\0"));
    names
        .chain(notes.into_iter().map(|name| format!("{PREFIX}{NOTE}{name}\0")))
        .collect::<String>()
        .into_bytes()
}

/// Whether a note's name can be that of an attribute (at most 255 bytes in all, no NUL: xattr(7)).
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0') && PREFIX.len() + NOTE.len() + name.len() <= 255
}

/// The value of the attribute `name` (without the prefix). Of several secrets that a template shows the worst holds: the one that was
/// fetched first, the one that expires first, and stale if any is.
pub(super) fn value(name: &str, target: &Target, known: Option<&[Known]>) -> Option<String> {
    if name == "provider" {
        let names: BTreeSet<_> = target.secrets.iter().map(Reference::provider).collect();
        return Some(names.into_iter().collect::<Vec<_>>().join(" "));
    }
    let known = known?;
    if let Some(note) = name.strip_prefix(NOTE) {
        return known.iter().find_map(|(secret, _)| secret.notes.get(note)).cloned();
    }
    let mut versions = known.iter().map(|(secret, _)| secret.version.as_str());
    let until = |(_, freshness): &Known| match *freshness {
        Freshness::Fresh { until: at } | Freshness::Stale { since: at } => at,
    };
    let is_stale = |(_, freshness): &Known| matches!(freshness, Freshness::Stale { .. });
    match name {
        "version" => Some(target.file.shows.version(versions).into_owned()),
        "fetched-at" => time(known.iter().map(|(secret, _)| secret.fetched).min()?),
        "expires-at" => time(known.iter().map(until).min()?),
        "stale" => Some(if known.iter().any(is_stale) { "yes" } else { "no" }.to_owned()),
        OF_TEMPLATE if known.len() > 1 => {
            let lines = target.secrets.iter().filter_map(|of| Some(format!("{of} {}", versions.next()?)));
            Some(lines.collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

/// Told of a directory that lists a provider.
const FAILURE: &str = "failure";
const LEFT_OUT: &str = "left-out";

/// The names of those of a directory.
pub(super) fn list_of_dir(list: &Listing) -> Vec<u8> {
    let names = ["provider", FAILURE, LEFT_OUT].into_iter().filter(|name| value_of_dir(name, list).is_some());
    names.map(|name| format!("{PREFIX}{name}\0")).collect::<String>().into_bytes()
}

/// The value of one of a directory: why its list is not as it should be, and what the provider has that can be no file there.
pub(super) fn value_of_dir(name: &str, list: &Listing) -> Option<String> {
    match name {
        "provider" => list.dir.like.shows.secrets().first().map(|of| of.provider().to_owned()),
        FAILURE => list.failure().map(|why| why.to_string()),
        LEFT_OUT => {
            let known = list.known()?;
            let lines = known.left_out.iter().map(|(name, why)| format!("{}: {why}", printable(name)));
            let lines: Vec<_> = lines.take(MOST_LINES).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        _ => None,
    }
}

/// Lines of one attribute. The kernel takes 64 KiB (xattr(7)).
const MOST_LINES: usize = 64;

/// RFC 3339 in UTC, to the second.
fn time(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    time.round(jiff::Unit::Second).ok().map(|time| time.to_string())
}
