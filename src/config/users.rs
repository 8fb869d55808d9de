//! Users that something is to be run as: with their first group.

use nix::unistd::{Uid, User};
use toml::de::DeValue;

use super::report::{Found, Report};
use super::table::Entry;
use crate::sandbox::Account;

/// The user that is written, by name or number. `otherwise` is what can be done instead of creating one.
pub(super) fn account(entry: &Entry<'_>, otherwise: &str, report: &mut Report) -> Option<Account> {
    let (shown, found) = match entry.value {
        DeValue::String(name) => (name.to_string(), User::from_name(name)),
        DeValue::Integer(number) => {
            let uid = u32::from_str_radix(number.as_str(), number.radix()).ok();
            (number.to_string(), uid.map_or(Ok(None), |uid| User::from_uid(Uid::from_raw(uid))))
        }
        _ => {
            report.error(entry.wrong_type("a name or a number"));
            return None;
        }
    };
    match found {
        Ok(Some(user)) => return Some(account_of(&user)),
        Ok(None) => {
            let found = Found::at(&entry.at, format!("there is no user `{shown}` on this host"));
            report.error(found.hint(format!("create it first (`useradd --system {shown}`), or {otherwise}")));
        }
        Err(error) => {
            report.error(Found::at(&entry.at, format!("user `{shown}` cannot be looked up: {error}")));
        }
    }
    None
}

/// With its first group.
pub(super) fn account_of(user: &User) -> Account {
    Account { uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}
