//! The file under a store: read with its stamp, locked, replaced atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use zeroize::Zeroizing;

use super::super::files;
use super::{Stamp, StoreError, Wiping};

/// How long a writer waits for another one.
const LOCK_WAIT: Duration = Duration::from_secs(15);
/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Opens a file to be read: a regular one, without waiting for anything.
pub(super) fn open(path: &Path, what: &'static str) -> Result<File, StoreError> {
    let file = files::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { what, path: path.to_owned() },
        _ => StoreError::io("open", path)(error),
    })?;
    let meta = file.metadata().map_err(StoreError::io("look at", path))?;
    if !meta.is_file() {
        return Err(StoreError::io("open", path)(io::Error::other("it is not a regular file")));
    }
    Ok(file)
}

/// Reads a whole file and the stamp of just what was read: from the same descriptor, before and after.
pub(super) fn read(
    path: &Path,
    what: &'static str,
    limit: usize,
) -> Result<(Zeroizing<Vec<u8>>, Stamp), StoreError> {
    let file = open(path, what)?;
    let stamp = |file: &File| {
        file.metadata().map(|meta| Stamp::of(path, &meta)).map_err(StoreError::io("look at", path))
    };
    let before = stamp(&file)?;
    let bytes = Wiping::read_from(&file, limit).map_err(StoreError::io("read", path))?;
    let after = stamp(&file)?;
    if bytes.len() > limit {
        return Err(StoreError::TooLarge { what: format!("the {what} {}", path.display()), limit });
    }
    if before != after {
        // Ours are replaced, never written over: somebody copies over it. The next try sees the whole of it.
        return Err(StoreError::Busy { path: path.to_owned(), holder: None });
    }
    Ok((bytes, after))
}

/// The stamp of the file that is at `path` now.
pub(super) fn stamp_at(path: &Path) -> io::Result<Stamp> {
    // By a descriptor: where the fetcher may not open it, it may not look at it either.
    files::open(path)?.metadata().map(|meta| Stamp::of(path, &meta))
}

/// The right to write: held until dropped, and let go by the kernel when its holder dies.
#[derive(Debug)]
#[must_use]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits its turn, for [`LOCK_WAIT`] at most. The lock file stays: removing one is a race.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        Self::within(path, LOCK_WAIT)
    }

    fn within(store: &Path, wait: Duration) -> Result<Self, StoreError> {
        let path = &beside(store, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
            .map_err(StoreError::io("open", path))?;
        let meta = file.metadata().map_err(StoreError::io("look at", path))?;
        if !meta.is_file() || meta.nlink() != 1 {
            // It is written to below: a link would let whoever owns the directory have root write to another file.
            return Err(StoreError::io("lock", path)(io::Error::other("it is not a file of its own")));
        }
        if rustix::process::geteuid().is_root() {
            // Made by root first, it must not lock the store's owner out.
            keep_owner(&file, store)?;
        }
        let until = Instant::now() + wait;
        loop {
            match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if Instant::now() < until => {
                    thread::sleep(LOCK_POLL);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let mut holder = String::new();
                    let _unknown = file.read_to_string(&mut holder);
                    return Err(StoreError::Busy { path: path.clone(), holder: holder.trim().parse().ok() });
                }
                Err(error) => return Err(StoreError::io("lock", path)(error.into())),
            }
        }
        // Who holds it, for the message of whoever waits too long; nothing depends on it.
        let _best_effort = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// Whether a file may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It takes the old file's place, with its owner and mode.
    Old,
    /// There must be none.
    Nothing,
}

/// Puts `bytes` at `path`: at every moment the old file or the new one is there, whole, also after a power cut.
/// The caller holds the lock.
pub(super) fn put(path: &Path, bytes: &[u8], over: Over) -> Result<(), StoreError> {
    let temporary = beside(path, ".new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &temporary)(error));
        }
        _ => {}
    }
    let written = write_new(&temporary, path, bytes, over);
    if written.is_err() {
        let _already_failed = fs::remove_file(&temporary);
    }
    written
}

fn write_new(temporary: &Path, path: &Path, bytes: &[u8], over: Over) -> Result<(), StoreError> {
    let failed = |doing| StoreError::io(doing, temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(temporary)
        .map_err(failed("create"))?;
    if over == Over::Old {
        keep_owner(&file, path)?;
    }
    file.write_all(bytes).map_err(failed("write"))?;
    file.sync_all().map_err(failed("write"))?;
    match over {
        Over::Old => fs::rename(temporary, path).map_err(StoreError::io("replace", path))?,
        Over::Nothing => match renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => return Err(StoreError::Exists(path.to_owned())),
            other => other.map_err(|error| StoreError::io("create", path)(error.into()))?,
        },
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent).map_err(StoreError::io("open", parent))?;
    directory.sync_all().map_err(StoreError::io("write", parent))
}

/// root may change a store that belongs to the daemon's user: it must stay readable to that user.
fn keep_owner(file: &File, path: &Path) -> Result<(), StoreError> {
    let old = match fs::metadata(path) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("look at", path)(error)),
    };
    let new = file.metadata().map_err(StoreError::io("look at", path))?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))
            .map_err(StoreError::io("keep the owner of", path))?;
    }
    let mode = fs::Permissions::from_mode(0o600 | (old.mode() & 0o060));
    file.set_permissions(mode).map_err(StoreError::io("keep the mode of", path))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_changes_the_stamp_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        put(&path, b"one", Over::Nothing).unwrap();
        assert!(matches!(put(&path, b"two", Over::Nothing), Err(StoreError::Exists(_))));
        let (bytes, first) = read(&path, "file", 10).unwrap();
        assert_eq!(*bytes, b"one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(dir.path().join("f.new"), "left by a killed writer").unwrap();
        put(&path, b"two", Over::Old).unwrap();
        let (bytes, second) = read(&path, "file", 10).unwrap();
        assert_eq!(*bytes, b"two");
        assert_ne!(first, second);
        assert_eq!(second, stamp_at(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_a_small_regular_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(&dir.path().join("none"), "store", 1), Err(StoreError::Missing { .. })));
        assert!(matches!(read(dir.path(), "store", 1), Err(StoreError::Io { .. })));
        fs::write(dir.path().join("f"), "12").unwrap();
        assert!(matches!(read(&dir.path().join("f"), "store", 1), Err(StoreError::TooLarge { .. })));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(read(&fifo, "store", 1), Err(StoreError::Io { .. })));
    }

    #[test]
    fn a_lock_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, lock, other) = (dir.path().join("f"), dir.path().join("f.lock"), dir.path().join("other"));
        fs::write(&other, "untouched").unwrap();
        fs::hard_link(&other, &lock).unwrap();
        assert!(Lock::take(&path).is_err());
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(&other, &lock).unwrap();
        assert!(Lock::take(&path).is_err());
        assert_eq!(fs::read(&other).unwrap(), b"untouched");
    }

    #[test]
    fn one_writer_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let first = Lock::take(&path).unwrap();
        let waiting = thread::spawn({
            let path = path.clone();
            move || Lock::take(&path).map(drop).is_ok()
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished());
        let busy = Lock::within(&path, Duration::ZERO).err().unwrap();
        assert!(busy.to_string().contains(&format!("(process {})", std::process::id())), "{busy}");
        drop(first);
        assert!(waiting.join().unwrap());
    }
}
