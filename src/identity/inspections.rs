//! Looking at what may not answer: a file on somebody's own file system, memory that somebody else holds.
//!
//! Each look has a thread of its own and so long to answer. One that does not answer keeps its thread until it does, so
//! callers of one uid can have only so many of them: whoever builds traps runs out of looks, and nobody else does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::evidence::Found;

/// Looks of one uid at once.
const OF_ONE: usize = 8;
/// Looks of all at once.
const OF_ALL: usize = 128;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who is being looked at.
#[derive(Default, Clone)]
pub(super) struct Inspections(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    all: usize,
    by_uid: HashMap<u32, usize>,
}

/// A look that is going on, until dropped.
struct Place {
    inspections: Inspections,
    uid: u32,
}

impl Inspections {
    /// What `look` finds about a process of `uid`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        uid: u32,
        look: impl FnOnce() -> Found<T> + Send + 'static,
    ) -> Found<T> {
        let Some(place) = self.enter(uid) else {
            return Err("too many processes of its uid are being looked at".into());
        };
        let (answer, found) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("inspect".to_owned()).spawn(move || {
            let found = look();
            drop(place);
            let _ = answer.send(found);
        });
        if let Err(error) = thread {
            return Err(format!("no thread can be had to look at it: {error}").into());
        }
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err("looking at it failed".into()),
            Err(_) => Err("looking at it took too long".into()),
        }
    }

    fn enter(&self, uid: u32) -> Option<Place> {
        let mut counts = self.0.lock();
        if counts.all >= OF_ALL || counts.by_uid.get(&uid).is_some_and(|own| *own >= OF_ONE) {
            return None;
        }
        counts.all += 1;
        *counts.by_uid.entry(uid).or_default() += 1;
        Some(Place { inspections: self.clone(), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.inspections.0.lock();
        counts.all = counts.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = counts.by_uid.entry(self.uid) {
            *own.get_mut() = own.get().saturating_sub(1);
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_does_not_answer_is_given_up_and_costs_only_its_own_uid() {
        let inspections = Inspections::default();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let hang = |uid| {
            let held = Arc::clone(&held);
            inspections.run(uid, move || {
                let _ = held.lock().recv();
                Ok(())
            })
        };
        let waiting: Vec<_> = (0..OF_ONE).map(|_| hang(1)).collect();
        let given_up = futures_all(waiting).await;
        assert!(given_up.iter().all(Result::is_err));
        assert!(inspections.run(1, || Ok(())).await.is_err(), "all of its looks are still going on");
        assert_eq!(inspections.run(2, || Ok(5)).await, Ok(5));
        drop(hold);
        while inspections.0.lock().all > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(inspections.run(1, || Ok(5)).await, Ok(5));
    }

    async fn futures_all<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
        let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
        let mut done = Vec::new();
        std::future::poll_fn(|context| {
            all.retain_mut(|one| match one.as_mut().poll(context) {
                std::task::Poll::Ready(value) => {
                    done.push(value);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        done
    }
}
