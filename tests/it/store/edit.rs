//! Editing in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use super::{CANARY, Place};

fn editor(place: &Place, script: &str) -> PathBuf {
    let path = place.path("editor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn edit(place: &Place, name: &str, script: &str) -> Output {
    let path = editor(place, script);
    place.command(&["edit", name, "--allow-swap"]).env("EDITOR", path).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn edit_works_in_memory_and_leaves_nothing() {
    let place = Place::new();
    place.ok(&["set", "a#k"], CANARY.as_bytes());
    // What editors do: a new file in the old one's place, a backup beside it.
    let script = r#"stat -f -c %T "$1" > fs; stat -c %a "$1" > mode; echo "$1" > where; cp "$1" "$1~"
        sed 's/canary/changed/' "$1~" > "$1.new"; mv "$1.new" "$1""#;
    let out = edit(&place, "a", script);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap().trim().to_owned();
    assert_eq!((read("fs").as_str(), read("mode").as_str()), ("tmpfs", "600"));
    assert!(!Path::new(&read("where")).parent().unwrap().exists());
    assert_eq!(place.ok(&["show", "a#k"], b""), CANARY.replace("canary", "changed").into_bytes());
}

#[test]
fn edit_that_fails_or_changes_nothing_writes_nothing() {
    let place = Place::new();
    place.ok(&["set", "a"], b"text");
    place.ok(&["set", "n#k"], CANARY.as_bytes());
    place.ok(&["set", "bytes"], &[0xff]);
    let before = fs::read(place.path("store.age")).unwrap();
    for (name, script, told) in [
        ("a", "true", "unchanged"),
        ("a", "echo more >> $1; exit 3", "the editor failed"),
        ("a", ": > $1", "empty"),
        ("a", "rm $1", "cannot read what was edited"),
        ("n", "echo '{\"k\":[\"canary-8d1f4e\"]}' > $1", "a list"),
        ("n", "echo canary-8d1f4e > $1", "line 1: not a JSON object"),
        ("bytes", "true", "not text"),
        ("none", "true", "no secret"),
    ] {
        let out = edit(&place, name, script);
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(text.contains(told) && !text.contains(CANARY), "{name} {script}: {text}");
        assert_eq!(out.status.success(), told == "unchanged");
        assert_eq!(fs::read(place.path("store.age")).unwrap(), before, "{script}");
    }
    let meanwhile = format!(
        "echo other | {} store set a --store store.age; echo mine > $1",
        env!("CARGO_BIN_EXE_hushfs")
    );
    let out = edit(&place, "a", &meanwhile);
    assert!(String::from_utf8(out.stderr).unwrap().contains("somebody else"));
    assert_eq!(place.ok(&["show", "a"], b""), b"other\n");
}

#[test]
fn edit_that_is_stopped_removes_its_file() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    let path = editor(&place, "echo \"$1\" > where.new; mv where.new where; exec sleep 60");
    let mut child = place
        .command(&["edit", "a", "--allow-swap"])
        .env("EDITOR", path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !place.path("where").exists() {
        assert!(Instant::now() < until, "the editor did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let file = fs::read_to_string(place.path("where")).unwrap();
    assert_eq!(fs::read(file.trim()).unwrap(), CANARY.as_bytes());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!Path::new(file.trim()).parent().unwrap().exists());
    assert_eq!(place.ok(&["show", "a"], b""), CANARY.as_bytes());
}
