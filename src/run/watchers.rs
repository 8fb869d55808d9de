//! Who waits for the versions of what.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::reference::Reference;
use crate::resolve::Arrival;

/// Versions that one may have waiting. Whoever takes them so slowly is given up.
const WAITING: usize = 64;

/// Those who watch, by the whole secret. The control socket bounds how many there are.
#[derive(Default)]
pub(super) struct Watchers(Mutex<HashMap<Reference, Vec<mpsc::Sender<String>>>>);

impl Watchers {
    /// The versions that arrive of these secrets from now on.
    pub(super) fn watch(&self, secrets: &[Reference]) -> mpsc::Receiver<String> {
        let (tells, told) = mpsc::channel(WAITING);
        for whole in secrets {
            self.0.lock().entry(whole.clone()).or_default().push(tells.clone());
        }
        told
    }

    /// Whether anybody watches it.
    pub(super) fn any(&self, whole: &Reference) -> bool {
        let of = self.0.lock();
        of.get(whole).is_some_and(|watchers| watchers.iter().any(|watcher| !watcher.is_closed()))
    }

    /// Tells of what arrived.
    pub(super) fn tell(&self, arrival: &Arrival) {
        let Ok(version) = &arrival.result else { return };
        if let Some(watchers) = self.0.lock().get_mut(&arrival.reference) {
            watchers.retain(|watcher| watcher.try_send(version.clone()).is_ok());
        }
    }

    /// Lets go of those who went away.
    pub(super) fn forget_the_gone(&self) {
        self.0.lock().retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::policy::Purpose;

    fn arrival(reference: &Reference, version: &str) -> Arrival {
        Arrival {
            reference: reference.clone(),
            purpose: Purpose::Refresh,
            before: None,
            result: Ok(version.to_owned()),
            is_news: true,
            took: None,
        }
    }

    #[tokio::test]
    async fn each_is_told_of_its_own_and_who_is_gone_or_slow_holds_up_nobody() {
        let (watchers, a, b): (Watchers, Reference, Reference) =
            (Watchers::default(), "p:a".parse().unwrap(), "p:b".parse().unwrap());
        let (mut told, slow, gone) =
            (watchers.watch(from_ref(&a)), watchers.watch(from_ref(&a)), watchers.watch(from_ref(&b)));
        drop(gone);
        assert!(watchers.any(&a) && !watchers.any(&b));
        watchers.forget_the_gone();
        assert_eq!(watchers.0.lock().len(), 1);
        for version in 0..=WAITING {
            watchers.tell(&arrival(&a, &version.to_string()));
            watchers.tell(&arrival(&b, "other"));
            assert_eq!(told.recv().await, Some(version.to_string()));
        }
        assert!(slow.is_closed() || slow.len() == WAITING);
        drop(told);
        assert!(!watchers.any(&a), "who is slow was given up");
    }
}
