//! The decrypted store as the provider keeps it: every value in one locked block, and where each is in it.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::time::SystemTime;

use super::{Document, Fetched, Stamp, StoreError, Wiping, listing};
use crate::secret::SecretBytes;

/// What one state of the store's file held.
pub(super) struct Snapshot {
    stamp: Stamp,
    values: SecretBytes,
    /// Oldest first, as in the document.
    versions: HashMap<String, Vec<Place>>,
}

struct Place {
    version: String,
    created: SystemTime,
    range: Range<usize>,
}

impl Snapshot {
    /// Moves the values of `document` into locked memory.
    pub(super) fn new(document: &Document, stamp: Stamp) -> Result<Self, StoreError> {
        let mut all = Wiping::default();
        let mut end = 0_usize;
        let mut versions = HashMap::new();
        for (name, history) in &document.secrets {
            let mut places = Vec::with_capacity(history.versions.len());
            for version in &history.versions {
                let bytes = version.value.to_bytes()?;
                all.write_all(&bytes).map_err(StoreError::io("hold", &stamp.path))?;
                let range = end..end.saturating_add(bytes.len());
                end = range.end;
                let created = SystemTime::try_from(version.created).unwrap_or(SystemTime::UNIX_EPOCH);
                places.push(Place { version: version.version.clone(), created, range });
            }
            versions.insert(name.clone(), places);
        }
        Ok(Self { stamp, values: SecretBytes::copy_from(&all.into_inner()), versions })
    }

    /// Whether this is what the file holds that has `stamp`.
    pub(super) fn is_of(&self, stamp: &Stamp) -> bool {
        self.stamp == *stamp
    }

    /// The names of the secrets below a name, relative to it; without those that were removed.
    pub(super) fn below(&self, under: &str) -> impl Iterator<Item = &str> {
        let there = self.versions.iter().filter(|(_, places)| !places.is_empty());
        there.filter_map(move |(name, _)| listing::below(under, name))
    }

    /// A copy of one value, the newest or the version asked for.
    pub(super) fn value(&self, name: &str, version: Option<&str>) -> Result<Fetched, StoreError> {
        let none = || StoreError::NoSecret(name.to_owned());
        let places = self.versions.get(name).filter(|places| !places.is_empty()).ok_or_else(none)?;
        let place = match version {
            None => places.last().ok_or_else(none)?,
            Some(id) => places
                .iter()
                .find(|place| place.version == id)
                .ok_or_else(|| StoreError::NoVersion { name: name.to_owned(), version: id.to_owned() })?,
        };
        #[expect(clippy::disallowed_methods, reason = "copies one value from locked memory to locked memory")]
        let bytes = self.values.expose_secret().get(place.range.clone()).unwrap_or_default();
        let found = Fetched::new(SecretBytes::copy_from(bytes), &place.version, place.created);
        Ok(Fetched { stamp: Some(self.stamp.clone()), ..found })
    }
}
