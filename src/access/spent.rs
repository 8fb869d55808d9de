//! How many times each process instance was let in to each file by a rule that counts.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::identity::ProcessId;
use crate::policy::{Denial, Grant};

/// Pairs of process and file that are remembered; what was counted longest ago goes first.
const PAIRS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

type Pair = (ProcessId, String);

/// The counts.
#[derive(Clone)]
pub(super) struct Spent(Arc<Mutex<LruCache<Pair, u32>>>);

/// One that is counted, until it is dropped without having been [kept](Counted::keep).
#[must_use]
pub(super) struct Counted(Option<(Spent, Pair)>);

impl Spent {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(PAIRS))))
    }

    /// How many were counted.
    pub(super) fn of(&self, process: ProcessId, path: &str) -> u32 {
        self.0.lock().peek(&(process, path.to_owned())).copied().unwrap_or_default()
    }

    /// Counts one more that `grant` allows, if it counts. Others of the process may have been quicker since that was decided: then
    /// it is not allowed after all.
    pub(super) fn count(&self, process: ProcessId, path: &str, grant: &Grant) -> Result<Counted, Denial> {
        let Some(most) = grant.most_reads() else { return Ok(Counted(None)) };
        let pair = (process, path.to_owned());
        let mut counts = self.0.lock();
        let count = counts.get_or_insert_mut(pair.clone(), u32::default);
        if *count >= most {
            let had = format!("the caller's process has had all of its {most} reads of the file");
            return Err(Denial::State(had));
        }
        *count += 1;
        Ok(Counted(Some((self.clone(), pair))))
    }
}

impl Counted {
    /// It was given.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((spent, pair)) = self.0.take() else { return };
        if let Some(count) = spent.0.lock().peek_mut(&pair) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Evidence, Pid, Subject, selector, somebody};
    use crate::policy::{Decision, Purpose, Rule, Rules, decide};

    const PROCESS: ProcessId = ProcessId { pid: Pid(7), start: 1 };

    fn grant(rule: &str) -> Grant {
        let table: toml::Table = rule.parse().unwrap();
        let parse = |(key, value): (&String, &toml::Value)| (selector(key).unwrap().parse)(value).unwrap();
        let rules = Rules::new(vec![Rule::new("s.1", table.iter().map(parse).collect())]);
        let evidence = Evidence { reads: Some(0), ..Evidence::default() };
        match decide(&rules, &Subject { who: &somebody(), evidence: &evidence }, Purpose::Read) {
            Decision::Allow(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_many_at_once_no_more_are_counted_than_may_be() {
        let (spent, grant) = (Spent::new(), grant("uid = 1000\nreads = 3"));
        let one = || spent.count(PROCESS, "a/b", &grant).map(Counted::keep).is_ok();
        let counted = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|counted| *counted).count()
        });
        assert_eq!((counted, spent.of(PROCESS, "a/b")), (3, 3));
        assert_eq!(spent.of(PROCESS, "a/c"), 0, "another file");
        assert_eq!(
            spent.of(ProcessId { start: 2, ..PROCESS }, "a/b"),
            0,
            "another process of the same number"
        );
    }

    #[test]
    fn what_was_not_given_does_not_count() {
        let (spent, grant) = (Spent::new(), grant("uid = 1000\nreads = 1"));
        let counted = spent.count(PROCESS, "a/b", &grant).unwrap();
        assert!(spent.count(PROCESS, "a/b", &grant).is_err());
        drop(counted);
        spent.count(PROCESS, "a/b", &grant).unwrap().keep();
        assert!(spent.count(PROCESS, "a/b", &grant).is_err());
    }

    #[test]
    fn a_rule_that_does_not_count_leaves_nothing_behind_and_the_table_is_bounded() {
        let spent = Spent::new();
        spent.count(PROCESS, "a/b", &grant("uid = 1000")).unwrap().keep();
        assert!(spent.0.lock().is_empty());
        let grant = grant("uid = 1000\nreads = 1");
        for start in 0..10_000 {
            spent.count(ProcessId { start, ..PROCESS }, "a/b", &grant).unwrap().keep();
        }
        assert_eq!(spent.0.lock().len(), PAIRS.get());
    }
}
