//! Control groups of a test's own, in the hierarchies of this host.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static MADE: AtomicUsize = AtomicUsize::new(0);

/// A group with what a test makes in it. All of it goes when dropped.
pub(crate) struct Groups {
    at: PathBuf,
    /// What had to be made for it, the outermost first.
    made: Vec<PathBuf>,
}

impl Groups {
    /// A slice that no other test has, in the cgroup v2 hierarchy.
    pub(crate) fn slice() -> Self {
        Self::at(&v2(), &unique())
    }

    /// The group of that path from the root of the cgroup v2 hierarchy.
    pub(crate) fn at_path(path: &str) -> Self {
        Self::at(&v2(), path)
    }

    /// A slice in each cgroup v1 hierarchy of this host. None where it has cgroup v2 alone.
    pub(crate) fn slices_of_v1() -> Vec<Self> {
        // A new group of the controller cpuset takes no process before it was given processors.
        let mounts = mounts("cgroup ").into_iter().filter(|root| !root.join("cpuset.cpus").exists());
        mounts.map(|root| Self::at(&root, &unique())).collect()
    }

    fn at(root: &Path, path: &str) -> Self {
        let at = root.join(path);
        let missing = at.ancestors().take_while(|group| !group.exists());
        let mut made: Vec<_> = missing.map(Path::to_owned).collect();
        made.reverse();
        fs::create_dir_all(&at).unwrap();
        Self { at, made }
    }

    /// The slice's name.
    pub(crate) fn name(&self) -> &str {
        self.at.file_name().unwrap().to_str().unwrap()
    }

    /// A group in it, made by root.
    pub(crate) fn make(&self, path: &str) -> PathBuf {
        let group = self.at.join(path);
        fs::create_dir_all(&group).unwrap();
        group
    }

    /// A group in it that is given to `uid` to fill, as `Delegate=` with `User=` does.
    pub(crate) fn lend(&self, path: &str, uid: u32) -> PathBuf {
        let group = self.make(path);
        for name in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            chown(group.join(name), Some(uid), Some(uid)).unwrap();
        }
        group
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let since = Instant::now();
        // A group goes once the last process in it has been reaped, which may be the work of somebody else.
        while remove(&self.at).is_err() && since.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        for group in self.made.iter().rev().skip(1) {
            let _ = fs::remove_dir(group);
        }
    }
}

fn remove(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

fn unique() -> String {
    format!("hushfstest{}x{}.slice", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Where cgroup v2 is mounted.
fn v2() -> PathBuf {
    mounts("cgroup2 ").pop().expect("cgroup v2 is mounted on this host")
}

/// Where hierarchies of a kind are mounted.
fn mounts(kind: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_kind = |line: &&str| line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with(kind));
    text.lines().filter(of_kind).map(|line| PathBuf::from(line.split(' ').nth(4).unwrap())).collect()
}

/// A command that runs in `group` as this uid and gid.
pub(crate) fn inside(group: &Path, uid: u32, program: &str) -> Command {
    let enter =
        "echo $$ > \"$0/cgroup.procs\" && exec setpriv --reuid $1 --regid $1 --clear-groups \"${@:2}\"";
    let mut command = Command::new("/bin/bash");
    command.args(["-c", enter]).arg(group).arg(uid.to_string()).arg(program).stdin(Stdio::null());
    command
}

/// Moves a process into `group`.
pub(crate) fn enter(group: &Path, pid: u32) {
    fs::write(group.join("cgroup.procs"), pid.to_string()).unwrap();
}
