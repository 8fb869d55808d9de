//! What waits to be done: gathered for a moment, taken one at a time, and not too often.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Action, Change, Done, OnChange, Tools};

/// How long changes are gathered: a certificate and its key change one after the other.
const GATHER: Duration = Duration::from_millis(250);

/// What is done one at a time: an action, and what of the changed file's path it is about.
type Key = (Action, String);

/// All that waits. As many queues as there are actions, and each holds a changed file once.
pub(super) struct Queues {
    runtime: Handle,
    tools: Tools,
    by_key: Mutex<HashMap<Key, Queue>>,
}

/// What waits for one action, which has a task as long as this is there.
struct Queue {
    waiting: BTreeMap<String, Change>,
    at_most_every: Duration,
}

impl Queues {
    pub(super) fn new(runtime: Handle, tools: Tools) -> Arc<Self> {
        Arc::new(Self { runtime, tools, by_key: Mutex::default() })
    }

    /// Has it done, with whatever else waits for the same.
    pub(super) fn put(self: &Arc<Self>, on_change: OnChange, change: Change) {
        let OnChange { action, at_most_every } = on_change;
        let key = (action.clone(), action.shared_by(&change).to_owned());
        let mut queues = self.by_key.lock();
        if let Some(queue) = queues.get_mut(&key) {
            queue.put(change);
            queue.at_most_every = at_most_every;
            return;
        }
        let mut queue = Queue { waiting: BTreeMap::new(), at_most_every };
        queue.put(change);
        queues.insert(key.clone(), queue);
        drop(queues);
        let queues = Arc::clone(self);
        self.runtime.spawn(async move { queues.work(&key).await });
    }

    /// Takes the action until nothing waits for it, and it may be taken again.
    async fn work(&self, key: &Key) {
        loop {
            tokio::time::sleep(GATHER).await;
            let Some((waiting, at_most_every)) = self.take(key) else { return };
            let since = Instant::now();
            let results = key.0.take(&waiting, &self.tools).await;
            let took = since.elapsed();
            for (change, result) in waiting.into_iter().zip(results) {
                match &result {
                    Ok(done) => tracing::info!(path = change.path, action = %key.0, "changed: {done}"),
                    Err(why) => tracing::warn!(path = change.path, action = %key.0, "changed: {why}"),
                }
                (self.tools.tell)(Done { change, result, took });
            }
            // What comes meanwhile waits, and is one more.
            tokio::time::sleep_until(since + at_most_every.saturating_sub(GATHER)).await;
        }
    }

    /// What waits; `None`, and no longer a queue, where nothing does.
    fn take(&self, key: &Key) -> Option<(Vec<Change>, Duration)> {
        let mut queues = self.by_key.lock();
        let queue = queues.get_mut(key)?;
        if queue.waiting.is_empty() {
            queues.remove(key);
            return None;
        }
        let waiting = std::mem::take(&mut queue.waiting).into_values().collect();
        Some((waiting, queue.at_most_every))
    }
}

impl Queue {
    /// A file that changes again while it waits has changed once, from what it was to what it is.
    fn put(&mut self, change: Change) {
        match self.waiting.get_mut(&change.path) {
            Some(waiting) => {
                waiting.secrets.extend(change.secrets);
                waiting.new = change.new;
            }
            None => {
                self.waiting.insert(change.path.clone(), change);
            }
        }
    }
}
