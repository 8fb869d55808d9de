//! Whether a file is one that only root and the daemon's user could have written.
//!
//! A path is walked component by component with `openat` and `O_NOFOLLOW`, and what is judged is the descriptor: nothing
//! can be exchanged between the look and the use. Symbolic links are followed by the walk itself, so that the directories
//! of their targets are judged too.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

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
    Writable { path: PathBuf, mode: u32 },
    #[error("`{}` has mode {mode:04o}: others can read it", path.display())]
    Readable { path: PathBuf, mode: u32 },
}

impl Untrusted {
    fn io(path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::Io { path: path.to_owned(), source: source.into() }
    }

    /// The command that mends it, or another remedy.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Owner { path, us, .. } => Some(format!("chown {us} {}", quoted(path))),
            Self::Writable { path, .. } => Some(format!("chmod go-w {}", quoted(path))),
            Self::Readable { path, mode } => Some(format!("chmod {:o} {}", mode & 0o700, quoted(path))),
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

/// One step of a walk: a directory, held open.
struct Step {
    fd: OwnedFd,
    path: PathBuf,
    stat: Stat,
}

/// Where a walk ended.
struct End {
    /// The directory that holds it.
    parent: OwnedFd,
    /// Its name there.
    name: OsString,
    /// Its path without links.
    path: PathBuf,
    stat: Stat,
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
            | (FileType::Directory, Want::Directory) => {}
            (_, Want::Directory) => return Err(Untrusted::NotADirectory(path)),
            (_, Want::Private | Want::Public) => return Err(Untrusted::NotAFile(path)),
        }
        if !self.trusts(stat.st_uid) {
            return Err(Untrusted::Owner { path, owner: stat.st_uid, us: self.us });
        }
        if want == Want::Private && mode & 0o077 != 0 {
            return Err(match mode & 0o022 {
                0 => Untrusted::Readable { path, mode },
                _ => Untrusted::Writable { path, mode },
            });
        }
        if mode & 0o022 != 0 && !(want == Want::Directory && mode & 0o1000 != 0) {
            return Err(Untrusted::Writable { path, mode });
        }
        Ok(())
    }

    /// Judges a directory on the way to `child`: whoever may write to it may exchange the child, unless it is sticky and
    /// the child belongs to somebody trusted.
    fn judge_step(&self, step: &Step, child: &Stat) -> Result<(), Untrusted> {
        let path = step.path.clone();
        let mode = step.stat.st_mode & 0o7777;
        if !self.trusts(step.stat.st_uid) {
            return Err(Untrusted::Owner { path, owner: step.stat.st_uid, us: self.us });
        }
        let kept_by_sticky = mode & 0o1000 != 0 && self.trusts(child.st_uid);
        if mode & 0o022 != 0 && !kept_by_sticky {
            return Err(Untrusted::Writable { path, mode });
        }
        Ok(())
    }

    fn trusts(&self, uid: u32) -> bool {
        uid == 0 || uid == self.us
    }

    fn walk(&self, path: &Path) -> Result<End, Untrusted> {
        let mut pending = components(path);
        let mut steps = vec![root()?];
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                // The root's parent is the root.
                if steps.len() > 1 {
                    steps.pop();
                }
                continue;
            }
            let Some(step) = steps.last() else { break };
            let at = step.path.join(&name);
            if self.mounts.contains(&at) {
                return Err(Untrusted::BelowMount(path.to_owned()));
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd =
                rustix::fs::openat(&step.fd, &name, flags, Mode::empty()).map_err(|error| match error {
                    Errno::NOENT => Untrusted::Missing(at.clone()),
                    error => Untrusted::io(&at, error),
                })?;
            let stat = rustix::fs::fstat(&fd).map_err(|error| Untrusted::io(&at, error))?;
            self.judge_step(step, &stat)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Untrusted::Loop(path.to_owned()));
                    }
                    let target = rustix::fs::readlinkat(&fd, "", Vec::new())
                        .map_err(|error| Untrusted::io(&at, error))?;
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    if target.is_absolute() {
                        steps.truncate(1);
                    }
                    pending.extend(components(&target));
                }
                FileType::Directory => steps.push(Step { fd, path: at, stat }),
                _ if pending.is_empty() => return end(steps, name, at, stat),
                _ => return Err(Untrusted::NotADirectory(at)),
            }
        }
        let Some(last) = steps.pop() else { return Err(Untrusted::NotADirectory(path.to_owned())) };
        let (path, stat) = (last.path.clone(), last.stat);
        steps.push(last);
        end(steps, OsString::from("."), path, stat)
    }
}

fn end(mut steps: Vec<Step>, name: OsString, path: PathBuf, stat: Stat) -> Result<End, Untrusted> {
    match steps.pop() {
        Some(step) => Ok(End { parent: step.fd, name, path, stat }),
        None => Err(Untrusted::NotADirectory(path)),
    }
}

fn root() -> Result<Step, Untrusted> {
    let path = PathBuf::from("/");
    let io = |error: Errno| Untrusted::io(Path::new("/"), error);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&path, flags, Mode::empty()).map_err(io)?;
    let stat = rustix::fs::fstat(&fd).map_err(io)?;
    Ok(Step { fd, path, stat })
}

/// The components, last first; `.` and the root are none.
fn components(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    let mut names: Vec<_> = path.components().filter_map(name).collect();
    names.reverse();
    names
}

/// The path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
