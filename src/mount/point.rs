//! The place: claimed by a lock, cleared of a dead mount of ours, never of anybody else's.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FlockOperation;

use super::{MountError, root, user};

/// The file system type that our mounts show in /proc/mounts.
const OURS: &str = "fuse.hushfs";
/// What is mounted, in our mount namespace.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Claims the mount point: its true path, and the lock that says it is served.
pub(super) fn claim(at: &Path) -> Result<(PathBuf, File), MountError> {
    let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
        return Err(MountError::new(
            "`mount` cannot be the root directory",
            "for example mount = \"/run/hushfs\"",
        ));
    };
    // The parent only: the point itself may be a dead mount, which answers nothing.
    let parent = parent.canonicalize().map_err(|e| MountError::io("cannot find", parent, &e))?;
    let point = parent.join(name);
    let lock = lock(&point)?;
    clear(&point)?;
    // As root nobody else may enter it: while nothing is mounted, readers get EACCES and not ENOENT, which they would take
    // for "not configured". fusermount3 wants a directory that its user may write to.
    let mode = if rustix::process::geteuid().is_root() { 0 } else { 0o700 };
    match std::fs::DirBuilder::new().mode(mode).create(&point) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => must_be_empty(&point)?,
        Err(error) => return Err(MountError::io("cannot create", &point, &error)),
    }
    Ok((point, lock))
}

fn lock(point: &Path) -> Result<File, MountError> {
    let mut path = point.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        // NONBLOCK: a named pipe that somebody laid there would be waited for.
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(&path)
        .map_err(|error| MountError::io("cannot open the lock", &path, &error))?;
    let meta = file.metadata().map_err(|error| MountError::io("cannot look at", &path, &error))?;
    if !meta.is_file() || ![0, rustix::process::geteuid().as_raw()].contains(&meta.uid()) {
        return Err(MountError::new(
            format!(
                "the lock `{}` belongs to uid {}, who could keep hushfs from starting",
                path.display(),
                meta.uid()
            ),
            "choose a `mount` in a directory that only root and the user of hushfs can write to, and remove the file",
        ));
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(MountError::new(
            format!("`{}` is served by another hushfs", point.display()),
            "stop that one, or choose another `mount`",
        )),
        Err(error) => Err(MountError::io("cannot lock", &path, &error.into())),
    }
}

/// Takes away what a daemon that died left mounted here. The lock is ours, so nobody serves it.
fn clear(point: &Path) -> Result<(), MountError> {
    // One over the other is possible; more than a few is somebody's mistake to look at.
    for _ in 0..8 {
        let kinds = mounted(point).map_err(|e| MountError::io("cannot read mounts for", point, &e))?;
        let Some(kind) = kinds.last() else { return Ok(()) };
        if kind != OURS {
            return Err(MountError::new(
                format!("`{}` is a mount point of something else ({kind})", point.display()),
                format!(
                    "choose another `mount`, or `umount {}` if it is yours to take away",
                    point.display()
                ),
            ));
        }
        tracing::warn!(mount = %point.display(), "taking away the dead mount of a hushfs that ended without unmounting");
        let undone =
            if rustix::process::geteuid().is_root() { root::unmount(point) } else { user::unmount(point) };
        undone.map_err(|error| {
            MountError::new(
                format!("`{}` holds a dead mount that cannot be taken away: {error}", point.display()),
                format!("as root: umount -l {}", point.display()),
            )
        })?;
    }
    Err(MountError::new(format!("`{}` is mounted over many times", point.display()), "see /proc/mounts"))
}

/// Whether a mount of ours is at `point`, and whether nothing lies over it.
pub(super) enum Ours {
    /// It is, and what is seen there is it.
    Seen,
    /// It is, under somebody else's.
    Covered,
    /// It is not.
    Gone,
}

/// Looks for a mount of ours at `point`.
pub(super) fn ours(point: &Path) -> io::Result<Ours> {
    let kinds = mounted(point)?;
    Ok(match kinds.last() {
        Some(last) if last == OURS => Ours::Seen,
        _ if kinds.iter().any(|kind| kind == OURS) => Ours::Covered,
        _ => Ours::Gone,
    })
}

/// Returns when no mount of ours is at `point` any more. The kernel tells of changes (proc_pid_mountinfo(5)).
pub(super) fn wait_until_gone(point: &Path) -> io::Result<()> {
    let changes = File::open(MOUNTINFO)?;
    while !matches!(ours(point)?, Ours::Gone) {
        match poll(&mut [PollFd::new(&changes, PollFlags::PRI)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Where mounts of ours are seen. Whether they are served is not asked.
pub(super) fn all_ours() -> io::Result<Vec<PathBuf>> {
    Ok(mounts()?.into_iter().filter(|(_, kind)| kind == OURS).map(|(place, _)| place).collect())
}

/// The types of what is mounted at `point`, the one that is seen last.
fn mounted(point: &Path) -> io::Result<Vec<String>> {
    Ok(mounts()?.into_iter().filter(|(place, _)| place == point).map(|(_, kind)| kind).collect())
}

/// Every mount, place and type, from /proc/self/mountinfo: asking a mount itself could wait forever.
fn mounts() -> io::Result<Vec<(PathBuf, String)>> {
    let info = std::fs::read(MOUNTINFO)?;
    let one = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ');
        let place = unescape(fields.nth(4)?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1).unwrap_or_default();
        Some((OsString::from_vec(place).into(), OsStr::from_bytes(kind).to_string_lossy().into_owned()))
    };
    Ok(info.split(|byte| *byte == b'\n').filter_map(one).collect())
}

/// Spaces and the like are written as `\040` there.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code =
            after.get(..3).filter(|_| *first == b'\\').and_then(|octal| std::str::from_utf8(octal).ok());
        match code.and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

fn must_be_empty(point: &Path) -> Result<(), MountError> {
    if let Ok(target) = std::fs::read_link(point) {
        return Err(MountError::new(
            format!("`{}` is a symbolic link, and nothing can be mounted on one", point.display()),
            format!("write the directory that it leads to for `mount`: {}", target.display()),
        ));
    }
    let mut entries =
        std::fs::read_dir(point).map_err(|error| MountError::io("cannot use", point, &error))?;
    if entries.next().is_some() {
        return Err(MountError::new(
            format!("`{}` is not empty, and a mount would hide what is in it", point.display()),
            "choose an empty directory, or one that does not exist yet, for `mount`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn escapes_of_mountinfo_are_undone() {
        assert_eq!(unescape(br"/run/a\040b\134c"), b"/run/a b\\c");
        assert_eq!(unescape(br"/run/a\04"), br"/run/a\04");
    }

    #[test]
    fn what_is_mounted_is_found_without_asking_it() {
        assert_eq!(mounted(Path::new("/proc")).unwrap().last().map(String::as_str), Some("proc"));
        assert!(mounted(Path::new("/proc/self")).unwrap().is_empty());
    }

    #[test]
    fn a_lock_that_somebody_else_laid_there_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let lock_path = dir.path().join("m.lock");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &lock_path,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(claim(&dir.path().join("m")).is_err());
        std::fs::remove_file(&lock_path).unwrap();
        std::fs::write(&lock_path, "").unwrap();
        std::os::unix::fs::chown(&lock_path, Some(4001), None).expect("this test needs root");
        assert!(claim(&dir.path().join("m")).unwrap_err().to_string().contains("uid 4001"));
    }

    #[test]
    fn a_place_that_holds_something_or_is_served_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let full = dir.path().join("full");
        std::fs::create_dir(&full).unwrap();
        std::fs::write(full.join("x"), "").unwrap();
        assert!(claim(&full).unwrap_err().to_string().contains("not empty"));
        let point = dir.path().join("new");
        let (_, lock) = claim(&point).unwrap();
        assert!(claim(&point).unwrap_err().to_string().contains("another hushfs"));
        drop(lock);
        assert!(claim(&point).is_ok());
        assert!(claim(Path::new("/proc")).unwrap_err().to_string().contains("proc"));
    }
}
