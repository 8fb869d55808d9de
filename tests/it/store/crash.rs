//! Writers that are killed, writers that meet.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Place, bytes, fetch};

#[test]
fn kill_at_any_moment_leaves_a_whole_store() {
    let place = Place::new();
    place.ok(&["set", "a"], b"value 0");
    let started = Instant::now();
    place.ok(&["set", "a"], b"value 1");
    let mut usual = started.elapsed();
    let provider = place.provider("path = 'store.age'");
    let (mut newest, mut old, mut new) = (1, 0, 0);
    // Moments spread over the whole run of a `set`, which is longer or shorter as the machine is busy.
    for round in 0..240_u32 {
        let candidate = newest + 1;
        let mut child =
            place.command(&["set", "a"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        child.stdin.take().unwrap().write_all(format!("value {candidate}").as_bytes()).unwrap();
        let moment = usual.mul_f64(f64::from(round * 37 % 240) / 200.0);
        std::thread::sleep(moment.saturating_sub(started.elapsed()));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = String::from_utf8(bytes(&fetch(provider.as_ref(), "local:a").unwrap())).unwrap();
        if found == format!("value {candidate}") {
            (newest, new) = (candidate, new + 1);
            usual = usual.mul_f64(0.97);
        } else {
            assert_eq!(found, format!("value {newest}"), "round {round}");
            old += 1;
            usual = usual.mul_f64(1.03);
        }
    }
    assert!(old > 20 && new > 20, "the moments did not cover the write: {old} before it, {new} after it");
    place.ok(&["set", "a"], b"afterwards");
    assert_eq!(place.ok(&["show", "a"], b""), b"afterwards");
    let mut left: Vec<_> = fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["store.age", "store.age.lock", "store.key"]);
}

#[test]
fn kill_during_a_key_rotation_leaves_a_key_that_opens_the_store() {
    let place = Place::new();
    place.ok(&["set", "a"], b"x");
    let started = Instant::now();
    place.ok(&["rotate-key"], b"");
    let mut usual = started.elapsed();
    let mut keys = std::collections::HashSet::new();
    for round in 0..40_u32 {
        let mut child = place.command(&["rotate-key"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(usual.mul_f64(f64::from(round * 7 % 40) / 35.0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.ok(&["show", "a"], b""), b"x", "round {round}");
        let fresh = keys.insert(fs::read(place.path("store.key")).unwrap());
        usual = usual.mul_f64(if fresh { 0.95 } else { 1.05 });
    }
    assert!(keys.len() > 1, "no rotation got through");
    place.ok(&["rotate-key"], b"");
    let key = fs::read_to_string(place.path("store.key")).unwrap();
    assert_eq!(key.matches("AGE-SECRET-KEY-1").count(), 1);
    let recipients = String::from_utf8(place.ok(&["recipients"], b"")).unwrap();
    assert_eq!(recipients.lines().count(), 1, "{recipients}");
}

#[test]
fn many_writers_lose_nothing_and_readers_never_wait() {
    let place = Place::new();
    place.ok(&["set", "k#0"], b"0");
    let names: Vec<_> = (1..=8).map(|n| format!("k#{n}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let mut child =
                place.command(&["set", name]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"v").unwrap();
            child
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(place.list()[0]["keys"].as_array().unwrap().len(), 9);
    let lock = fs::File::options().write(true).open(place.path("store.age.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let started = Instant::now();
    assert_eq!(place.ok(&["show", "k#0"], b""), b"0");
    assert_eq!(bytes(&fetch(place.provider("path = 'store.age'").as_ref(), "l:k").unwrap()).len(), 73);
    assert!(started.elapsed() < Duration::from_secs(10));
}
