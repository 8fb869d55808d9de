//! `unit = "nginx.service"`: also `unit = "worker@*.service"`, `unit = "ci.service/main"` and `unit = "ci.service/*"`.
//!
//! **Proves** that the caller runs in this unit of the system's own manager, by its control group: systemd starts the
//! processes of a unit there, what they start stays there, and the kernel lets nobody but root take a process to where
//! root alone may write. The whole path counts, from the root: only slices may stand above the unit, so
//! a group of the same name in a user's or a container's part of the tree is another thing. **Against** every other unit, session and
//! container, also of the same uid. **Evaded** by code injected into a process of the unit, by whoever may give the unit something to
//! run, and by whoever root lets write into the slices above (by hand: systemd hands them to nobody) or into its own groups,
//! as told below. Strong.
//!
//! A unit that was handed the groups below its own (`Delegate=`: container engines, runners of jobs, a user's manager) fills
//! them with what may be somebody else's. So `ci.service` is the unit's own group, with systemd's `.control` for commands
//! such as `ExecReload=`; `ci.service/main` is one group below, such as that of `DelegateSubgroup=main`; `ci.service/*` is the unit
//! with everything below, be it a container that it started. Where a unit with `Delegate=` has a `User=`, that user
//! may move processes among all of the unit's groups, so they are not told apart from each other; on a host
//! with cgroup v1 alone that user may move any process of his into them.
//!
//! `worker@*.service` is every instance of that template. A process of a unit's group that was removed is in no unit. Names are written as
//! `systemctl` shows them (`dev-disk\x2d1.swap`).
//!
//! It holds in other user namespaces too (`PrivateUsers=`, a rootless container that the unit runs), with `slice` and ids beside it. A rule that has
//! `exe` or `exe_sha256` as well does not: there an executable could be forged.

use super::{Elsewhere, Says, Selector, SelectorKind, Strength, Verdict};
use crate::identity::Subject;

mod named;
mod pattern;

pub use named::NamedUnit;
pub(super) use pattern::Pattern;

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "unit",
    about: "the caller runs in this unit of systemd",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Unit(Pattern::parse(value, "unit")?))),
};

struct Unit(Pattern);

impl Selector for Unit {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        Verdict::of(of.who.cgroup.place().is_some_and(|place| self.0.admits(&place)))
    }

    fn describe(&self) -> String {
        format!("unit:{}", self.0.written())
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere::Proves
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match of.who.cgroup.place() {
            Some(place) => self.0.seen(&place),
            None => format!("the caller is in no unit: its control group is {}", of.who.cgroup.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Cgroup, Evidence, Identity, somebody};

    fn unit(written: &str) -> Unit {
        Unit(Pattern::parse(&written.into(), "unit").unwrap_or_else(|error| panic!("{written}: {error}")))
    }

    /// What the selector finds of a caller there, and what it says of it.
    fn found(written: &str, path: &str) -> (bool, String) {
        let who = Identity { cgroup: Cgroup::parse(format!("0::{path}\n")), ..somebody() };
        let (unit, evidence) = (unit(written), Evidence::default());
        let subject = Subject { who: &who, evidence: &evidence };
        (unit.check(&subject) == Verdict::Yes, unit.seen(&subject))
    }

    #[test]
    fn a_unit_is_its_own_group_and_systemds_control_group() {
        for (written, path, admitted) in [
            ("a.service", "/system.slice/a.service", true),
            ("a.service", "/system.slice/a.service/.control", true),
            ("a.service", "/my.slice/my-b.slice/a.service", true),
            ("a.service", "/system.slice/a.service/.control/x", false),
            ("a.service", "/system.slice/a.service/payload", false),
            ("a.service", "/system.slice/b.service", false),
            ("a.service", "/system.slice/a.service.slice", false),
            ("a.service", "/system.slice/a.service (deleted)", false),
            ("a.service", "/system.slice/b.service/a.service", false),
            ("a.service", "/lent/system.slice/a.service", false),
            ("a.service", "/user.slice/user-1000.slice/user@1000.service/system.slice/a.service", false),
            ("cpu.service", "/system.slice/_cpu.service", true),
            (r"a\x2db.service", r"/system.slice/a\x2db.service", true),
            ("init.scope", "/init.scope", true),
            ("session-3.scope", "/user.slice/user-1000.slice/session-3.scope", true),
            ("a.service/main", "/system.slice/a.service/main", true),
            ("a.service/main", "/system.slice/a.service", false),
            ("a.service/main", "/system.slice/a.service/.control", false),
            ("a.service/main", "/system.slice/a.service/main/x", false),
            ("a.service/main", "/system.slice/a.service/main (deleted)", false),
            ("a.service/*", "/system.slice/a.service", true),
            ("a.service/*", "/system.slice/a.service/x/y.slice/z.service", true),
            ("a.service/*", "/system.slice/b.service/a.service/x", false),
            ("w@*.service", "/system.slice/system-w.slice/w@1.service", true),
            ("w@*.service", "/system.slice/system-w.slice/w@a@b.service", true),
            ("w@*.service", "/system.slice/w.service", false),
            ("w@*.service", "/system.slice/system-w.slice/w@1.scope", false),
            ("w@*.service", "/system.slice/system-w.slice/xw@1.service", false),
            ("w@*.service/main", "/system.slice/system-w.slice/w@1.service/main", true),
            ("w@1.service", "/system.slice/system-w.slice/w@1.service", true),
            ("w@1.service", "/system.slice/system-w.slice/w@11.service", false),
        ] {
            assert_eq!(found(written, path).0, admitted, "{written} at {path}");
        }
    }

    #[test]
    fn a_caller_below_the_unit_is_told_what_to_write() {
        let (_, seen) = found("a.service", "/system.slice/a.service/payload");
        let told = "the caller is in a.service/payload, below the unit's own group; write `a.service/*` to let in everything that the unit started";
        assert_eq!(seen, told);
        assert_eq!(found("a.service", "/system.slice/b.service/x").1, "the caller is in b.service/x");
        assert_eq!(found("a.service/x", "/system.slice/a.service").1, "the caller is in a.service");
        let (_, seen) = found("a.service", "/lent/system.slice/a.service");
        assert_eq!(seen, "the caller is in no unit: its control group is /lent/system.slice/a.service");
    }
}
