//! What is done and when, with real programs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;

fn run(script: &str) -> OnChange {
    let path = PathBuf::from("/bin/sh");
    let args = vec!["-c".to_owned(), script.to_owned()];
    let action = Action::Command(Command { path, args, account: None, timeout: Duration::from_secs(10) });
    OnChange { action, at_most_every: Duration::from_secs(1) }
}

fn secret() -> Reference {
    "p:db".parse().unwrap()
}

/// Watches one file of a scope, and counts what is done.
fn changes(on_change: OnChange) -> (Changes, Arc<Mutex<Vec<Done>>>) {
    let done = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&done);
    let changes = Changes::new(Handle::current(), Arc::default(), move |one| tell.lock().push(one));
    let watched = Watched { scope: "s".into(), on_change: vec![on_change] };
    changes.watch(["s/a", "s/b"].map(|path| (path.to_owned(), watched.clone())).into());
    (changes, done)
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(20), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_while_it_runs_are_one_more_with_the_last_version() {
    let dir = tempfile::tempdir().unwrap();
    let (log, go) = (dir.path().join("log"), dir.path().join("go"));
    let script = format!(
        "echo \"$HUSHFS_PATH $HUSHFS_OLD_VERSION-$HUSHFS_VERSION\" >> {}; while ! [ -e {} ]; do sleep 0.01; done",
        log.display(),
        go.display()
    );
    let (changes, done) = changes(run(&script));
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    changes.noticed("s/a", &[secret()], Some("1"), "2");
    changes.noticed("s/unknown", &[secret()], Some("1"), "2");
    eventually("it runs", || lines() == 1).await;
    changes.noticed("s/a", &[secret()], Some("2"), "3");
    changes.noticed("s/a", &[secret()], Some("3"), "4");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((lines(), done.lock().len()), (1, 0), "one at a time");
    std::fs::write(&go, "").unwrap();
    eventually("both are done", || done.lock().len() == 2).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "s/a 1-2\ns/a 2-4\n");
    let done = done.lock();
    assert!(done.iter().all(|one| one.result.as_deref() == Ok("/bin/sh ran: exit code 0")), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_done_more_often_than_it_may_be() {
    let (changes, done) = changes(run("exit 0"));
    let since = Instant::now();
    let number = AtomicUsize::new(0);
    while since.elapsed() < Duration::from_millis(3200) {
        changes.noticed("s/a", &[secret()], None, &number.fetch_add(1, Ordering::Relaxed).to_string());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let times = done.lock().len();
    assert!((1..=4).contains(&times), "{times} times in three seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_says_very_much_ends_all_the_same() {
    let (changes, done) = changes(run("head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2"));
    changes.noticed("s/b", &[secret()], None, "2");
    eventually("it is done", || done.lock().len() == 1).await;
    assert_eq!(done.lock()[0].result.as_deref(), Ok("/bin/sh ran: exit code 0"));
}
