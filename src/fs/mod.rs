//! What the kernel is told of files: names, attributes, handles, bytes.
//!
//! This folder owns the inode tree and the open handles. It knows nothing of the FUSE protocol (`fuse/`) and decides
//! nothing (`access.rs`).

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::access::{Access, Answer, Target};
use crate::config::checked::Config;
use crate::failure::Failure;
use crate::identity::{Caller, ProcessId};
use crate::listings::{Listing, Listings, Seen};
use crate::reference::Reference;
use crate::render::Content;

mod handles;
mod size;
mod tree;
mod xattr;

pub use handles::{Handle, HandleId};
pub use tree::{Ino, Node, Renamed, Tree};

use handles::Handles;
use tree::{Dir, FileNode};

/// The file system. Shared by all workers.
pub struct Fs {
    tree: ArcSwap<Tree>,
    handles: Handles,
    access: Arc<Access>,
    listings: Arc<Listings>,
    /// How long a name is waited for that a provider has to be asked for.
    list_wait: Duration,
}

/// The longest name, in bytes.
const NAME_MAX: usize = 255;

/// What stat tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Inode number.
    pub ino: Ino,
    /// Size in bytes; for a directory 0.
    pub size: u64,
    /// Whether it is a directory; else a regular file.
    pub is_dir: bool,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// For a file the time of its version at the provider.
    pub mtime: SystemTime,
}

impl Fs {
    /// The files of `config`.
    ///
    /// # Errors
    /// When the handle table cannot be made.
    pub fn new(config: &Config, access: Arc<Access>, listings: Arc<Listings>) -> std::io::Result<Arc<Self>> {
        let tree = ArcSwap::from_pointee(Tree::build(config, &|path| listings.at(path), None));
        let (handles, list_wait) = (Handles::new()?, config.limits.stat_wait);
        let fs = Arc::new(Self { tree, handles, access, listings, list_wait });
        let weak = Arc::downgrade(&fs);
        fs.access.find_by(move |path| weak.upgrade()?.tree.load().target(path));
        Ok(fs)
    }

    /// Replaces the tree. Inode numbers follow from paths, so what stays keeps its own.
    pub fn replace(&self, config: &Config) -> Replaced {
        let old = self.tree.load_full();
        let new = Tree::build(config, &|path| self.listings.at(path), Some(&old));
        let replaced = Replaced { forget: new.changes_since(&old), changed: new.shows_otherwise_than(&old) };
        self.tree.store(Arc::new(new));
        replaced
    }

    /// The paths of all files that show something of this whole secret.
    pub fn showing(&self, whole: &Reference) -> Vec<String> {
        self.tree.load().showing(whole).to_vec()
    }

    /// The attributes of `ino` as they were last shown: the same for whoever asks, from memory, and without a record.
    ///
    /// # Errors
    /// No such inode.
    pub fn shown(&self, ino: Ino) -> Result<Attributes, Failure> {
        let tree = self.tree.load();
        let node = tree.node(ino).ok_or(Failure::Unconfigured)?;
        Ok(self.attributes(ino, node, None))
    }

    /// The attributes of `name` in `parent`. Answers everybody the same: the kernel shares the answer among all callers, and one
    /// that denied would break others' working directories. From memory only, but for the first name that anybody looks for in a
    /// directory that lists a provider.
    pub fn lookup(self: &Arc<Self>, parent: Ino, name: &OsStr) -> Answer<Attributes> {
        let found = self.look_up(parent, name);
        let Err(Failure::NoSuchName) = found else { return Answer::Now(found) };
        let (fs, name) = (Arc::clone(self), name.to_owned());
        self.listed(parent, Missed::AName).then(move |known| {
            known?;
            fs.look_up(parent, &name)
        })
    }

    fn look_up(&self, parent: Ino, name: &OsStr) -> Result<Attributes, Failure> {
        if name.len() > NAME_MAX {
            return Err(Failure::NameTooLong);
        }
        let tree = self.tree.load();
        let node = tree.node(parent).ok_or(Failure::Unconfigured)?;
        let ino = node.child(name)?;
        let node = tree.node(ino).ok_or(Failure::NoSuchName)?;
        Ok(self.attributes(ino, node, None))
    }

    /// Opens a directory: where it lists a provider, what it has is known then.
    pub fn opendir(&self, ino: Ino) -> Answer<()> {
        self.listed(ino, Missed::Nothing)
    }

    /// Somebody looks into a directory. One that lists a provider has its list asked for if need be; where nothing is known of it,
    /// that is waited for, which holds up nobody who looks for what is known.
    fn listed(&self, ino: Ino, missed: Missed) -> Answer<()> {
        let list = match self.tree.load().node(ino) {
            Some(Node::Dir(Dir { list: Some(list), .. })) => Arc::clone(list),
            _ => return Answer::Now(Ok(())),
        };
        let failed = |why: String| Err(Failure::NotListed(why));
        match self.listings.look(&list, missed == Missed::AName) {
            Seen::Known(_) => Answer::Now(Ok(())),
            Seen::Failed(why) => Answer::Now(failed(why.to_string())),
            Seen::Asked(mut told) => {
                let wait = self.list_wait;
                Answer::Later(Box::pin(async move {
                    let came = tokio::time::timeout(wait, told.changed()).await.is_ok();
                    match (list.known(), list.failure()) {
                        (Some(_), _) => Ok(()),
                        (None, Some(why)) if came => failed(why.to_string()),
                        (None, _) => failed(format!("the provider did not answer within {wait:?}")),
                    }
                }))
            }
        }
    }

    /// The attributes of `ino`, with the true size for a caller that may read the file.
    pub fn getattr(self: &Arc<Self>, caller: Caller, ino: Ino) -> Answer<Attributes> {
        let tree = self.tree.load();
        let Some(node) = tree.node(ino) else { return Answer::Now(self.removed(caller, ino)) };
        let Node::File(file) = node else { return Answer::Now(Ok(self.attributes(ino, node, None))) };
        // fstat cannot be told from stat, and a holder must see the size of what it holds.
        if let Some(size) = size::of_opener(&self.handles, self.access.attestor(), caller, ino) {
            return Answer::Now(Ok(self.attributes(ino, node, Some(size))));
        }
        let (fs, of) = (Arc::clone(self), Arc::clone(&tree));
        self.access.size(caller, &file.target).then(move |content| {
            let node = of.node(ino).ok_or(Failure::Unconfigured)?;
            Ok(fs.sized(caller, ino, node, content.ok().flatten()))
        })
    }

    /// Opens a file and gives its handle.
    pub fn open(self: &Arc<Self>, caller: Caller, ino: Ino, flags: OpenFor) -> Answer<HandleId> {
        let target = match self.file(ino) {
            Ok(_) if flags == OpenFor::Writing => return Answer::Now(Err(Failure::ReadOnly)),
            Ok(target) => target,
            Err(failure) => return Answer::Now(Err(failure)),
        };
        // What is opened is looked into, though its name was found long ago.
        if let Some(Node::File(FileNode { list: Some(list), .. })) = self.tree.load().node(ino) {
            self.listings.look(list, false);
        }
        let fs = Arc::clone(self);
        self.access
            .open(caller, &target, self.handles.room(caller.uid))
            .then(move |opened| fs.keep(ino, target, opened?))
    }

    /// The content to read from through a handle. Who reads is looked at for every read that gives bytes.
    pub fn read(
        self: &Arc<Self>,
        caller: Caller,
        ino: Ino,
        id: HandleId,
        offset: u64,
        to: ReadTo,
    ) -> Answer<Arc<Content>> {
        if to == ReadTo::Pages && self.access.attestor().moves_pages(caller.tid) {
            // Decided and put on record like any other. Who may read is told that it does not go this way, and takes another.
            return self
                .read(caller, ino, id, 0, ReadTo::Memory)
                .then(|read| read.and(Err(Failure::MovesPages)));
        }
        let Some(handle) = self.handles.find(id) else { return self.reopen(caller, ino, id) };
        // The read that finds the end tells nothing, so it costs nothing. To the page cache it tells where the end is.
        if to == ReadTo::Memory && offset >= handle.content.size() && !handle.content.bytes().is_empty() {
            return Answer::Now(Ok(Arc::clone(&handle.content)));
        }
        if self.access.is_known(caller, &handle.target, |who| handle.knows(who)) {
            return Answer::Now(Ok(Arc::clone(&handle.content)));
        }
        // By the rules that are in force now, not by those of when it was opened.
        let admitted = match self.file(ino) {
            Ok(target) if target.path == handle.target.path => {
                self.access.read(caller, &target, &handle.content)
            }
            _ => Answer::Now(Err(self.access.read_removed(caller, &handle.target))),
        };
        admitted.then(move |who| {
            handle.remember(who?);
            Ok(Arc::clone(&handle.content))
        })
    }

    /// How many files are open.
    pub fn open_handles(&self) -> usize {
        self.handles.count()
    }

    /// How many files are open that show each of these secrets, named whole.
    pub fn open_handles_of(&self, secrets: &BTreeSet<Reference>) -> Vec<usize> {
        self.handles.of(secrets)
    }

    /// Lets a handle go.
    pub fn release(&self, id: HandleId) {
        self.handles.release(id);
    }

    /// What is open now: of each handle the process that opened it, `scope/name`, and of each secret that it shows reference and version. A process that has opened the
    /// current version since may have an old one open still. Looks at every handle: for people who ask.
    pub fn open_versions(&self) -> HashSet<(ProcessId, String, String, String)> {
        self.handles.versions()
    }

    /// The entries of a directory from `offset` on: inode, whether it is a directory, name, and the offset after it. `take`
    /// returns whether it has room for more.
    ///
    /// # Errors
    /// It is not a directory.
    pub fn readdir(
        &self,
        ino: Ino,
        offset: u64,
        mut take: impl FnMut(DirEntry<'_>) -> bool,
    ) -> Result<(), Failure> {
        let tree = self.tree.load();
        let node = tree.node(ino).ok_or(Failure::Unconfigured)?;
        let Node::Dir(dir) = node else { return Err(Failure::NotDirectory) };
        let dots = [(ino, "."), (dir.parent, "..")].map(|(ino, name)| (ino, true, OsStr::new(name)));
        let children = dir.children.iter().map(|(name, child)| {
            (*child, matches!(tree.node(*child), Some(Node::Dir(_))), OsStr::new(name.as_str()))
        });
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (ino, is_dir, name)) in dots.into_iter().chain(children).enumerate().skip(from) {
            if !take(DirEntry { ino, is_dir, name, next: at as u64 + 1 }) {
                break;
            }
        }
        Ok(())
    }

    /// The names of extended attributes of `ino`.
    pub fn listxattr(&self, caller: Caller, ino: Ino) -> Answer<Vec<u8>> {
        match self.file(ino) {
            Ok(target) => self.access.known(caller, &target).then(|known| Ok(xattr::list(known?.as_deref()))),
            Err(_) => {
                Answer::Now(Ok(self.list_of(ino).map_or_else(Vec::new, |list| xattr::list_of_dir(&list))))
            }
        }
    }

    fn list_of(&self, ino: Ino) -> Option<Arc<Listing>> {
        match self.tree.load().node(ino) {
            Some(Node::Dir(dir)) => dir.list.clone(),
            _ => None,
        }
    }

    /// The value of an extended attribute. Never fetches.
    pub fn getxattr(&self, caller: Caller, ino: Ino, name: &OsStr) -> Answer<String> {
        let name = name.to_str().and_then(|name| name.strip_prefix(xattr::PREFIX)).map(str::to_owned);
        let (Ok(target), Some(name)) = (self.file(ino), &name) else {
            let value =
                self.list_of(ino).zip(name).and_then(|(list, name)| xattr::value_of_dir(&name, &list));
            return Answer::Now(value.ok_or(Failure::NoSuchAttribute));
        };
        let name = name.clone();
        self.access.known(caller, &target).then(move |known| {
            xattr::value(&name, &target, known?.as_deref()).ok_or(Failure::NoSuchAttribute)
        })
    }

    fn file(&self, ino: Ino) -> Result<Arc<Target>, Failure> {
        match self.tree.load().node(ino) {
            Some(Node::File(file)) => Ok(Arc::clone(&file.target)),
            Some(Node::Dir(_)) => Err(Failure::IsDirectory),
            None => Err(Failure::Unconfigured),
        }
    }

    fn keep(
        &self,
        ino: Ino,
        target: Arc<Target>,
        opened: crate::access::Opened,
    ) -> Result<HandleId, Failure> {
        let (content, opener) = opened;
        if let Some(Node::File(file)) = self.tree.load().node(ino) {
            file.shown.remember(&content);
        }
        self.handles.keep(ino, Handle::new(target, content, opener))
    }

    /// A handle that this process did not give: its bytes went with an earlier one. The same version is fetched again, or it
    /// is stale.
    fn reopen(self: &Arc<Self>, caller: Caller, ino: Ino, id: HandleId) -> Answer<Arc<Content>> {
        let (Some(version), Ok(target)) = (self.handles.left_behind(id, ino), self.file(ino)) else {
            return Answer::Now(Err(Failure::VersionGone));
        };
        let fs = Arc::clone(self);
        let readopt = move |(content, opener): crate::access::Opened, target: Arc<Target>| {
            fs.handles.readopt(id, ino, Handle::new(target, Arc::clone(&content), opener));
            content
        };
        self.access.reopen(caller, &target, &version).then(move |opened| Ok(readopt(opened?, target)))
    }

    /// The attributes of a file whose name went with a reload, for a process that holds it open: what it opened stays as it
    /// was.
    fn removed(&self, caller: Caller, ino: Ino) -> Result<Attributes, Failure> {
        let attestor = self.access.attestor();
        let size = size::of_opener(&self.handles, attestor, caller, ino)
            .or_else(|| size::of_heir(&self.handles, attestor, caller, ino, 0))
            .ok_or(Failure::Unconfigured)?;
        let newest = self.handles.newest(ino).ok_or(Failure::Unconfigured)?;
        let file = &newest.target.file;
        let mtime = newest.content.created();
        Ok(Attributes { ino, size, is_dir: false, mode: file.mode, uid: file.uid, gid: file.gid, mtime })
    }

    fn sized(&self, caller: Caller, ino: Ino, node: &Node, content: Option<Arc<Content>>) -> Attributes {
        if let (Node::File(file), Some(content)) = (node, &content) {
            file.shown.remember(content);
        }
        // Who may not read is told no less than the largest size, so its descriptors, maybe thousands, are not looked at.
        let Some(size) = content.map(|content| content.size()) else {
            return self.attributes(ino, node, None);
        };
        // A size that shrinks would cut what somebody has mapped.
        let told = size.max(self.handles.largest(ino).unwrap_or(0));
        let heir = size::of_heir(&self.handles, self.access.attestor(), caller, ino, told);
        self.attributes(ino, node, Some(heir.unwrap_or(told)))
    }

    fn attributes(&self, ino: Ino, node: &Node, size: Option<u64>) -> Attributes {
        match node {
            Node::Dir(dir) => Attributes {
                ino,
                size: 0,
                is_dir: true,
                mode: dir.mode,
                uid: dir.uid,
                gid: dir.gid,
                mtime: dir.since,
            },
            Node::File(file) => {
                let unknown = || file.shown.size().max(self.handles.largest(ino).unwrap_or(0)).max(1);
                Attributes {
                    ino,
                    size: size.unwrap_or_else(unknown),
                    is_dir: false,
                    mode: file.target.file.mode,
                    uid: file.target.file.uid,
                    gid: file.target.file.gid,
                    mtime: file
                        .shown
                        .mtime()
                        .map_or(file.since, |micros| UNIX_EPOCH + Duration::from_micros(micros)),
                }
            }
        }
    }
}

/// What came of another tree in the place of the old one.
pub struct Replaced {
    /// What the kernel should forget.
    pub forget: Vec<Renamed>,
    /// The paths of files that are still there and show something else now.
    pub changed: Vec<String>,
}

/// What somebody looked for in a directory and did not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missed {
    Nothing,
    AName,
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFor {
    /// Reading.
    Reading,
    /// Writing, truncating or appending too.
    Writing,
}

/// Where what is read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadTo {
    /// To the memory that read(2) was given.
    Memory,
    /// To the page cache, which belongs to the file: for a mapping, or for sendfile and the like.
    Pages,
}

/// One name of a directory.
pub struct DirEntry<'a> {
    /// Its inode.
    pub ino: Ino,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its name.
    pub name: &'a OsStr,
    /// Where to go on after it.
    pub next: u64,
}
