//! Open handles. Each keeps the bytes of the version it was opened with.
//!
//! What a successor of this process would need (which version, of which inode) is also written to a table in a memfd.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::Ino;
use crate::access::Target;
use crate::failure::Failure;
use crate::identity::{Identity, ProcessId};
use crate::reference::Reference;
use crate::render::Content;
use crate::sys::sharedtable::{RECORD, SharedTable};
use crate::tally::Tally;

/// What the kernel calls a file handle: a slot of the table in the low 16 bits, a counter above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandleId(pub u64);

/// An open file.
pub struct Handle {
    /// What was opened.
    pub target: Arc<Target>,
    /// Its bytes, fixed at open.
    pub content: Arc<Content>,
    /// Who opened it.
    pub opener: Arc<Identity>,
    /// Who may read as well: decided and recorded once each. The opener is the first.
    readers: Mutex<Vec<Arc<Identity>>>,
}

/// Slots of the table, and so files that can be open at once.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 16;
/// Readers remembered for one handle. A further one is decided upon again at each read.
const READERS: usize = 16;
/// Handles of one inode that are looked at for one that a process has read from, newest first.
const LOOKED_AT: usize = 256;
/// Bytes of a record before the version.
const HEAD: usize = 40;

/// All open handles.
pub(super) struct Handles {
    table: SharedTable,
    open: RwLock<Open>,
}

struct Open {
    by_id: HashMap<HandleId, (Ino, Arc<Handle>)>,
    by_ino: HashMap<Ino, Held>,
    /// How many each uid has open.
    by_uid: Tally<u32>,
    free: Vec<u16>,
    next: u64,
}

/// What is open of one inode, so that a question about it costs the same however many handles somebody has on it. Ids
/// count up, so the last one is the newest.
#[derive(Default)]
struct Held {
    all: BTreeMap<HandleId, Arc<Handle>>,
    /// Sizes of what each process opened.
    by_process: HashMap<ProcessId, BTreeMap<HandleId, u64>>,
    /// How many handles have each size.
    sizes: BTreeMap<u64, usize>,
}

impl Handle {
    pub(super) fn new(target: Arc<Target>, content: Arc<Content>, opener: Arc<Identity>) -> Self {
        let readers = Mutex::new(vec![Arc::clone(&opener)]);
        Self { target, content, opener, readers }
    }

    /// Whether `who` opened it or was let in before.
    pub(super) fn knows(&self, who: &Arc<Identity>) -> bool {
        Arc::ptr_eq(who, &self.opener) || self.readers.lock().contains(who)
    }

    pub(super) fn remember(&self, who: Arc<Identity>) {
        let mut readers = self.readers.lock();
        if readers.len() < READERS {
            readers.push(who);
        }
    }
}

impl Handles {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self::over(SharedTable::new("hushfs-handles", SLOTS)?))
    }

    /// Over a table that an earlier process may have written to: its slots are not given out again.
    fn over(table: SharedTable) -> Self {
        let (mut free, mut next) = (Vec::new(), 1);
        for slot in (0..=u16::MAX).rev() {
            let (id, ..) = decode(&table.read(usize::from(slot)));
            if id == 0 {
                free.push(slot);
            } else {
                next = next.max((id >> SLOT_BITS) + 1);
            }
        }
        let (by_id, by_ino, by_uid) = Default::default();
        Self { table, open: RwLock::new(Open { by_id, by_ino, by_uid, free, next }) }
    }

    pub(super) fn keep(&self, ino: Ino, handle: Handle) -> Result<HandleId, Failure> {
        let mut open = self.open.write();
        let slot = open.free.pop().ok_or(Failure::TooManyHandles)?;
        let id = HandleId(open.next << SLOT_BITS | u64::from(slot));
        open.next += 1;
        self.table.write(usize::from(slot), &encode(id, ino, &handle));
        open.insert(id, ino, handle);
        Ok(id)
    }

    /// Takes up a handle that an earlier process gave.
    pub(super) fn readopt(&self, id: HandleId, ino: Ino, handle: Handle) {
        let mut open = self.open.write();
        if !open.by_id.contains_key(&id) {
            open.insert(id, ino, handle);
        }
    }

    pub(super) fn find(&self, id: HandleId) -> Option<Arc<Handle>> {
        self.open.read().by_id.get(&id).map(|(_, handle)| Arc::clone(handle))
    }

    /// The version that an earlier process opened as `id`, if it was a handle of this inode.
    pub(super) fn left_behind(&self, id: HandleId, ino: Ino) -> Option<String> {
        let (of, of_ino, version) = decode(&self.table.read(usize::from(id.slot())));
        (of == id.0 && of_ino == ino.0).then_some(version)?
    }

    pub(super) fn release(&self, id: HandleId) {
        let mut open = self.open.write();
        let known = open.remove(id);
        let (of, ..) = decode(&self.table.read(usize::from(id.slot())));
        if known || of == id.0 {
            self.table.write(usize::from(id.slot()), &[0; RECORD]);
            open.free.push(id.slot());
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.read().by_id.len()
    }

    /// How many are open that show each of these secrets, named whole, whatever their version.
    pub(super) fn of(&self, secrets: &BTreeSet<Reference>) -> Vec<usize> {
        let mut counts: HashMap<_, _> = secrets.iter().map(|secret| (secret.unpinned(), 0_usize)).collect();
        for (_, handle) in self.open.read().by_id.values() {
            for (whole, _) in handle.content.parts() {
                if let Some(count) = counts.get_mut(&whole.unpinned()) {
                    *count += 1;
                }
            }
        }
        secrets.iter().map(|secret| counts.get(&secret.unpinned()).copied().unwrap_or(0)).collect()
    }

    /// Whether anybody has the inode open.
    pub(super) fn any(&self, ino: Ino) -> bool {
        self.open.read().by_ino.contains_key(&ino)
    }

    /// Whether a uid may have one more. It may have as many as are left for everybody else, so that one that takes all it
    /// can get leaves half of them, and two leave a third.
    pub(super) fn room(&self, uid: u32) -> Result<(), Failure> {
        let open = self.open.read();
        match open.by_uid.of(&uid) {
            _ if open.free.is_empty() => Err(Failure::TooManyHandles),
            own if own >= open.free.len() => Err(Failure::TooManyOwnHandles),
            _ => Ok(()),
        }
    }

    /// What is open: of each handle its opener and `scope/name`, with the reference and version of each secret that it shows.
    pub(super) fn versions(&self) -> HashSet<(ProcessId, String, String, String)> {
        let mut versions = HashSet::new();
        for (_, handle) in self.open.read().by_id.values() {
            let (process, path) = (handle.opener.process, &handle.target.path);
            let one = |(whole, version): (&Reference, &str)| {
                (process, path.clone(), whole.to_string(), version.to_owned())
            };
            versions.extend(handle.content.parts().map(one));
        }
        versions
    }

    /// The newest handle on the inode.
    pub(super) fn newest(&self, ino: Ino) -> Option<Arc<Handle>> {
        self.held(ino, |held| held.all.last_key_value().map(|(_, handle)| Arc::clone(handle)))
    }

    /// The size of the newest handle that a process opened on the inode.
    pub(super) fn newest_of(&self, ino: Ino, process: ProcessId) -> Option<u64> {
        self.held(ino, |held| held.by_process.get(&process)?.last_key_value().map(|(_, size)| *size))
    }

    /// The size of the newest handle on the inode that a process has read from.
    pub(super) fn newest_read_by(&self, ino: Ino, process: ProcessId) -> Option<u64> {
        let read = |handle: &&Arc<Handle>| handle.readers.lock().iter().any(|who| who.process == process);
        self.held(ino, |held| {
            held.all.values().rev().take(LOOKED_AT).find(read).map(|handle| handle.content.size())
        })
    }

    /// Whether anybody has the inode open with another size than this.
    pub(super) fn any_but(&self, ino: Ino, size: u64) -> bool {
        self.held(ino, |held| held.sizes.keys().find(|open| **open != size).copied()).is_some()
    }

    /// The largest size that is open.
    pub(super) fn largest(&self, ino: Ino) -> Option<u64> {
        self.held(ino, |held| held.sizes.last_key_value().map(|(size, _)| *size))
    }

    fn held<T>(&self, ino: Ino, of: impl FnOnce(&Held) -> Option<T>) -> Option<T> {
        of(self.open.read().by_ino.get(&ino)?)
    }
}

impl Open {
    fn insert(&mut self, id: HandleId, ino: Ino, handle: Handle) {
        let (size, opener, handle) = (handle.content.size(), Arc::clone(&handle.opener), Arc::new(handle));
        let held = self.by_ino.entry(ino).or_default();
        held.all.insert(id, Arc::clone(&handle));
        held.by_process.entry(opener.process).or_default().insert(id, size);
        *held.sizes.entry(size).or_default() += 1;
        self.by_uid.add(opener.uid);
        self.by_id.insert(id, (ino, handle));
    }

    fn remove(&mut self, id: HandleId) -> bool {
        let Some((ino, handle)) = self.by_id.remove(&id) else { return false };
        self.by_uid.take(handle.opener.uid);
        let Some(held) = self.by_ino.get_mut(&ino) else { return true };
        held.remove(id, &handle);
        if held.all.is_empty() {
            self.by_ino.remove(&ino);
        }
        true
    }
}

impl Held {
    fn remove(&mut self, id: HandleId, handle: &Handle) {
        self.all.remove(&id);
        let (process, size) = (handle.opener.process, handle.content.size());
        if let Some(ids) = self.by_process.get_mut(&process) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_process.remove(&process);
            }
        }
        if let Some(count) = self.sizes.get_mut(&size) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.sizes.remove(&size);
            }
        }
    }
}

impl HandleId {
    fn slot(self) -> u16 {
        (self.0 & u64::from(u16::MAX)) as u16
    }
}

/// A record: id, inode, start and pid of the opener, its uid, length of the version, version.
fn encode(id: HandleId, ino: Ino, handle: &Handle) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let opener = &handle.opener;
    let version = handle.content.version().as_bytes();
    // A version too long for the record cannot be asked for again; its length says so.
    let len = u64::try_from(version.len()).unwrap_or(u64::MAX);
    let head = [
        id.0,
        ino.0,
        opener.process.start,
        u64::from(opener.process.pid.0) << 32 | u64::from(opener.uid),
        len,
    ];
    for (place, number) in record.chunks_exact_mut(8).zip(head) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    if let Some(place) = record.get_mut(HEAD..HEAD + version.len()) {
        place.copy_from_slice(version);
    }
    record
}

/// Id, inode and version of a record; id 0 for an empty one.
fn decode(record: &[u8; RECORD]) -> (u64, u64, Option<String>) {
    let number = |at: usize| {
        record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    let len = usize::try_from(number(HEAD - 8)).unwrap_or(usize::MAX);
    let version = HEAD.checked_add(len).and_then(|end| record.get(HEAD..end)).map(<[u8]>::to_vec);
    (number(0), number(8), version.and_then(|version| String::from_utf8(version).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::{CacheRules, File, Scope, Shows};
    use crate::identity::{Pid, ProcessId, somebody};
    use crate::render::Renderer;
    use crate::resolve::Secret;

    const INO: Ino = Ino(0xABCD_0123);

    fn handle(pid: u32, bytes: &[u8], version: &str) -> Handle {
        let from: crate::reference::Reference = "p:s".parse().unwrap();
        let file = File {
            name: "f".into(),
            shows: Arc::new(Shows::secret(from.clone(), crate::format::Form::RAW)),
            uid: 0,
            gid: 0,
            mode: 0o400,
            cache: vec![CacheRules::DEFAULT],
            on_change: Vec::new(),
        };
        let scope = Scope {
            name: "s".into(),
            rules_at: String::new(),
            uid: 0,
            gid: 0,
            dir_mode: 0o500,
            rules: Arc::default(),
            learn_until: None,
            bundles: std::collections::BTreeMap::new(),
            files: Vec::new(),
            dirs: Vec::new(),
        };
        let content = Renderer::new(1 << 20, 1 << 20)
            .render(&file.shows, smallvec::smallvec![Secret::made_up(bytes, version)])
            .unwrap();
        let target = Target {
            scope: Arc::new(scope),
            file: Arc::new(file),
            path: "s/f".into(),
            secrets: vec![from],
            bundle: None,
        };
        let process = ProcessId { pid: Pid(pid), start: 7 };
        let opener = Identity { process, uid: 1, gid: 1, ..somebody() };
        Handle::new(Arc::new(target), content, Arc::new(opener))
    }

    #[test]
    fn sizes_are_those_of_what_is_open() {
        let handles = Handles::new().unwrap();
        let process = |pid| ProcessId { pid: Pid(pid), start: 7 };
        let long = handles.keep(INO, handle(1, &[1; 100], "1")).unwrap();
        let short = handles.keep(INO, handle(1, &[1; 40], "2")).unwrap();
        let other = handles.keep(INO, handle(2, &[1; 70], "3")).unwrap();
        assert_eq!(handles.newest_of(INO, process(1)), Some(40));
        assert_eq!(handles.newest_of(INO, process(3)), None);
        assert_eq!(handles.largest(INO), Some(100));
        let of_first = |version: &str| (process(1), "s/f".to_owned(), "p:s".to_owned(), version.to_owned());
        assert!(handles.versions().is_superset(&[of_first("1"), of_first("2")].into()));
        handles.release(long);
        assert!(!handles.versions().contains(&of_first("1")) && handles.versions().len() == 2);
        assert_eq!(handles.largest(INO), Some(70));
        handles.release(other);
        assert!(!handles.any_but(INO, 40) && handles.any_but(INO, 41));
        handles.release(short);
        assert!(!handles.any(INO) && handles.find(short).is_none());
    }

    #[test]
    fn a_successor_finds_the_version_that_was_opened_and_gives_no_id_twice() {
        let before = Handles::new().unwrap();
        let id = before.keep(INO, handle(1, b"x", "version 17")).unwrap();
        let long = before.keep(INO, handle(1, b"x", &"v".repeat(RECORD))).unwrap();
        let gone = before.keep(INO, handle(1, b"x", "1")).unwrap();
        before.release(gone);
        let table = SharedTable::open(before.table.fd().try_clone_to_owned().unwrap()).unwrap();
        let after = Handles::over(table);
        assert!(after.find(id).is_none());
        assert_eq!(after.left_behind(id, INO).as_deref(), Some("version 17"));
        assert_eq!(after.left_behind(id, Ino(2)), None, "another inode");
        assert_eq!(after.left_behind(long, INO), None, "too long to be kept");
        assert_eq!(after.left_behind(gone, INO), None, "released");
        let ids: Vec<_> = (0..100).map(|_| after.keep(INO, handle(2, b"y", "1")).unwrap()).collect();
        assert!(ids.iter().all(|new| new.slot() != id.slot() && new.0 > id.0));
        after.readopt(id, INO, handle(1, b"x", "version 17"));
        assert!(after.find(id).is_some());
        after.release(id);
        assert_eq!(after.left_behind(id, INO), None);
    }

    #[test]
    fn when_all_are_in_use_the_next_is_refused_until_one_is_released() {
        let handles = Handles::new().unwrap();
        let mut ids = Vec::new();
        let refused = loop {
            match handles.keep(INO, handle(1, b"", "1")) {
                Ok(id) => ids.push(id),
                Err(failure) => break failure,
            }
        };
        assert_eq!((refused, ids.len()), (Failure::TooManyHandles, SLOTS));
        handles.release(ids[5]);
        assert!(handles.keep(INO, handle(1, b"", "1")).is_ok());
    }
}
