//! Making and undoing the mount.
//!
//! This folder owns the mount point. It hands out a FUSE descriptor; who answers on it is not its business. As root the
//! mount is for the whole host (`root.rs`), as an ordinary user for that user alone (`user.rs`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

mod point;
mod root;
mod user;

use point::Ours;

/// A mount of ours. It is undone by [`Mount::undo`], not by drop: what is dropped by an error path must not hide it.
pub struct Mount {
    point: PathBuf,
    kind: Kind,
    /// Held as long as we live, so that a successor can tell a dead mount from a served one without touching it.
    _lock: File,
}

enum Kind {
    /// The private read-write mount of the same superblock, kept for change notification: the public one is read-only.
    Root {
        private: OwnedFd,
    },
    User,
}

/// Why there is no mount. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct MountError {
    message: String,
    /// What to do about it.
    pub hint: String,
}

impl MountError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "run as root, or choose a place of your own for `mount`",
            io::ErrorKind::NotFound => "create the directory above it first",
            _ => "see the error of the system",
        };
        Self::new(format!("{what} `{}`: {error}", path.display()), hint)
    }
}

/// Where mounts of hushfs are seen, by the kernel's list: nothing is touched.
///
/// # Errors
/// When the list cannot be read.
pub fn seen() -> io::Result<Vec<PathBuf>> {
    point::all_ours()
}

impl Mount {
    /// Mounts at `at` and gives the FUSE descriptor to serve. Nothing is answered before somebody serves it, so nothing may
    /// touch the mount until then.
    ///
    /// # Errors
    /// With what is missing or in the way, and how to mend it.
    pub fn make(at: &Path) -> Result<(Self, OwnedFd), MountError> {
        let (point, lock) = point::claim(at)?;
        let (fd, kind) = if rustix::process::geteuid().is_root() {
            root::warn_of_a_namespace();
            let (fd, private) = root::mount(&point)?;
            (fd, Kind::Root { private })
        } else {
            (user::mount(&point)?, Kind::User)
        };
        Ok((Self { point, kind, _lock: lock }, fd))
    }

    /// Whether the mount is for one user alone.
    pub fn is_for_one_user(&self) -> bool {
        matches!(self.kind, Kind::User)
    }

    /// The private writable mount of the same file system. Nobody may touch it who holds the FUSE descriptor.
    pub fn private(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::Root { private } => Some(private.as_fd()),
            Kind::User => None,
        }
    }

    /// Waits until somebody else has taken the mount away. The FUSE descriptor does not tell: the private mount keeps
    /// the file system alive.
    ///
    /// # Errors
    /// When mounts cannot be watched.
    pub async fn gone(&self) -> io::Result<()> {
        let (point, (tell, told)) = (self.point.clone(), oneshot::channel());
        // A thread of its own, since it waits for as long as we live.
        std::thread::Builder::new()
            .name("mounts".into())
            .spawn(move || tell.send(point::wait_until_gone(&point)))?;
        told.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Takes the mount away from its place, at once even where somebody still uses it. What is not ours stays.
    ///
    /// # Errors
    /// As umount2(2), or as fusermount3 says.
    pub fn undo(&self) -> io::Result<()> {
        match (point::ours(&self.point)?, &self.kind) {
            (Ours::Gone, _) => Ok(()),
            (Ours::Covered, _) => Err(io::Error::other("something else is mounted over it")),
            (Ours::Seen, Kind::Root { .. }) => root::unmount(&self.point),
            (Ours::Seen, Kind::User) => user::unmount(&self.point),
        }
    }
}
