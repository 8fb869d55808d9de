//! Where hushfs runs: where it could not tell who asks it does not start, and says what to do.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{HUSHFS, Host, ends_within, says, signal};

const ROOT: &str = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";

fn host(namespaces: &str) -> Host {
    let host = Host::new();
    host.set("t", b"the value");
    host.configure(&format!("namespaces = \"{namespaces}\"\n"), ROOT);
    host
}

/// hushfs in namespaces of its own: `unshare` with these options.
fn unshared(host: &Host, options: &[&str], verb: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "10", "unshare"]).args(options).arg(HUSHFS).args(verb);
    command.arg("--config").arg(host.path("hushfs.toml")).stdin(Stdio::null());
    command
}

fn refused(output: &Output, why: &str, remedy: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why) && said.contains(remedy), "{said}");
}

#[test]
fn in_another_pid_cgroup_or_user_namespace_it_does_not_start() {
    let host = host("host");
    for (options, name) in [
        (["--pid", "--fork", "--mount-proc"].as_slice(), "pid"),
        (&["--cgroup"], "cgroup"),
        (&["--user", "--map-root-user"], "user"),
    ] {
        let output = unshared(&host, options, &["mount"]).output().unwrap();
        refused(&output, "not in the host's ", "docker run --pid=host --cgroupns=host");
        // In a container it is in others as well, and all are named.
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.split(" namespace").next().unwrap().contains(name), "{said}");
        refused(&output, "so it could not tell who asks", "namespaces = \"own\"");
        assert!(host.mounts().is_empty(), "{:?}", host.mounts());
    }
}

#[test]
fn a_proc_that_shows_other_processes_is_refused_even_where_its_own_namespaces_are_meant() {
    for meant in ["host", "own"] {
        let host = host(meant);
        let output = unshared(&host, &["--pid", "--fork"], &["mount"]).output().unwrap();
        refused(&output, "/proc does not show the pid namespace", "--mount-proc");
        let output = unshared(&host, &["--pid"], &["mount"]).output().unwrap();
        refused(&output, "children of hushfs would be in another pid namespace", "--fork");
    }
}

#[test]
fn check_warns_of_a_place_where_mount_would_refuse() {
    let host = host("host");
    let said = says(&mut unshared(&host, &["--cgroup"], &["check"]));
    assert!(said.contains("would refuse to start") && said.contains("cgroup namespace"), "{said}");
    let json = says(&mut unshared(&host, &["--cgroup"], &["check", "--json"]));
    assert!(json.contains("would refuse to start"), "{json}");
}

#[test]
fn a_word_that_namespaces_does_not_know_is_refused_with_the_two_it_knows() {
    let host = host("ours");
    let output = host.try_mount();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("`namespaces` takes \"host\" or \"own\""), "{said}");
}

/// A daemon in namespaces of its own. Ended when dropped.
struct Inside(Child);

impl Inside {
    fn start(host: &Host, options: &[&str]) -> Self {
        let log = std::fs::File::create(host.path("log")).unwrap();
        let mut command = Command::new("unshare");
        command.args(options).args([HUSHFS, "mount", "-v", "--config"]).arg(host.path("hushfs.toml"));
        let mut inside = Self(command.stdin(Stdio::null()).stderr(log).spawn().unwrap());
        host.eventually("the daemon is mounted", || {
            let ended = inside.0.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}\n{}", host.log());
            host.log().contains("mounted")
        });
        inside
    }

    /// The daemon's pid as the host sees it: `unshare --fork` waits for it.
    fn pid(&self) -> u32 {
        let of = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
        children.trim().parse().unwrap()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        signal(self.pid(), Signal::TERM);
        if ends_within(&mut self.0, Duration::from_secs(5)).is_none() {
            // `--kill-child`: the daemon goes with it.
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

#[test]
fn told_to_serve_its_own_namespaces_it_knows_who_is_inside_and_denies_who_is_outside() {
    let host = host("own");
    let inside = Inside::start(&host, &["--pid", "--cgroup", "--fork", "--kill-child", "--mount-proc"]);
    let pid = inside.pid().to_string();
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pid, "--pid", "--mount", "cat"]).arg(host.file("a/token"));
    assert_eq!(says(&mut enter), "the value");

    let outside = format!("/proc/{pid}/root{}", host.file("a/token").display());
    let output = Command::new("cat").arg(outside).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
    let record = host.recorded("the denial", |record| record["outcome"] == "denied");
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.contains("outside of the pid namespace of hushfs"), "{record}");
}

#[test]
fn a_user_namespace_with_a_mount_of_its_own_is_served_by_who_is_root_there() {
    let host = host("own");
    let options = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let inside = Inside::start(&host, &options);
    let pid = inside.pid().to_string();
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pid, "--user", "--pid", "--mount", "cat"]).arg(host.file("a/token"));
    assert_eq!(says(&mut enter), "the value");
}
