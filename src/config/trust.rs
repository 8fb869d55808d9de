//! Whether a file is one that only root and the daemon's user could have written.
//!
//! What is judged is a descriptor, never a path, so that nothing can be exchanged between the look and the use. The walk
//! to it is in `walk.rs`.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

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
    /// Judges one file.
    pub(super) fn judge(&self, path: &Path, stat: &Stat, want: Want) -> Result<(), Untrusted> {
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
    pub(super) fn judge_step(&self, path: &Path, stat: &Stat, child: &Stat) -> Result<(), Untrusted> {
        let path = path.to_owned();
        let mode = stat.st_mode & 0o7777;
        if !self.trusts(stat.st_uid) {
            return Err(Untrusted::Owner { path, owner: stat.st_uid, us: self.us });
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

/// Why somebody else than root and us can put another program at `path`, if so.
pub(crate) fn replaceable(path: &Path) -> Option<String> {
    let trust = Trust { us: rustix::process::geteuid().as_raw(), mounts: Vec::new() };
    trust.check(path, Want::Public).err().map(|error| error.to_string())
}

/// The path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_for_the_shell_where_it_must_be() {
        assert_eq!(quoted(Path::new("/etc/hushfs.toml")), "/etc/hushfs.toml");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
