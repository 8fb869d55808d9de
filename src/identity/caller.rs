//! From the header of a FUSE request to an [`Identity`].
//!
//! While a request is unanswered the kernel keeps its caller from ending and from becoming another program, so what is
//! read here before the reply cannot race (measured on Linux 6.18). A thread that asked before is
//! remembered with descriptors that can only ever mean that thread, and checked again for each request at a fraction of
//! the price.

use std::os::fd::AsFd;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::container::Containers;
use super::evidence::{Evidence, Fact, Facts};
use super::facts::digest::Digests;
use super::facts::hardening::hardening;
use super::facts::mappings::foreign_code;
use super::facts::tracer::{tracer, tracer_at_once};
use super::inspections::Inspections;
use super::pins::{Pin, Pins};
use super::process;
use super::{Identity, Pid, ProcessId, Runtimes, Tid, UserNamespace};
use crate::sys::pidfd;

/// Who the kernel says is asking: the ids of a FUSE request's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The calling thread; 0 for one outside our pid namespace.
    pub tid: Tid,
    /// Its file system uid.
    pub uid: u32,
    /// Its file system gid.
    pub gid: u32,
}

/// Why a caller cannot be identified. It is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header's pid is 0.
    #[error("the caller is outside of the pid namespace of hushfs")]
    NoProcess,
    /// Gone, or not to be read.
    #[error("the caller is gone or cannot be inspected")]
    Gone,
    /// A kernel thread, as behind a loop device.
    #[error("the caller is a kernel thread")]
    KernelThread,
    /// A setuid program, or access through another file system mounted by somebody else.
    #[error("the uid of the request is not the real, effective, saved and file system uid of the caller")]
    MixedUids,
    /// It becomes somebody else each time it is looked at.
    #[error("the caller changes while it is looked at")]
    Changing,
}

/// Takes identities, and remembers those taken.
pub struct Attestor {
    pins: Pins,
    user_namespace: Vec<u8>,
    pub(super) inspections: Inspections,
    pub(super) containers: ArcSwap<Containers>,
    digests: Digests,
}

impl Attestor {
    /// One for callers of our own user namespace.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn new() -> std::io::Result<Self> {
        let dir = process::open_dir(Tid(std::process::id()))?;
        Ok(Self {
            pins: Pins::new(),
            user_namespace: process::user_namespace(dir.as_fd())?,
            inspections: Inspections::default(),
            containers: ArcSwap::default(),
            digests: Digests::new(),
        })
    }

    /// Asks the container runtimes at these sockets from now on. What others said is forgotten.
    pub fn ask_runtimes_at(&self, runtimes: &Runtimes) {
        if self.containers.load().runtimes() != runtimes {
            self.containers.store(Arc::new(Containers::of(runtimes.clone())));
        }
    }

    /// Identifies the caller of a request that is not answered yet.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing can be proven.
    pub fn identify(&self, caller: Caller) -> Result<Arc<Identity>, Refusal> {
        match self.known(caller, |pin| still_holds(pin, caller) && same_groups(pin)) {
            Some(who) => Ok(who),
            None => self.identify_anew(caller),
        }
    }

    /// As [`Attestor::identify`], for rules that turn on no group: the groups of a caller that is known may be what they were.
    /// To look at them again takes longer than all the rest.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing can be proven.
    pub fn identify_but_for_groups(&self, caller: Caller) -> Result<Arc<Identity>, Refusal> {
        match self.known(caller, |pin| still_holds(pin, caller)) {
            Some(who) => Ok(who),
            None => self.identify_anew(caller),
        }
    }

    /// As [`Attestor::identify`], taking nothing for granted: groups too may have changed, which the quick look does not
    /// show for a caller that had none.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing can be proven.
    pub fn identify_anew(&self, caller: Caller) -> Result<Arc<Identity>, Refusal> {
        if caller.tid.0 == 0 {
            return Err(Refusal::NoProcess);
        }
        let pin = self.take(caller)?;
        let identity = Arc::clone(&pin.identity);
        self.pins.put(caller.tid, Arc::new(pin));
        Ok(identity)
    }

    /// What was proven of a caller that asked before, if it is the same thread with the same ids still. Whether it became
    /// another program since, has other groups or was moved to another cgroup of v1 is *not* looked at: that takes most of the
    /// time of [`Attestor::identify`]. For what gives no bytes.
    pub fn recall(&self, caller: Caller) -> Option<Arc<Identity>> {
        self.known(caller, |pin| same_ids(pin, caller))
    }

    fn known(&self, caller: Caller, holds: impl FnOnce(&Pin) -> bool) -> Option<Arc<Identity>> {
        let pin = self.pins.get(caller.tid)?;
        holds(&pin).then(|| Arc::clone(&pin.identity))
    }

    /// Lets go of what is remembered of threads that have ended. It is bounded without, but keeps descriptors of theirs until
    /// so many others have asked.
    pub fn forget_the_ended(&self) {
        self.pins.forget_the_ended();
    }

    /// Adds to `evidence` those of `facts` that can be read at once, and gives those that have to be waited for
    /// ([`Attestor::look_into`]). `who` is the caller as it was just identified.
    pub fn gather(&self, caller: Caller, who: &Identity, facts: Facts, evidence: &mut Evidence) -> Facts {
        let mut left = facts;
        if facts.contains(Fact::Age) {
            evidence.age = Some(process::age(who.process.start));
            left = left.without(Fact::Age);
        }
        if facts.contains(Fact::Hardening) {
            evidence.hardening = Some(hardening(caller.tid));
            left = left.without(Fact::Hardening);
        }
        if facts.contains(Fact::Tracer)
            && let Some(found) = tracer_at_once(caller.tid)
        {
            evidence.tracer = Some(found);
            left = left.without(Fact::Tracer);
        }
        if facts.contains(Fact::Digest)
            && let Some(digest) = self.digests.known(caller.tid)
        {
            evidence.digest = Some(Ok(digest));
            left = left.without(Fact::Digest);
        }
        self.containers.load().gather(who, left, evidence)
    }

    /// Adds the rest of `facts` to `evidence`: what may take a while, bounded in time. Every one of them is there afterwards,
    /// be it that it could not be established.
    pub async fn look_into(&self, caller: Caller, who: &Identity, facts: Facts, evidence: &mut Evidence) {
        let tid = caller.tid;
        if facts.contains(Fact::Tracer) {
            evidence.tracer = Some(self.inspections.run(who.uid, move || tracer(tid)).await);
        }
        if facts.contains(Fact::Mappings) {
            evidence.mappings = Some(self.inspections.run(who.uid, move || foreign_code(tid)).await);
        }
        if facts.contains(Fact::Digest) {
            let digests = self.digests.clone();
            evidence.digest = Some(self.inspections.run(who.uid, move || digests.take(tid)).await);
            tokio::spawn(self.digests.clone().tend());
        }
        self.containers.load_full().look_into(who, facts, evidence).await;
    }

    /// Whether the caller's process has a descriptor of an inode with this number, by `/proc/<tid>/fdinfo` (which asks no file
    /// system). Inode numbers of hushfs are hashes of 64 bits, so another file system's is not taken for one of ours.
    pub fn holds_inode(&self, caller: Caller, ino: u64) -> bool {
        process::open_dir(caller.tid).is_ok_and(|dir| process::holds_inode(dir.as_fd(), ino).unwrap_or(false))
    }

    /// Reads all that an identity is made of. Blocks while the thread is inside execve, which a caller of an unanswered
    /// request is not.
    pub(super) fn take(&self, caller: Caller) -> Result<Pin, Refusal> {
        let gone = |_: std::io::Error| Refusal::Gone;
        let dir = process::open_dir(caller.tid).map_err(gone)?;
        let pidfd = pidfd::open_thread(caller.tid.0)
            .and_then(|fd| pidfd::info(fd.as_fd()).map(|info| (fd, info)))
            .ok();
        let status = process::status(dir.as_fd()).map_err(gone)?;
        if status.uids != [caller.uid; 4] {
            return Err(Refusal::MixedUids);
        }
        let exe = match process::exe(dir.as_fd()) {
            Ok(exe) => exe,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Refusal::KernelThread),
            Err(_) => return Err(Refusal::Gone),
        };
        let user_namespace = process::user_namespace(dir.as_fd()).map_err(gone)?;
        let cgroup_file = process::open_cgroup(dir.as_fd()).map_err(gone)?;
        let cgroup = process::cgroup_again(cgroup_file.as_fd()).map_err(gone)?;
        let by_number = pidfd.is_some() && cgroup.is_told_by_number();
        let status_file = match pidfd.is_none() || !status.groups.is_empty() {
            true => Some(process::open_status(dir.as_fd()).map_err(gone)?),
            false => None,
        };
        let of_leader = match status.tgid == caller.tid.0 {
            true => None,
            false => {
                let leader = process::open_dir(Tid(status.tgid)).map_err(gone)?;
                Some(process::start_time(leader.as_fd()).map_err(gone)?)
            }
        };
        let cgroup_file = (!by_number).then_some(cgroup_file);
        // Last: all of it was read from one thread that is still there.
        let own = process::start_time(dir.as_fd()).map_err(gone)?;
        let start = of_leader.unwrap_or(own);
        let identity = Arc::new(Identity {
            process: ProcessId { pid: Pid(status.tgid), start },
            uid: caller.uid,
            gid: caller.gid,
            gids: status.gids(),
            groups: status.groups.clone(),
            exe: Some(exe),
            cgroup,
            user_namespace: match user_namespace == self.user_namespace {
                true => UserNamespace::Ours,
                false => UserNamespace::Other,
            },
        });
        Ok(Pin { dir, pidfd, status, status_file, cgroup: cgroup_file, user_namespace, identity })
    }
}

/// Whether what was proven of `pin` is still so, apart from groups: the same thread, the same ids and cgroup, the same
/// executable, the same user namespace.
fn still_holds(pin: &Pin, caller: Caller) -> bool {
    let exe = pin.identity.exe.as_ref().map(|exe| (exe.dev, exe.ino));
    same_ids(pin, caller)
        && same_cgroup(pin)
        && process::exe_id(pin.dir.as_fd()).ok() == exe
        && process::user_namespace(pin.dir.as_fd()).is_ok_and(|ns| ns == pin.user_namespace)
}

/// Whether it is the same thread with the same ids, and in the same cgroup as far as the kernel tells with them.
fn same_ids(pin: &Pin, caller: Caller) -> bool {
    let told = match &pin.pidfd {
        Some((fd, then)) => pidfd::info(fd.as_fd()).is_ok_and(|now| now == *then),
        None => same_status(pin),
    };
    told && (caller.uid, caller.gid) == (pin.identity.uid, pin.identity.gid)
}

/// Whether it is in the same cgroups, where their number does not tell.
fn same_cgroup(pin: &Pin) -> bool {
    let Some(file) = &pin.cgroup else { return true };
    process::cgroup_again(file.as_fd()).is_ok_and(|now| now == pin.identity.cgroup)
}

/// Whether a thread that has groups has the same. One that had none is not asked whether it has some now: that lets nobody in.
fn same_groups(pin: &Pin) -> bool {
    pin.status.groups.is_empty() || same_status(pin)
}

fn same_status(pin: &Pin) -> bool {
    let file = pin.status_file.as_ref();
    file.is_some_and(|file| process::status_again(file.as_fd()).is_ok_and(|now| now.same_ids(&pin.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Caller {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        Caller {
            tid: Tid(u32::try_from(tid).unwrap()),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }

    #[test]
    fn a_thread_is_identified_as_its_process_and_remembered() {
        let attestor = Attestor::new().unwrap();
        let first = attestor.identify(me()).unwrap();
        assert_eq!(first.process.pid, Pid(std::process::id()));
        assert_eq!(first.exe.as_ref().unwrap().path, std::env::current_exe().unwrap().to_str().unwrap());
        assert!(Arc::ptr_eq(&first, &attestor.identify(me()).unwrap()));
    }

    #[test]
    fn the_uid_of_the_header_must_be_all_four_of_the_thread() {
        let attestor = Attestor::new().unwrap();
        let caller = Caller { uid: me().uid + 1, ..me() };
        assert_eq!(attestor.identify(caller), Err(Refusal::MixedUids));
    }

    #[test]
    fn pid_zero_kernel_threads_and_the_gone_are_refused() {
        let attestor = Attestor::new().unwrap();
        let root = |tid| Caller { tid: Tid(tid), uid: 0, gid: 0 };
        assert_eq!(attestor.identify(root(0)), Err(Refusal::NoProcess));
        assert_eq!(
            attestor.identify(root(2)),
            Err(Refusal::KernelThread),
            "pid 2 is kthreadd; run tests as root"
        );
        assert_eq!(attestor.identify(root(u32::MAX >> 2)), Err(Refusal::Gone));
    }

    #[test]
    fn a_process_that_becomes_another_program_is_identified_anew() {
        use std::io::{BufRead, BufReader, Write};
        let mut child = std::process::Command::new("bash")
            .args(["-c", "echo ready; read; exec sleep 60"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let attestor = Attestor::new().unwrap();
        let caller = Caller { tid: Tid(child.id()), ..me() };
        let before = attestor.identify(caller).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let after = loop {
            let now = attestor.identify(caller).unwrap();
            if now.exe != before.exe {
                break now;
            }
        };
        assert_eq!((after.process, after.uid), (before.process, before.uid));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn who_has_ended_is_forgotten_and_who_has_not_is_not() {
        let attestor = Attestor::new().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        for tid in [me().tid, Tid(child.id())] {
            attestor.identify(Caller { tid, ..me() }).unwrap();
        }
        attestor.forget_the_ended();
        assert_eq!(attestor.pins.len(), 2, "both are alive");
        child.kill().unwrap();
        // Nobody waits for it yet: it is a zombie.
        while process::start_time(process::open_dir(Tid(child.id())).unwrap().as_fd()).is_ok()
            && attestor.pins.len() == 2
        {
            attestor.forget_the_ended();
        }
        assert_eq!(attestor.pins.len(), 1);
        child.wait().unwrap();
        assert!(attestor.recall(me()).is_some());
    }
}
