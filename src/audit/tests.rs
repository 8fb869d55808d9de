//! The log as a whole: ring, writer and sinks together.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use parking_lot::Mutex;

use super::record::LAYOUT;
use super::*;
use crate::config::checked::AuditSink;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

pub(super) fn allowed(pid: u32) -> Record {
    Record {
        v: LAYOUT,
        time: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        request: format!("1-{pid}"),
        op: Op::Open,
        outcome: Outcome::Allowed,
        path: "web/token".to_owned(),
        scope: "web".to_owned(),
        uid: 1000,
        gid: 1000,
        pid,
        exe: "/usr/bin/cat".to_owned(),
        unit: String::new(),
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

pub(super) fn denied(pid: u32) -> Record {
    let reason = "no rule matches".to_owned();
    Record {
        outcome: Outcome::Denied,
        rule: String::new(),
        reason,
        errno: "EACCES".to_owned(),
        ..allowed(pid)
    }
}

fn to_file(path: &Path) -> Audit {
    let to = AuditSink::File(path.to_owned());
    Audit::start(&checked::Audit { to, on_failure: OnFailure::Deny }).unwrap()
}

fn lines(text: &str) -> Vec<Line> {
    text.lines().map(|line| Line::parse(line.as_bytes()).unwrap()).collect()
}

fn pids(text: &str) -> Vec<u32> {
    let pid = |line| match line {
        Line::Record(record) => Some(record.pid),
        Line::Lost(_) => None,
    };
    lines(text).into_iter().filter_map(pid).collect()
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < LONG, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A pipe that nobody reads yet, as a log.
fn stuck(on_failure: OnFailure, capacity: usize) -> (Audit, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let sink = sink::Stream::new(OwnedFd::from(writer));
    (Audit::with(Box::new(sink), on_failure, capacity).unwrap(), reader)
}

/// A sink that fails for as long as it is told to.
struct Broken {
    fails: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<Line>>>,
    waiting: Vec<Line>,
}

impl Sink for Broken {
    fn add(&mut self, line: Line) {
        self.waiting.push(line);
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.lines.lock().append(&mut self.waiting);
        Ok(())
    }
}

fn broken(on_failure: OnFailure, capacity: usize) -> (Audit, Arc<AtomicBool>, Arc<Mutex<Vec<Line>>>) {
    let fails = Arc::new(AtomicBool::new(true));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Broken { fails: Arc::clone(&fails), lines: Arc::clone(&lines), waiting: Vec::new() };
    (Audit::with(Box::new(sink), on_failure, capacity).unwrap(), fails, lines)
}

fn lost(lines: &[Line]) -> u64 {
    lines.iter().map(|line| if let Line::Lost(lost) = line { lost.lost } else { 0 }).sum()
}

#[test]
fn a_scope_is_named_with_its_workloads() {
    let is = |asked: &str, scope: &str| Record { scope: scope.to_owned(), ..denied(1) }.is_of_scope(asked);
    assert!(is("db", "db") && is("db", "db/web") && is("db/web", "db/web"));
    assert!(!is("db", "dbs") && !is("db/web", "db") && !is("web", "db/web") && !is("db/w", "db/web"));
}

#[test]
fn records_survive_in_order_and_the_file_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = to_file(&path);
    for pid in 0..5000 {
        assert_eq!(audit.record(allowed(pid)), Verdict::Recorded);
    }
    assert_eq!(audit.shutdown(LONG), 0);
    assert_eq!(pids(&std::fs::read_to_string(&path).unwrap()), (0..5000).collect::<Vec<_>>());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(audit.counts(), Counts { written: 5000, ..Counts::default() });
    assert_eq!(audit.record(allowed(1)), Verdict::Lost);
    assert_eq!(audit.ready(), Err(AuditFull));
}

#[test]
fn a_record_is_written_soon_without_a_shutdown_also_after_a_long_silence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = to_file(&path);
    for pid in 0..3 {
        assert_eq!(audit.record(allowed(pid)), Verdict::Recorded);
        wait_for(|| audit.counts().waiting == 0);
        // Longer than the writer naps before it sleeps.
        std::thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(pids(&std::fs::read_to_string(&path).unwrap()), [0, 1, 2]);
}

#[test]
fn a_dropped_log_writes_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = to_file(&path);
    assert_eq!(audit.clone().record(allowed(7)), Verdict::Recorded);
    drop(audit);
    wait_for(|| pids(&std::fs::read_to_string(&path).unwrap()) == [7]);
}

#[test]
fn after_a_rename_and_a_reopen_records_go_to_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let audit = to_file(&path);
    assert_eq!(audit.record(allowed(1)), Verdict::Recorded);
    wait_for(|| audit.counts().waiting == 0);
    std::fs::rename(&path, &old).unwrap();
    audit.reopen();
    wait_for(|| path.exists());
    assert_eq!(audit.record(allowed(2)), Verdict::Recorded);
    assert_eq!(audit.shutdown(LONG), 0);
    assert_eq!(pids(&std::fs::read_to_string(&old).unwrap()), [1]);
    assert_eq!(pids(&std::fs::read_to_string(&path).unwrap()), [2]);
}

#[test]
fn a_reopen_that_finds_an_unfit_file_keeps_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let audit = to_file(&path);
    std::fs::rename(&path, &old).unwrap();
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    audit.reopen();
    assert_eq!(audit.record(allowed(1)), Verdict::Recorded);
    assert_eq!(audit.shutdown(LONG), 0);
    assert_eq!(pids(&std::fs::read_to_string(&old).unwrap()), [1]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn a_stuck_sink_blocks_nobody_and_with_deny_the_attempt_is_turned_down() {
    let (audit, reader) = stuck(OnFailure::Deny, 100);
    let start = Instant::now();
    let mut recorded = Vec::new();
    let mut turned_down = 0_u64;
    for pid in 0..20_000 {
        match audit.record(allowed(pid)) {
            Verdict::Recorded => recorded.push(pid),
            Verdict::Lost => turned_down += 1,
            Verdict::Waived => panic!("on_failure is deny"),
        }
    }
    assert!(start.elapsed() < LONG / 4, "record() waited for the sink");
    assert!(turned_down > 0);
    assert_eq!(audit.counts().lost, turned_down);
    assert!(audit.shutdown(Duration::from_millis(50)) > 0);

    let text = Mutex::new(String::new());
    std::thread::scope(|scope| {
        scope.spawn(|| BufReader::new(reader).read_to_string(&mut text.lock()).unwrap());
        drop(audit);
    });
    let text = text.into_inner();
    assert_eq!(pids(&text), recorded);
    assert_eq!(lost(&lines(&text)), turned_down);
}

#[test]
fn a_stuck_sink_with_serve_waives_the_record_and_a_line_tells_how_many() {
    let (audit, reader) = stuck(OnFailure::Serve, 100);
    let waived = (0..20_000).filter(|pid| audit.record(allowed(*pid)) == Verdict::Waived).count();
    assert!(waived > 0);
    assert_eq!(audit.ready(), Ok(()));
    let mut told = 0;
    for line in BufReader::new(reader).lines() {
        if let Line::Lost(lost) = Line::parse(line.unwrap().as_bytes()).unwrap() {
            told += lost.lost;
            if told == waived as u64 {
                break;
            }
        }
    }
    assert_eq!(told, audit.counts().lost);
}

#[test]
fn a_failed_sink_with_deny_turns_down_what_would_be_served_and_keeps_denials() {
    let (audit, fails, lines) = broken(OnFailure::Deny, 100);
    assert_eq!(audit.record(denied(1)), Verdict::Recorded);
    wait_for(|| audit.ready() == Err(AuditFull));
    assert_eq!(audit.record(allowed(2)), Verdict::Lost);
    assert_eq!(audit.record(Record { uid: 5, ..denied(3) }), Verdict::Recorded);
    fails.store(false, Ordering::Relaxed);
    wait_for(|| audit.ready().is_ok());
    assert_eq!(audit.record(allowed(4)), Verdict::Recorded);
    assert_eq!(audit.shutdown(LONG), 0);
    let lines = lines.lock();
    assert_eq!(lost(&lines), 1);
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_failed_sink_with_serve_keeps_records_while_there_is_room() {
    let (audit, fails, lines) = broken(OnFailure::Serve, 10);
    assert_eq!(audit.record(allowed(0)), Verdict::Recorded);
    wait_for(|| audit.0.0.failed.load(Ordering::Relaxed));
    let verdicts: Vec<_> = (1..=15).map(|pid| audit.record(allowed(pid))).collect();
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Waived).count(), 5);
    fails.store(false, Ordering::Relaxed);
    assert_eq!(audit.shutdown(LONG), 0);
    assert_eq!(lost(&lines.lock()), 5);
    assert_eq!(audit.counts(), Counts { written: 11, lost: 5, coalesced: 0, waiting: 0 });
}

#[test]
fn a_shutdown_with_a_failed_sink_ends_in_time_and_says_how_many_were_not_written() {
    let (audit, _fails, _lines) = broken(OnFailure::Serve, 10);
    for pid in 0..4 {
        assert_eq!(audit.record(allowed(pid)), Verdict::Recorded);
    }
    let start = Instant::now();
    assert_eq!(audit.shutdown(Duration::from_millis(100)), 4);
    assert!(start.elapsed() < LONG / 4);
}

#[test]
fn equal_denials_become_two_lines_and_none_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = to_file(&path);
    for pid in 0..500 {
        assert_eq!(audit.record(denied(pid)), Verdict::Recorded);
    }
    // The window's end, not the shutdown, writes the second line.
    wait_for(|| audit.counts().waiting == 0);
    let text = std::fs::read_to_string(&path).unwrap();
    let counts: Vec<_> = lines(&text)
        .into_iter()
        .map(|line| if let Line::Record(record) = line { record.count } else { 0 })
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 500);
    assert!(counts.len() <= 3, "{counts:?}");
    assert_eq!(audit.counts().coalesced, 500 - counts.len() as u64);
}

#[test]
fn a_shutdown_writes_held_denials() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = to_file(&path);
    for pid in 0..3 {
        assert_eq!(audit.record(denied(pid)), Verdict::Recorded);
    }
    assert_eq!(audit.shutdown(LONG), 0);
    assert_eq!(audit.counts().written, 3);
}

#[test]
fn a_hostile_executable_stays_on_one_line_and_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = to_file(&path);
    let exe = format!("/tmp/\n{{\"v\":1}}\r\x1b[2J\"\u{2028}{}", "é".repeat(5000));
    assert_eq!(audit.record(Record { exe: exe.clone(), ..denied(1) }), Verdict::Recorded);
    assert_eq!(audit.shutdown(LONG), 0);
    let text = std::fs::read_to_string(&path).unwrap();
    let [Line::Record(record)] = &lines(&text)[..] else { panic!("not a record") };
    assert!(record.exe.len() <= line::FIELD_MAX);
    assert!(exe.starts_with(record.exe.trim_end_matches('…')));
}

/// What journald does with a datagram.
fn fields(mut datagram: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    while !datagram.is_empty() {
        let end = datagram.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap();
        let (name, rest) = datagram.split_at(end);
        let (value, rest) = if rest[0] == b'=' {
            rest[1..].split_at(rest[1..].iter().position(|byte| *byte == b'\n').unwrap())
        } else {
            let (length, rest) = rest[1..].split_at(8);
            rest.split_at(usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap())
        };
        assert_eq!(rest[0], b'\n');
        fields.push((String::from_utf8(name.to_vec()).unwrap(), value.to_vec()));
        datagram = &rest[1..];
    }
    fields
}

#[test]
fn the_journal_gets_one_datagram_that_a_line_break_cannot_forge() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    let sink = sink::Journal::open(&path).unwrap();
    let audit = Audit::with(Box::new(sink), OnFailure::Deny, 10).unwrap();
    let record = Record { exe: "/tmp/x\nHUSHFS_OUTCOME=allowed".to_owned(), ..denied(1) };
    assert_eq!(audit.record(record.clone()), Verdict::Recorded);
    assert_eq!(audit.shutdown(LONG), 0);
    let mut datagram = vec![0; 1 << 18];
    let n = socket.recv(&mut datagram).unwrap();
    let fields = fields(&datagram[..n]);
    let one = |name: &str| {
        let values: Vec<_> = fields.iter().filter(|(found, _)| found == name).collect();
        assert_eq!(values.len(), 1, "{name}");
        String::from_utf8(values[0].1.clone()).unwrap()
    };
    assert_eq!(one("SYSLOG_IDENTIFIER"), "hushfs");
    assert_eq!(one("HUSHFS_OUTCOME"), "denied");
    assert_eq!(one("HUSHFS_UID"), "1000");
    assert_eq!(one("HUSHFS_EXE"), record.exe);
    assert_eq!(one("MESSAGE_ID").len(), 32);
    assert!(one("MESSAGE").starts_with("denied open: web/token by uid 1000"));
    assert_eq!(Line::parse(one("HUSHFS_RECORD").as_bytes()).unwrap(), Line::Record(record));
}

#[test]
fn the_longest_hostile_record_fits_one_datagram() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _socket = UnixDatagram::bind(&path).unwrap();
    let mut sink = sink::Journal::open(&path).unwrap();
    let long = "\x01".repeat(line::FIELD_MAX);
    let record = Record {
        path: long.clone(),
        scope: long.clone(),
        exe: long.clone(),
        unit: long.clone(),
        container: long.clone(),
        rule: long.clone(),
        version: long.clone(),
        reason: long.clone(),
        errno: long,
        ..denied(1)
    };
    sink.add(Line::Record(record));
    sink.flush().unwrap();
}

#[test]
fn no_journal_is_an_error_with_a_hint() {
    let error = sink::Journal::open(Path::new("/nonexistent/socket")).err().unwrap();
    assert!(matches!(error, StartError::Journal { .. }));
    assert!(error.hint().contains("systemd-journald"));
}
