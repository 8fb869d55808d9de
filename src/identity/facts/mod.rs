//! What can be found out about a caller beyond its identity, one fact in each file.
//!
//! Nothing here may ask a file system that the caller chose, unless it runs on a thread of its own
//! ([`Inspections`](super::inspections::Inspections)).

pub(super) mod digest;
pub(super) mod hardening;
pub(super) mod mappings;
mod mounts;
pub(super) mod tracer;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use crate::identity::Tid;

    /// A copy of `sleep`. Made by another process: a descriptor that is open for writing here could be inherited by a child of
    /// another test, and keep the copy from being executed.
    pub(super) fn copy_of_sleep(dir: &Path) -> PathBuf {
        let copy = dir.join("sleep");
        assert!(Command::new("cp").arg("/bin/sleep").arg(&copy).status().unwrap().success());
        copy
    }

    /// What `act` gives for a process that runs `program`, a `sleep`.
    pub(super) fn running<T>(program: &Path, act: impl FnOnce(Tid) -> T) -> T {
        let mut child = Command::new(program).arg("60").spawn().unwrap();
        // Until it sleeps it is still being loaded.
        let waits_in = format!("/proc/{}/wchan", child.id());
        while !std::fs::read_to_string(&waits_in).unwrap().contains("nanosleep") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let outcome = act(Tid(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        outcome
    }
}
