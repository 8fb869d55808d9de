//! The way to a file: component by component with `openat` and `O_NOFOLLOW`, each directory judged before the next step.
//! Symbolic links are followed here and not by the kernel, so that the directories of their targets are judged too.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::trust::{Trust, Untrusted};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// One step of a walk: a directory, held open.
pub(super) struct Step {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

/// Where a walk ended.
pub(super) struct End {
    /// The directory that holds it.
    pub(super) parent: OwnedFd,
    /// Its name there.
    pub(super) name: OsString,
    /// Its path without links.
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

impl Trust {
    /// Walks to the file at `path`, which is absolute.
    pub(super) fn walk(&self, path: &Path) -> Result<End, Untrusted> {
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
                    let target = target(&fd).map_err(|error| Untrusted::io(&at, error))?;
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

/// Where a link held open points to.
fn target(link: &OwnedFd) -> rustix::io::Result<PathBuf> {
    let target = rustix::fs::readlinkat(link, "", Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
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
