//! Where a process stands in the tree of control groups: its unit and its container, by the whole path from the root.
//!
//! A user who was given a part of the tree may name what lies in it as he likes (`system.slice/real.service`), so a name counts
//! only where its whole path says that root made it.

use super::ContainerId;

/// The control group of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Its path from the root of the hierarchy.
    pub path: String,
    /// The system unit that it belongs to.
    pub unit: Option<String>,
    /// The container that it belongs to.
    pub container: Option<ContainerId>,
    /// Whether all of it was read from the cgroup v2 hierarchy, so that the number of that cgroup stands for all of it.
    unified: bool,
}

impl Cgroup {
    /// From the text of `/proc/<tid>/cgroup`.
    pub(super) fn parse(text: &str) -> Self {
        let path = |prefix: &str| text.lines().find_map(|line| line.split_once(prefix).map(|(_, path)| path));
        // cgroup v2, else systemd's own hierarchy on a host with both.
        let v2 = path("0::").filter(|path| *path != "/");
        let path = v2.or_else(|| path(":name=systemd:")).unwrap_or("/");
        Self {
            path: path.to_owned(),
            unit: unit_of(path),
            container: ContainerId::of_lines(text),
            unified: text.lines().count() == 1,
        }
    }

    /// Whether the number of the cgroup v2 directory, which the kernel tells with the ids, changes whenever any of this does.
    pub(super) fn is_told_by_number(&self) -> bool {
        self.unified
    }
}

/// The service that a cgroup path reaches first, with only slices above it. What lies below a unit is the unit's own to name,
/// so it is not looked at.
fn unit_of(path: &str) -> Option<String> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let mut part = parts.next()?;
    while part.ends_with(".slice") {
        part = parts.next()?;
    }
    part.ends_with(".service").then(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_only_from_the_root_of_the_tree() {
        assert_eq!(unit_of("/system.slice/nginx.service").as_deref(), Some("nginx.service"));
        assert_eq!(unit_of("/system.slice/system-a.slice/a@1.service").as_deref(), Some("a@1.service"));
        assert_eq!(
            unit_of("/system.slice/a.service/payload/system.slice/b.service").as_deref(),
            Some("a.service")
        );
        assert_eq!(unit_of("/my.slice/a.service").as_deref(), Some("a.service"));
        let below = "/user.slice/user-1000.slice/user@1000.service/system.slice/x.service";
        assert_eq!(unit_of(below).as_deref(), Some("user@1000.service"));
        assert_eq!(unit_of("/docker/system.slice/x.service"), None);
        assert_eq!(unit_of("/system.slice/a.scope/b.service"), None);
        assert_eq!(unit_of("/../../system.slice/x.service"), None);
        assert_eq!(unit_of("/"), None);
    }
}
