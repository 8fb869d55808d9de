//! The audit log from end to end: what `audit::Audit` writes, `hushfs audit` answers from.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use hushfs::audit::record::LAYOUT;
use hushfs::audit::{Audit, Line, Lost, Op, Outcome, Record, Verdict};
use hushfs::config::checked::{self, AuditSink, OnFailure};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

pub(crate) fn at(time: &str, pid: u32) -> Record {
    Record {
        v: LAYOUT,
        time: time.parse().unwrap(),
        request: format!("1-{pid}"),
        op: Op::Open,
        outcome: Outcome::Allowed,
        path: "web/token".to_owned(),
        scope: "web".to_owned(),
        uid: 4_000_000,
        gid: 1000,
        pid,
        exe: "/usr/bin/cat".to_owned(),
        unit: "web.service".to_owned(),
        container: String::new(),
        cgroup: String::new(),
        other_user_namespace: false,
        rule: "web.1".to_owned(),
        learned: false,
        version: "3".to_owned(),
        stale: false,
        reason: String::new(),
        errno: String::new(),
        micros: 12,
        count: 1,
    }
}

pub(crate) fn text(records: impl IntoIterator<Item = Record>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        Line::Record(record).append_to(&mut bytes);
    }
    bytes
}

/// Four records of two scopes, users, outcomes and ops.
fn example() -> Vec<u8> {
    text([
        at("2026-11-01T10:00:00Z", 1),
        Record {
            outcome: Outcome::Denied,
            uid: 0,
            reason: "no rule matches".to_owned(),
            ..at("2026-11-02T10:00:00Z", 2)
        },
        Record {
            path: "db/password".to_owned(),
            scope: "db".to_owned(),
            learned: true,
            reason: "no rule matches: the caller runs /usr/bin/cat".to_owned(),
            ..at("2026-11-03T10:00:00Z", 3)
        },
        Record {
            outcome: Outcome::Failed,
            op: Op::Read,
            unit: String::new(),
            container: "0123456789abcdef".repeat(4),
            ..at("2026-11-04T10:00:00Z", 4)
        },
    ])
}

fn hushfs(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
    command.arg("audit").args(args).env("TZ", "UTC").env_remove("HUSHFS_CONFIG").stdin(Stdio::null());
    command
}

fn run(file: &Path, args: &[&str]) -> Output {
    hushfs(&["--file", file.to_str().unwrap()]).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The pids of the records that are shown.
fn pids(output: &Output) -> Vec<u32> {
    assert!(output.status.success(), "{}", stderr(output));
    let pid = |line: &str| match Line::parse(line.as_bytes()).unwrap() {
        Line::Record(record) => Some(record.pid),
        Line::Lost(_) => None,
    };
    stdout(output).lines().filter_map(pid).collect()
}

pub(crate) fn folder_with(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

#[test]
fn what_the_daemon_records_is_what_the_operator_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let settings = checked::Audit { to: AuditSink::File(path.clone()), on_failure: OnFailure::Deny };
    let audit = Audit::start(&settings).unwrap();
    assert_eq!(audit.record(at("2026-11-01T10:00:00Z", 41)), Verdict::Recorded);
    assert_eq!(audit.shutdown(LONG), 0);
    let table = stdout(&run(&path, &[]));
    let rows: Vec<_> = table.lines().collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(rows[0].trim_start().starts_with("TIME"));
    let words: Vec<_> = rows[1].split_whitespace().collect();
    assert_eq!(
        words[..8],
        ["2026-11-01", "10:00:00", "allowed", "open", "web/token", "4000000", "41", "/usr/bin/cat"]
    );
}

#[test]
fn a_container_is_filtered_for_by_its_id_and_not_by_a_name() {
    let (_dir, path) = folder_with(&example());
    for wrong in ["web", "0123456789a", ""] {
        let output = run(&path, &["--container", wrong]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("records have no names"), "{}", stderr(&output));
    }
}

#[test]
fn each_filter_keeps_what_it_names() {
    let (_dir, path) = folder_with(&example());
    let cases: &[(&[&str], &[u32])] = &[
        (&[], &[1, 2, 3, 4]),
        (&["--path", "web/token"], &[1, 2, 4]),
        (&["--path", "/run/hushfs/db/password"], &[3]),
        (&["--scope", "db"], &[3]),
        (&["--uid", "root"], &[2]),
        (&["--uid", "4000000"], &[1, 3, 4]),
        (&["--unit", "web"], &[1, 2, 3]),
        (&["--outcome", "denied"], &[2]),
        (&["--outcome", "failed"], &[4]),
        (&["--outcome", "learned"], &[3]),
        (&["--learned"], &[3]),
        (&["--container", "0123456789ab"], &[4]),
        (&["--container", &"0123456789abcdef".repeat(4)], &[4]),
        (&["--container", "0123456789ac"], &[]),
        (&["--op", "read"], &[4]),
        (&["--since", "2026-11-03"], &[3, 4]),
        (&["--until", "2026-11-03"], &[1, 2]),
        (&["--since", "2026-11-02T10:00:00Z", "--until", "2026-11-03T10:00:00Z"], &[2]),
        (&["--limit", "2"], &[3, 4]),
        (&["--limit", "0", "--scope", "web"], &[1, 2, 4]),
    ];
    for (args, expected) in cases {
        let output = run(&path, &[*args, &["--json"]].concat());
        assert_eq!(pids(&output), *expected, "{args:?}");
    }
}

#[test]
fn what_learning_allowed_is_shown_as_learned() {
    let (_dir, path) = folder_with(&example());
    let table = stdout(&run(&path, &["--learned"]));
    let row = table.lines().nth(1).unwrap();
    assert!(row.contains("  learned  ") && row.contains("no rule matches: the caller runs"), "{table}");
}

#[test]
fn since_counts_back_from_now() {
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    let old = Record { time: now.checked_sub(hour * 24 * 8).unwrap(), ..at("2026-11-01T00:00:00Z", 1) };
    let new = Record { time: now.checked_sub(hour).unwrap(), ..at("2026-11-01T00:00:00Z", 2) };
    let (_dir, path) = folder_with(&text([old, new]));
    assert_eq!(pids(&run(&path, &["--json", "--since", "7d"])), [2]);
    assert_eq!(pids(&run(&path, &["--json", "--since", "2w"])), [1, 2]);
}

#[test]
fn a_time_that_is_none_is_an_error_with_examples() {
    let (_dir, path) = folder_with(b"");
    let output = run(&path, &["--since", "yesterday"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--since") && stderr(&output).contains("7d"), "{}", stderr(&output));
}

#[test]
fn no_match_is_a_note_and_not_a_failure() {
    let (_dir, path) = folder_with(&example());
    let output = run(&path, &["--scope", "none"]);
    assert!(output.status.success());
    assert_eq!(stdout(&output), "");
    assert_eq!(stderr(&output), "no records match\n");
}

#[test]
fn malformed_lines_are_counted_and_do_not_hide_the_rest() {
    let mut content = b"not json\n{\"v\":9,\"time\":\"2026-11-01T00:00:00Z\",\"lost\":1}\n".to_vec();
    content.extend(example());
    content.extend(b"{\"v\":1,\"ti");
    let (_dir, path) = folder_with(&content);
    let output = run(&path, &["--json"]);
    assert_eq!(pids(&output), [1, 2, 3, 4]);
    assert_eq!(stderr(&output), "3 lines are no audit records and were left out\n");
}

#[test]
fn rotated_siblings_come_first_and_compressed_ones_are_named() {
    let (dir, path) = folder_with(&text([at("2026-11-04T00:00:00Z", 4)]));
    for (name, pid) in [("audit.log.1", 3), ("audit.log.2", 2), ("audit.log.10", 1)] {
        std::fs::write(dir.path().join(name), text([at("2026-11-01T00:00:00Z", pid)])).unwrap();
    }
    std::fs::write(dir.path().join("audit.log.11.gz"), "").unwrap();
    let output = run(&path, &["--json"]);
    assert_eq!(pids(&output), [1, 2, 3, 4]);
    assert!(stderr(&output).contains("audit.log.11.gz"));
}

#[test]
fn standard_input_is_a_source() {
    let mut child =
        hushfs(&["--file", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&example()).unwrap();
    assert_eq!(pids(&child.wait_with_output().unwrap()), [1, 2, 3, 4]);
}

#[test]
fn a_line_about_losses_is_shown_whatever_is_asked_for() {
    let mut content = example();
    let time = "2026-11-05T00:00:00Z".parse().unwrap();
    Line::Lost(Lost { v: LAYOUT, time, lost: 17 }).append_to(&mut content);
    let (_dir, path) = folder_with(&content);
    let output = run(&path, &["--scope", "db"]);
    assert!(stdout(&output).contains("17 attempts are not on record"), "{}", stdout(&output));
    assert!(!stdout(&run(&path, &["--until", "2026-11-04"])).contains("17 attempts"));
}

#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    let hostile = Record { exe: "/tmp/\x1b[2J\nfake".to_owned(), ..at("2026-11-01T00:00:00Z", 1) };
    let (_dir, path) = folder_with(&text([hostile]));
    let table = stdout(&run(&path, &[]));
    assert_eq!(table.lines().count(), 2);
    assert!(!table.contains('\x1b'));
    assert!(table.contains("/tmp/\\u{1b}[2J\\nfake"), "{table}");
}

#[test]
fn a_table_says_how_many_rows_it_leaves_out() {
    let (_dir, path) = folder_with(&text((0..1100).map(|pid| at("2026-11-01T00:00:00Z", pid))));
    let output = run(&path, &[]);
    assert_eq!(stdout(&output).lines().count(), 1001);
    assert!(stderr(&output).contains("100 earlier records left out"));
    assert_eq!(stdout(&run(&path, &["--limit", "0"])).lines().count(), 1101);
}

#[test]
fn a_reader_that_stops_is_no_failure() {
    let (_dir, path) = folder_with(&text((0..5000).map(|pid| at("2026-11-01T00:00:00Z", pid))));
    let file = path.to_str().unwrap();
    let mut child =
        hushfs(&["--file", file, "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_missing_log_is_an_error() {
    let output = run(Path::new("/nonexistent/audit.log"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nonexistent/audit.log"));
}

#[test]
fn the_configuration_names_the_log() {
    let (dir, log) = folder_with(&example());
    let config = dir.path().join("hushfs.toml");
    std::fs::write(&config, "mount = \"/run/hushfs\"\n[audit]\nto = \"./audit.log\"\n").unwrap();
    for file in [&config, &log] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let output = hushfs(&["--json", "--config", config.to_str().unwrap()]).output().unwrap();
    assert_eq!(pids(&output), [1, 2, 3, 4]);
}

#[test]
fn without_a_configuration_the_log_can_still_be_named() {
    let output = hushfs(&["--config", "/nonexistent/hushfs.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("--file FILE"), "{}", stderr(&output));
}

/// A `hushfs audit --follow` whose lines arrive here.
struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Following {
    fn start(file: &Path, args: &[&str]) -> Self {
        let mut command = hushfs(&["--follow", "--file", file.to_str().unwrap()]);
        Self::from(command.args(args).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn from(mut child: Child) -> Self {
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(LONG).unwrap()
    }

    fn next_pid(&self) -> u32 {
        match Line::parse(self.next().as_bytes()).unwrap() {
            Line::Record(record) => record.pid,
            Line::Lost(_) => 0,
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn following_shows_the_last_lines_then_new_ones_and_survives_a_rotation() {
    let many = (0..15).map(|pid| at("2026-11-01T00:00:00Z", pid));
    let (dir, path) = folder_with(&text(many));
    let following = Following::start(&path, &["--json"]);
    assert_eq!((0..10).map(|_| following.next_pid()).collect::<Vec<_>>(), (5..15).collect::<Vec<_>>());

    append(&path, &text([at("2026-11-01T00:00:00Z", 100)]));
    assert_eq!(following.next_pid(), 100);

    std::fs::rename(&path, dir.path().join("audit.log.1")).unwrap();
    append(&dir.path().join("audit.log.1"), &text([at("2026-11-01T00:00:00Z", 101)]));
    append(&path, &text([at("2026-11-01T00:00:00Z", 103)]));
    assert_eq!(following.next_pid(), 101);
    // The daemon has not let go of the old file yet.
    append(&dir.path().join("audit.log.1"), &text([at("2026-11-01T00:00:00Z", 102)]));
    assert_eq!(following.next_pid(), 102);
    assert_eq!(following.next_pid(), 103);
}

#[test]
fn following_waits_for_the_rest_of_a_half_written_line() {
    let (_dir, path) = folder_with(&text([at("2026-11-01T00:00:00Z", 1)]));
    let following = Following::start(&path, &["--json"]);
    assert_eq!(following.next_pid(), 1);
    let line = text([at("2026-11-01T00:00:00Z", 2)]);
    let (first, second) = line.split_at(40);
    append(&path, first);
    assert!(following.lines.recv_timeout(Duration::from_millis(600)).is_err());
    append(&path, second);
    assert_eq!(following.next_pid(), 2);
}

#[test]
fn following_filters_and_has_a_header_over_its_rows() {
    let (_dir, path) = folder_with(&example());
    let following = Following::start(&path, &["--outcome", "denied"]);
    assert!(following.next().starts_with("TIME"));
    assert!(following.next().contains("no rule matches"));
    append(&path, &example());
    assert!(following.next().contains("no rule matches"));
}

#[test]
fn following_survives_a_file_that_is_cut_to_nothing() {
    let (_dir, path) = folder_with(&text((0..3).map(|pid| at("2026-11-01T00:00:00Z", pid))));
    let following = Following::start(&path, &["--json"]);
    for pid in 0..3 {
        assert_eq!(following.next_pid(), pid);
    }
    std::fs::write(&path, text([at("2026-11-01T00:00:00Z", 9)])).unwrap();
    assert_eq!(following.next_pid(), 9);
}

#[test]
fn a_stuck_standard_error_holds_up_nobody_and_drains_later() {
    if std::env::var_os(CHILD).is_some() {
        return child_with_a_stuck_standard_error();
    }
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit::a_stuck_standard_error_holds_up_nobody_and_drains_later", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("ALL RECORDED") {
        assert_ne!(output.read_line(&mut seen).unwrap(), 0, "the child ended: {seen}");
    }
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success());
    let pids: Vec<_> = log
        .lines()
        .map(|line| match Line::parse(line.as_bytes()).unwrap() {
            Line::Record(record) => record.pid,
            Line::Lost(lost) => panic!("lost {}", lost.lost),
        })
        .collect();
    assert_eq!(pids, (0..5000).collect::<Vec<_>>());
}

/// Set in the process that the test above starts of itself, for a standard error of its own.
const CHILD: &str = "HUSHFS_TEST_STUCK_STANDARD_ERROR";

/// The other half of the test above: 5000 records are far more than a pipe holds.
fn child_with_a_stuck_standard_error() {
    let settings = checked::Audit { to: AuditSink::Stderr, on_failure: OnFailure::Deny };
    let audit = Audit::start(&settings).unwrap();
    for pid in 0..5000 {
        assert_eq!(audit.record(at("2026-11-01T10:00:00Z", pid)), Verdict::Recorded);
    }
    println!("ALL RECORDED");
    assert_eq!(audit.shutdown(LONG), 0);
}

/// A folder with a `journalctl` that notes what it is asked, answers with these entries, and on `--follow` with one more.
fn journalctl(entries: &str, followed: &str) -> tempfile::TempDir {
    use std::os::unix::fs::OpenOptionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("entries"), entries).unwrap();
    std::fs::write(dir.path().join("followed"), followed).unwrap();
    let script = "#!/bin/sh\ncd \"${0%/*}\" || exit\necho \"$*\" >>asked\n\
                  case \"$*\" in *--follow*) cat followed; exec sleep 10;; *) cat entries;; esac\n";
    let path = dir.path().join("journalctl");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path).unwrap();
    file.write_all(script.as_bytes()).unwrap();
    dir
}

fn path_with(dir: &Path) -> std::ffi::OsString {
    let mut path = dir.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

fn entry(cursor: &str, record: Record) -> String {
    let record = String::from_utf8(text([record])).unwrap();
    let entry = serde_json::json!({ "__CURSOR": cursor, "MESSAGE": "a sentence", "HUSHFS_RECORD": record.trim_end() });
    format!("{entry}\n")
}

#[test]
fn the_journal_is_a_source_and_only_root_and_the_asker_are_believed() {
    let entries = entry("a", at("2026-11-01T10:00:00Z", 1))
        + &entry("b", Record { scope: "db".to_owned(), ..at("2026-11-02T10:00:00Z", 2) })
        + "{\"__CURSOR\":\"c\",\"MESSAGE\":\"mounted\"}\n";
    let dir = journalctl(&entries, "");
    let args = ["--journal", "--json", "--scope", "db", "--since", "2026-11-01"];
    let output = hushfs(&args).env("PATH", path_with(dir.path())).output().unwrap();
    assert_eq!(pids(&output), [2]);
    assert_eq!(stderr(&output), "");
    let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap();
    assert!(asked.contains("SYSLOG_IDENTIFIER=hushfs _UID=0"), "{asked}");
    assert!(asked.contains("--since=@1793491200"), "{asked}");
}

#[test]
fn following_the_journal_goes_on_after_the_last_entry() {
    let entries = entry("a", at("2026-11-01T10:00:00Z", 1)) + &entry("b", at("2026-11-01T10:00:00Z", 2));
    let dir = journalctl(&entries, &entry("c", at("2026-11-01T10:00:00Z", 3)));
    let child = hushfs(&["--journal", "--json", "--follow"])
        .env("PATH", path_with(dir.path()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let following = Following::from(child);
    assert_eq!([following.next_pid(), following.next_pid(), following.next_pid()], [1, 2, 3]);
    let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap();
    assert!(asked.lines().last().unwrap().contains("--follow --no-tail --after-cursor=b"), "{asked}");
}

#[test]
fn a_host_without_journalctl_is_told_of_the_file() {
    let output = hushfs(&["--journal"]).env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--file"), "{}", stderr(&output));
}
