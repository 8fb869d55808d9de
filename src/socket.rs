//! A unix socket that stands in the file system.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, setfsgid};
use tokio::net::{UnixListener, UnixStream};

/// One that is listened on. Dropping it removes it.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Everybody.
    Everybody,
    /// Root and the user that listens.
    Owner,
    /// They and this group.
    Group(u32),
}

impl Socket {
    /// Listens at `path`, in place of what an earlier process left there. Something must keep two from doing so at once, such
    /// as the mount's lock. Must be called in a runtime.
    ///
    /// # Errors
    /// As bind(2), chown(2) and chmod(2).
    pub fn bind(path: &Path, whom: For) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => std::fs::remove_file(path)?,
            _ => {}
        }
        // Made in the group at once, for which CAP_SETGID is enough: who serves the host has no CAP_CHOWN. This thread's alone.
        let before = match whom {
            For::Group(gid) => Some(setfsgid(Gid::from_raw(gid))),
            For::Everybody | For::Owner => None,
        };
        // Whoever may not write to it cannot connect, and by the umask (022) others may not from the first moment.
        let listener = UnixListener::bind(path);
        if let Some(before) = before {
            setfsgid(before);
        }
        let socket = Self { listener: listener?, path: path.to_owned() };
        let mode = match whom {
            For::Everybody => 0o666,
            For::Owner => 0o600,
            For::Group(gid) => {
                if std::fs::symlink_metadata(path)?.gid() != gid {
                    chown(path, None, Some(gid))?;
                }
                0o660
            }
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        Ok(socket)
    }

    /// The next who connects.
    ///
    /// # Errors
    /// As accept(2).
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
