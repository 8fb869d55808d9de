//! Rules that name a program by its SHA-256.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::c::caller;
use crate::support::{Host, as_user, says};

fn sum(path: &Path) -> String {
    says(Command::new("sha256sum").arg(path))[..64].to_owned()
}

fn scope(digests: &[String]) -> String {
    format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, exe_sha256 = {digests:?} }}\nfile.token = \"local:t\"\n\
         [scope.b]\nmode = \"0444\"\nallow = {{ uid = 1000 }}\nfile.token = \"local:t\""
    )
}

fn reads(host: &Host, program: &str) -> String {
    says(as_user(1000, host.path(program).to_str().unwrap()).arg("-").arg(host.file("a/token")))
}

/// The caller as a program of other bytes that does the same. Written by another process: a descriptor that is open for writing
/// here could be inherited by a child of another test, and keep the program from being executed.
fn version(host: &Host, name: &str, number: u8) {
    let script = "cat \"$0\" >\"$1\" && printf \"$2\" >>\"$1\" && chmod 755 \"$1\"";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).arg(caller()).arg(host.path(name)).arg(number.to_string());
    says(&mut shell);
}

#[test]
fn the_old_and_the_new_program_of_an_upgrade_may_read_and_a_third_may_not() {
    let mut host = Host::new();
    host.set("t", b"the value");
    version(&host, "app", 1);
    version(&host, "new", 2);
    version(&host, "other", 3);
    host.configure("", &scope(&[sum(&host.path("app")), sum(&host.path("new"))]));
    host.mount();
    for _ in 0..2 {
        assert_eq!(reads(&host, "app"), "the value\n");
    }
    std::fs::rename(host.path("new"), host.path("app")).unwrap();
    assert_eq!(reads(&host, "app"), "the value\n", "the new one under the same path");
    let digest = sum(&host.path("other"));
    std::fs::rename(host.path("other"), host.path("app")).unwrap();
    assert_eq!(reads(&host, "app"), "denied\n");
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("has the SHA-256 {digest}")), "{reason}");
}

#[test]
fn a_file_that_is_written_again_in_its_place_is_read_again() {
    let mut host = Host::new();
    host.set("t", b"the value");
    version(&host, "app", 1);
    host.configure("", &scope(&[sum(&host.path("app"))]));
    host.mount();
    // Each time with the same inode and size, and almost at the same time.
    for round in 0..5 {
        version(&host, "app", 1);
        assert_eq!(reads(&host, "app"), "the value\n", "round {round}");
        version(&host, "app", 2);
        assert_eq!(reads(&host, "app"), "denied\n", "round {round}");
    }
}

#[test]
fn many_processes_that_start_at_once_are_all_served() {
    let mut host = Host::new();
    host.set("t", b"the value");
    version(&host, "app", 1);
    host.configure("", &scope(&[sum(&host.path("app"))]));
    host.mount();
    let start = |_| {
        let mut app = as_user(1000, host.path("app").to_str().unwrap());
        app.arg("-").arg(host.file("a/token")).stdout(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..40).map(start).collect();
    for one in all {
        assert_eq!(one.wait_with_output().unwrap().stdout, b"the value\n");
    }
}

#[test]
fn in_a_user_namespace_of_its_own_a_program_of_the_right_digest_is_denied() {
    let host = Host::mounted(&[("t", b"the value")], &scope(&[sum(caller())]));
    let mut unshared = as_user(1000, "/usr/bin/unshare");
    unshared.arg("--user").arg(caller()).arg("-").arg(host.file("a/token"));
    assert_eq!(says(&mut unshared), "denied\n");
    assert_eq!(
        says(as_user(1000, caller().to_str().unwrap()).arg("-").arg(host.file("a/token"))),
        "the value\n"
    );
}

#[test]
fn an_executable_on_a_disk_that_hangs_is_denied_at_once_and_holds_up_nobody() {
    let mut host = Host::mounted(&[("t", b"the value")], &scope(&[sum(caller())]));
    host.hang_with_program(caller());
    let mut app = as_user(1000, host.path("hang/demo/exec").to_str().unwrap());
    app.arg("lpw").arg(host.file("a/token")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut app = app.spawn().unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    host.stop_the_disk();
    let since = Instant::now();
    app.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "denied");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("b/token"))), "the value");
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert!(record["reason"].as_str().unwrap().contains("lies on a FUSE"), "{record}");
    let (took, code) = host.stop();
    assert!(
        took < Duration::from_secs(3) && code == Some(0),
        "no thread waits for the disk: {took:?} {code:?}"
    );
    drop(host);
    app.wait().unwrap();
}
