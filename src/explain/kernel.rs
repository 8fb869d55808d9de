//! What the kernel checks by itself (`default_permissions`), before hushfs is asked.
//!
//! Not looked at: the directories above the mount, and what else a security module may forbid.

use super::explanation::{Kernel, Passes, Permissions};
use crate::config::checked::{File, Scope};
use crate::identity::{Inspected, UserNamespace};

/// Bits of one class.
const READ: u16 = 0o4;
const SEARCH: u16 = 0o1;

/// What owner, group and mode of a scope and its file say for a process, on a mount served by the user `served_by`.
pub(super) fn check(scope: &Scope, file: Option<&File>, seen: &Inspected, served_by: u32) -> Kernel {
    // A mount made without root is for its user alone, by all his uids.
    let mount_only_for = (served_by != 0).then_some(served_by);
    let permissions = |uid: u32, gid: u32, mode: u16, wanted: u16| Permissions {
        uid,
        gid,
        mode: format!("{mode:04o}"),
        passes_as: passes_as((uid, gid), mode, wanted, seen),
    };
    let directory = permissions(scope.uid, scope.gid, scope.dir_mode, SEARCH);
    let file = file.map(|file| permissions(file.uid, file.gid, file.mode, READ));
    let passes = mount_only_for.is_none_or(|user| seen.uids == [user; 4])
        && directory.passes_as.is_some()
        && file.as_ref().is_none_or(|file| file.passes_as.is_some());
    Kernel { passes, mount_only_for, directory, file }
}

fn passes_as((uid, gid): (u32, u32), mode: u16, wanted: u16, seen: &Inspected) -> Option<Passes> {
    let groups = seen.who.as_ref().map(|who| who.groups.as_slice()).unwrap_or_default();
    let (class, shift) = if seen.caller.uid == uid {
        (Passes::Owner, 6)
    } else if seen.caller.gid == gid || groups.contains(&gid) {
        (Passes::Group, 3)
    } else {
        (Passes::Others, 0)
    };
    if (mode >> shift) & wanted == wanted {
        return Some(class);
    }
    // A capability counts where owner and group are ids of its user namespace, which in another one they seldom are.
    let ours = seen.who.as_ref().is_ok_and(|who| who.user_namespace == UserNamespace::Ours);
    (ours && seen.reads_everything).then_some(Passes::Capability)
}
