//! What the table is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Holder, Row};
use super::{Reader, Reading, Table};
use crate::identity::{By, Watch};
use crate::reference::Reference;

impl Table {
    /// Whether there is no room for another.
    pub(in crate::readers) fn is_full(&self) -> bool {
        self.readings >= self.most
    }

    /// How the next reader is to be watched.
    pub(in crate::readers) fn watch_by(&self) -> By {
        if self.descriptors < self.most_descriptors { By::Descriptor } else { By::StartTime }
    }

    pub(in crate::readers) fn lives(&self, whole: &Reference) -> bool {
        self.by_secret.contains_key(whole)
    }

    pub(in crate::readers) fn lives_at(&self, whole: &Reference, version: &str) -> bool {
        self.by_secret.get(whole).is_some_and(|secret| secret.versions.contains_key(version))
    }

    pub(in crate::readers) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// All readers, with the uid that they are listed under.
    pub(in crate::readers) fn watches(&self) -> Vec<(u32, Arc<Watch>)> {
        self.readers().map(|(uid, reader)| (uid, Arc::clone(&reader.watch))).collect()
    }

    pub(in crate::readers) fn holders_of_old(
        &self,
        path: &str,
        current: &BTreeMap<Reference, String>,
    ) -> Vec<Holder> {
        let holds_old = |reader: &Reader| {
            let file = reader.files.get(path)?;
            let has = |last: &Reading, whole: &Reference, now: &str| {
                let is = |(of, version): &(Arc<Reference>, String)| {
                    **of == *whole && (now.is_empty() || version == now)
                };
                last.parts.iter().any(is)
            };
            file.readings.last().map(|last| !current.iter().all(|(whole, now)| has(last, whole, now)))
        };
        let of = |(_, reader): (u32, &Reader)| {
            holds_old(reader)?
                .then(|| Holder { who: Arc::clone(&reader.who), watch: Arc::clone(&reader.watch) })
        };
        self.readers().filter_map(of).collect()
    }

    /// A row for each reading, and its secret.
    pub(in crate::readers) fn rows(&self) -> impl Iterator<Item = (Row, &Reference)> {
        self.readers().flat_map(|(_, reader)| {
            reader.files.iter().flat_map(|(path, file)| {
                let readings = file.readings.iter().enumerate();
                let parts = readings.flat_map(|(number, reading)| {
                    reading.parts.iter().map(move |part| (number, reading, part))
                });
                parts.map(|(number, reading, (whole, version))| {
                    let row = Row {
                        path: path.clone(),
                        reference: whole.to_string(),
                        made_for: whole.whom().map(str::to_owned),
                        version: version.clone(),
                        newest: number + 1 == file.readings.len(),
                        first: reading.first,
                        last: reading.last,
                        times: reading.times,
                        ..Row::of(&reader.who, reading.first)
                    };
                    (row, &**whole)
                })
            })
        })
    }

    fn readers(&self) -> impl Iterator<Item = (u32, &Reader)> {
        self.by_uid.iter().flat_map(|(uid, own)| own.readers.iter().map(|(_, reader)| (*uid, reader)))
    }
}
