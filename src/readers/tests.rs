//! The inventory by itself, with real processes where one ends.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::identity::{By, Pid, ProcessId, somebody};

fn secret(text: &str) -> Reference {
    text.parse().unwrap()
}

fn who(pid: u32, uid: u32) -> Arc<Identity> {
    Arc::new(Identity { process: ProcessId { pid: Pid(pid), start: 7 }, uid, ..somebody() })
}

/// A table that looks at nobody, for processes that are made up.
fn table(most: usize) -> Table {
    Table::with(most, 0)
}

fn open(table: &mut Table, who: &Arc<Identity>, path: &str, whole: &str, version: &str) -> usize {
    let whole = secret(whole);
    let opening = Opening { path, parts: &[(&whole, version)] };
    let watch = Watch::of(who.process, By::StartTime);
    table.add(who, watch, &opening, Timestamp::now()).1.len()
}

/// A process that lives until it is told to end, with its identity.
struct Living(Child, Arc<Identity>);

impl Living {
    fn new() -> Self {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let start = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let start = start.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap();
        let process = ProcessId { pid: Pid(child.id()), start };
        Self(child, Arc::new(Identity { process, ..somebody() }))
    }

    fn end(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn what_a_process_opened_last_of_a_file_is_what_it_holds() {
    let readers = Readers::default();
    let (a, b) = (Living::new(), Living::new());
    let whole = secret("p:db");
    let opened = |who: &Living, version| {
        readers.opened(&who.1, &Opening { path: "s/f", parts: &[(&whole, version)] });
    };
    opened(&a, "1");
    opened(&a, "1");
    opened(&b, "1");
    let pids = |rows: Vec<Row>| rows.into_iter().map(|row| row.pid).collect::<Vec<_>>();
    assert_eq!(readers.of(&whole, "1").len(), 2);
    opened(&a, "2");
    assert_eq!(pids(readers.stale(&whole, "2")), [b.0.id()], "a has opened the new one");
    let holders = readers.holders_of_old("s/f", &[(whole.clone(), "2".to_owned())].into());
    assert_eq!(holders.iter().map(|one| one.who.process).collect::<Vec<_>>(), [b.1.process]);
    assert_eq!(readers.of(&whole, "1").len(), 2, "it read the old one all the same");
    // Back to the old version, as where a rotation is undone.
    opened(&a, "1");
    assert_eq!(readers.stale(&whole, "2").len(), 2);
    let row = readers.rows().into_iter().find(|row| row.pid == a.0.id() && row.version == "1").unwrap();
    assert_eq!((row.times, row.newest, row.path.as_str()), (3, true, "s/f"));
    assert_eq!(row.reference, "p:db");
    assert!(row.first <= row.last);
}

#[test]
fn another_secret_at_the_same_file_is_another_version_whatever_it_is_called() {
    let mut table = table(100);
    open(&mut table, &who(1, 1), "s/f", "p:old", "1");
    open(&mut table, &who(2, 1), "s/f", "p:new", "1");
    let holders = table.holders_of_old("s/f", &[(secret("p:new"), "1".to_owned())].into());
    assert_eq!(holders.iter().map(|one| one.who.process.pid).collect::<Vec<_>>(), [Pid(1)]);
    assert!(table.holders_of_old("s/g", &[(secret("p:new"), "1".to_owned())].into()).is_empty());
}

#[test]
fn who_has_ended_is_forgotten_and_the_last_to_end_is_told() {
    let readers = Readers::default();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    readers.when_gone(move |whole, version| tell.lock().push(format!("{whole} {version}")));
    let (mut a, mut b) = (Living::new(), Living::new());
    let (db, other) = (secret("p:db"), secret("p:other"));
    readers.opened(&a.1, &Opening { path: "s/f", parts: &[(&db, "1")] });
    readers.opened(&a.1, &Opening { path: "s/f", parts: &[(&db, "2")] });
    readers.opened(&b.1, &Opening { path: "t/f", parts: &[(&db, "2")] });
    readers.opened(&b.1, &Opening { path: "t/g", parts: &[(&other, "2")] });
    readers.forget_the_ended();
    assert_eq!(readers.rows().len(), 4, "both are alive");
    a.end();
    readers.forget_the_ended();
    assert_eq!(*told.lock(), ["p:db 1"], "b has read version 2 as well");
    assert!(readers.lives(&db) && !readers.lives_at(&db, "1") && readers.lives_at(&db, "2"));
    b.end();
    readers.forget_the_ended();
    let mut now = told.lock().split_off(1);
    now.sort();
    assert_eq!(now, ["p:db 2", "p:other 2"]);
    assert!(!readers.lives(&db) && readers.rows().is_empty());
    assert_eq!(readers.forgotten(), 0, "they have ended, which is no loss");
}

#[test]
fn who_fills_the_table_forgets_its_own() {
    let mut table = table(100);
    for pid in 0..10 {
        open(&mut table, &who(pid, 1), "s/f", "p:db", "1");
    }
    let pushed_out: usize =
        (0..10_000).map(|pid| open(&mut table, &who(1000 + pid, 2), "s/f", "p:db", "1")).sum();
    assert_eq!((pushed_out, table.forgotten()), (9910, 9910));
    let of_first = table.rows().filter(|(row, _)| row.uid == 1).count();
    assert_eq!((of_first, table.rows().count()), (10, 100));
    let youngest = table.rows().map(|(row, _)| row.pid).max();
    assert_eq!(youngest, Some(10_999), "the oldest go first");
}

#[test]
fn a_process_that_opens_more_files_than_are_remembered_forgets_those_that_it_opened_longest_ago() {
    let mut table = table(100);
    for file in 0..10_000 {
        open(&mut table, &who(1, 1), &format!("s/{file}"), &format!("p:{file}"), "1");
    }
    let paths: Vec<_> = table.rows().map(|(row, _)| row.path).collect();
    assert!((50..=100).contains(&paths.len()), "{}", paths.len());
    assert!(paths.contains(&"s/9999".to_owned()) && !paths.contains(&"s/0".to_owned()));
    assert_eq!(table.forgotten(), 10_000 - paths.len() as u64);
    assert!(!table.lives(&secret("p:0")) && table.lives(&secret("p:9999")));
}

#[test]
fn where_a_reader_was_forgotten_nobody_is_told_that_the_last_is_gone() {
    let mut table = table(2);
    for pid in 1..=3 {
        open(&mut table, &who(pid, 1), "s/f", "p:db", "1");
    }
    let watches = table.watches();
    assert_eq!(watches.len(), 2);
    let (ended, gone) = table.forget(watches.iter().map(|(uid, watch)| (*uid, watch)));
    assert_eq!((ended.len(), gone), (2, Vec::new()), "the first may still run");
}

#[test]
fn of_very_many_versions_the_latest_are_remembered() {
    let mut table = table(1000);
    for version in 0..1000 {
        open(&mut table, &who(1, 1), "s/f", "p:db", &version.to_string());
    }
    open(&mut table, &who(2, 1), "s/f", "p:db", "3");
    assert_eq!(table.rows().count(), 65);
    let newest: Vec<_> =
        table.rows().filter(|(row, _)| row.newest).map(|(row, _)| (row.pid, row.version)).collect();
    assert!(newest.contains(&(1, "999".to_owned())) && newest.contains(&(2, "3".to_owned())));
    assert_eq!(table.forgotten(), 0, "what it holds now is known");
    // The first read version 3 as well, which is no longer known of it.
    let second: Vec<_> =
        table.watches().into_iter().filter(|(_, watch)| watch.process().pid == Pid(2)).collect();
    let (_, gone) = table.forget(second.iter().map(|(uid, watch)| (*uid, watch)));
    assert_eq!(gone, []);
    let rest = table.watches();
    let (_, gone) = table.forget(rest.iter().map(|(uid, watch)| (*uid, watch)));
    assert_eq!(gone.len(), 64, "those that are known");
    assert!(!table.lives(&secret("p:db")));
}

#[test]
fn descriptors_are_kept_for_so_many_processes_and_given_back() {
    let mut table = Table::with(100, 1);
    assert_eq!(table.watch_by(), By::Descriptor);
    let mut living = Living::new();
    let whole = secret("p:db");
    let opening = Opening { path: "s/f", parts: &[(&whole, "1")] };
    let watch = Watch::of(living.1.process, table.watch_by());
    assert!(table.add(&living.1, watch, &opening, Timestamp::now()).1.is_empty());
    assert_eq!(table.watch_by(), By::StartTime);
    living.end();
    let watches = table.watches();
    table.forget(watches.iter().map(|(uid, watch)| (*uid, watch)));
    assert_eq!(table.watch_by(), By::Descriptor);
}
