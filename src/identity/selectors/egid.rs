//! `egid = 5555` or `egid = "hushclient"`.
//!
//! **Proves** that the caller has this gid as effective, saved and file system gid and another one as real gid: it runs a
//! setgid program of that group, or what such a program executed. **Against** every other program of the same user, and
//! against code that this user would put into the program: of a setgid program the dynamic linker ignores `LD_PRELOAD` and
//! the like, and no process of the user may trace it or touch its memory. Under a tracer, in another user namespace or with `no_new_privs` the
//! kernel starts the program without the group, and the rule does not match. **Evaded** by a member of the group, who may
//! make a setgid program of his own (`chgrp`, `chmod g+s`); and through a setgid program that lets its user choose what it
//! executes or loads (what it executes keeps the group), or that a setting or a file of its user leads astray. Strong for a
//! group without members and a program that does one thing.
//!
//! Whoever has the group otherwise, by `sg`, by `newgrp` or from a service manager, has it as real gid too and does not match.
//! A setgid program that makes the group its real gid as well does not match any more.

use super::{PinnedId, Says, Selector, SelectorError, SelectorKind, Strength, Verdict, gid, id};
use crate::identity::Subject;

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "egid",
    about: "the caller runs a setgid program of this group",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Egid(number_or_name(value)?))),
};

struct Egid(u32);

fn number_or_name(value: &toml::Value) -> Result<u32, SelectorError> {
    let number = match value {
        toml::Value::String(_) => gid::of_group(value, "egid")?,
        toml::Value::Integer(_) => id(value, "egid")?,
        _ => {
            return Err(SelectorError::new(
                "`egid` takes the name or the number of a group",
                "for example \"hushclient\": the group of a setgid program, which has no members",
            ));
        }
    };
    match number {
        // A setgid program of root's own group is any of the host's.
        0 => Err(SelectorError::new(
            "`egid` does not take the group of root",
            "give the program a group of its own (`groupadd --system`)",
        )),
        number => Ok(number),
    }
}

impl Selector for Egid {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        let (who, gids) = (of.who, of.who.gids);
        let has = [who.gid, gids.effective, gids.saved] == [self.0; 3];
        Verdict::of(has && gids.real != self.0)
    }

    fn describe(&self) -> String {
        format!("egid:{}", self.0)
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        let gids = of.who.gids;
        if gids.real == self.0 {
            return format!(
                "the caller's real gid is {} already: it has the group without a setgid program",
                self.0
            );
        }
        format!("the caller's effective gid is {}, its real gid is {}", gids.effective, gids.real)
    }

    fn pins(&self) -> Option<PinnedId> {
        Some(PinnedId::Egid(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::process::tests::somebody;
    use crate::identity::{Evidence, Gids, Identity};

    fn check(gids: [u32; 4]) -> Verdict {
        let [real, effective, saved, gid] = gids;
        let who = Identity { gid, gids: Gids { real, effective, saved }, groups: vec![5555], ..somebody() };
        Egid(5555).check(&Subject { who: &who, evidence: &Evidence::default() })
    }

    #[test]
    fn only_who_got_the_group_from_a_setgid_program_has_it() {
        assert_eq!(check([1000, 5555, 5555, 5555]), Verdict::Yes);
        for gids in [
            [5555, 5555, 5555, 5555],
            [1000, 1000, 5555, 1000],
            [1000, 5555, 1000, 5555],
            [1000, 5555, 5555, 1000],
            [1000, 1000, 1000, 1000],
        ] {
            assert_eq!(check(gids), Verdict::No, "{gids:?}");
        }
    }

    #[test]
    fn a_group_is_named_by_number_or_name() {
        let read = |text: &str| number_or_name(&toml::from_str::<toml::Table>(text).unwrap()["v"]);
        assert_eq!(read("v = 5555").unwrap(), 5555);
        assert_eq!(read("v = \"daemon\"").unwrap(), 1);
        for wrong in ["v = 0", "v = \"root\"", "v = -1", "v = true", "v = \"no such group\""] {
            assert!(read(wrong).unwrap_err().hint.is_some(), "{wrong}");
        }
    }
}
