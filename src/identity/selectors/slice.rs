//! `slice = "mcpx.slice"`.
//!
//! **Proves** that the caller runs in a unit of the system's own manager that lies in this slice or in one below it
//! (`mcpx-jobs.slice` lies in `mcpx.slice`), or in something that such a unit started. **Against** every unit, session and container outside of
//! it, also of the same uid. **Evaded** by whoever may start a unit in the slice or give one of its units something to run. A slice of the same name in a user's or a
//! container's part of the tree is another one: only slices above the first unit count. Strong.
//!
//! Name a slice of your own (`Slice=mcpx.slice` in each of its units; systemd makes it), into which nothing comes by itself. `system.slice` has
//! every service of which the unit names no slice, and `user.slice` every session: `hushfs check` warns of these.

use super::{Elsewhere, Says, Selector, SelectorError, SelectorKind, Strength, Verdict};
use crate::identity::{Subject, unit_name};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "slice",
    about: "the caller runs in a unit in this slice of systemd",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(Slice(name(value)?))),
};

struct Slice(String);

fn name(value: &toml::Value) -> Result<String, SelectorError> {
    let wrong = |hint: &str| Err(SelectorError::new("`slice` takes the name of a slice", hint));
    match value.as_str() {
        Some("-.slice") => wrong("every unit is in `-.slice`; name one below it, for example \"mcpx.slice\""),
        Some(name) if unit_name::is_slice(name) => Ok(name.to_owned()),
        Some(name) if unit_name::is_slice(&format!("{name}.slice")) && !name.contains('.') => {
            wrong(&format!("write \"{name}.slice\""))
        }
        _ => wrong("for example \"mcpx.slice\", without the slices above it"),
    }
}

impl Selector for Slice {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        let place = of.who.cgroup.place();
        Verdict::of(place.is_some_and(|place| place.slices().any(|slice| slice == self.0)))
    }

    fn describe(&self) -> String {
        format!("slice:{}", self.0)
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere::Proves
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        let Some(place) = of.who.cgroup.place() else {
            return format!("the caller is in no unit: its control group is {}", of.who.cgroup.path());
        };
        match place.slices().last() {
            Some(slice) => format!("the caller is in {} in {slice}", place.unit),
            None => format!("the caller is in {}, which is in no slice", place.unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Cgroup, Evidence, Identity, somebody};

    fn found(slice: &str, path: &str) -> (bool, String) {
        let who = Identity { cgroup: Cgroup::parse(format!("0::{path}\n")), ..somebody() };
        let (slice, evidence) = (Slice(slice.to_owned()), Evidence::default());
        let subject = Subject { who: &who, evidence: &evidence };
        (slice.check(&subject) == Verdict::Yes, slice.seen(&subject))
    }

    #[test]
    fn only_the_slices_above_the_first_unit_count() {
        for (path, inside) in [
            ("/a.slice/x.service", true),
            ("/a.slice/a-b.slice/x.service", true),
            ("/a.slice/x.service/payload", true),
            ("/a.slice/init.scope", true),
            ("/a.slice", false),
            ("/a.slice/payload", false),
            ("/a-b.slice/x.service", false),
            ("/b.slice/x.service/a.slice/y.service", false),
            ("/lent/a.slice/x.service", false),
            ("/init.scope", false),
        ] {
            assert_eq!(found("a.slice", path).0, inside, "{path}");
        }
        assert_eq!(found("a.slice", "/b.slice/b-c.slice/x.scope").1, "the caller is in x.scope in b-c.slice");
        assert_eq!(found("a.slice", "/init.scope").1, "the caller is in init.scope, which is in no slice");
        assert_eq!(found("a.slice", "/lent").1, "the caller is in no unit: its control group is /lent");
    }

    #[test]
    fn what_is_no_slice_is_refused_with_what_to_write() {
        for (written, hint) in [
            ("mcpx", "write \"mcpx.slice\""),
            ("-.slice", "every unit"),
            ("a.service", "\"mcpx.slice\""),
            ("a.slice/a-b.slice", "without the slices above"),
            ("..", "\"mcpx.slice\""),
            ("", "\"mcpx.slice\""),
        ] {
            let error = name(&written.into()).unwrap_err();
            assert!(error.hint.as_ref().is_some_and(|said| said.contains(hint)), "{written}: {error:?}");
        }
        assert_eq!(name(&"a-b.slice".into()).unwrap(), "a-b.slice");
    }
}
