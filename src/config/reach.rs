//! Whether a rule's callers get past owner, group and mode at all.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User};

use super::owners::Owners;
use super::report::{Found, Report};
use super::rules::Checked;
use super::scope_files::Drafted;
use super::table::Entry;

/// Reports a mode for a group where there is none.
pub(super) fn group_needs_name(entry: &Entry<'_>, mode: u16, report: &mut Report) {
    if mode & 0o044 == 0o040 {
        let found = Found::at(&entry.at, "this mode lets a group read, and the scope names no `group`");
        report.error(found.hint("add `group = \"…\"` to the scope, or use \"0400\" or \"0444\""));
    }
}

/// Reports rules that can never match because the kernel turns their callers away first.
pub(super) fn shut_out(
    rules: &[Checked],
    owners: &Owners,
    widest: u16,
    files: &[&Drafted<'_, '_>],
    group: Option<u32>,
    report: &mut Report,
) {
    let enters = |checked: &Checked, mode| lets_in(owners, mode, checked.uid, &checked.gids);
    for checked in rules {
        if !enters(checked, widest) {
            let message = format!(
                "this rule can never match: directory and files are for uid {} alone, and the rule asks for {}",
                owners.uid,
                demanded(checked)
            );
            let hint =
                "make that user the `owner`, or name a `group` that it is in, or set `mode = \"0444\"`";
            report.error(Found::at(&checked.at, message).hint(hint));
            continue;
        }
        let (Some(uid), Some(gid)) = (checked.uid, group) else { continue };
        if widest & 0o044 == 0o040 && uid != 0 && uid != owners.uid && !is_member(uid, gid) {
            let message = format!("uid {uid} is not in the scope's group {gid} on this host");
            let hint = "it matches only where the service is given that group (`SupplementaryGroups=`)";
            report.warn(Found::at(&checked.at, message).hint(hint));
        }
    }
    for draft in files {
        let Some(mode) = draft.mode else { continue };
        if rules.iter().any(|checked| enters(checked, widest))
            && !rules.iter().any(|c| enters(c, draft.file.mode))
        {
            let message = format!("with this mode no rule of the scope can match for `{}`", draft.file.name);
            report.error(Found::at(&mode.at, message).hint("remove it: files have the scope's mode"));
        }
    }
}

fn demanded(checked: &Checked) -> String {
    match (checked.uid, checked.gids.first()) {
        (Some(uid), _) => format!("uid {uid}"),
        (None, Some(gid)) => format!("gid {gid}"),
        (None, None) => "others".to_owned(),
    }
}

/// Whether a caller with these ids gets past owner, group and mode. Not decided by the host's database of groups: a
/// service may be given a group that its user is not in.
fn lets_in(owners: &Owners, mode: u16, uid: Option<u32>, gids: &[u32]) -> bool {
    match uid {
        _ if mode & 0o044 != 0 => true,
        // Root passes by CAP_DAC_READ_SEARCH.
        Some(uid) => uid == 0 || uid == owners.uid,
        None => gids.iter().all(|gid| is_member(owners.uid, *gid)),
    }
}

/// Whether the host's database has the user in the group.
pub(crate) fn is_member(uid: u32, gid: u32) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let listed = |name: CString| nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default();
    user.gid.as_raw() == gid
        || CString::new(user.name.clone()).is_ok_and(|name| listed(name).contains(&Gid::from_raw(gid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Owners = Owners { uid: 1000, gid: 1002, file_mode: 0o440 };

    #[test]
    fn a_foreign_uid_is_shut_out_where_only_the_owner_may_read() {
        assert!(!lets_in(&ME, 0o400, Some(1001), &[]));
        assert!(lets_in(&ME, 0o400, Some(1000), &[]));
        assert!(lets_in(&ME, 0o400, Some(0), &[]));
        assert!(lets_in(&ME, 0o440, Some(1001), &[]));
        assert!(!lets_in(&ME, 0o400, None, &[4_000_000]));
        assert!(lets_in(&ME, 0o400, None, &[]));
    }
}
