//! The inode tree: built whole from a configuration, replaced whole by a reload.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::access::{Bundle, Target};
use crate::config::checked::{Config, File, Scope};
use crate::config::dir_mode;
use crate::failure::Failure;
use crate::listings::Listing;
use crate::reference::Reference;
use crate::render::Content;

/// An inode number. It follows from the path, so that it is the same after a reload and in a successor of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the mount, by the protocol.
    pub const ROOT: Self = Self(1);
}

/// The directories of which the names are found out, by their paths below the mount.
pub(super) type Lists<'l> = dyn Fn(&str) -> Option<Arc<Listing>> + 'l;

/// All inodes.
pub struct Tree {
    nodes: HashMap<Ino, Node>,
    /// The paths of the files that show something of a whole secret.
    showing: HashMap<Reference, Vec<String>>,
}

/// An inode.
pub enum Node {
    /// A directory.
    Dir(Dir),
    /// A file.
    File(FileNode),
}

/// A directory.
pub struct Dir {
    pub(super) parent: Ino,
    pub(super) children: BTreeMap<String, Ino>,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) since: SystemTime,
    /// What its names follow from, where they are found out.
    pub(super) list: Option<Arc<Listing>>,
}

/// A file.
pub struct FileNode {
    pub(super) target: Arc<Target>,
    /// What its name follows from, where it was found out.
    pub(super) list: Option<Arc<Listing>>,
    pub(super) shown: Arc<Shown>,
    pub(super) since: SystemTime,
}

/// What was last shown of a file: reported where the present size is not known. Kept over reloads.
#[derive(Default)]
pub(super) struct Shown {
    size: AtomicU64,
    mtime: AtomicU64,
}

/// A name that the kernel should forget, or an inode whose attributes changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renamed {
    /// The name went, or is something else now.
    Entry {
        /// Where it was.
        parent: Ino,
        /// What it was.
        name: String,
    },
    /// Owner, group or mode changed.
    Inode(Ino),
}

impl Node {
    /// The inode of a name in this directory.
    pub(super) fn child(&self, name: &OsStr) -> Result<Ino, Failure> {
        match self {
            Self::Dir(dir) => {
                name.to_str().and_then(|name| dir.children.get(name)).copied().ok_or(Failure::NoSuchName)
            }
            Self::File(_) => Err(Failure::NotDirectory),
        }
    }

    fn looks(&self) -> (u16, u32, u32) {
        match self {
            Self::Dir(dir) => (dir.mode, dir.uid, dir.gid),
            Self::File(file) => (file.target.file.mode, file.target.file.uid, file.target.file.gid),
        }
    }
}

impl Shown {
    pub(super) fn remember(&self, content: &Content) {
        self.size.store(content.size(), Ordering::Relaxed);
        let since = content.created().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.mtime.store(u64::try_from(since.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// In microseconds since 1970, if a version was shown.
    pub(super) fn mtime(&self) -> Option<u64> {
        Some(self.mtime.load(Ordering::Relaxed)).filter(|micros| *micros > 0)
    }
}

impl Tree {
    /// The tree of `config`; `lists` are the directories of which the names are found out, by their paths. What `old` knows of files
    /// with the same path is kept.
    pub(super) fn build(config: &Config, lists: &Lists<'_>, old: Option<&Self>) -> Self {
        let since = SystemTime::now();
        let mut tree = Self { nodes: HashMap::new(), showing: HashMap::new() };
        tree.nodes.insert(Ino::ROOT, Node::Dir(open_dir(since)));
        for scope in &config.scopes {
            tree.add_scope(scope, lists, old, since);
        }
        tree
    }

    /// The inode of that number.
    pub fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(&ino)
    }

    /// The file at a path below the mount.
    pub(super) fn target(&self, path: &str) -> Option<Arc<Target>> {
        let step = |ino, name: &str| self.node(ino)?.child(name.as_ref()).ok();
        match self.node(path.split('/').try_fold(Ino::ROOT, step)?)? {
            Node::File(file) => Some(Arc::clone(&file.target)),
            Node::Dir(_) => None,
        }
    }

    /// What the kernel may remember of `old` that is no longer so.
    pub(super) fn changes_since(&self, old: &Self) -> Vec<Renamed> {
        let mut changes = Vec::new();
        for (ino, node) in &old.nodes {
            if let Node::Dir(dir) = node {
                let still = |name: &str| match self.nodes.get(ino) {
                    Some(Node::Dir(now)) => now.children.get(name) == dir.children.get(name),
                    _ => false,
                };
                let gone = dir.children.keys().filter(|name| !still(name));
                changes.extend(gone.map(|name| Renamed::Entry { parent: *ino, name: name.clone() }));
            }
            if self.nodes.get(ino).is_some_and(|now| now.looks() != node.looks()) {
                changes.push(Renamed::Inode(*ino));
            }
        }
        changes
    }

    /// The paths of the files that show something of `whole`.
    pub(super) fn showing(&self, whole: &Reference) -> &[String] {
        self.showing.get(whole).map(Vec::as_slice).unwrap_or_default()
    }

    /// The paths of files that are in `old` as well, and show another secret, or it in another form.
    pub(super) fn shows_otherwise_than(&self, old: &Self) -> Vec<String> {
        let shows = |file: &FileNode| Arc::clone(&file.target.file.shows);
        let mut changed = Vec::new();
        for (ino, node) in &self.nodes {
            if let (Node::File(now), Some(Node::File(before))) = (node, old.nodes.get(ino))
                && now.target.path == before.target.path
                && shows(now) != shows(before)
            {
                changed.push(now.target.path.clone());
            }
        }
        changed
    }

    fn add_scope(&mut self, scope: &Arc<Scope>, lists: &Lists<'_>, old: Option<&Self>, since: SystemTime) {
        // The directory of a workload may be where a file was: with a slash at its end it has another number.
        let (parent, name, path) = match scope.name.split_once('/') {
            Some((above, name)) => (self.above(above, since), name, format!("{}/", scope.name)),
            None => (Ino::ROOT, scope.name.as_str(), scope.name.clone()),
        };
        let ino = self.free_ino(&path);
        let (children, list) = Default::default();
        let (mode, uid, gid) = (scope.dir_mode, scope.uid, scope.gid);
        // Taken first, so that no file of the scope gets the same number.
        self.nodes.insert(ino, Node::Dir(Dir { parent, children, mode, uid, gid, since, list }));
        self.put(parent, name, ino);
        for dir in &scope.dirs {
            let list = lists(&format!("{}/{}", scope.name, dir.like.name));
            self.dir_in(scope, ino, &dir.like.name, &dir.like, list.as_ref(), since);
        }
        for file in &scope.files {
            let (mut parent, mut name) = (ino, file.name.as_str());
            let mut list = None;
            // On the way to a file in a directory each directory is made that is not there yet.
            for (at, _) in file.name.match_indices('/') {
                let (path, rest) = file.name.split_at(at);
                list = match self.nodes.get(&parent) {
                    Some(Node::Dir(dir)) => dir.list.clone(),
                    _ => None,
                };
                parent = self.dir_in(scope, parent, path, file, list.as_ref(), since);
                name = rest.trim_start_matches('/');
            }
            if let Some(Node::Dir(dir)) = self.nodes.get(&parent).filter(|_| parent != ino) {
                list.clone_from(&dir.list);
            }
            let file = self.add_file(scope, file, list, old, since);
            self.put(parent, name, file);
        }
    }

    /// The directory at a path in a scope; made, for files that are `like` this, where there is none yet.
    fn dir_in(
        &mut self,
        scope: &Scope,
        parent: Ino,
        path: &str,
        like: &File,
        list: Option<&Arc<Listing>>,
        since: SystemTime,
    ) -> Ino {
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(Node::Dir(dir)) = self.nodes.get(&parent)
            && let Some(ino) = dir.children.get(name)
        {
            return *ino;
        }
        let ino = self.free_ino(&format!("{}/{path}/", scope.name));
        let (mode, uid, gid) = (dir_mode(like.mode), like.uid, like.gid);
        let (children, list) = (BTreeMap::new(), list.cloned());
        self.nodes.insert(ino, Node::Dir(Dir { parent, children, mode, uid, gid, since, list }));
        self.put(parent, name, ino);
        ino
    }

    /// The directory in which the workloads of the scope `name` have theirs.
    fn above(&mut self, name: &str, since: SystemTime) -> Ino {
        if let Some(Node::Dir(top)) = self.nodes.get(&Ino::ROOT)
            && let Some(ino) = top.children.get(name)
        {
            return *ino;
        }
        let ino = self.free_ino(name);
        self.nodes.insert(ino, Node::Dir(open_dir(since)));
        self.put(Ino::ROOT, name, ino);
        ino
    }

    fn put(&mut self, parent: Ino, name: &str, ino: Ino) {
        if let Some(Node::Dir(dir)) = self.nodes.get_mut(&parent) {
            dir.children.insert(name.to_owned(), ino);
        }
    }

    fn add_file(
        &mut self,
        scope: &Arc<Scope>,
        file: &Arc<File>,
        list: Option<Arc<Listing>>,
        old: Option<&Self>,
        since: SystemTime,
    ) -> Ino {
        let path = format!("{}/{}", scope.name, file.name);
        let ino = self.free_ino(&path);
        let before = match old.and_then(|old| old.node(ino)) {
            Some(Node::File(before)) if before.target.path == path => {
                Some((Arc::clone(&before.shown), before.since))
            }
            _ => None,
        };
        let (shown, since) = before.unwrap_or_else(|| (Arc::default(), since));
        let target = Arc::new(Target {
            scope: Arc::clone(scope),
            file: Arc::clone(file),
            path,
            secrets: file.shows.secrets().to_vec(),
            bundle: scope
                .bundle_of(&file.name)
                .map(|(name, members)| Arc::new(Bundle { name: format!("{}/{name}", scope.name), members })),
        });
        for whole in &target.secrets {
            self.showing.entry(whole.clone()).or_default().push(target.path.clone());
        }
        self.nodes.insert(ino, Node::File(FileNode { target, list, shown, since }));
        ino
    }

    /// FNV-1a over the path: stable over releases, unlike the hasher of the standard library. The next free number where
    /// two paths meet, which the order of names makes the same each time.
    fn free_ino(&self, path: &str) -> Ino {
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut ino = Ino(hash);
        while ino.0 <= Ino::ROOT.0 || self.nodes.contains_key(&ino) {
            ino.0 = ino.0.wrapping_add(1);
        }
        ino
    }
}

/// A directory in which there are scopes: it belongs to whom hushfs runs as, and everybody may list it.
fn open_dir(since: SystemTime) -> Dir {
    Dir {
        parent: Ino::ROOT,
        children: BTreeMap::new(),
        mode: 0o555,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        since,
        list: None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn tree(scopes: &str, old: Option<&Tree>) -> Tree {
        let dir = tempfile::tempdir().unwrap();
        let mut options = std::fs::OpenOptions::new();
        let mut write = |name: &str, text: &str| {
            let mut file =
                options.write(true).create_new(true).mode(0o600).open(dir.path().join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        write("store.age", "");
        write("store.key", "");
        let provider = "[provider.local]\nkind = \"store\"\npath = \"store.age\"";
        write("hushfs.toml", &format!("mount = \"/run/hushfs\"\n{provider}\n{scopes}"));
        Tree::build(&crate::config::load(&dir.path().join("hushfs.toml")).unwrap(), &|_| None, old)
    }

    #[test]
    fn all_files_that_show_a_secret_or_a_key_of_it_are_found_by_the_whole_secret() {
        let tree = tree(
            "[scope.a]\nallow = { uid = 0 }\nfile.one = \"local:t\"\nfile.key = \"local:t#k\"
             [scope.b]\nallow = { uid = 0 }\nfile.one = \"local:t\"\nfile.other = \"local:u\"
             file.old = \"local:t?version=1\"",
            None,
        );
        let showing = |whole: &str| {
            let mut paths = tree.showing(&whole.parse().unwrap()).to_vec();
            paths.sort();
            paths
        };
        assert_eq!(showing("local:t"), ["a/key", "a/one", "b/one"]);
        assert_eq!(showing("local:t?version=1"), ["b/old"]);
        assert!(showing("local:nowhere").is_empty());
    }

    #[test]
    fn what_shows_something_else_is_told_from_what_came_went_or_is_for_others_now() {
        let before = tree(
            "[scope.a]\nallow = { uid = 0 }\nfile.same = \"local:t\"\nfile.going = \"local:t\"
             file.other = \"local:t\"\nfile.key = \"local:t#k\"\nfile.form = \"local:t\"",
            None,
        );
        let after = tree(
            "[scope.a]\nallow = { uid = 1 }\nfile.same = \"local:t\"\nfile.coming = \"local:t\"
             file.other = \"local:u\"\nfile.key = \"local:t#l\"\nfile.form = { from = \"local:t\", format = \"json\" }",
            Some(&before),
        );
        let mut changed = after.shows_otherwise_than(&before);
        changed.sort();
        assert_eq!(changed, ["a/form", "a/key", "a/other"]);
    }
}
