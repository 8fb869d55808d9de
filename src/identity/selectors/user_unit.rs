//! `user_unit = "app.service"`, written like `unit`, only beside `uid` or `user`.
//!
//! **Proves** that the caller runs in this unit of the manager of its own user (`systemctl --user`), by its control group:
//! `/user.slice/user-UID.slice/user@UID.service/`, slices, the unit. **Against** mistakes: other programs of the user that do not
//! try. **Evaded** by everything that runs as that user below his manager, which may make a group of that name or move itself into
//! it, and that user's sessions through his manager (`systemd-run --user`). So it says nothing without the user. Weak.

use super::unit::Pattern;
use super::{Says, Selector, SelectorKind, Strength, Verdict};
use crate::identity::Subject;

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "user_unit",
    about: "the caller runs in this unit of its user's own systemd",
    strength: Strength::Weak,
    says: Says::WhichOfAUser,
    parse: |value| Ok(Box::new(UserUnit(Pattern::parse(value, "user_unit")?))),
};

struct UserUnit(Pattern);

impl Selector for UserUnit {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        let place = of.who.cgroup.place_of_user(of.who.uid);
        Verdict::of(place.is_some_and(|place| self.0.admits(&place)))
    }

    fn describe(&self) -> String {
        format!("user_unit:{}", self.0.written())
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        let group = &of.who.cgroup;
        match group.place_of_user(of.who.uid) {
            Some(place) => self.0.seen(&place),
            None => format!("the caller is in no unit of its user: its control group is {}", group.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Cgroup, Evidence, Identity, somebody};

    #[test]
    fn only_a_unit_of_the_callers_own_manager_counts() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        let found = |uid, path: String| {
            let who = Identity { uid, cgroup: Cgroup::parse(format!("0::{path}\n")), ..somebody() };
            let unit = UserUnit(Pattern::parse(&"a.service".into(), "user_unit").unwrap());
            let subject = Subject { who: &who, evidence: &Evidence::default() };
            (unit.check(&subject) == Verdict::Yes, unit.seen(&subject))
        };
        let own = format!("{manager}/app.slice/a.service");
        assert_eq!(found(1000, own.clone()), (true, "the caller is in a.service".into()));
        assert_eq!(
            found(1001, own.clone()),
            (false, format!("the caller is in no unit of its user: its control group is {own}"))
        );
        assert!(!found(1000, "/system.slice/a.service".into()).0);
        assert!(!found(1000, format!("{manager}/app.slice/a.service/x")).0);
        assert!(!found(1000, manager.to_owned()).0);
    }
}
