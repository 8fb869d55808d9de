//! Looking at a process that asks for nothing: for explanations.
//!
//! The kernel does not hold such a process as it holds the caller of an unanswered request. It may end, become another
//! program, or be inside execve, where it can be kept by a file system of its own and where reading its executable waits. So
//! it is looked at on threads that may be lost ([`super::inspections`]), never on one that answers others.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::caller::{Attestor, Caller, Refusal};
use super::evidence::{Evidence, Fact, Facts, Found};
use super::process::{self, Status};
use super::{Cgroup, Container, ContainerId, Identity, Tid};

/// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`: either reads what owner, group and mode close.
const READS_EVERYTHING: u64 = (1 << 1) | (1 << 2);

/// What is said of a process that has ended, or is about to.
const GONE: &str = "the process is gone";

/// What was seen of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The ids that a request of it would carry.
    pub caller: Caller,
    /// Real, effective, saved and file system uid.
    pub uids: [u32; 4],
    /// The gids, in the same order.
    pub gids: [u32; 4],
    /// Who it is, or why it would be denied whatever the rules say.
    pub who: Result<Arc<Identity>, Refusal>,
    /// Whether it has a capability that passes owner, group and mode, in its own user namespace.
    pub reads_everything: bool,
    /// Whether it sees our mounts; `None` where that cannot be told.
    pub sees_our_mounts: Option<bool>,
}

/// All processes that we see, with their places among the control groups. Never blocks: the control group is told even of a
/// process inside execve.
///
/// # Errors
/// When /proc cannot be read.
pub fn running() -> std::io::Result<Vec<(Tid, Cgroup)>> {
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.ok().and_then(|entry| entry.file_name().to_str()?.parse().ok()).map(Tid)
    };
    // One that cannot be read has ended since.
    let placed = |tid: Tid| {
        let dir = process::open_dir(tid).ok()?;
        let file = process::open_cgroup(dir.as_fd()).ok()?;
        Some((tid, process::cgroup_again(file.as_fd()).ok()?))
    };
    Ok(std::fs::read_dir("/proc")?.filter_map(number).filter_map(placed).collect())
}

/// Real, effective, saved and file system uid of a thread. Never blocks.
///
/// # Errors
/// When it is gone.
pub fn uids(tid: Tid) -> Found<[u32; 4]> {
    let status = process::open_dir(tid).and_then(|dir| process::status(dir.as_fd()));
    status.map(|status| status.uids).map_err(|_| GONE.into())
}

impl Attestor {
    /// Looks at the thread, or at a process by its first one. What was seen may be no longer so: whoever needs to know looks
    /// again and compares.
    ///
    /// # Errors
    /// Why nothing can be seen of it, as a clause.
    pub async fn inspect(self: &Arc<Self>, tid: Tid) -> Found<Inspected> {
        if tid.0 == 0 {
            return Err(Refusal::NoProcess.to_string().into());
        }
        let gone = |_| GONE;
        // Does not block, and says whose looks it counts among.
        let dir = process::open_dir(tid).map_err(gone)?;
        let status = process::status(dir.as_fd()).map_err(gone)?;
        let (attestor, uid) = (Arc::clone(self), status.uids[3]);
        let look = move || {
            let seen = attestor.look(tid, &status);
            // A caller that cannot be inspected is denied; one that is ending is not a caller.
            if process::is_ending(dir.as_fd()) { Err(GONE.into()) } else { Ok(seen) }
        };
        self.inspections.run(uid, look).await
    }

    /// Adds `facts` to `evidence` about a process that was just inspected. What cannot be had of any process at all stays
    /// out of it.
    pub async fn establish(
        self: &Arc<Self>,
        caller: Caller,
        who: &Arc<Identity>,
        facts: Facts,
        evidence: &mut Evidence,
    ) {
        let (attestor, of, mut found) = (Arc::clone(self), Arc::clone(who), evidence.clone());
        let gathered = self.inspections.run(who.uid, move || {
            let left = attestor.gather(caller, &of, facts, &mut found);
            Ok((left, found))
        });
        // Where that took too long, what is looked into says so for itself.
        let left = match gathered.await {
            Ok((left, found)) => {
                *evidence = found;
                left
            }
            Err(_) => facts,
        };
        self.look_into(caller, who, left, evidence).await;
    }

    /// What its runtime says of a container, whoever is in it.
    ///
    /// # Errors
    /// Why that cannot be told, as a clause.
    pub async fn container(&self, id: &ContainerId) -> Found<Arc<Container>> {
        self.containers.load_full().get(id).await
    }

    fn look(&self, tid: Tid, status: &Status) -> Inspected {
        let caller = Caller { tid, uid: status.uids[3], gid: status.gids[3] };
        Inspected {
            caller,
            uids: status.uids,
            gids: status.gids,
            who: self.take(caller).map(|pin| Arc::clone(&pin.identity)),
            reads_everything: status.capabilities & READS_EVERYTHING != 0,
            sees_our_mounts: sees_our_mounts(tid),
        }
    }
}

impl Facts {
    /// What costs next to nothing to find out about any process.
    pub const CHEAP: Self = Self::NONE.with(Fact::Age).with(Fact::Hardening);
}

fn sees_our_mounts(tid: Tid) -> Option<bool> {
    let namespace = |tid| process::open_dir(tid).and_then(|dir| process::mount_namespace(dir.as_fd())).ok();
    Some(namespace(tid)? == namespace(Tid(std::process::id()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_asks_for_nothing_is_seen_as_a_caller_would_be() {
        let attestor = Arc::new(Attestor::new().unwrap());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // Until it is another program.
        let seen = loop {
            let seen = attestor.inspect(Tid(child.id())).await.unwrap();
            if seen
                .who
                .as_ref()
                .is_ok_and(|who| who.exe.as_ref().is_some_and(|exe| exe.path.ends_with("sleep")))
            {
                break seen;
            }
        };
        let who = seen.who.unwrap();
        assert_eq!((who.process.pid.0, who.uid), (child.id(), rustix::process::geteuid().as_raw()));
        assert_eq!(seen.sees_our_mounts, Some(true));
        let mut evidence = Evidence::default();
        attestor.establish(seen.caller, &who, Facts::CHEAP, &mut evidence).await;
        assert!(evidence.age.is_some() && evidence.hardening.is_some());
        child.kill().unwrap();
        let dir = process::open_dir(seen.caller.tid).unwrap();
        while !process::has_ended(dir.as_fd()) {}
        assert_eq!(attestor.inspect(seen.caller.tid).await, Err(GONE.into()), "nobody has waited for it yet");
        child.wait().unwrap();
        assert_eq!(attestor.inspect(seen.caller.tid).await, Err(GONE.into()));
    }

    #[test]
    fn processes_are_listed_with_their_control_groups() {
        let own = process::open_cgroup(process::open_dir(Tid(std::process::id())).unwrap().as_fd()).unwrap();
        let me = (Tid(std::process::id()), process::cgroup_again(own.as_fd()).unwrap());
        assert!(running().unwrap().contains(&me));
    }
}
