//! The threads that asked before, each with what was proven of it. Bounded in number, and gone soon after the thread is.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::process::{self, Status};
use super::{Identity, Tid};
use crate::sys::pidfd;

/// How many threads are remembered. Each costs two descriptors, one more where it has groups and one on a host with cgroup v1, and
/// about 1 KiB.
const MOST: NonZeroUsize = NonZeroUsize::new(512).unwrap();

/// A thread that asked before.
pub(super) struct Pin {
    pub(super) dir: OwnedFd,
    /// `None` before Linux 6.13.
    pub(super) pidfd: Option<(OwnedFd, pidfd::Info)>,
    pub(super) status: Status,
    /// `/proc/<tid>/status`, where `pidfd`'s answer does not tell all of it: for a caller that has groups, and before Linux 6.13.
    pub(super) status_file: Option<OwnedFd>,
    /// `/proc/<tid>/cgroup`, where the number in `pidfd`'s answer does not stand for all of it.
    pub(super) cgroup: Option<OwnedFd>,
    pub(super) user_namespace: Vec<u8>,
    pub(super) identity: Arc<Identity>,
}

/// The remembered threads; who asked last is forgotten last.
pub(super) struct Pins(Mutex<LruCache<Tid, Arc<Pin>>>);

impl Pins {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }

    /// What is remembered under that number. It may be of a thread that has ended since.
    pub(super) fn get(&self, tid: Tid) -> Option<Arc<Pin>> {
        self.0.lock().get(&tid).map(Arc::clone)
    }

    pub(super) fn put(&self, tid: Tid, pin: Arc<Pin>) {
        let pushed_out = self.0.lock().push(tid, pin);
        // Its descriptors are closed without the lock.
        drop(pushed_out);
    }

    /// Forgets the threads that have ended.
    pub(super) fn forget_the_ended(&self) {
        let held: Vec<_> = self.0.lock().iter().map(|(tid, pin)| (*tid, Arc::clone(pin))).collect();
        let ended = ended(&held);
        let mut pins = self.0.lock();
        for (tid, pin) in ended {
            // Its number may mean another thread by now.
            if pins.peek(tid).is_some_and(|now| Arc::ptr_eq(now, pin)) {
                pins.pop(tid);
            }
        }
        // The lock first: the last to hold a pin closes its descriptors.
        drop(pins);
        drop(held);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Those that have ended: one call for all that have a pidfd, which tells of a thread that nobody has waited for as well.
fn ended(held: &[(Tid, Arc<Pin>)]) -> Vec<&(Tid, Arc<Pin>)> {
    let (asked, looked_at): (Vec<_>, Vec<_>) = held.iter().partition(|one| one.1.pidfd.is_some());
    let pidfds = asked.iter().filter_map(|one| one.1.pidfd.as_ref()).map(|(pidfd, _)| pidfd.as_fd());
    let told = pidfd::ended(pidfds).unwrap_or_else(|error| {
        // They are asked again; until then their number is bounded.
        tracing::debug!(%error, "it cannot be told which callers have ended");
        Vec::new()
    });
    let told = asked.into_iter().zip(told).filter(|(_, ended)| *ended).map(|(one, _)| one);
    told.chain(looked_at.into_iter().filter(|one| process::has_ended(one.1.dir.as_fd()))).collect()
}
