//! Owner, group and mode: what the kernel itself enforces before any rule is asked.

use nix::unistd::{Group, User};
use toml::de::DeValue;

use super::report::{Found, Report};
use super::table::Entry;

/// Owner, group and modes of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owners {
    /// Owner.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
    /// Permission bits of files that have none of their own.
    pub(super) file_mode: u16,
}

/// What is written of it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Written {
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) mode: Option<u16>,
}

impl Owners {
    /// Fills in what is not written: `pinned` is the one uid that all rules demand, if they do.
    pub(super) fn new(written: Written, pinned: Option<u32>) -> Self {
        let owner = written.owner.or(pinned);
        let file_mode = written.mode.unwrap_or(match (owner, written.group) {
            (_, Some(_)) => 0o440,
            (Some(_), None) => 0o400,
            (None, None) => 0o444,
        });
        Self {
            uid: owner.unwrap_or_else(|| rustix::process::geteuid().as_raw()),
            gid: written.group.unwrap_or_else(|| rustix::process::getegid().as_raw()),
            file_mode,
        }
    }
}

/// The mode of a directory whose files have this one: who may read a file may enter.
pub(crate) fn dir_mode(file_mode: u16) -> u16 {
    (file_mode & 0o444) | ((file_mode & 0o444) >> 2)
}

/// The uid that `owner` names.
pub(super) fn owner(entry: &Entry<'_>, report: &mut Report) -> Option<u32> {
    id(
        entry,
        "user",
        "useradd --system",
        |name| Ok(User::from_name(name)?.map(|user| user.uid.as_raw())),
        report,
    )
}

/// The gid that `group` names.
pub(super) fn group(entry: &Entry<'_>, report: &mut Report) -> Option<u32> {
    id(
        entry,
        "group",
        "groupadd --system",
        |name| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw())),
        report,
    )
}

fn id(
    entry: &Entry<'_>,
    what: &str,
    create: &str,
    look_up: impl Fn(&str) -> nix::Result<Option<u32>>,
    report: &mut Report,
) -> Option<u32> {
    match entry.value {
        DeValue::Integer(number) => {
            let id = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|id| *id != u32::MAX);
            if id.is_none() {
                report.error(Found::at(
                    &entry.at,
                    format!("{number} is no id of a {what}: ids are 0 to 4294967294"),
                ));
            }
            id
        }
        DeValue::String(name) => match look_up(name) {
            Ok(Some(id)) => Some(id),
            Ok(None) => {
                let found = Found::at(&entry.at, format!("there is no {what} `{name}` on this host"));
                report.error(found.hint(format!("create it first (`{create} {name}`), or write its number")));
                None
            }
            Err(error) => {
                let found = Found::at(&entry.at, format!("{what} `{name}` cannot be looked up: {error}"));
                report.error(found.hint("write its number"));
                None
            }
        },
        _ => {
            report.error(entry.wrong_type("a name or a number"));
            None
        }
    }
}

/// Permission bits of files, written as `"0440"` or `0o440`.
pub(super) fn mode(entry: &Entry<'_>, report: &mut Report) -> Option<u16> {
    let octal = match entry.value {
        DeValue::String(text) => u16::from_str_radix(text, 8).ok(),
        DeValue::Integer(number) if number.radix() == 8 => u16::from_str_radix(number.as_str(), 8).ok(),
        DeValue::Integer(number) => {
            let found = Found::at(&entry.at, "a mode is octal, and this number is not");
            report.error(found.hint(format!("write `mode = \"0{number}\"` if that is what is meant")));
            return None;
        }
        _ => None,
    };
    let wrong = match octal {
        None => "`mode` takes an octal number such as \"0440\"",
        Some(mode) if mode & !0o777 != 0 => {
            "a mode has three octal digits; setuid, setgid and sticky mean nothing here"
        }
        Some(mode) if mode & 0o222 != 0 => "nobody can write to a secret: the mount is read-only",
        Some(mode) if mode & 0o111 != 0 => {
            "a secret is no program: `mode` is the files' own, and directories follow it"
        }
        Some(mode) if mode & 0o400 == 0 => "the owner must be able to read",
        Some(mode) => return Some(mode),
    };
    report.error(
        Found::at(&entry.at, wrong)
            .hint("use \"0400\" (owner), \"0440\" (and group) or \"0444\" (rules alone decide)"),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pinned_uid_becomes_the_owner() {
        let owners = Owners::new(Written::default(), Some(1000));
        assert_eq!((owners.uid, owners.file_mode), (1000, 0o400));
    }

    #[test]
    fn a_group_widens_the_mode_to_it() {
        let owners = Owners::new(Written { group: Some(7), ..Written::default() }, Some(1000));
        assert_eq!((owners.uid, owners.gid, owners.file_mode), (1000, 7, 0o440));
    }

    #[test]
    fn with_nothing_known_the_rules_alone_decide() {
        assert_eq!(Owners::new(Written::default(), None).file_mode, 0o444);
    }

    #[test]
    fn who_may_read_may_enter() {
        assert_eq!(dir_mode(0o400), 0o500);
        assert_eq!(dir_mode(0o440), 0o550);
        assert_eq!(dir_mode(0o444), 0o555);
    }
}
