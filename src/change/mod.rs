//! What is done when the content of a file has changed: `on_change`.
//!
//! This folder owns the actions, one file each, and when they are taken: together where several files change at once, one at
//! a time, and not too often. It does not know how a change is noticed, nor where its outcome goes on record (`run.rs`).
//!
//! ```text
//!  noticed() --> queue.rs   what waits, by action; one task for each while there is something to do
//!                  |-- signal.rs    the processes that hold an old version
//!                  |-- unit.rs      systemd reloads or restarts a unit
//!                  '-- command.rs   a program
//!                --> Done   one for each file and action
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::readers::Readers;
use crate::reference::Reference;

mod command;
mod queue;
mod signal;
#[cfg(test)]
mod tests;
mod unit;

pub use command::Command;
pub use signal::Signal;
pub use unit::{Unit, Verb};

use queue::Queues;

/// Programs that run at once. Further ones wait.
const PROGRAMS: usize = 8;

/// One thing to do when a file has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OnChange {
    /// What.
    pub action: Action,
    /// The shortest time from the beginning of one to the beginning of the next.
    pub at_most_every: Duration,
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Signals the processes that hold an old version.
    Signal(Signal),
    /// Has systemd reload or restart a unit.
    Unit(Unit),
    /// Runs a program.
    Command(Command),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(f),
            Self::Unit(unit) => unit.fmt(f),
            Self::Command(command) => command.fmt(f),
        }
    }
}

/// A file of which changes are to be noticed.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The scope that it is in.
    pub scope: String,
    /// What is done when it changes.
    pub on_change: Vec<OnChange>,
}

/// A file that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file, `scope/name`.
    pub path: String,
    /// The scope that it is in.
    pub scope: String,
    /// The whole secrets that have changed, and the version that each has now; an empty one is not known yet.
    pub secrets: BTreeMap<Reference, String>,
    /// The version that it had when the action was taken last, where that is known.
    pub old: Option<String>,
    /// The version of what changed last; empty where that is not known yet.
    pub new: String,
}

/// What was done about a change, for the record.
#[derive(Debug)]
pub struct Done {
    /// The change.
    pub change: Change,
    /// In words: what was done, or what failed.
    pub result: Result<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// What actions work with.
struct Tools {
    readers: Arc<Readers>,
    programs: Semaphore,
    /// Puts the outcome on record.
    tell: Box<dyn Fn(Done) + Send + Sync>,
}

/// Takes the actions.
pub struct Changes {
    files: Mutex<HashMap<String, Watched>>,
    queues: Arc<Queues>,
}

impl Changes {
    /// Takes actions on `runtime`, and calls `tell` with what came of each. It watches no file yet.
    pub fn new(runtime: Handle, readers: Arc<Readers>, tell: impl Fn(Done) + Send + Sync + 'static) -> Self {
        let tools = Tools { readers, programs: Semaphore::new(PROGRAMS), tell: Box::new(tell) };
        Self { files: Mutex::default(), queues: Queues::new(runtime, tools) }
    }

    /// Watches these files, by `scope/name`, from now on and no others. What is already to be done is done.
    pub fn watch(&self, files: HashMap<String, Watched>) {
        *self.files.lock() = files;
    }

    /// A file shows another version than before of these secrets; an empty one is not known yet, as where it shows other secrets. Returns at once: what is to be done about it is done later.
    pub fn noticed(&self, path: &str, secrets: &[Reference], old: Option<&str>, new: &str) {
        let Some(watched) = self.files.lock().get(path).cloned() else { return };
        let change = Change {
            path: path.to_owned(),
            scope: watched.scope,
            secrets: secrets.iter().map(|whole| (whole.clone(), new.to_owned())).collect(),
            old: old.map(str::to_owned),
            new: new.to_owned(),
        };
        for on_change in watched.on_change {
            self.queues.put(on_change, change.clone());
        }
    }
}

impl Action {
    /// Takes it for all of these at once. Bounded in time.
    async fn take(&self, changes: &[Change], tools: &Tools) -> Vec<Result<String, String>> {
        match self {
            Self::Signal(signal) => signal.send(changes, &tools.readers),
            Self::Unit(unit) => vec![unit.ask().await; changes.len()],
            Self::Command(command) => {
                let mut results = Vec::new();
                for change in changes {
                    // Never closed, so this always is a turn.
                    let _turn = tools.programs.acquire().await;
                    results.push(command.run(change).await);
                }
                results
            }
        }
    }

    /// What of a changed file tells one run from another: each file has its own program, all files of a scope have
    /// their readers signalled together, and a unit is one unit whoever asks.
    fn shared_by<'c>(&self, change: &'c Change) -> &'c str {
        match self {
            Self::Command(_) => &change.path,
            Self::Signal(_) => &change.scope,
            Self::Unit(_) => "",
        }
    }
}
