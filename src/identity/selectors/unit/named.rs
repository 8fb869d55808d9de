//! How a rule names the unit that a caller is in.

use super::pattern::Pattern;
use crate::identity::Cgroup;

/// A unit as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUnit {
    /// The selector: `unit` or, for a unit of the caller's own manager, `user_unit`.
    pub key: &'static str,
    /// The unit's name.
    pub unit: String,
    /// The value that the caller has: with the group below the unit, where it is in one.
    pub written: String,
}

impl NamedUnit {
    /// That of a caller of this uid in this control group.
    pub fn of(cgroup: &Cgroup, uid: u32) -> Option<Self> {
        let own = cgroup.place_of_user(uid).map(|place| ("user_unit", place));
        let (key, place) = own.or_else(|| Some(("unit", cgroup.place()?)))?;
        Some(Self { key, unit: place.unit.to_owned(), written: Pattern::written_for(&place) })
    }

    /// As it is written for every group below the unit as well.
    pub fn with_all_below(&self) -> String {
        format!("{}/*", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Evidence, Identity, Subject, Verdict, selector, somebody};

    #[test]
    fn the_name_of_a_place_is_the_narrowest_that_holds_there() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        for (path, expected) in [
            ("/system.slice/a.service".to_owned(), "unit a.service"),
            ("/system.slice/a.service/.control".to_owned(), "unit a.service"),
            ("/system.slice/a.service/main".to_owned(), "unit a.service/main"),
            ("/system.slice/a.service/main/x".to_owned(), "unit a.service/*"),
            ("/system.slice/a.service/a*b".to_owned(), "unit a.service/*"),
            (r"/system.slice/a\x2db.service/x".to_owned(), r"unit a\x2db.service/x"),
            ("/user.slice/user-1000.slice/session-3.scope".to_owned(), "unit session-3.scope"),
            (format!("{manager}/app.slice/b.service"), "user_unit b.service"),
            (format!("{manager}/app.slice/b.service/x"), "user_unit b.service/x"),
            (format!("{manager}/b.service/x/y"), "user_unit b.service/*"),
            (format!("{manager}/init.scope"), "user_unit init.scope"),
            (format!("{manager}/x/b.service"), "unit user@1000.service/*"),
            (manager.replace("1000", "1001") + "/b.service", "unit user@1001.service/b.service"),
        ] {
            let who = Identity { cgroup: Cgroup::at(&path), ..somebody() };
            let named = NamedUnit::of(&who.cgroup, who.uid).unwrap();
            assert_eq!(format!("{} {}", named.key, named.written), expected, "{path}");
            let of = Subject { who: &who, evidence: &Evidence::default() };
            for written in [named.written.clone(), named.with_all_below()] {
                let demand = (selector(named.key).unwrap().parse)(&written.as_str().into()).unwrap();
                assert_eq!(demand.check(&of), Verdict::Yes, "{written} at {path}");
            }
        }
        assert_eq!(NamedUnit::of(&Cgroup::at("/lent/a.service"), 1000), None);
    }
}
