//! What the table is asked.

use std::sync::Arc;

use super::super::{Holder, Row};
use super::{Opening, Reader, Reading, Table};
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
        whole: &Reference,
        version: &str,
    ) -> Vec<Holder> {
        let current = Opening { path, whole, version };
        let holds_old = |reader: &Reader| {
            let file = reader.files.get(path)?;
            let is_current = |last: &Reading| match version {
                "" => *last.whole == *whole,
                _ => last.is_of(&current),
            };
            file.readings.last().map(|last| !is_current(last))
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
                file.readings.iter().enumerate().map(|(number, reading)| {
                    let row = Row {
                        path: path.clone(),
                        reference: reading.whole.to_string(),
                        made_for: reading.whole.whom().map(str::to_owned),
                        version: reading.version.clone(),
                        newest: number + 1 == file.readings.len(),
                        first: reading.first,
                        last: reading.last,
                        times: reading.times,
                        ..Row::of(&reader.who, reading.first)
                    };
                    (row, &*reading.whole)
                })
            })
        })
    }

    fn readers(&self) -> impl Iterator<Item = (u32, &Reader)> {
        self.by_uid.iter().flat_map(|(uid, own)| own.readers.iter().map(|(_, reader)| (*uid, reader)))
    }
}
