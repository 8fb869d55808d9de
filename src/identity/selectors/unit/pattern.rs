//! How units and groups in them are written in a rule: `a.service`, `a@*.service`, `a.service/main`, `a.service/*`.

use crate::identity::Place;
use crate::identity::selectors::SelectorError;
use crate::identity::unit_name::{self, KINDS};

/// Units of one manager, and groups in them.
pub(in super::super) struct Pattern {
    written: String,
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
    pub(in super::super) fn parse(value: &toml::Value, key: &str) -> Result<Self, SelectorError> {
        let written = value.as_str().ok_or_else(|| {
            SelectorError::new(format!("`{key}` takes the name of a unit"), "for example \"nginx.service\"")
        })?;
        if let Some(unit) = of_path(written) {
            return Err(SelectorError::new(
                format!("`{key}` takes the name of a unit, and `{written}` is the path of a control group"),
                format!("write \"{unit}\""),
            ));
        }
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

    /// As it is written.
    pub(in super::super) fn written(&self) -> &str {
        &self.written
    }

    /// Whether a place is meant.
    pub(in super::super) fn admits(&self, place: &Place<'_>) -> bool {
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

    /// As the narrowest that admits a place is written.
    pub(super) fn written_for(place: &Place<'_>) -> String {
        let Place { unit, below, .. } = place;
        match *below {
            "" | CONTROL => (*unit).to_owned(),
            group if is_group(group) => format!("{unit}/{group}"),
            _ => format!("{unit}/*"),
        }
    }

    /// Where a caller is that is in a unit of the same manager.
    pub(in super::super) fn seen(&self, place: &Place<'_>) -> String {
        let Place { unit, below, .. } = place;
        match self.groups {
            _ if below.is_empty() => format!("the caller is in {unit}"),
            Groups::Own if self.names(unit) => format!(
                "the caller is in {unit}/{below}, below the unit's own group; write `{}/*` to let in everything that the unit started",
                self.written
            ),
            _ => format!("the caller is in {unit}/{below}"),
        }
    }
}

/// How a control group is written that somebody wrote as a path: the first unit below slices, and what is below it.
fn of_path(written: &str) -> Option<String> {
    let path = written.strip_prefix("/sys/fs/cgroup").unwrap_or(written);
    let mut names =
        path.split('/').skip_while(|name| name.is_empty() || unit_name::is_slice(name)).peekable();
    // One that begins with the unit is written as it should be.
    if names.peek().is_none_or(|first| written.starts_with(first)) {
        return None;
    }
    let unit = names.next().map(unit_name::of_group).filter(|unit| unit_name::is_unit(unit))?;
    let groups: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    Some(match groups.as_slice() {
        [] => unit.to_owned(),
        [group] if is_group(group) => format!("{unit}/{group}"),
        _ => format!("{unit}/*"),
    })
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
            ("/system.slice/a.service", "write \"a.service\""),
            ("system.slice/a.service", "write \"a.service\""),
            ("/sys/fs/cgroup/system.slice/a.service", "write \"a.service\""),
            ("/system.slice/system-w.slice/w@1.service/main", "write \"w@1.service/main\""),
            ("/system.slice/a.service/x/y", "write \"a.service/*\""),
            ("/a.service/x", "write \"a.service/x\""),
            ("/user.slice", "`systemctl status`"),
        ] {
            let Err(error) = Pattern::parse(&written.into(), "unit") else {
                panic!("{written} was accepted")
            };
            assert!(error.hint.as_ref().is_some_and(|said| said.contains(hint)), "{written}: {error:?}");
        }
        assert!(Pattern::parse(&5.into(), "unit").is_err());
    }
}
