//! What hushfs remembers of callers: it goes when they do, and is never taken for somebody else.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Host, as_user, ends_within, says};

const ONE: &str = "[scope.a]\nmode = \"0444\"\nallow = { uid = 1000 }\nfile.token = \"local:t\"";

/// How many processes the storm has, unless `HUSHFS_STORM` says so: the whole 100,000 take most of a minute, and pids then go
/// round several times.
const STORM: u32 = 20_000;

/// Descriptors, and resident memory in KiB.
fn holds(host: &Host) -> (usize, u64) {
    let pid = host.daemon_pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), resident)
}

/// Descriptors once what it has open at its start only is closed.
fn holds_at_rest(host: &Host) -> usize {
    let one = |_| {
        std::thread::sleep(Duration::from_millis(50));
        holds(host).0
    };
    (0..20).map(one).min().unwrap()
}

#[test]
fn a_storm_of_short_processes_leaves_nothing_behind_and_none_is_answered_wrongly() {
    let host = Host::mounted(&[("t", b"the value")], ONE);
    let count = std::env::var("HUSHFS_STORM").unwrap_or(STORM.to_string());
    let before = holds(&host);
    let mut storm = Command::new(host.compile("storm"))
        .arg(host.file("a/token"))
        .arg(&count)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut go_on, mut lines) =
        (storm.stdin.take().unwrap(), BufReader::new(storm.stdout.take().unwrap()).lines());
    let mut held = Vec::new();
    for _ in 0..10 {
        let line = lines.next().unwrap().unwrap();
        held.push(holds(&host));
        assert!(line.ends_with(" 0"), "so far, and wrong answers: {line}");
        go_on.write_all(b"\n").unwrap();
    }
    assert_eq!(lines.next().unwrap().unwrap(), "done 0", "wrong answers");
    assert!(storm.wait().unwrap().success());
    // Each remembered thread has four descriptors at most, and 512 are remembered. The inventory of readers has one for each
    // process, until it is looked whether it has ended: once a second.
    let lately = count.parse::<usize>().unwrap() / 4;
    assert!(held.iter().all(|(fds, _)| *fds <= before.0 + 4 * 512 + lately + 16), "{before:?} {held:?}");
    // By then the tables have the room that they need.
    assert!(held[9].1 <= held[3].1 + 2048, "KiB of memory: {held:?}");
    host.eventually("all of them are forgotten", || holds(&host).0 <= before.0 + 3);
    println!("{count} processes: {before:?} before, then {held:?}, at the end {:?}", holds(&host));
}

#[test]
fn a_caller_that_ends_is_forgotten_and_one_that_stays_is_not() {
    let host = Host::mounted(&[("t", b"the value")], ONE);
    let before = holds_at_rest(&host);
    let mut stays = as_user(1000, "/bin/bash");
    let mut stays = stays
        .args(["-c", "read -r value < $0; echo $value; read -r"])
        .arg(host.file("a/token"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(stays.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "the value\n");
    for _ in 0..20 {
        assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("a/token"))), "the value");
    }
    // Four of the thread that stays at most, and one of its process among the readers.
    host.eventually("those that ended are forgotten", || holds(&host).0 <= before + 5);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(holds(&host).0 > before, "the one that stays is remembered");
    drop(stays.stdin.take());
    ends_within(&mut stays, Duration::from_secs(5)).expect("bash ends with its input");
    host.eventually("it is forgotten too", || holds(&host).0 <= before);
}

#[test]
fn whoever_has_the_id_of_an_entitled_process_next_is_not_taken_for_it() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let program = host.compile("attempt");
    let scope = ONE.replace("uid = 1000", &format!("uid = 1000, exe = \"{}\"", program.display()));
    host.configure("", &scope);
    host.mount();
    let mut reuse = Command::new(host.compile("reuse"));
    reuse.arg(host.file("a/token")).arg("50").arg(program);
    assert_eq!(says(&mut reuse), "50 rounds, 0 wrong\n");
}
