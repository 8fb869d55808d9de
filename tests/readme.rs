//! The README's configurations: short, and accepted by `hushfs check` as they stand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const README: &str = include_str!("../README.md");
const LONGEST: usize = 8;

/// The blocks of TOML: what all tasks begin with, and the tasks.
fn blocks() -> (&'static str, Vec<&'static str>) {
    let mut blocks: Vec<_> =
        README.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    (blocks.remove(0), blocks)
}

/// What `hushfs check` says of it. Users and programs that this machine need not have are replaced.
fn check(text: &str) -> Output {
    let dir = tempfile::Builder::new().prefix("hushfs-readme.").tempdir_in("/run").unwrap();
    let [store, key] = ["store.age", "store.key"].map(|name| dir.path().join(name));
    let made =
        hushfs().args(["store", "init", "--store"]).arg(&store).arg("--key").arg(&key).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = text
        .replace("/var/lib/hushfs/store.age", store.to_str().unwrap())
        .replace("\"/run/hushfs\"", &format!("{:?}", dir.path().join("mount")));
    let text = ["mailer", "mcp", "app"]
        .iter()
        .fold(text, |text, user| text.replace(&format!("user = \"{user}\""), "user = \"nobody\""));
    let text =
        ["/usr/bin/node", "/usr/sbin/nginx"].iter().fold(text, |text, exe| text.replace(exe, "/usr/bin/env"));
    let config = dir.path().join("hushfs.toml");
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    hushfs().args(["check", "--config"]).arg(&config).output().unwrap()
}

fn hushfs() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hushfs"))
}

#[test]
fn the_five_tasks_take_at_most_eight_lines_each() {
    let (_, tasks) = blocks();
    assert_eq!(tasks.len(), 5);
    for task in tasks {
        assert!(task.lines().count() <= LONGEST, "{task}");
    }
}

#[test]
fn check_accepts_each_task_and_all_together() {
    let (start, tasks) = blocks();
    for text in
        tasks.iter().map(|task| format!("{start}\n{task}")).chain([format!("{start}\n{}", tasks.join("\n"))])
    {
        let said = check(&text);
        assert!(said.status.success(), "{text}\n{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn check_refuses_a_task_with_a_fault() {
    let (start, tasks) = blocks();
    let said = check(&format!("{start}\n{}", tasks[0].replace("allow", "alow")));
    assert_eq!(said.status.code(), Some(78), "{}", String::from_utf8_lossy(&said.stderr));
}
