//! The table of readers, its index by secret, and its bounds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use lru::LruCache;
use rustix::process::Resource;
use smallvec::SmallVec;

use crate::identity::{By, Identity, ProcessId, Watch};
use crate::reference::Reference;

mod asked;

/// Readings that are remembered, a reading being a process, a file and a version of one of its secrets. About 10 MiB when full.
const MOST: usize = 32 * 1024;
/// Versions of one file that are remembered for one process. Older ones go first.
const VERSIONS: usize = 64;
/// Processes that are watched by a descriptor; further ones are looked at.
const DESCRIPTORS: usize = 16 * 1024;

/// What was opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The file, `scope/name`.
    pub path: &'a str,
    /// The whole secrets that it shows, each with its version.
    pub parts: &'a [(&'a Reference, &'a str)],
}

/// The readers of each uid; who opened something last is forgotten last.
pub(super) struct Table {
    by_uid: HashMap<u32, Own>,
    readings: usize,
    most: usize,
    descriptors: usize,
    most_descriptors: usize,
    by_secret: HashMap<Arc<Reference>, Secret>,
    /// Secrets of which a reader was forgotten that may still run. As many as are configured at most, for no caller names one.
    unsure: HashSet<Arc<Reference>>,
    forgotten: u64,
}

/// The readers of one uid.
struct Own {
    readers: LruCache<ProcessId, Reader>,
    readings: usize,
}

/// A process.
pub(super) struct Reader {
    who: Arc<Identity>,
    watch: Arc<Watch>,
    files: HashMap<String, File>,
}

/// What it opened of one file.
#[derive(Default)]
struct File {
    /// Each version once; the one opened last is the last.
    readings: Vec<Reading>,
    /// Of which secrets there were more than are remembered.
    cut: Vec<Arc<Reference>>,
}

struct Reading {
    /// The secrets of which the file was made, each with its version.
    parts: SmallVec<[(Arc<Reference>, String); 1]>,
    first: Timestamp,
    last: Timestamp,
    times: u64,
}

/// Who read a secret.
#[derive(Default)]
struct Secret {
    /// How many readings there are of each version.
    versions: HashMap<String, usize>,
    /// Files of readers that read more versions than are remembered.
    cut: usize,
}

/// A secret's version that nobody has any more who read it.
pub(super) type Gone = (Arc<Reference>, String);

impl Default for Table {
    fn default() -> Self {
        // The rest is for files that are open, and for callers that are looked at.
        let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let descriptors = usize::try_from(limit / 4).unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
        Self::with(MOST, descriptors)
    }
}

impl File {
    /// How many secrets' versions are remembered with it.
    fn weight(&self) -> usize {
        self.readings.iter().map(|reading| reading.parts.len()).sum()
    }
}

impl Reading {
    fn is_of(&self, opening: &Opening<'_>) -> bool {
        let same = |((own, version), part): (&(Arc<Reference>, String), &(&Reference, &str))| {
            version == part.1 && **own == *part.0
        };
        self.parts.len() == opening.parts.len() && self.parts.iter().zip(opening.parts).all(same)
    }
}

impl Table {
    pub(super) fn with(most: usize, most_descriptors: usize) -> Self {
        Self {
            by_uid: HashMap::new(),
            readings: 0,
            most,
            descriptors: 0,
            most_descriptors,
            by_secret: HashMap::new(),
            unsure: HashSet::new(),
            forgotten: 0,
        }
    }

    /// Notes an opening by a reader that is known; whether it is.
    pub(super) fn note(&mut self, who: &Arc<Identity>, opening: &Opening<'_>, now: Timestamp) -> bool {
        let Some(own) = self.by_uid.get_mut(&who.uid) else { return false };
        let Some(reader) = own.readers.get_mut(&who.process) else { return false };
        if !Arc::ptr_eq(&reader.who, who) {
            reader.who = Arc::clone(who);
        }
        if let Some(file) = reader.files.get_mut(opening.path)
            && let Some(last) = file.readings.last_mut()
            && last.is_of(opening)
        {
            last.last = now;
            last.times = last.times.saturating_add(1);
            return true;
        }
        self.put(who, opening, now);
        drop(self.bound());
        true
    }

    /// Adds a reader that was not known, with an opening. Gives what is no longer needed.
    pub(super) fn add(
        &mut self,
        who: &Arc<Identity>,
        watch: Watch,
        opening: &Opening<'_>,
        now: Timestamp,
    ) -> (Option<Watch>, Vec<Reader>) {
        if self.note(who, opening, now) {
            return (Some(watch), Vec::new());
        }
        if watch.by() == By::Descriptor {
            self.descriptors += 1;
        }
        let reader = Reader { who: Arc::clone(who), watch: Arc::new(watch), files: HashMap::new() };
        let fresh = || Own { readers: LruCache::unbounded(), readings: 0 };
        self.by_uid.entry(who.uid).or_insert_with(fresh).readers.put(who.process, reader);
        self.put(who, opening, now);
        (None, self.bound())
    }

    /// Puts what a known reader opened last at the end of what it opened of that file.
    fn put(&mut self, who: &Identity, opening: &Opening<'_>, now: Timestamp) {
        let Some(own) = self.by_uid.get_mut(&who.uid) else { return };
        let Some(reader) = own.readers.peek_mut(&who.process) else { return };
        if !reader.files.contains_key(opening.path) {
            reader.files.insert(opening.path.to_owned(), File::default());
        }
        let Some(file) = reader.files.get_mut(opening.path) else { return };
        if let Some(at) = file.readings.iter().position(|reading| reading.is_of(opening)) {
            let mut reading = file.readings.remove(at);
            reading.last = now;
            reading.times = reading.times.saturating_add(1);
            file.readings.push(reading);
            return;
        }
        let mut parts = SmallVec::new();
        for (whole, version) in opening.parts {
            let known = self.by_secret.get_key_value(*whole).map(|(whole, _)| Arc::clone(whole));
            let whole = known.unwrap_or_else(|| Arc::new((*whole).clone()));
            let secret = self.by_secret.entry(Arc::clone(&whole)).or_default();
            *secret.versions.entry((*version).to_owned()).or_default() += 1;
            parts.push((whole, (*version).to_owned()));
        }
        own.readings += parts.len();
        self.readings += parts.len();
        file.readings.push(Reading { parts, first: now, last: now, times: 1 });
        if file.readings.len() <= VERSIONS {
            return;
        }
        let oldest = file.readings.remove(0);
        own.readings = own.readings.saturating_sub(oldest.parts.len());
        self.readings = self.readings.saturating_sub(oldest.parts.len());
        for (whole, _) in &oldest.parts {
            if !file.cut.contains(whole)
                && let Some(secret) = self.by_secret.get_mut(whole)
            {
                secret.cut += 1;
                file.cut.push(Arc::clone(whole));
            }
        }
        for (whole, version) in &oldest.parts {
            self.take(whole, version);
        }
    }

    /// Takes what was read once out of the index; whether it was the last of its version.
    fn take(&mut self, whole: &Reference, version: &str) -> bool {
        let Some(secret) = self.by_secret.get_mut(whole) else { return false };
        let Some(count) = secret.versions.get_mut(version) else { return false };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            secret.versions.remove(version);
        }
        if secret.versions.is_empty() {
            self.by_secret.remove(whole);
        }
        last
    }

    /// Takes out what a reader opened of a file. Gives the versions that nobody else read.
    fn take_file(&mut self, file: File) -> Vec<Gone> {
        let mut gone = Vec::new();
        for whole in file.cut {
            if let Some(secret) = self.by_secret.get_mut(&whole) {
                secret.cut = secret.cut.saturating_sub(1);
            }
        }
        for (whole, version) in file.readings.into_iter().flat_map(|reading| reading.parts) {
            if self.take(&whole, &version) {
                gone.push((whole, version));
            }
        }
        gone
    }

    /// Forgets readers that have ended: gives them, and the versions that nobody has any more who read them.
    pub(super) fn forget<'w>(
        &mut self,
        ended: impl Iterator<Item = (u32, &'w Arc<Watch>)>,
    ) -> (Vec<Reader>, Vec<Gone>) {
        let (mut readers, mut gone) = (Vec::new(), Vec::new());
        for (uid, watch) in ended {
            let Some(own) = self.by_uid.get_mut(&uid) else { continue };
            // It may have been forgotten meanwhile, and be there again.
            if own.readers.peek(&watch.process()).is_some_and(|reader| Arc::ptr_eq(&reader.watch, watch))
                && let Some(mut reader) = own.readers.pop(&watch.process())
            {
                gone.extend(self.without(uid, &mut reader));
                readers.push(reader);
            }
        }
        // Only once all of them are out: one that ended with another may have read the same.
        gone.retain(|(whole, version)| !self.may_live(whole, version));
        (readers, gone)
    }

    /// Takes all that a reader opened, who is no longer listed, out of the counts.
    fn without(&mut self, uid: u32, reader: &mut Reader) -> Vec<Gone> {
        let files: Vec<_> = reader.files.drain().map(|(_, file)| file).collect();
        let readings = files.iter().map(File::weight).sum();
        self.uncount(uid, readings);
        if reader.watch.by() == By::Descriptor {
            self.descriptors = self.descriptors.saturating_sub(1);
        }
        files.into_iter().flat_map(|file| self.take_file(file)).collect()
    }

    fn uncount(&mut self, uid: u32, readings: usize) {
        self.readings = self.readings.saturating_sub(readings);
        if let Some(own) = self.by_uid.get_mut(&uid) {
            own.readings = own.readings.saturating_sub(readings);
            if own.readers.is_empty() {
                self.by_uid.remove(&uid);
            }
        }
    }

    /// Forgets as many as are too many: of the uid that has the most, the reader that opened something longest ago, so that one
    /// that fills the table forgets its own.
    fn bound(&mut self) -> Vec<Reader> {
        let mut out = Vec::new();
        while self.readings > self.most {
            let Some((uid, own)) = self.by_uid.iter_mut().max_by_key(|(_, own)| own.readings) else { break };
            let uid = *uid;
            let gone = if own.readers.len() > 1
                && let Some((_, mut reader)) = own.readers.pop_lru()
            {
                self.forgotten = self
                    .forgotten
                    .saturating_add(reader.files.values().map(|file| file.weight() as u64).sum());
                let touched = secrets_of(reader.files.values());
                self.without(uid, &mut reader);
                out.push(reader);
                touched
            } else {
                self.halve(uid)
            };
            self.unsure.extend(gone);
        }
        out
    }

    /// Forgets half of the files of the one reader of a uid, those that it opened longest ago. Gives their secrets.
    fn halve(&mut self, uid: u32) -> Vec<Arc<Reference>> {
        let one = self.by_uid.get_mut(&uid).and_then(|own| own.readers.iter_mut().next());
        let Some((_, reader)) = one else {
            self.readings = 0;
            return Vec::new();
        };
        let last = |file: &File| file.readings.last().map(|reading| reading.last);
        let mut times: Vec<_> = reader.files.values().map(last).collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().flatten();
        let older: Vec<_> =
            reader.files.extract_if(|_, file| last(file) <= middle).map(|(_, file)| file).collect();
        let readings = older.iter().map(File::weight).sum::<usize>();
        self.forgotten = self.forgotten.saturating_add(readings as u64);
        self.uncount(uid, readings);
        let touched = secrets_of(older.iter());
        for file in older {
            self.take_file(file);
        }
        touched
    }

    /// Whether somebody may live who read it, as far as that is known.
    fn may_live(&self, whole: &Reference, version: &str) -> bool {
        self.unsure.contains(whole)
            || self
                .by_secret
                .get(whole)
                .is_some_and(|secret| secret.cut > 0 || secret.versions.contains_key(version))
    }
}

fn secrets_of<'f>(files: impl Iterator<Item = &'f File>) -> Vec<Arc<Reference>> {
    files
        .flat_map(|file| &file.readings)
        .flat_map(|reading| &reading.parts)
        .map(|(whole, _)| Arc::clone(whole))
        .collect()
}
