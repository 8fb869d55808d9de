//! The process that talks to providers may die at any time: readers see a slow miss and nothing else.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{HUNG, Host, signal, waits_for_fuse};

const SCOPE: &str = "[cache]\nfresh_for = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";

#[test]
fn killed_while_idle_it_is_started_again_and_the_next_miss_is_served() {
    let host = Host::mounted(&[("t", b"the value")], SCOPE);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
    for _ in 0..3 {
        let before = host.fetcher_pid().unwrap();
        signal(before, Signal::KILL);
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
        host.eventually("another fetcher runs", || host.fetcher_pid().is_some_and(|now| now != before));
    }
    assert!(host.log().contains("the fetcher died"), "it is logged");
}

#[test]
fn killed_under_load_no_reader_sees_an_error() {
    let host = Host::mounted(&[("t", b"the value")], SCOPE);
    let ended = AtomicBool::new(false);
    let held = || fs::read_dir(format!("/proc/{}/fd", host.daemon_pid())).unwrap().count();
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
    let before = held();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while !ended.load(Ordering::Relaxed) {
                        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
                        reads += 1;
                        // No faster than a busy disk takes the records: what is not on record is not served.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    reads
                })
            })
            .collect();
        let since = Instant::now();
        let mut killed = 0;
        while killed < 3 && since.elapsed() < Duration::from_secs(10) {
            let Some(fetcher) = host.fetcher_pid() else { continue };
            signal(fetcher, Signal::KILL);
            killed += 1;
            host.eventually("another fetcher runs", || host.fetcher_pid().is_some_and(|now| now != fetcher));
        }
        ended.store(true, Ordering::Relaxed);
        assert_eq!(killed, 3);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    host.eventually("nothing is left of those that were killed", || held() <= before + 2);
}

#[test]
fn stopped_or_stuck_in_a_read_that_no_signal_ends_it_is_replaced() {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.hang();
    let scopes = "[cache]\nfresh_for = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.hung = \"hung:t\"";
    host.configure("", &format!("{scopes}{HUNG}"));
    host.mount();
    let stopped = host.fetcher_pid().unwrap();
    signal(stopped, Signal::STOP);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value", "with one that is stopped");
    host.eventually("another fetcher runs", || host.fetcher_pid().is_some_and(|now| now != stopped));

    let mut reader = std::process::Command::new("/usr/bin/cat").arg(host.file("a/hung")).spawn().unwrap();
    host.eventually("the reader waits", || waits_for_fuse(reader.id()));
    let stuck = host.fetcher_pid().unwrap();
    let waits = |task: fs::DirEntry| {
        fs::read_to_string(task.path().join("wchan")).is_ok_and(|at| at == "request_wait_answer")
    };
    host.eventually("the fetcher reads from the disk that hangs", || {
        fs::read_dir(format!("/proc/{stuck}/task")).unwrap().flatten().any(waits)
    });
    signal(stuck, Signal::KILL);
    let since = Instant::now();
    let read = fs::read(host.file("a/token"));
    signal(reader.id(), Signal::KILL);
    reader.wait().unwrap();
    assert_eq!(read.unwrap(), b"the value", "with one that was killed and cannot end");
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
}

#[test]
fn it_has_no_rights_but_to_lock_memory() {
    let host = Host::mounted(&[("t", b"the value")], SCOPE);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
    let status =
        |pid: u32, task: &str| fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).unwrap();
    let fetcher = host.fetcher_pid().unwrap();
    // That one only where it cannot lock memory without.
    let limits = fs::read_to_string(format!("/proc/{fetcher}/limits")).unwrap();
    let unlimited = limits.lines().any(|line| line.starts_with("Max locked memory         unlimited"));
    let lock_memory = format!("{:016x}", if unlimited { 0 } else { 1 << 14 });
    for task in fs::read_dir(format!("/proc/{fetcher}/task")).unwrap().flatten() {
        let status = status(fetcher, task.file_name().to_str().unwrap());
        for line in
            [format!("CapEff:\t{lock_memory}"), format!("CapPrm:\t{lock_memory}"), "NoNewPrivs:\t1".into()]
        {
            assert!(status.contains(&line), "{line}\n{status}");
        }
    }
    let front = host.daemon_pid();
    assert!(
        !status(front, &front.to_string()).contains(&format!("CapEff:\t{lock_memory}")),
        "the front has more"
    );
}

#[test]
fn it_has_no_descriptor_of_the_mount_and_ends_with_the_daemon() {
    let mut host = Host::mounted(&[("t", b"the value")], SCOPE);
    let fetcher = host.fetcher_pid().unwrap();
    let opened: Vec<_> = fs::read_dir(format!("/proc/{fetcher}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
        .collect();
    assert!(!opened.iter().any(|path| path.to_string_lossy().contains("/dev/fuse")), "{opened:?}");
    host.signal(Signal::KILL);
    host.ends_within(Duration::from_secs(5));
    host.eventually("the fetcher is gone", || {
        !fs::read_to_string(format!("/proc/{fetcher}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    });
}
