//! Who read which version of which file, and still runs.
//!
//! This folder owns the inventory of readers: told of every open that was allowed (and of every read by an heir of a
//! descriptor), never of a stat. It is memory alone, bounded, and forgets a process when it ends. It decides nothing. What a
//! process hands to its children, or to others, it does not see.
//!
//! ```text
//!  access --> opened()             one short lock; nothing is allocated for what was opened before
//!  resolve <-- lives()             does anybody who read it still run?
//!  status <-- rows(), stale()      for people
//!  change <-- holders_of_old()     whom to signal
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::identity::{Identity, Watch, ended};
use crate::reference::Reference;

mod row;
mod table;

pub use row::Row;
pub use table::Opening;

use table::Table;

/// How often the table is searched for readers that have ended where it is full: whoever fills it does not make each open
/// cost a search.
const SEARCH: Duration = Duration::from_millis(100);

/// What is called with a secret and its version when the last process that read it has ended.
type Gone = dyn Fn(&Reference, &str) + Send + Sync;

/// The inventory.
#[derive(Default)]
pub struct Readers {
    table: Mutex<Table>,
    searched: Mutex<Option<Instant>>,
    gone: OnceLock<Box<Gone>>,
}

/// A process that holds a version that is no longer current.
pub struct Holder {
    /// Who it was when it opened the file last.
    pub who: Arc<Identity>,
    /// The hold on it.
    pub watch: Arc<Watch>,
}

impl Readers {
    /// Somebody was let in to a version of a file. The process must not have ended yet: its request is unanswered.
    pub fn opened(&self, who: &Arc<Identity>, opening: &Opening<'_>) {
        let now = Timestamp::now();
        let (by, is_full) = {
            let mut table = self.table.lock();
            if table.note(who, opening, now) {
                return;
            }
            (table.watch_by(), table.is_full())
        };
        if is_full && self.is_time_to_search() {
            self.forget_the_ended();
        }
        // Opened without the lock. Of two threads of one process that come at once the second finds the first's.
        let watch = Watch::of(who.process, by);
        let pushed_out = self.table.lock().add(who, watch, opening, now);
        // Descriptors are closed without the lock.
        drop(pushed_out);
    }

    /// Whether a process lives that read it, in whatever version.
    pub fn lives(&self, whole: &Reference) -> bool {
        self.table.lock().lives(whole)
    }

    /// Whether a process lives that read this version.
    pub fn lives_at(&self, whole: &Reference, version: &str) -> bool {
        self.table.lock().lives_at(whole, version)
    }

    /// All that is known: one row for each process, file and version, by file, then process, then time.
    pub fn rows(&self) -> Vec<Row> {
        self.rows_where(|_, _| true)
    }

    /// The processes that read this version.
    pub fn of(&self, whole: &Reference, version: &str) -> Vec<Row> {
        self.rows_where(|row, of| row.version == version && of == whole)
    }

    /// The processes that read another version than `current`, and not `current` since: what a process opened last counts.
    pub fn stale(&self, whole: &Reference, current: &str) -> Vec<Row> {
        self.rows_where(|row, of| row.newest && row.version != current && of == whole)
    }

    /// The processes of which the last that they opened of the file `path` has not all of these secrets in these versions; an
    /// empty version is not known, and any will do.
    pub fn holders_of_old(&self, path: &str, current: &BTreeMap<Reference, String>) -> Vec<Holder> {
        self.table.lock().holders_of_old(path, current)
    }

    /// How many readings were forgotten, of processes that may still run, because there were too many: unless it is 0, there
    /// may be readers that are not listed.
    pub fn forgotten(&self) -> u64 {
        self.table.lock().forgotten()
    }

    /// Calls `tell` whenever the last process that read a version has ended; once for each. Not where a reader had to be
    /// forgotten, which may still run. Another may read the same version at that very moment: ask [`Readers::lives_at`].
    pub fn when_gone(&self, tell: impl Fn(&Reference, &str) + Send + Sync + 'static) {
        if self.gone.set(Box::new(tell)).is_err() {
            tracing::error!("a bug in hushfs: two want to be told of the last reader's end");
        }
    }

    /// Forgets the processes that have ended. For now and then.
    pub fn forget_the_ended(&self) {
        let watches = self.table.lock().watches();
        let ended = ended(watches.iter().map(|(_, watch)| &**watch));
        let of = watches.iter().zip(ended).filter(|(_, ended)| *ended).map(|((uid, watch), _)| (*uid, watch));
        let (forgotten, gone) = self.table.lock().forget(of);
        drop(forgotten);
        for (whole, version) in gone {
            if let Some(tell) = self.gone.get() {
                tell(&whole, &version);
            }
        }
    }

    fn is_time_to_search(&self) -> bool {
        let (mut searched, now) = (self.searched.lock(), Instant::now());
        let due = searched.is_none_or(|last| now.saturating_duration_since(last) >= SEARCH);
        if due {
            *searched = Some(now);
        }
        due
    }

    fn rows_where(&self, is: impl Fn(&Row, &Reference) -> bool) -> Vec<Row> {
        let mut rows: Vec<_> = {
            let table = self.table.lock();
            table.rows().filter(|(row, whole)| is(row, whole)).map(|(row, _)| row).collect()
        };
        rows.sort_by(|a, b| (&a.path, a.pid, a.last).cmp(&(&b.path, b.pid, b.last)));
        rows
    }
}

#[cfg(test)]
mod tests;
