//! Rules that say less than they seem to: selectors whose worth depends on the host or on what stands beside them.

use nix::unistd::{Gid, Group};

use super::report::{Found, Report};
use super::table::Entry;
use crate::identity::{PinnedId, Selector};

/// A selector of a rule, with where it stands.
pub(super) type Part<'e, 's> = (&'e Entry<'s>, Box<dyn Selector>);

/// Names of members that a warning shows.
const SHOWN: usize = 3;

/// Warns of what is doubtful in a rule.
pub(super) fn warn(rule: &[Part<'_, '_>], report: &mut Report) {
    warn_of_members(rule, report);
    warn_of_root(rule, report);
}

/// A member of the group can make a setgid program of his own.
fn warn_of_members(rule: &[Part<'_, '_>], report: &mut Report) {
    for (entry, selector) in rule {
        let Some(PinnedId::Egid(gid)) = selector.pins() else { continue };
        let members = members(gid);
        if members.is_empty() {
            continue;
        }
        let mut names =
            members.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if members.len() > SHOWN {
            names += " and others";
        }
        let message =
            format!("group {gid} has members ({names}), who can make setgid programs of it themselves");
        let hint = "give the program a group that nobody is in (`groupadd --system`)";
        report.warn(Found::at(&entry.at, message).hint(hint));
    }
}

/// Who is in a group by the host's database: names, for people. Users whose first group it is are looked for in
/// /etc/passwd alone.
fn members(gid: u32) -> Vec<String> {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    let mut members = group.map(|group| group.mem).unwrap_or_default();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    members.extend(passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, first) = (fields.next()?, fields.nth(2)?);
        (first.parse() == Ok(gid)).then(|| name.to_owned())
    }));
    members.retain(|name| !name.is_empty());
    members
}

/// Of root's processes the kernel shows no difference.
fn warn_of_root(rule: &[Part<'_, '_>], report: &mut Report) {
    let is_roots = rule.iter().any(|(_, selector)| selector.pins() == Some(PinnedId::Uid(0)));
    let Some((entry, _)) = rule.iter().find(|(entry, _)| is_roots && entry.key == "not_dumpable") else {
        return;
    };
    let message = "this rule never matches: for uid 0 it cannot be told whether a process is dumpable";
    report.warn(Found::at(&entry.at, message).hint("leave it out, or run the program as a user of its own"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_both_tables() {
        assert!(members(1).contains(&"daemon".to_owned()), "its first group");
        assert!(members(4_000_000).is_empty());
    }
}
