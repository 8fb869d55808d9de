//! The SHA-256 of executables, taken once for each file.
//!
//! A digest stays known for as long as the file is the same: device, inode, time of change and size, with a descriptor that keeps
//! all of these from meaning another file. While a file is being executed the kernel lets nobody write it.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags};
use sha2::{Digest as _, Sha256};

use super::mounts::Mounts;
use crate::identity::Tid;
use crate::identity::evidence::{Digest, Found};
use crate::identity::process::open_dir;

/// Files whose digest is remembered.
const KNOWN: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Largest file that is read.
const LARGEST: u64 = 64 << 20;
/// A file that was changed less than this ago is not remembered: another change might leave the time of change as it is.
const SETTLED: Duration = Duration::from_secs(3);
/// How long a digest that nobody asks for is remembered. Its descriptor keeps the file's mount from being unmounted.
const IDLE: Duration = Duration::from_secs(60);

/// The digests that are known.
#[derive(Clone)]
pub(in crate::identity) struct Digests(Arc<Mutex<Known>>);

struct Known {
    files: LruCache<Key, Taken>,
    tended: bool,
}

/// A file as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    dev: u64,
    ino: u64,
    changed: (i64, u32),
    size: u64,
}

/// A digest that was taken, or is being taken.
struct Taken {
    digest: Arc<OnceLock<Found<Digest>>>,
    used: Instant,
    _file: Arc<OwnedFd>,
}

impl Digests {
    pub(in crate::identity) fn new() -> Self {
        Self(Arc::new(Mutex::new(Known { files: LruCache::new(KNOWN), tended: false })))
    }

    /// The digest of the thread's executable if it is known. Asks no file system.
    pub(in crate::identity) fn known(&self, tid: Tid) -> Option<Digest> {
        let dir = open_dir(tid).ok()?;
        let key = Key::of(&stat(dir.as_fd(), c"exe").ok()?);
        let mut known = self.0.lock();
        let taken = known.files.get_mut(&key)?;
        taken.used = Instant::now();
        taken.digest.get()?.as_ref().ok().copied()
    }

    /// Takes the digest of the thread's executable. Reads a file that may lie anywhere, so it is for a thread of its own.
    pub(in crate::identity) fn take(&self, tid: Tid) -> Found<Digest> {
        let (file, stat) = executable(tid)?;
        let key = Key::of(&stat);
        let settled = key.age().is_some_and(|age| age >= SETTLED);
        let file = Arc::new(file);
        // Whoever else asks for the same file meanwhile waits for the same digest.
        let digest = {
            let mut known = self.0.lock();
            let taken = || Taken { digest: Arc::default(), used: Instant::now(), _file: Arc::clone(&file) };
            Arc::clone(&known.files.get_or_insert(key, taken).digest)
        };
        let found = digest.get_or_init(|| hash(&file, key)).clone();
        if found.is_err() || !settled {
            self.0.lock().files.pop(&key);
        }
        found
    }

    /// Lets go of what nobody asks for any more, as long as there is something. Returns at once where that is being done.
    pub(in crate::identity) async fn tend(self) {
        if std::mem::replace(&mut self.0.lock().tended, true) {
            return;
        }
        loop {
            tokio::time::sleep(IDLE).await;
            if self.let_go(IDLE) {
                return;
            }
        }
    }

    /// Lets go of what nobody asked for so long. Returns whether nothing is left.
    fn let_go(&self, idle: Duration) -> bool {
        let mut known = self.0.lock();
        let old = |(key, taken): (&Key, &Taken)| (taken.used.elapsed() >= idle).then_some(*key);
        let old: Vec<Key> = known.files.iter().filter_map(old).collect();
        for key in old {
            known.files.pop(&key);
        }
        known.tended = !known.files.is_empty();
        !known.tended
    }
}

impl Key {
    fn of(stat: &Statx) -> Self {
        Self {
            dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
            size: stat.stx_size,
        }
    }

    /// How long ago the file was changed; `None` where that is yet to come.
    fn age(&self) -> Option<Duration> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let changed = Duration::new(u64::try_from(self.changed.0).ok()?, self.changed.1);
        Duration::try_from(now).ok()?.checked_sub(changed)
    }
}

/// The thread's executable, not opened yet, if it is one that can be read without harm and means something when it is.
fn executable(tid: Tid) -> Found<(OwnedFd, Statx)> {
    let cannot = |error: io::Error| format!("its executable cannot be looked at: {error}");
    let dir = open_dir(tid).map_err(cannot)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&dir, c"exe", flags, Mode::empty());
    let file = opened.map_err(|error| cannot(error.into()))?;
    let stat = stat(file.as_fd(), c"").map_err(cannot)?;
    if let Some(fault) = Mounts::seen_by(dir.as_fd()).map_err(cannot)?.fault(&stat) {
        return Err(format!("its executable {fault}").into());
    }
    if FileType::from_raw_mode(stat.stx_mode.into()) != FileType::RegularFile {
        return Err("its executable is not a regular file".into());
    }
    if stat.stx_size > LARGEST {
        let (size, most) = (stat.stx_size >> 20, LARGEST >> 20);
        return Err(format!("its executable has {size} MiB; {most} MiB is the most that is read").into());
    }
    Ok((file, stat))
}

/// Asks no file system, so that an executable on a hostile FUSE cannot make us wait.
fn stat(dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<Statx> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::EMPTY_PATH;
    Ok(rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?)
}

/// Reads the file, which must be as `key` says before and after.
fn hash(file: &OwnedFd, key: Key) -> Found<Digest> {
    let read = || -> io::Result<Option<Digest>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut content = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?).take(LARGEST);
        let mut sha = Sha256::new();
        let mut piece = vec![0; 128 << 10];
        loop {
            match content.read(&mut piece)? {
                0 => break,
                count => sha.update(piece.get(..count).unwrap_or_default()),
            }
        }
        let same = Key::of(&stat(content.get_ref().as_fd(), c"")?) == key;
        Ok(same.then(|| Digest(sha.finalize().into())))
    };
    match read() {
        Ok(Some(digest)) => Ok(digest),
        Ok(None) => Err("its executable changed while it was read".into()),
        Err(error) => Err(format!("its executable cannot be read: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{copy_of_sleep, running};
    use super::*;
    use std::path::Path;

    fn sum(path: &Path) -> String {
        let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()[..64].to_owned()
    }

    #[test]
    fn a_digest_is_that_of_the_file_and_known_afterwards() {
        let digests = Digests::new();
        let sleep = Path::new("/bin/sleep");
        running(sleep, |tid| {
            assert_eq!(digests.known(tid), None);
            let digest = digests.take(tid).unwrap();
            assert_eq!(digest.to_string(), sum(sleep));
            assert_eq!(digests.known(tid), Some(digest));
        });
    }

    #[test]
    fn a_file_that_was_just_written_is_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let copy = copy_of_sleep(dir.path());
        let digests = Digests::new();
        running(&copy, |tid| {
            assert_eq!(digests.take(tid).unwrap().to_string(), sum(&copy));
            assert_eq!(digests.known(tid), None);
        });
        assert!(digests.0.lock().files.is_empty(), "nor is it held open");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let copy = copy_of_sleep(dir.path());
        let longer = ["-s", "67108865"];
        assert!(std::process::Command::new("truncate").args(longer).arg(&copy).status().unwrap().success());
        let why = running(&copy, |tid| Digests::new().take(tid)).unwrap_err();
        assert!(why.contains("64 MiB is the most"), "{why}");
    }

    #[test]
    fn many_who_ask_for_one_file_get_one_digest() {
        let digests = Digests::new();
        running(Path::new("/bin/sleep"), |tid| {
            let all: Vec<_> = (0..8).map(|_| digests.clone()).collect();
            let all: Vec<_> = all
                .into_iter()
                .map(|digests| std::thread::spawn(move || digests.take(tid).unwrap()))
                .collect();
            let all: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
            assert!(all.iter().all(|one| *one == all[0]));
        });
        assert_eq!(digests.0.lock().files.len(), 1);
    }

    #[test]
    fn what_nobody_asks_for_is_let_go() {
        let digests = Digests::new();
        running(Path::new("/bin/sleep"), |tid| digests.take(tid)).unwrap();
        assert!(!digests.let_go(IDLE));
        assert!(digests.let_go(Duration::ZERO));
    }
}
