//! The process that talks to providers may die at any time: readers see a slow miss and nothing else.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Host, signal};

const SCOPE: &str = "[limits]\nfresh_for = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";

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
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while !ended.load(Ordering::Relaxed) {
                        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
                        reads += 1;
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
