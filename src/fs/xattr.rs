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

/// The names, each ended by NUL as listxattr(2) wants them.
pub(super) fn list(known: bool) -> Vec<u8> {
    let names = ALWAYS.iter().chain(if known { KNOWN } else { &[] });
    names.flat_map(|name| format!("{PREFIX}{name}\0").into_bytes()).collect()
}

/// The value of the attribute `name` (without the prefix).
pub(super) fn value(name: &str, target: &Target, known: Option<(Arc<Secret>, Freshness)>) -> Option<String> {
    if name == "provider" {
        return Some(target.whole.provider().to_owned());
    }
    let (secret, freshness) = known?;
    match (name, freshness) {
        ("version", _) => Some(secret.version.clone()),
        ("fetched-at", _) => time(secret.fetched),
        ("expires-at", Freshness::Fresh { until }) => time(until),
        ("expires-at", Freshness::Stale) => time(SystemTime::now()),
        ("stale", freshness) => Some(if freshness == Freshness::Stale { "yes" } else { "no" }.to_owned()),
        _ => None,
    }
}

/// RFC 3339 in UTC, to the second.
fn time(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    time.round(jiff::Unit::Second).ok().map(|time| time.to_string())
}
