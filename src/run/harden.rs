//! What makes a process one that may hold secrets.

use std::io;

use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Makes this process one that holds secrets: no core dumps, not to be traced by its own user, nothing swapped where that can be
/// had. To be called first by whatever is to see a value.
///
/// # Errors
/// When the kernel refuses to make it undumpable.
pub fn harden() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Everything, touched pages only, where the limit does not apply. Else values' own memory is locked as it is made
    // (`sys/arena.rs`), which warns when it cannot.
    let unlimited = rustix::process::getrlimit(Resource::Memlock).maximum.is_none();
    if rustix::process::geteuid().is_root() || unlimited {
        let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        if let Err(error) = rustix::mm::mlockall(all) {
            tracing::debug!(%error, "not all memory is locked; values' own memory is");
        }
    }
    Ok(())
}

/// Lets this process open as many files as it may. Not for one that starts other programs: some still use `select`.
pub(super) fn open_many_files() {
    let open = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: open.maximum, ..open });
}
