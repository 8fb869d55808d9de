//! Other ways to a file than open and read: each is decided by who is behind it.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::{Host, as_user, says};

const WAYS: [&str; 6] = ["read", "workers", "sqpoll", "sendfile", "splice", "mmap"];

/// Root may read, and uid 1000 with the program `ways`. A copy of that may not.
fn host() -> Host {
    let mut host = Host::new();
    host.set("t", b"the value");
    let ways = host.compile("ways");
    host.compile_as("ways", "copy", &[]);
    let allow = format!("[{{ uid = 0, exe = \"{}\" }}, {{ uid = 1000, exe = \"{0}\" }}]", ways.display());
    host.configure("", &format!("[scope.a]\nmode = \"0444\"\nallow = {allow}\nfile.token = \"local:t\""));
    host.mount();
    host
}

/// What a program of the host says of itself in that way: its pid, and what came of it.
fn tries(host: &Host, uid: u32, program: &str, how: &str) -> (u32, String) {
    pid_and(&says(as_user(uid, host.path(program).to_str().unwrap()).arg(how).arg(host.file("a/token"))))
}

fn pid_and(said: &str) -> (u32, String) {
    let (pid, rest) = said.trim_end().split_once(' ').unwrap();
    (pid.parse().unwrap(), rest.to_owned())
}

#[test]
fn whoever_may_read_may_in_every_way_and_is_on_record_as_the_process() {
    let host = host();
    for how in WAYS {
        let (pid, said) = tries(&host, 1000, "ways", how);
        // These take pages that others share: who may read is told to read.
        let refused = matches!(how, "sendfile" | "splice");
        assert_eq!(said, if refused { "EINVAL" } else { "the value" }, "{how}");
        // A stat may come first, and has a record of its own where the value had to be fetched.
        let record = host.recorded(how, |record| record["pid"] == pid && record["op"] == "open");
        assert_eq!(record["outcome"], "allowed", "{how}: {record}");
    }
}

#[test]
fn whoever_may_not_does_not_in_any_way_by_threads_of_the_kernel_either() {
    let host = host();
    for how in WAYS {
        let (pid, said) = tries(&host, 1000, "copy", how);
        assert_eq!(said, "EACCES", "{how}");
        let record = host.recorded(how, |record| record["pid"] == pid);
        assert_eq!(record["exe"], host.path("copy").to_str().unwrap(), "{how}: {record}");
        assert_eq!(tries(&host, 1001, "ways", how).1, "EACCES", "{how}, as another user");
    }
}

#[test]
fn a_descriptor_of_somebody_who_may_gives_nothing_in_any_way_to_who_may_not() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let ways = host.compile("ways");
    host.configure("", "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    host.mount();
    for how in WAYS {
        let opened = File::open(host.file("a/token")).unwrap();
        let mut command = as_user(1000, ways.to_str().unwrap());
        let (pid, said) = pid_and(&says(command.args([how, "-"]).stdin(Stdio::from(opened))));
        // A page that cannot be had is SIGBUS, which the program says as EFAULT.
        assert_eq!(said, if how == "mmap" { "EFAULT" } else { "EACCES" }, "{how}");
        let record = host.recorded(how, |record| record["pid"] == pid);
        assert_eq!(
            (&record["op"], &record["outcome"]),
            (&"read".into(), &"denied".into()),
            "{how}: {record}"
        );
        assert_eq!(record["uid"], 1000, "{how}: {record}");
    }
}

#[test]
fn a_loop_device_on_a_file_is_read_by_the_kernel_and_gives_nothing() {
    let bytes = [b'v'; 4096];
    let rules = "[scope.a]\nallow = { uid = 0 }\nfile.disk = \"local:t\"";
    let host = Host::mounted(&[("t", &bytes)], rules);
    let mut losetup = Command::new("losetup");
    let device = says(losetup.args(["--find", "--show", "--read-only"]).arg(host.file("a/disk")));
    let device = device.trim_end();
    let read = Command::new("timeout").args(["--signal=KILL", "10", "cat", device]).output();
    says(Command::new("losetup").args(["--detach", device]));
    let read = read.unwrap();
    assert!(read.stdout.is_empty() && !read.status.success(), "{} bytes", read.stdout.len());
    let denied = |record: &crate::support::Record| record["op"] == "read" && record["outcome"] == "denied";
    let record = host.recorded("the denied read", denied);
    assert!(record["reason"].as_str().unwrap().contains("kernel thread"), "{record}");
}
