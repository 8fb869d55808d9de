//! Looking at what may not answer: a file on somebody's own file system, memory that somebody else holds.
//!
//! Each look has a thread of its own and so long to answer. One that does not answer keeps its thread until it does, so
//! callers of one uid can have only so many of them: whoever builds traps runs out of looks, and nobody else does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::evidence::Found;

/// Looks of one uid at once. Further ones wait for a place.
const OF_ONE: usize = 8;
/// Looks of all at once.
const OF_ALL: usize = 128;
/// How long one may take, the wait for a place included.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who is being looked at.
#[derive(Clone)]
pub(super) struct Inspections(Arc<Places>);

struct Places {
    all: Arc<Semaphore>,
    by_uid: Mutex<HashMap<u32, Arc<Semaphore>>>,
}

/// A look that is going on, until dropped.
struct Place {
    of_all: Option<OwnedSemaphorePermit>,
    own: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
    uid: u32,
}

impl Default for Inspections {
    fn default() -> Self {
        let (all, by_uid) = (Arc::new(Semaphore::new(OF_ALL)), Mutex::default());
        Self(Arc::new(Places { all, by_uid }))
    }
}

impl Inspections {
    /// What `look` finds about a process of `uid`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        uid: u32,
        look: impl FnOnce() -> Found<T> + Send + 'static,
    ) -> Found<T> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let Ok(place) = tokio::time::timeout_at(until, self.enter(uid)).await else {
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
        match tokio::time::timeout_at(until, found).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err("looking at it failed".into()),
            Err(_) => Err("looking at it took too long".into()),
        }
    }

    async fn enter(&self, uid: u32) -> Place {
        let own = {
            let mut by_uid = self.0.by_uid.lock();
            Arc::clone(by_uid.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
        };
        let mut place = Place { of_all: None, own: None, places: Arc::clone(&self.0), uid };
        // Neither semaphore is ever closed, so both give a place sooner or later.
        place.own = own.acquire_owned().await.ok();
        place.of_all = Arc::clone(&self.0.all).acquire_owned().await.ok();
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop((self.own.take(), self.of_all.take()));
        let mut by_uid = self.places.by_uid.lock();
        // Whoever has a place or waits for one has a reference as well.
        if by_uid.get(&self.uid).is_some_and(|own| Arc::strong_count(own) == 1) {
            by_uid.remove(&self.uid);
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
        assert_eq!(inspections.run(1, || Ok(5)).await, Ok(5));
        while !inspections.0.by_uid.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn many_of_one_uid_at_once_wait_for_each_other() {
        let inspections = Inspections::default();
        let look = |n| {
            inspections.run(1, move || {
                std::thread::sleep(Duration::from_millis(1));
                Ok(n)
            })
        };
        let all = futures_all((0..10 * OF_ONE).map(look).collect()).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
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
