//! `unit = "nginx.service"`: also `unit = "worker@*.service"`, `unit = "ci.service/main"` and `unit = "ci.service/*"`.
//!
//! **Proves** that the caller runs in this unit of the system's own manager, by its control group: systemd starts the
//! processes of a unit there, what they start stays there, and the kernel lets nobody but root take a process to where
//! root alone may write. The whole path counts, from the root: only slices may stand above the unit, so
//! a group of the same name in a user's or a container's part of the tree is another thing. **Against** every other unit, session and
//! container, also of the same uid. **Evaded** by code injected into a process of the unit, by whoever may give the unit something to
//! run, and by whoever root let write into its groups, as told below. Strong.
//!
//! A unit that was handed the groups below its own (`Delegate=`: container engines, runners of jobs, a user's manager) fills
//! them with what may be somebody else's. So `ci.service` is the unit's own group, with systemd's `.control` for commands
//! such as `ExecReload=`; `ci.service/main` is one group below, such as that of `DelegateSubgroup=main`; `ci.service/*` is the unit
//! with everything below, be it a container that it started. Where a unit with `Delegate=` has a `User=`, that user
//! may move processes among all of the unit's groups, so they are not told apart from each other; on a host
//! with cgroup v1 alone that user may move any process of his into them.
//!
//! `worker@*.service` is every instance of that template. A process of a group that was removed is in no unit. Names are written as
//! `systemctl` shows them (`dev-disk\x2d1.swap`).

use super::{Says, Selector, SelectorError, SelectorKind, Strength, Verdict};
use crate::identity::unit_name::{self, KINDS};
use crate::identity::{Place, Subject};

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
        format!("unit:{}", self.0.written)
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match of.who.cgroup.place() {
            Some(place) => self.0.seen(&place),
            None => format!("the caller is in no unit: its control group is {}", of.who.cgroup.path()),
        }
    }
}

/// Units of one manager, and groups in them.
pub(super) struct Pattern {
    pub(super) written: String,
    name: Name,
    groups: Groups,
}

enum Name {
    Exactly(String),
    /// What stands before and after the instance.
    Instances(String, String),
}

enum Groups {
    /// The unit's own.
    Own,
    /// The one below of that name.
    One(String),
    /// The unit's own and all below.
    All,
}

/// Where systemd runs the commands of a unit that was handed its groups.
const CONTROL: &str = ".control";

impl Pattern {
    /// From the value of the selector `key`.
    pub(super) fn parse(value: &toml::Value, key: &str) -> Result<Self, SelectorError> {
        let written = value.as_str().ok_or_else(|| {
            SelectorError::new(format!("`{key}` takes the name of a unit"), "for example \"nginx.service\"")
        })?;
        let (unit, group) = match written.split_once('/') {
            Some((unit, group)) => (unit, Some(group)),
            None => (written, None),
        };
        let groups = match group {
            None => Groups::Own,
            Some("*") => Groups::All,
            Some(group) if is_group(group) => Groups::One(group.to_owned()),
            Some(_) => {
                return Err(SelectorError::new(
                    format!("after the unit, `{key}` takes the name of one control group, or `*` for all"),
                    format!("for example \"{unit}/main\" or \"{unit}/*\""),
                ));
            }
        };
        let name = match unit.split_once("@*") {
            Some((stem, kind)) if unit_name::is_unit(&format!("{stem}@i{kind}")) && KINDS.contains(&kind) => {
                Name::Instances(format!("{stem}@"), kind.to_owned())
            }
            _ if unit_name::is_unit(unit) => Name::Exactly(unit.to_owned()),
            _ => return Err(not_a_unit(unit, key)),
        };
        Ok(Self { written: written.to_owned(), name, groups })
    }

    pub(super) fn admits(&self, place: &Place<'_>) -> bool {
        let group = match &self.groups {
            Groups::Own => place.below.is_empty() || place.below == CONTROL,
            Groups::One(group) => place.below == group,
            Groups::All => true,
        };
        group && self.names(place.unit)
    }

    fn names(&self, unit: &str) -> bool {
        match &self.name {
            Name::Exactly(name) => unit == name,
            Name::Instances(stem, kind) => {
                unit.strip_prefix(stem.as_str()).and_then(|rest| rest.strip_suffix(kind.as_str())).is_some()
            }
        }
    }

    /// Where a caller is that is in a unit of the same manager.
    pub(super) fn seen(&self, place: &Place<'_>) -> String {
        let Place { unit, below, .. } = place;
        match self.groups {
            _ if below.is_empty() => format!("the caller is in {unit}"),
            Groups::Own if self.names(unit) => format!(
                "the caller is in {unit}/{below}, below the unit's own group; write `{unit}/*` to let in everything that the unit started"
            ),
            _ => format!("the caller is in {unit}/{below}"),
        }
    }
}

fn is_group(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(|c: char| c == '/' || c == '*' || c.is_control())
}

fn not_a_unit(unit: &str, key: &str) -> SelectorError {
    let wrong = |what: &str, hint: String| SelectorError::new(format!("`{key}`: `{unit}` {what}"), hint);
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    if unit_name::is_slice(unit) {
        return wrong("is a slice, which is many units", format!("write `slice = \"{unit}\"`"));
    }
    if let Some((template, kind)) = unit.split_once("@.") {
        let hint = format!("for all of its instances write \"{template}@*.{kind}\"");
        return wrong("is a template, in which nothing runs", hint);
    }
    if [".timer", ".path", ".target", ".automount", ".device"].iter().any(|kind| unit.ends_with(kind)) {
        return wrong(
            "is of a kind in which nothing runs",
            format!("name what it starts, such as \"{stem}.service\""),
        );
    }
    if unit_name::is_unit(&format!("{unit}.service")) && unit.starts_with(char::is_alphanumeric) {
        return wrong("has no kind", format!("write \"{unit}.service\""));
    }
    let hint = "write it as `systemctl status` shows it, for example \"nginx.service\"; `*` stands only for all instances of a template, as in \"worker@*.service\"";
    wrong("is not the name of a unit", hint.to_owned())
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

    #[test]
    fn what_is_no_unit_is_refused_with_what_to_write() {
        for (written, hint) in [
            ("nginx", "write \"nginx.service\""),
            ("app@1", "write \"app@1.service\""),
            ("python3.11", "write \"python3.11.service\""),
            ("mcpx.slice", "write `slice = \"mcpx.slice\"`"),
            ("backup.timer", "such as \"backup.service\""),
            ("worker@.service", "\"worker@*.service\""),
            ("w*.service", "`systemctl status`"),
            ("*.service", "`systemctl status`"),
            ("@*.service", "`systemctl status`"),
            ("w@*", "`systemctl status`"),
            ("w@*1.service", "`systemctl status`"),
            ("", "`systemctl status`"),
            ("..", "`systemctl status`"),
            ("a b.service", "`systemctl status`"),
            ("a.service/..", "\"a.service/main\""),
            ("a.service/", "\"a.service/*\""),
            ("a.service/x/y", "\"a.service/*\""),
            ("a.service/x*", "\"a.service/*\""),
            ("/system.slice/a.service", "\"/main\""),
        ] {
            let Err(error) = Pattern::parse(&written.into(), "unit") else {
                panic!("{written} was accepted")
            };
            assert!(error.hint.as_ref().is_some_and(|said| said.contains(hint)), "{written}: {error:?}");
        }
        assert!(Pattern::parse(&5.into(), "unit").is_err());
    }
}
