//! What arrives from a fetcher, before anybody looks at it: strangers may have had a hand in it.

use std::collections::BTreeMap;

use super::lends::Named;
use crate::providers::{Fetched, Lease, Listing, ProviderError};
use crate::reference::Reference;
use crate::words::{is_plain, printable};

/// Longest version, in bytes: it goes into records, and into an extended attribute.
const VERSION_MAX: usize = 256;
/// Longest name of a lease, in bytes.
const LEASE_MAX: usize = 1024;
/// Longest text of an error, in bytes.
const ERROR_MAX: usize = 1024;
/// Notes that are kept, in bytes of names and texts: an extended attribute of more cannot be read.
const NOTES_MAX: usize = 64 << 10;

/// With texts of one line and bounded length, and no state but of files that the settings name: the front looks at those.
pub(super) fn fetched(fetched: Fetched, named: &Named) -> Fetched {
    let lease = fetched.lease.map(lease);
    let mut room = NOTES_MAX;
    let notes: BTreeMap<_, _> = fetched
        .notes
        .into_iter()
        .map(|(name, text)| (printable(&name), text))
        .take_while(|(name, text)| {
            let left = room.checked_sub(name.len().saturating_add(text.len()));
            room = left.unwrap_or(0);
            left.is_some()
        })
        .collect();
    let stamp = fetched.stamp.filter(|stamp| named.has(&stamp.path));
    Fetched { version: line(&fetched.version, VERSION_MAX), lease, notes, stamp, ..fetched }
}

/// With a handle of one line and bounded length. One that was another means nothing to the provider any more.
fn lease(lease: Lease) -> Lease {
    let handle = line(&lease.handle, LEASE_MAX);
    let is_good = handle == lease.handle;
    let (renewable, revocable) = (lease.renewable && is_good, lease.revocable && is_good);
    Lease { handle, renewable, revocable, ..lease }
}

/// The lease as it was, but for what a renewal can change.
pub(super) fn renewed(renewed: Lease, before: &Lease) -> Lease {
    Lease { lasts: renewed.lasts, renewable: renewed.renewable, ..before.clone() }
}

/// As they were asked for, and no more than may be.
pub(super) fn names(names: Vec<String>, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
    let mut listing = Listing::new(under, depth)?;
    names.iter().try_for_each(|name| listing.add(name))?;
    Ok(listing.names())
}

/// With a text of one line and bounded length.
pub(super) fn error(error: ProviderError) -> ProviderError {
    let text = |text: String| line(&text, ERROR_MAX);
    match error {
        ProviderError::NotFound(message) => ProviderError::NotFound(text(message)),
        ProviderError::Refused(message) => ProviderError::Refused(text(message)),
        ProviderError::Unavailable { message, retry_after } => {
            ProviderError::Unavailable { message: text(message), retry_after }
        }
        ProviderError::Malformed(message) => ProviderError::Malformed(text(message)),
        ProviderError::Misconfigured(message) => ProviderError::Misconfigured(text(message)),
        ProviderError::WouldMint(message) => ProviderError::WouldMint(text(message)),
    }
}

fn line(text: &str, most: usize) -> String {
    let short = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    // A version is asked for again as it is, so it stays as it is where nothing in it does harm.
    if is_plain(short) { short.to_owned() } else { printable(short) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::providers::{NAMES_MAX, Stamp};
    use crate::secret::SecretBytes;

    #[test]
    fn names_are_no_more_and_no_deeper_than_was_asked_for() {
        let under: Reference = "p:app".parse().unwrap();
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let all = names(of(&["b", "a/x/y", "a", "b", "a\nforged"]), &under, 2).unwrap();
        assert_eq!(all, ["a", "a\nforged", "b"], "whoever makes references of them finds that one out");
        let many = (0..=NAMES_MAX).map(|n| n.to_string()).collect();
        assert!(matches!(names(many, &under, 1), Err(ProviderError::Misconfigured(_))));
    }

    #[test]
    fn texts_are_one_line_and_bounded_and_only_named_files_are_looked_at() {
        let mut from = Fetched::new(SecretBytes::copy_from(b"v"), "1\n2".repeat(1000), SystemTime::now());
        let time = std::time::Duration::ZERO;
        from.lease = Some(Lease {
            handle: "x".repeat(1 << 20),
            lasts: time,
            term: time,
            renewable: true,
            revocable: true,
            under: None,
        });
        from.notes = (0..1000).map(|n| (format!("{n:04}\n"), "y".repeat(1000))).collect();
        from.stamp = Some(Stamp { path: "/proc/1/environ".into(), state: (1, 2, 3) });
        let here = fetched(from, &Named::default());
        assert!(here.version.starts_with("1\\n2") && here.version.len() < 2 * VERSION_MAX);
        let lease = here.lease.unwrap();
        assert_eq!(lease.handle.len(), LEASE_MAX);
        assert!(!lease.renewable && !lease.revocable, "nobody knows the handle that is left");
        let bytes: usize = here.notes.iter().map(|(name, text)| name.len() + text.len()).sum();
        assert!(
            bytes > NOTES_MAX / 2 && bytes <= NOTES_MAX && here.notes.keys().all(|name| !name.contains('\n'))
        );
        assert_eq!(here.stamp, None);
        assert_eq!(line("a\\b", 9), "a\\b", "a backslash does no harm");
        let told = error(ProviderError::Refused("a\nforged line\x1b[31m".repeat(1000))).to_string();
        assert!(!told.contains(char::is_control) && told.len() < 8 * ERROR_MAX, "{told}");
    }
}
