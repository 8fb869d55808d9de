//! Where hushfs itself must stand to tell who asks.
//!
//! The kernel translates a caller's thread id into the pid namespace in which the mount was made, and a caller from outside
//! of it becomes 0. A cgroup path is told as seen from the reader's cgroup namespace, so inside of one a path as of a system
//! unit may be anybody's. Ids of a user namespace are not those of the host. So hushfs serves from the host's namespaces, or
//! is told that it is to serve its own.

use std::path::Path;

/// Whose callers are to be served (`namespaces` of the configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// All processes of the host: hushfs must be in its namespaces.
    Host,
    /// Those in hushfs's own namespaces; others are denied.
    Own,
}

/// Why it cannot be told from here who asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Misplaced {
    message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// The host's namespaces by their names in /proc/self/ns. Their numbers are fixed in the kernel: include/linux/proc_ns.h since
/// Linux 3.8 (cgroup 4.6), and for programs in include/uapi/linux/nsfs.h of newer ones.
const OF_THE_HOST: [(&str, u32); 3] = [("pid", 0xEFFF_FFFC), ("user", 0xEFFF_FFFD), ("cgroup", 0xEFFF_FFFB)];

const TO_THE_HOST: &str = "in a container: `docker run --pid=host --cgroupns=host` without userns-remap; to serve only what \
                           runs in the same namespaces, write `namespaces = \"own\"` at the top of the configuration";

impl Namespaces {
    /// Whether callers can be told from where this process runs.
    ///
    /// # Errors
    /// With what is wrong about it.
    pub fn check(self) -> Result<(), Misplaced> {
        self.check_in(Path::new("/proc"))
    }

    fn check_in(self, proc: &Path) -> Result<(), Misplaced> {
        let link = |name: &str| std::fs::read_link(proc.join(name)).ok();
        // Else its numbers mean other processes than the kernel's answers do.
        if link("self").is_none_or(|pid| pid != Path::new(&std::process::id().to_string())) {
            return Err(Misplaced {
                message: "/proc does not show the pid namespace that hushfs runs in".to_owned(),
                hint: "mount one there (`unshare --pid --fork --mount-proc`), or enter both (`nsenter --pid --mount`)",
            });
        }
        // The mount helper is a child, and the mount counts in its pid namespace.
        if link("self/ns/pid_for_children") != link("self/ns/pid") {
            return Err(Misplaced {
                message: "children of hushfs would be in another pid namespace".to_owned(),
                hint: "start it with `unshare --pid --fork`, not without `--fork`",
            });
        }
        if self == Self::Own {
            return Ok(());
        }
        let foreign = |(name, number): &&(&str, u32)| {
            link(&format!("self/ns/{name}")) != Some(format!("{name}:[{number}]").into())
        };
        let names: Vec<_> = OF_THE_HOST.iter().filter(foreign).map(|(name, _)| *name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let (names, s) = (names.join(", "), if names.len() == 1 { "" } else { "s" });
        Err(Misplaced {
            message: format!(
                "hushfs is not in the host's {names} namespace{s}, so it could not tell who asks"
            ),
            hint: TO_THE_HOST,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A /proc in which these links are.
    fn proc(links: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id().to_string();
        std::fs::create_dir_all(dir.path().join(&pid).join("ns")).unwrap();
        let own = [("self", pid.as_str()), ("self/ns/pid_for_children", "pid:[4026531836]")];
        for (name, target) in own.iter().chain(links) {
            let at = dir.path().join(name);
            std::fs::remove_file(&at).ok();
            symlink(target, at).unwrap();
        }
        dir
    }

    const HOST: [(&str, &str); 3] = [
        ("self/ns/pid", "pid:[4026531836]"),
        ("self/ns/user", "user:[4026531837]"),
        ("self/ns/cgroup", "cgroup:[4026531835]"),
    ];

    #[test]
    fn the_host_is_known_by_its_numbers() {
        let dir = proc(&HOST);
        assert_eq!(Namespaces::Host.check_in(dir.path()), Ok(()));
        assert_eq!(Namespaces::Own.check_in(dir.path()), Ok(()));
    }

    #[test]
    fn each_namespace_that_is_not_the_hosts_is_named() {
        let other = [("self/ns/user", "user:[4026532000]"), ("self/ns/cgroup", "cgroup:[4026532001]")];
        let dir = proc(&[HOST.as_slice(), &other].concat());
        let error = Namespaces::Host.check_in(dir.path()).unwrap_err();
        assert!(error.to_string().contains("the host's user, cgroup namespaces"), "{error}");
        assert_eq!(Namespaces::Own.check_in(dir.path()), Ok(()), "this is meant");
    }

    #[test]
    fn a_proc_of_another_pid_namespace_is_refused_whatever_is_meant() {
        for link in [("self", "1"), ("self/ns/pid_for_children", "pid:[4026532002]")] {
            let dir = proc(&HOST);
            std::fs::remove_file(dir.path().join(link.0)).unwrap();
            symlink(link.1, dir.path().join(link.0)).unwrap();
            assert!(Namespaces::Host.check_in(dir.path()).is_err(), "{link:?}");
            assert!(Namespaces::Own.check_in(dir.path()).is_err(), "{link:?}");
        }
    }
}
