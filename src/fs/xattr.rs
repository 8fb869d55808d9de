//! Extended attributes: what is known of the value, without the value.

use std::sync::Arc;
use std::time::SystemTime;

use crate::access::Target;
use crate::resolve::{Freshness, Secret};

/// What all of ours start with.
pub(super) const PREFIX: &str = "user.hushfs.";

/// Told even where nothing was fetched yet.
const ALWAYS: &[&str] = &["provider"];
/// Told of a value that is known.
const KNOWN: &[&str] = &["version", "fetched-at", "expires-at", "stale"];

/// What the owner's notes start with, after [`PREFIX`].
const NOTE: &str = "note.";

/// The names, each ended by NUL as listxattr(2) wants them.
pub(super) fn list(known: Option<&Secret>) -> Vec<u8> {
    let plain = ALWAYS.iter().chain(if known.is_some() { KNOWN } else { &[] });
    let notes = known.into_iter().flat_map(|secret| secret.notes.keys()).filter(|name| is_name(name));
    let names = plain.map(|name| format!("{PREFIX}{name}\0"));
    names.chain(notes.map(|name| format!("{PREFIX}{NOTE}{name}\0"))).collect::<String>().into_bytes()
}

/// Whether a note's name can be that of an attribute (at most 255 bytes in all, no NUL: xattr(7)).
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0') && PREFIX.len() + NOTE.len() + name.len() <= 255
}

/// The value of the attribute `name` (without the prefix).
pub(super) fn value(name: &str, target: &Target, known: Option<(Arc<Secret>, Freshness)>) -> Option<String> {
    if name == "provider" {
        return Some(target.whole.provider().to_owned());
    }
    let (secret, freshness) = known?;
    if let Some(note) = name.strip_prefix(NOTE) {
        return secret.notes.get(note).cloned();
    }
    match (name, freshness) {
        ("version", _) => Some(secret.version.clone()),
        ("fetched-at", _) => time(secret.fetched),
        ("expires-at", Freshness::Fresh { until: at } | Freshness::Stale { since: at }) => time(at),
        ("stale", Freshness::Fresh { .. }) => Some("no".to_owned()),
        ("stale", Freshness::Stale { .. }) => Some("yes".to_owned()),
        _ => None,
    }
}

/// RFC 3339 in UTC, to the second.
fn time(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    time.round(jiff::Unit::Second).ok().map(|time| time.to_string())
}
