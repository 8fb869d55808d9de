//! Whether a file is one that only root and the daemon's user could have written.
//!
//! What is judged is a descriptor, never a path, so that nothing can be exchanged between the look and the use. The walk
//! to it is in `walk.rs`.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::{End, Step};

/// Who is trusted and what must not be touched.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// The daemon's effective uid; root is always trusted.
    pub(super) us: u32,
    /// The mount point by every name known: nothing below it is opened, for it may be our own, and waiting for us.
    pub(super) mounts: Vec<PathBuf>,
}

/// What a path is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// A file that nobody else may read or write.
    Private,
    /// A file that nobody else may write.
    Public,
    /// A directory that nobody else may write.
    Directory,
    /// A directory in which nobody else may exchange what is ours: that, or a sticky one such as `/tmp`.
    Shared,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untrusted {
    #[error("`{}` lies below the mount", .0.display())]
    BelowMount(PathBuf),
    #[error("`{}` does not exist", .0.display())]
    Missing(PathBuf),
    #[error("`{}` cannot be opened: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("`{}` is a loop of symbolic links", .0.display())]
    Loop(PathBuf),
    #[error("`{}` belongs to uid {owner}, who could change what is read here", path.display())]
    Owner { path: PathBuf, owner: u32, us: u32 },
    #[error("`{}` has mode {mode:04o}: others can write to it", path.display())]
    Writable { path: PathBuf, mode: u32, want: Want },
    #[error("`{}` has mode {mode:04o}: others can read it", path.display())]
    Readable { path: PathBuf, mode: u32 },
}

impl Untrusted {
    pub(super) fn io(path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::Io { path: path.to_owned(), source: source.into() }
    }

    /// The command that mends it, or another remedy.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Owner { path, us, .. } => Some(format!("chown {us} {}", quoted(path))),
            Self::Writable { path, mode, want: Want::Private } | Self::Readable { path, mode } => {
                Some(format!("chmod {:o} {}", mode & 0o700 | 0o400, quoted(path)))
            }
            Self::Writable { path, .. } => Some(format!("chmod go-w {}", quoted(path))),
            Self::BelowMount(_) => {
                Some("hushfs cannot read what it serves itself; keep the file elsewhere".to_owned())
            }
            Self::Io { .. }
            | Self::Missing(_)
            | Self::NotAFile(_)
            | Self::NotADirectory(_)
            | Self::Loop(_) => None,
        }
    }
}

impl Trust {
    /// Whether the path is what it is to be, and only trusted users could have put it there.
    pub(super) fn check(&self, path: &Path, want: Want) -> Result<(), Untrusted> {
        self.end(path, want).map(drop)
    }

    /// The names in a directory.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<OsString>, Untrusted> {
        let fd = self.open(path, Want::Directory, OFlags::DIRECTORY)?;
        let io = |error: Errno| Untrusted::io(path, error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&fd).map_err(io)? {
            names.push(OsString::from_vec(entry.map_err(io)?.file_name().to_bytes().to_vec()));
        }
        Ok(names)
    }

    /// The bytes of a private file, at most `max` of them and one more.
    pub(super) fn read(&self, path: &Path, max: u64) -> Result<Vec<u8>, Untrusted> {
        let fd = self.open(path, Want::Private, OFlags::empty())?;
        let mut bytes = Vec::new();
        let read = std::fs::File::from(fd).take(max.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| Untrusted::io(path, error))?;
        Ok(bytes)
    }

    fn open(&self, path: &Path, want: Want, flags: OFlags) -> Result<OwnedFd, Untrusted> {
        let end = self.end(path, want)?;
        // NONBLOCK: were it exchanged for a named pipe just now, open would wait for a writer.
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let io = |error: Errno| Untrusted::io(&end.path, error);
        let fd = rustix::fs::openat(&end.parent, &end.name, flags, Mode::empty()).map_err(io)?;
        self.judge(&end.path, &rustix::fs::fstat(&fd).map_err(io)?, want)?;
        Ok(fd)
    }

    fn end(&self, path: &Path, want: Want) -> Result<End, Untrusted> {
        let end = self.walk(path)?;
        self.judge(&end.path, &end.stat, want)?;
        Ok(end)
    }

    /// Judges one file.
    fn judge(&self, path: &Path, stat: &Stat, want: Want) -> Result<(), Untrusted> {
        let path = path.to_owned();
        let mode = stat.st_mode & 0o7777;
        match (FileType::from_raw_mode(stat.st_mode), want) {
            (FileType::RegularFile, Want::Private | Want::Public)
            | (FileType::Directory, Want::Directory | Want::Shared) => {}
            (_, Want::Directory | Want::Shared) => return Err(Untrusted::NotADirectory(path)),
            (_, Want::Private | Want::Public) => return Err(Untrusted::NotAFile(path)),
        }
        if !self.trusts(stat.st_uid) {
            return Err(Untrusted::Owner { path, owner: stat.st_uid, us: self.us });
        }
        if want == Want::Private && mode & 0o077 != 0 {
            return Err(match mode & 0o022 {
                0 => Untrusted::Readable { path, mode },
                _ => Untrusted::Writable { path, mode, want },
            });
        }
        if mode & 0o022 != 0 && !(want == Want::Shared && mode & 0o1000 != 0) {
            return Err(Untrusted::Writable { path, mode, want });
        }
        Ok(())
    }

    /// Judges a directory on the way to `child`: whoever may write to it may exchange the child, unless it is sticky and
    /// the child belongs to somebody trusted.
    pub(super) fn judge_step(&self, step: &Step, child: &Stat) -> Result<(), Untrusted> {
        let path = step.path.clone();
        let mode = step.stat.st_mode & 0o7777;
        if !self.trusts(step.stat.st_uid) {
            return Err(Untrusted::Owner { path, owner: step.stat.st_uid, us: self.us });
        }
        let kept_by_sticky = mode & 0o1000 != 0 && self.trusts(child.st_uid);
        if mode & 0o022 != 0 && !kept_by_sticky {
            return Err(Untrusted::Writable { path, mode, want: Want::Directory });
        }
        Ok(())
    }

    fn trusts(&self, uid: u32) -> bool {
        uid == 0 || uid == self.us
    }
}

/// The path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// As the daemon of user 4000 would judge.
    fn trust() -> Trust {
        Trust { us: 4000, mounts: vec!["/run/hushfs-of-this-test".into()] }
    }

    fn file(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        write(&path, "x").unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn files_of_root_and_of_the_daemon_are_trusted_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "f", 0o600);
        trust().check(&path, Want::Private).unwrap();
        chown(&path, Some(4000), None).expect("this test needs root");
        trust().check(&path, Want::Private).unwrap();
        chown(&path, Some(4001), None).unwrap();
        let error = trust().check(&path, Want::Private).unwrap_err();
        assert!(matches!(error, Untrusted::Owner { owner: 4001, .. }), "{error}");
        assert_eq!(error.hint(), Some(format!("chown 4000 {}", path.display())));
    }

    #[test]
    fn a_public_file_may_be_read_and_not_written_by_others() {
        let dir = tempfile::tempdir().unwrap();
        trust().check(&file(dir.path(), "a", 0o644), Want::Public).unwrap();
        let error = trust().check(&file(dir.path(), "b", 0o664), Want::Public).unwrap_err();
        assert_eq!(error.hint(), Some(format!("chmod go-w {}", dir.path().join("b").display())));
    }

    #[test]
    fn a_sticky_directory_keeps_what_belongs_to_the_trusted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let sticky = dir.path().join("sticky");
        create_dir(&sticky).unwrap();
        set_permissions(&sticky, Permissions::from_mode(0o1777)).unwrap();
        let path = file(&sticky, "f", 0o600);
        trust().check(&path, Want::Private).unwrap();
        set_permissions(&sticky, Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(trust().check(&path, Want::Private), Err(Untrusted::Writable { .. })));
        set_permissions(&sticky, Permissions::from_mode(0o1777)).unwrap();
        // A link that somebody else laid there could be turned at any time.
        let link = sticky.join("link");
        symlink("f", &link).unwrap();
        trust().check(&link, Want::Private).unwrap();
        std::os::unix::fs::lchown(&link, Some(4001), None).unwrap();
        assert!(trust().check(&link, Want::Private).is_err());
    }

    #[test]
    fn nothing_below_the_mount_is_opened_however_it_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("/run/hushfs-of-this-test/scope", &link).unwrap();
        for path in [link.join("f"), dir.path().join("../../run/hushfs-of-this-test/f")] {
            let error = trust().check(&path, Want::Public).unwrap_err();
            assert!(matches!(error, Untrusted::BelowMount(_)), "{error}");
        }
    }

    #[test]
    fn a_path_is_quoted_for_the_shell_where_it_must_be() {
        assert_eq!(quoted(Path::new("/etc/hushfs.toml")), "/etc/hushfs.toml");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
