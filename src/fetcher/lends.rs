//! The front's end: opens files for a fetcher that may open none itself, those that its providers' settings name and no other.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use super::packet;
use super::settings::ProviderSettings;
use crate::{providers, words};

/// How often one file is opened at once: a disk that does not answer takes no more threads than that.
const AT_ONCE: usize = 4;

/// How many more wait for their turn at one file. All fetches that a provider has under way look whether its files are still
/// the same, and those of several providers that share a file find room too.
const WAITING: usize = 128;

/// Paths that were asked for in vain and are told of, once each. Whoever asks for more is told of enough.
const TOLD: usize = 16;

/// The files that may be lent: as they are written in the settings, letter by letter.
#[derive(Clone, Default)]
pub(super) struct Named(Arc<Mutex<HashSet<PathBuf>>>);

/// The files that the settings of these providers name. Blocks: users are looked up.
pub(super) fn files_of(providers: &[ProviderSettings]) -> HashSet<PathBuf> {
    let of = |one: &ProviderSettings| {
        let files = providers::kind(one.kind).map(|kind| (kind.check)(one.table.clone(), &one.base));
        files.and_then(Result::ok).unwrap_or_default()
    };
    providers.iter().flat_map(of).map(|file| file.path).collect()
}

impl Named {
    /// These, from now on.
    pub(super) fn replace(&self, files: HashSet<PathBuf>) {
        *self.0.lock() = files;
    }

    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.lock().contains(path) || is_credential(path)
    }
}

/// Whether it is a file that systemd gave us: its directory holds nothing else.
fn is_credential(path: &Path) -> bool {
    let given = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let name = given.filter(|given| given.is_absolute()).and_then(|given| path.strip_prefix(given).ok());
    let mut parts = name.into_iter().flat_map(Path::components);
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// Lends files to one fetcher, until dropped.
pub(super) struct Desk(Arc<OwnedFd>);

impl Desk {
    /// Opens the desk, and gives the fetcher's end.
    pub(super) fn open(named: &Named) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let ours = Arc::new(ours);
        let (socket, named) = (Arc::clone(&ours), named.clone());
        std::thread::Builder::new().name("files".into()).spawn(move || serve(&socket, &named))?;
        Ok((Self(ours), theirs))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A fetcher that cannot end holds its end open for as long.
        let _ = rustix::net::shutdown(&*self.0, Shutdown::Both);
    }
}

fn serve(socket: &Arc<OwnedFd>, named: &Named) {
    let queues = Arc::new(Queues::default());
    let mut told = HashSet::new();
    while let Ok(Some((id, path))) = packet::asked(socket.as_fd()) {
        if !named.has(&path) {
            if told.len() < TOLD && told.insert(path.clone()) {
                let path = words::printable(&path.to_string_lossy());
                tracing::warn!(path, "the fetcher asks for a file that no provider's settings name");
            }
            // To it there is no such file, whether or not there is: what is looked for in usual places may be missing.
            let _ = packet::lend(socket.as_fd(), id, &Err(Errno::NOENT));
            continue;
        }
        match queues.take_in(&path, id) {
            Place::Now => {}
            Place::Later => continue,
            Place::Nowhere => {
                let _ = packet::lend(socket.as_fd(), id, &Err(Errno::BUSY));
                continue;
            }
        }
        // By itself: its disk may not answer.
        let (to, left, one) = (Arc::clone(socket), Arc::clone(&queues), path.clone());
        let opening = std::thread::Builder::new().name("file".into()).spawn(move || {
            let mut turn = Some(id);
            while let Some(id) = turn {
                // Each gets one of its own: how far it was read is not shared.
                let _ = packet::lend(to.as_fd(), id, &open(&one));
                turn = left.next(&one);
            }
        });
        if opening.is_err() {
            // Who waits for their turn does so behind others that are being opened, so nobody waits for this one.
            let _ = queues.next(&path);
            let _ = packet::lend(socket.as_fd(), id, &Err(Errno::AGAIN));
        }
    }
}

/// Who waits for which file.
#[derive(Default)]
struct Queues(Mutex<HashMap<PathBuf, Queue>>);

#[derive(Default)]
struct Queue {
    opening: usize,
    waiting: VecDeque<u32>,
}

/// When somebody gets a file.
enum Place {
    Now,
    /// Whoever is served before opens it for them too.
    Later,
    Nowhere,
}

impl Queues {
    fn take_in(&self, path: &Path, id: u32) -> Place {
        let mut all = self.0.lock();
        let queue = all.entry(path.to_owned()).or_default();
        if queue.opening < AT_ONCE {
            queue.opening += 1;
            return Place::Now;
        }
        if queue.waiting.len() >= WAITING {
            return Place::Nowhere;
        }
        queue.waiting.push_back(id);
        Place::Later
    }

    /// One was served: whose turn it is then.
    fn next(&self, path: &Path) -> Option<u32> {
        let mut all = self.0.lock();
        let Entry::Occupied(mut queue) = all.entry(path.to_owned()) else { return None };
        let next = queue.get_mut().waiting.pop_front();
        if next.is_none() {
            queue.get_mut().opening -= 1;
            if queue.get().opening == 0 {
                queue.remove();
            }
        }
        next
    }
}

/// Opens a regular file to read. Waits for no writer of a pipe.
fn open(path: &Path) -> Result<File, Errno> {
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(errno)?;
    let meta = file.metadata().map_err(errno)?;
    if meta.is_dir() {
        return Err(Errno::ISDIR);
    }
    if meta.is_file() { Ok(file) } else { Err(Errno::INVAL) }
}
