//! `hushfs status --readers` and `--stale`: who read which version, and still runs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::control::{as_other, json};
use crate::support::{Host, as_user, says};

/// A shell that reads the file once for each line that it is told, and says what it read.
struct Shell(Child);

impl Shell {
    fn of(uid: u32, host: &Host) -> Self {
        let script = "while read -r how; do
            case $how in
                read) read -r value < $0 ;;
                hold) exec 9< $0; read -r value <&9 ;;
            esac
            echo $value
        done";
        let mut shell = as_user(uid, "/bin/bash");
        shell.args(["-c", script]).arg(host.file("a/token")).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(shell.spawn().unwrap())
    }

    fn does(&mut self, how: &str) -> String {
        writeln!(self.0.stdin.as_mut().unwrap(), "{how}").unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Processes with how they are told of, by process.
fn listed(host: &Host, which: &str) -> Vec<(u32, Value)> {
    let report = json(&host.run(&["status", which, "--json"], b""));
    assert_eq!(report["forgotten"], 0);
    let rows = report["readers"].as_array().unwrap().clone();
    let mut rows: Vec<_> =
        rows.into_iter().map(|row| (u32::try_from(row["pid"].as_u64().unwrap()).unwrap(), row)).collect();
    rows.sort_by_key(|(pid, _)| *pid);
    rows
}

/// What `--stale` says to people.
fn page(host: &Host) -> String {
    String::from_utf8(host.run_ok(&["status", "--stale"], b"").stdout).unwrap()
}

#[test]
fn after_a_rotation_it_is_told_who_holds_the_version_before_until_nobody_does() {
    let host = Host::mounted(
        &[("t", b"one")],
        "[scope.a]\nallow = [{ uid = 1000 }, { uid = 1001 }]\nmode = \"0444\"\nfile.token = \"local:t\"",
    );
    let (mut reads, mut holds) = (Shell::of(1000, &host), Shell::of(1001, &host));
    assert_eq!((reads.does("read").as_str(), holds.does("hold").as_str()), ("one", "one"));
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("a/token"))), "one", "and is gone");
    host.eventually("those two are listed", || listed(&host, "--readers").len() == 2);
    let readers = listed(&host, "--readers");
    let of = |uid: u32| readers.iter().find(|(_, row)| row["uid"] == uid).unwrap().1.clone();
    let row = of(1000);
    assert_eq!((row["uid"].as_u64(), row["path"].as_str()), (Some(1000), Some("a/token")));
    assert!(row["exe"].as_str().unwrap().ends_with("/bash"), "{row}");
    assert_eq!((&row["open"], &row["stale"]), (&false.into(), &false.into()));
    assert_eq!(of(1001)["open"], true);
    let none = page(&host);
    assert_eq!(none.trim(), "no process that runs holds an old version");

    host.set("t", b"two");
    host.eventually("both hold the old one", || listed(&host, "--stale").len() == 2);
    let table = page(&host);
    assert!(table.contains("old, open") && table.contains("a/token"), "{table}");
    assert_eq!(reads.does("read"), "two");
    host.eventually("one has the new one", || listed(&host, "--stale").len() == 1);
    // It has read the new one since, but the old one is open still.
    assert_eq!(holds.does("read"), "two");
    let stale = listed(&host, "--stale");
    assert_eq!((stale.len(), &stale[0].1["uid"], &stale[0].1["open"]), (1, &1001.into(), &true.into()));
    drop(holds);
    host.eventually("nobody does", || listed(&host, "--stale").is_empty());
    assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 3);
}

#[test]
fn only_operators_are_told_who_reads() {
    let host = Host::mounted(&[("t", b"one")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let said = as_other(1000, &host, &["status", "--readers"]);
    assert!(!said.status.success());
    assert!(String::from_utf8(said.stderr).unwrap().contains("only root"));
}
