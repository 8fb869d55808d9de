//! `[fetcher]`: whom the process that talks to providers is to be.

use nix::unistd::User;

use super::merge::Merged;
use super::report::{Found, Report};
use super::users;
use crate::sandbox::Account;

/// Taken where the configuration names nobody: the first that there is.
const USUAL: [&str; 2] = ["hushfs", "nobody"];

/// What to do where there is no such user.
const OTHERWISE: &str = "leave `user` out: `hushfs` is taken where there is one, else `nobody`";

/// What the kernel shows where there is no user.
const NOBODY: Account = Account { uid: 65534, gid: 65534 };

/// The user that is written, or the usual one. `None` for whoever is not root, who can be nobody else.
pub(super) fn account(merged: &Merged<'_>, report: &mut Report) -> Option<Account> {
    let us = rustix::process::geteuid();
    let written = merged.values.get("fetcher.user");
    let account = match written {
        Some(entry) => Some(users::account(entry, OTHERWISE, report)?),
        // In a user namespace of one user, whoever is root there is nobody else outside.
        None => us.is_root().then(usual).filter(|account| can_be(*account)),
    };
    if us.is_root() {
        if let (Some(entry), Some(Account { uid: 0, .. })) = (written, account) {
            let found = Found::at(
                &entry.at,
                "the fetcher keeps the user root: where the kernel has no Landlock, it can open what root owns",
            );
            report.warn(found.hint("`useradd --system hushfs`, and leave `user` out"));
        }
        return account;
    }
    if let (Some(entry), Some(account)) = (written, account)
        && account.uid != us.as_raw()
    {
        let message =
            format!("only root can run the fetcher as another user, and this is uid {}", us.as_raw());
        report.error(Found::at(&entry.at, message).hint("leave `user` out"));
    }
    None
}

fn usual() -> Account {
    let known = USUAL.into_iter().find_map(|name| User::from_name(name).ok().flatten());
    known.map_or(NOBODY, |user| users::account_of(&user))
}

/// Whether our user namespace has such a user and group, and lets go of other groups.
fn can_be(account: Account) -> bool {
    let maps = |file: &str, id: u32| {
        std::fs::read_to_string(file).is_ok_and(|map| map.lines().any(|line| is_in(line, id.into())))
    };
    maps("/proc/self/uid_map", account.uid)
        && maps("/proc/self/gid_map", account.gid)
        && std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|setgroups| setgroups.trim() == "allow")
}

/// Whether a line of a map has this id: where it begins inside, where outside, how many there are.
fn is_in(line: &str, id: u64) -> bool {
    let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(first), Some(_), Some(count)) => (first..first.saturating_add(count)).contains(&id),
        _ => false,
    }
}
