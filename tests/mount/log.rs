//! Log lines go to standard error, and what becomes of them is nobody's problem but the log's.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{HUSHFS, Host, best_of_five, ends_within, open_errno, signal};

/// A daemon whose standard error is a pipe.
fn mounted(host: &Host, verbose: &str) -> Child {
    host.set("t", b"v");
    host.configure(
        "",
        "[limits]\nmisses_per_uid = 10_000\nmisses_per_process = 10_000\n[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.missing = \"local:nothing\"",
    );
    let mut command = Command::new(HUSHFS);
    command.args(["mount", verbose, "--config"]).arg(host.path("hushfs.toml"));
    let daemon = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    host.eventually("it is mounted", || host.path("m.sock").exists());
    daemon
}

fn ended_in_order(mut daemon: Child) {
    signal(daemon.id(), Signal::TERM);
    let (took, status) = ends_within(&mut daemon, Duration::from_secs(5)).expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn nobody_reads_it_any_more_and_everybody_is_served() {
    let host = Host::new();
    let mut daemon = mounted(&host, "-vv");
    let mut stderr = daemon.stderr.take().unwrap();
    stderr.read_exact(&mut [0; 10]).unwrap();
    drop(stderr);
    for _ in 0..20 {
        assert_eq!(open_errno(&host.file("a/missing")), Some(libc::ENOKEY));
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
    }
    assert!(host.reload().status.success());
    ended_in_order(daemon);
    assert!(host.mounts().is_empty());
}

#[test]
fn whoever_reads_it_is_stuck_and_everybody_is_served() {
    let host = Host::new();
    let daemon = mounted(&host, "-vv");
    // Far more lines than the pipe takes.
    for _ in 0..2000 {
        assert_eq!(open_errno(&host.file("a/missing")), Some(libc::ENOKEY));
    }
    let quick = best_of_five(|| assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v"));
    assert!(quick < Duration::from_millis(50), "{quick:?}");
    ended_in_order(daemon);
    assert!(host.mounts().is_empty());
}
