//! Where a process stands in the tree of control groups, and what that says of its unit.
//!
//! A user who was given a part of the tree may name what lies in it as he likes (`system.slice/real.service`), so a name counts
//! only where its whole path says that root made it: with nothing but slices above, which systemd hands to nobody. What lies
//! below a unit is the unit's own to name.

use super::{ContainerId, unit_name};

/// The control groups of a process, one in each hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// What `/proc/<tid>/cgroup` says.
    text: String,
    /// The path in the hierarchy that systemd manages.
    path: String,
    /// The container that it belongs to.
    container: Option<ContainerId>,
}

/// A place in one hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership<'a> {
    /// Its controllers (`cpu,cpuacct`) or its name (`name=systemd`); empty for cgroup v2.
    pub hierarchy: &'a str,
    /// The path of the group from the root. The kernel adds ` (deleted)` where it was removed, which nothing tells from a
    /// group of that name.
    pub path: &'a str,
}

/// A place among the units of one manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The slices above the unit, as a path.
    above: &'a str,
    /// The unit.
    pub unit: &'a str,
    /// The path below the unit's own group; empty in the group itself.
    pub below: &'a str,
}

impl Cgroup {
    /// From the text of `/proc/<tid>/cgroup`: a line `NUMBER:HIERARCHY:PATH` for each hierarchy. A path may hold colons, and no
    /// line break.
    pub(super) fn parse(text: String) -> Self {
        let of = |wanted: &str| {
            let mut all = memberships(&text);
            all.find(|one| one.hierarchy == wanted).map(|one| one.path)
        };
        // Where systemd manages cgroup v1 the other tree may be there all the same, with everybody at its root.
        let path =
            of("").filter(|path| *path != "/").or_else(|| of("name=systemd")).unwrap_or("/").to_owned();
        let container = ContainerId::of_lines(&text);
        Self { text, path, container }
    }

    /// One of which only the path is known, such as by a record.
    pub fn at(path: &str) -> Self {
        Self::parse(format!("0::{path}\n"))
    }

    /// The place in every hierarchy.
    pub fn memberships(&self) -> impl Iterator<Item = Membership<'_>> {
        memberships(&self.text)
    }

    /// The path from the root of the hierarchy that systemd manages: cgroup v2, also beside v1 controllers, else
    /// `name=systemd`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The container that it belongs to.
    pub fn container(&self) -> Option<&ContainerId> {
        self.container.as_ref()
    }

    /// The place among the units of the system.
    pub fn place(&self) -> Option<Place<'_>> {
        Place::of(self.path.strip_prefix('/')?)
    }

    /// The place among the units of the manager of the user `uid`.
    pub fn place_of_user(&self, uid: u32) -> Option<Place<'_>> {
        let manager = self.place()?;
        let own = manager.unit == format!("user@{uid}.service")
            && manager.slices().eq(["user.slice", &format!("user-{uid}.slice")]);
        own.then(|| Place::of(manager.below))?
    }

    /// Whether the number of the cgroup v2 directory, which the kernel tells with the ids, changes whenever any of this does.
    pub(super) fn is_told_by_number(&self) -> bool {
        self.memberships().all(|one| one.hierarchy.is_empty())
    }
}

fn memberships(text: &str) -> impl Iterator<Item = Membership<'_>> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (hierarchy, path) = rest.split_once(':')?;
        Some(Membership { hierarchy, path })
    })
}

impl<'a> Place<'a> {
    /// By a path without a slash at its start: the unit that it reaches first, with only slices above.
    fn of(path: &'a str) -> Option<Self> {
        let mut rest = path;
        loop {
            let (group, below) = rest.split_once('/').unwrap_or((rest, ""));
            let name = unit_name::of_group(group);
            if unit_name::is_unit(name) {
                return Some(Self { above: path.strip_suffix(rest)?, unit: name, below });
            }
            if !unit_name::is_slice(name) {
                return None;
            }
            rest = below;
        }
    }

    /// The slices above the unit, the outermost first.
    pub fn slices(&self) -> impl Iterator<Item = &'a str> {
        self.above.split_terminator('/').map(unit_name::of_group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(path: &str) -> Cgroup {
        Cgroup::at(path)
    }

    fn unit_of(path: &str) -> Option<String> {
        at(path).place().map(|place| place.unit.to_owned())
    }

    #[test]
    fn a_unit_is_named_only_from_the_root_of_the_tree() {
        for (path, unit) in [
            ("/system.slice/nginx.service", "nginx.service"),
            ("/system.slice/system-a.slice/a@1.service", "a@1.service"),
            ("/system.slice/a.service/payload/system.slice/b.service", "a.service"),
            ("/my.slice/a.service", "a.service"),
            ("/init.scope", "init.scope"),
            ("/system.slice/a.scope/b.service", "a.scope"),
            ("/system.slice/_cpu.service", "cpu.service"),
            (r"/system.slice/a\x2db.service", r"a\x2db.service"),
            ("/user.slice/user-1000.slice/user@1000.service/system.slice/x.service", "user@1000.service"),
            ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ] {
            assert_eq!(unit_of(path).as_deref(), Some(unit), "{path}");
        }
        for path in [
            "/",
            "",
            "/docker/system.slice/x.service",
            "/../../system.slice/x.service",
            "/../system.slice/x.service",
            "system.slice/x.service",
            "/system.slice",
            "/system.slice/",
            "/system.slice//x.service",
            "/system.slice/x.service (deleted)",
            "/system.slice/x",
        ] {
            assert_eq!(unit_of(path), None, "{path}");
        }
    }

    #[test]
    fn the_slices_above_and_the_group_below_a_unit_are_told() {
        let group = at("/_cpu.slice/cpu-b.slice/a.service/c.slice/d");
        let place = group.place().unwrap();
        assert_eq!(place.slices().collect::<Vec<_>>(), ["cpu.slice", "cpu-b.slice"]);
        assert_eq!(place.below, "c.slice/d");
        assert_eq!(at("/init.scope").place().unwrap().slices().count(), 0);
    }

    #[test]
    fn a_unit_of_a_user_is_one_of_the_manager_of_that_uid() {
        let unit = |path: &str| at(path).place_of_user(1000).map(|place| place.unit.to_owned());
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(unit(&format!("{manager}/app.slice/a.service")).as_deref(), Some("a.service"));
        assert_eq!(unit(&format!("{manager}/init.scope")).as_deref(), Some("init.scope"));
        for path in [
            manager.to_owned(),
            format!("{manager}/x/a.service"),
            manager.replace("1000", "1001") + "/app.slice/a.service",
            "/user.slice/user-1001.slice/user@1000.service/a.service".to_owned(),
            "/system.slice/user@1000.service/a.service".to_owned(),
            format!("/system.slice/b.service{manager}/a.service"),
            "/system.slice/a.service".to_owned(),
        ] {
            assert_eq!(unit(&path), None, "{path}");
        }
    }

    #[test]
    fn hybrid_and_v1_hosts_are_read_by_the_tree_that_systemd_manages() {
        let v1 = "12:cpu,cpuacct:/system.slice\n2:name=systemd:/system.slice/a:b.service\n";
        let path = |text: &str| Cgroup::parse(text.to_owned()).path().to_owned();
        assert_eq!(path(v1), "/system.slice/a:b.service");
        assert_eq!(path(&format!("{v1}0::/\n")), "/system.slice/a:b.service", "v2 is mounted and not used");
        assert_eq!(path(&format!("{v1}0::/my.slice/c.service\n")), "/my.slice/c.service");
        assert_eq!(path("3:cpu:/x:0::/system.slice/a.service\n0::/\n"), "/", "a group named like a line");
        assert_eq!(path("3:name=systemd2:/system.slice/a.service\n"), "/");
        assert_eq!(path("0::/system.slice/a.service/x (deleted)\n"), "/system.slice/a.service/x (deleted)");
        assert_eq!(path(""), "/");
    }

    #[test]
    fn every_hierarchy_is_told_by_its_name() {
        let group = Cgroup::parse("3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c:d\n".to_owned());
        let all: Vec<_> = group.memberships().map(|one| (one.hierarchy, one.path)).collect();
        assert_eq!(all, [("cpu,cpuacct", "/a"), ("name=systemd", "/b"), ("", "/c:d")]);
        assert!(!group.is_told_by_number() && at("/a").is_told_by_number());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "([0-9]{0,2}:?(name=)?[a-z,]{0,9}:?[/._a-z:\\\\@é ]{0,40}\n?){0,4}") {
            let group = Cgroup::parse(text);
            let _ = group.memberships().count();
            let _ = group.place_of_user(1000);
        }

        #[test]
        fn nothing_made_below_a_unit_changes_what_unit_it_is(below in "([a-z@_.]{1,9}(\\.slice|\\.service|\\.scope)?/){0,4}[a-z.]{1,9}") {
            let group = at(&format!("/a.slice/a.service/{below}"));
            let place = group.place().unwrap();
            prop_assert_eq!(place.unit, "a.service");
            prop_assert_eq!(place.below, below.as_str());
            prop_assert!(place.slices().eq(["a.slice"]));
        }

        #[test]
        fn nothing_made_below_what_is_no_unit_is_a_unit(below in "([a-z@_.]{1,9}(\\.slice|\\.service|\\.scope)?/){0,4}[a-z.]{1,9}") {
            prop_assert_eq!(unit_of(&format!("/lent/{below}")), None);
        }
    }
}
