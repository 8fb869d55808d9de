//! `exe = "/usr/bin/node"`.
//!
//! **Proves** that the process runs this file: device and inode of its executable are those of a reference that hushfs
//! holds open, so neither number can be used again for another file. **Against** processes that run something else under
//! the same path (bind mounts, containers, look-alikes). **Evaded** by code injected into such a process (`LD_PRELOAD`,
//! ptrace by the same uid); and by whoever may execute the file and make a user namespace: a child that shares its
//! memory (`CLONE_VM | CLONE_NEWUSER`) sets the link with `PR_SET_MM_MAP`, and the parent, which never left our user
//! namespace, then shows the genuine file (measured on Linux 6.18; nothing in /proc tells). So it says nothing against another
//! user: name `uid` or `user` beside it. It is not a statement about the script an interpreter runs. Medium.
//!
//! A package upgrade replaces the file. The reference held so far stays known, so that what is already running keeps its
//! identity, and the new file is looked up when a caller would otherwise be denied.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::RwLock;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use super::{Elsewhere, Says, Selector, SelectorError, SelectorKind, Strength, Verdict};
use crate::identity::{Exe, Subject};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "exe",
    about: "the caller runs this executable file of the host",
    strength: Strength::Medium,
    says: Says::Who,
    parse: |value| Ok(Box::new(Reference::open(value)?)),
};

/// How many replaced files are remembered for one path.
const REMEMBERED: usize = 8;

/// How long a path is not looked at again, in milliseconds.
const LOOK_AGAIN: u64 = 100;

/// An executable that a rule names.
pub struct Reference {
    path: PathBuf,
    held: RwLock<Vec<Held>>,
    since: Instant,
    looked: AtomicU64,
}

/// One file that the path has led to. The descriptor keeps its inode from being used again.
struct Held {
    dev: u64,
    ino: u64,
    _file: File,
}

impl Reference {
    fn open(value: &toml::Value) -> Result<Self, SelectorError> {
        let path = value.as_str().map(Path::new).filter(|path| path.is_absolute()).ok_or_else(|| {
            SelectorError::new("`exe` takes an absolute path", "for example \"/usr/bin/node\"")
        })?;
        let held = hold(path)?;
        Ok(Self {
            path: path.to_owned(),
            held: RwLock::new(vec![held]),
            since: Instant::now(),
            looked: AtomicU64::new(0),
        })
    }

    /// The path as configured.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is(&self, exe: &Exe) -> bool {
        self.held.read().iter().any(|held| held.dev == exe.dev && held.ino == exe.ino)
    }

    /// Looks whether the path leads to another file than before, and remembers that one too. Returns whether it does.
    /// Costs one `stat`, at most ten times a second.
    pub fn look_again(&self) -> bool {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.looked.load(Ordering::Relaxed);
        let soon = last != 0 && now.saturating_sub(last) < LOOK_AGAIN;
        if soon
            || self.looked.compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return false;
        }
        let Ok(found) = hold(&self.path) else { return false };
        let mut held = self.held.write();
        if held.iter().any(|known| known.dev == found.dev && known.ino == found.ino) {
            return false;
        }
        if held.len() >= REMEMBERED {
            held.remove(0);
        }
        held.push(found);
        true
    }
}

impl Selector for Reference {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        Verdict::of(of.who.exe.as_ref().is_some_and(|exe| self.is(exe)))
    }

    fn describe(&self) -> String {
        format!("exe:{}", self.path.display())
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere::Forgeable
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match &of.who.exe {
            None => "the caller's executable cannot be told".into(),
            Some(exe) if self.path == Path::new(&exe.path) && !self.is(exe) => {
                format!("the caller runs another file that it sees at {}", exe.path)
            }
            Some(exe) => format!("the caller runs {}", exe.path),
        }
    }

    fn executable(&self) -> Option<&Reference> {
        Some(self)
    }
}

fn hold(path: &Path) -> Result<Held, SelectorError> {
    let hint =
        "name the program that opens the file; `readlink /proc/PID/exe` shows it for a running process";
    let cannot = |error: rustix::io::Errno| {
        SelectorError::new(format!("`{}` cannot be opened: {error}", path.display()), hint)
    };
    let fd = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(cannot)?;
    // What is known of it will do: a disk that does not answer must not keep us.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(&fd, c"", flags, StatxFlags::BASIC_STATS).map_err(cannot)?;
    let mode = u32::from(stat.stx_mode);
    if rustix::fs::FileType::from_raw_mode(mode) != rustix::fs::FileType::RegularFile || mode & 0o111 == 0 {
        return Err(SelectorError::new(format!("`{}` is not an executable file", path.display()), hint));
    }
    let dev = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    Ok(Held { dev, ino: stat.stx_ino, _file: File::from(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::process::tests::somebody;
    use crate::identity::{Evidence, Identity};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn reference(path: &Path) -> Reference {
        Reference::open(&toml::Value::String(path.to_str().unwrap().to_owned())).unwrap()
    }

    fn runs(path: &Path) -> Identity {
        let meta = std::fs::metadata(path).unwrap();
        Identity { exe: Some(Exe { dev: meta.dev(), ino: meta.ino(), path: String::new() }), ..somebody() }
    }

    fn matches(reference: &Reference, who: &Identity) -> bool {
        reference.check(&Subject { who, evidence: &Evidence::default() }) == Verdict::Yes
    }

    #[test]
    fn another_file_at_the_same_path_string_does_not_match() {
        let cat = reference(Path::new("/bin/cat"));
        assert!(matches(&cat, &runs(Path::new("/bin/cat"))));
        let mut who = runs(Path::new("/bin/ls"));
        who.exe.as_mut().unwrap().path = "/bin/cat".into();
        assert!(!matches(&cat, &who));
    }

    #[test]
    fn after_an_upgrade_both_the_running_and_the_new_file_match() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        let write = |to: &Path| {
            std::fs::copy("/bin/true", to).unwrap();
            std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        write(&path);
        let program = reference(&path);
        let before = runs(&path);
        write(&dir.path().join("new"));
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        let after = runs(&path);
        assert!(!matches(&program, &after));
        assert!(program.look_again());
        assert!(matches(&program, &after) && matches(&program, &before));
    }

    #[test]
    fn a_missing_file_a_directory_and_a_relative_path_are_refused() {
        for path in ["/nonexistent", "/usr", "usr/bin/cat", "/etc/passwd"] {
            assert!(Reference::open(&toml::Value::String(path.into())).is_err(), "{path}");
        }
    }
}
