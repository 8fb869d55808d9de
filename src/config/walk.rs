//! The way to a file: component by component with `openat` and `O_NOFOLLOW`, each directory judged before the next step.
//! Symbolic links are followed here and not by the kernel, so that the directories of their targets are judged too.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::trust::{Trust, Untrusted, Want};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

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

    /// The bytes of a file, at most `max` of them and one more.
    pub(super) fn read(&self, path: &Path, max: u64, want: Want) -> Result<Vec<u8>, Untrusted> {
        let fd = self.open(path, want, OFlags::empty())?;
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

    /// Walks to the file at `path`, which is absolute.
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
            self.judge_step(&step.path, &step.stat, &stat)?;
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
}
