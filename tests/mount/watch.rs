//! `hushfs watch`: a line for each version, for whoever may read the file.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::control::as_other;
use crate::explain::text;
use crate::status::{Asked, host};
use crate::support::{HUSHFS, Host, as_user, ends_within, signal};

/// Kept fresh only where somebody wants it: nobody reads for long.
const SCOPES: &str = "[cache]\nfresh_for = \"1s\"\nidle_after = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\n\
    file.asked = \"asked:one\"\n[scope.mine]\nallow = { uid = 1000 }\nowner = 1000\nfile.asked = \"asked:one\"\nfile.two = \"asked:two\"\n";

/// A watch that goes on.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(mut command: Command, host: &Host, args: &[&str]) -> Self {
        command.arg("watch").args(args).env("HUSHFS_CONTROL", host.path("m.sock")).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn of_root(host: &Host, args: &[&str]) -> Self {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "40", HUSHFS]);
        Self::start(command, host, args)
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("it ended").unwrap()
    }

    /// Waits for it to end by itself, after its last lines; gives its exit code and what it complained.
    fn end(mut self) -> (Option<i32>, String) {
        while let Some(Ok(_)) = self.lines.next() {}
        let (_, status) = ends_within(&mut self.child, Duration::from_secs(15)).expect("it does not end");
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::TERM);
        let _ = ends_within(&mut self.child, Duration::from_secs(5));
    }
}

#[test]
fn a_rotation_is_told_and_what_is_watched_is_kept_fresh() {
    let mut host = host(SCOPES);
    fs::read(host.file("a/asked")).unwrap();
    let mut lines = Watch::of_root(&host, &["a/asked"]);
    let mut objects = Watch::of_root(&host, &[host.file("a/asked").to_str().unwrap(), "--json"]);
    let first = lines.next();
    let (time, version) = first.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok() && version == "1", "{first}");
    let object: Value = serde_json::from_str(&objects.next()).unwrap();
    assert_eq!((&object["path"], &object["version"]), (&"a/asked".into(), &"1".into()), "{object}");
    // Nobody reads it.
    for version in ["2", "3"] {
        Asked::is_at(&host, version);
        assert!(lines.next().ends_with(&format!(" {version}")));
        assert_eq!(serde_json::from_str::<Value>(&objects.next()).unwrap()["version"], version);
    }
    drop(objects);
    let (_, code) = host.stop();
    assert_eq!(code, Some(0), "{}", host.log());
    let (code, said) = lines.end();
    assert_eq!(code, Some(1));
    assert!(said.contains("hushfs ended"), "{said}");
    let watched = host.audit().into_iter().filter(|record| record["reason"] == "watch");
    assert_eq!(watched.map(|record| record["path"].clone()).collect::<Vec<_>>(), ["a/asked", "a/asked"]);
}

#[test]
fn nothing_is_fetched_for_a_watch_of_what_is_not_known() {
    let host = host(SCOPES);
    let mut watch = Watch::of_root(&host, &["mine/two"]);
    host.eventually("it is watched", || host.audit().iter().any(|record| record["reason"] == "watch"));
    let status = host.run_ok(&["status", "--json"], b"");
    assert_eq!(crate::control::json(&status)["secrets"], Value::Array(Vec::new()));
    // Its first version is one as well, whoever has it fetched.
    host.run_ok(&["refresh", "mine/two"], b"");
    assert!(watch.next().ends_with(" 1"));
    Asked::is_at(&host, "2");
    assert!(watch.next().ends_with(" 2"), "it is kept fresh from then on");
}

#[test]
fn others_watch_what_they_may_open_and_no_longer_than_they_may() {
    let host = host(SCOPES);
    host.run_ok(&["refresh", "mine"], b"");
    for (uid, path) in [(1000, "a/asked"), (1001, "mine/asked"), (1000, "mine/nothing")] {
        let refused = as_other(uid, &host, &["watch", path]);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(
            text(&refused).contains("you may not open") || text(&refused).contains("no file"),
            "{}",
            text(&refused)
        );
    }
    let mut watch = Watch::start(as_user(1000, HUSHFS), &host, &["mine/asked"]);
    assert!(watch.next().ends_with(" 1"));
    let scopes = SCOPES.replace("{ uid = 1000 }", "{ uid = 1000, exe = \"/usr/bin/cat\" }");
    host.configure("", &format!("{scopes}{}", Asked::toml(&host)));
    assert!(host.reload().status.success(), "{}", host.log());
    Asked::is_at(&host, "2");
    host.run(&["refresh", "mine/asked"], b"");
    let (code, said) = watch.end();
    assert_eq!(code, Some(1));
    assert!(said.contains("you may not open"), "{said}");
    assert!(!host.audit().iter().any(|record| record["reason"] == "watch"), "no operator's verb");
}

#[test]
fn a_file_that_shows_another_secret_by_now_is_watched_no_longer() {
    let host = host(SCOPES);
    host.run_ok(&["refresh", "mine"], b"");
    let (mut other, mut gone, mut same) = (
        Watch::of_root(&host, &["mine/asked"]),
        Watch::of_root(&host, &["mine/two"]),
        Watch::of_root(&host, &["a/asked"]),
    );
    for watch in [&mut other, &mut gone, &mut same] {
        assert!(watch.next().ends_with(" 1"));
    }
    let scopes = SCOPES.replace("file.two = \"asked:two\"\n", "").replacen(
        "owner = 1000\nfile.asked = \"asked:one\"",
        "owner = 1000\nfile.asked = \"asked:three\"",
        1,
    );
    host.configure("", &format!("{scopes}{}", Asked::toml(&host)));
    assert!(host.reload().status.success(), "{}", host.log());
    let (code, said) = other.end();
    assert!(code == Some(1) && said.contains("shows another secret"), "{said}");
    let (code, said) = gone.end();
    assert!(code == Some(1) && said.contains("scope `mine` has no file `two`"), "{said}");
    Asked::is_at(&host, "2");
    assert!(same.next().ends_with(" 2"), "what did not change goes on");
}

#[test]
fn who_goes_away_leaves_room_for_others() {
    let host = host(SCOPES);
    host.run_ok(&["refresh", "mine/asked"], b"");
    let watch = || Watch::start(as_user(1000, HUSHFS), &host, &["mine/asked"]);
    let mut held: Vec<_> = (0..4).map(|_| watch()).collect();
    held.iter_mut().for_each(|watch| assert!(watch.next().ends_with(" 1")));
    let (code, said) = watch().end();
    assert_eq!(code, Some(1));
    assert!(said.contains("too many are asking at once"), "{said}");
    // They take nothing from what is answered at once.
    assert_eq!(as_other(1000, &host, &["whoami"]).status.code(), Some(0));
    drop(held.pop());
    host.eventually("there is room again", || {
        let mut watch = watch();
        watch.lines.next().is_some_and(|line| line.unwrap().ends_with(" 1"))
    });
}
