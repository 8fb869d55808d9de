//! What the kernel says of both processes: locked, without core dumps, closed to their own user.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::{Command, Stdio};

use crate::daemon::{Daemon, core_limit, needs, status_kib};
use crate::support::{HUSHFS, Host, as_user};

/// www-data, a user that every Debian has.
const USER: u32 = 33;
const SCOPE: &str = "[scope.a]\nallow = { uid = 33 }\nfile.raw = \"local:raw\"\n";

#[test]
fn as_root_all_memory_is_locked_and_no_core_is_allowed() {
    let host = Host::new();
    host.set("raw", b"a value");
    host.configure("", SCOPE);
    let daemon = Daemon::start(&host, &[], &[]);
    assert_eq!(as_user(USER, "cat").arg(host.file("a/raw")).output().unwrap().stdout, b"a value");
    for pid in [daemon.front(), daemon.fetcher()] {
        assert_eq!(core_limit(pid), "0 0");
        let locked = status_kib(pid, "VmLck");
        assert!(locked > 1000, "only {locked} KiB are locked");
    }
    assert!(!daemon.log().contains("WARN"), "{}", daemon.log());
    let mut set = Command::new(HUSHFS);
    set.args(["store", "set", "raw", "--store"]).arg(host.path("store.age"));
    let mut set = set.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    host.eventually("`store set` waits for its value with its memory locked", || {
        status_kib(set.id(), "VmLck") > 0 && core_limit(set.id()) == "0 0"
    });
    set.stdin.take().unwrap().write_all(b"another").unwrap();
    assert!(set.wait().unwrap().success());
}

/// A host that belongs to an ordinary user, with a copy of the binary that he can reach.
fn of_user(value: &[u8]) -> Host {
    needs("fusermount3", "fuse3");
    needs("setpriv", "util-linux");
    // As udev sets it, which containers lack.
    std::fs::set_permissions("/dev/fuse", std::fs::Permissions::from_mode(0o666)).unwrap();
    let host = Host::new();
    host.set("raw", value);
    host.configure("", SCOPE);
    std::fs::create_dir(host.path("m")).unwrap();
    std::fs::copy(HUSHFS, host.path("hushfs")).unwrap();
    std::fs::set_permissions(host.path("hushfs"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(host.path("")).unwrap() {
        chown(entry.unwrap().path(), Some(USER), Some(USER)).unwrap();
    }
    chown(host.path(""), Some(USER), Some(USER)).unwrap();
    host
}

fn start(host: &Host, memlock: &str) -> Daemon {
    let limit = format!("--memlock={memlock}:{memlock}");
    let binary = host.path("hushfs");
    let launcher = [
        "prlimit",
        &limit,
        "setpriv",
        "--reuid=33",
        "--regid=33",
        "--clear-groups",
        binary.to_str().unwrap(),
    ];
    Daemon::start(host, &launcher, &[])
}

#[test]
fn a_small_limit_is_warned_of_once_with_what_to_set_and_files_are_served_all_the_same() {
    let value = b"v".repeat(200_000);
    let host = of_user(&value);
    let daemon = start(&host, "65536");
    assert_eq!(as_user(USER, "cat").arg(host.file("a/raw")).output().unwrap().stdout, value);
    let log = daemon.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("LimitMEMLOCK") && warnings[0].contains("ulimit -l"), "{log}");
}

#[test]
fn an_ample_limit_is_used_without_a_word() {
    let host = of_user(b"a value");
    let daemon = start(&host, "4194304");
    assert_eq!(as_user(USER, "cat").arg(host.file("a/raw")).output().unwrap().stdout, b"a value");
    assert!(!daemon.log().contains("WARN"), "{}", daemon.log());
    for pid in [daemon.front(), daemon.fetcher()] {
        assert!(status_kib(pid, "VmLck") > 0, "what holds values is locked");
    }
}

/// For a process that may not be dumped the kernel gives these files to root, whoever runs it (proc(5)).
fn is_closed(pid: u32) -> bool {
    ["mem", "environ", "maps"]
        .iter()
        .all(|name| std::fs::metadata(format!("/proc/{pid}/{name}")).unwrap().uid() == 0)
}

#[test]
fn no_process_that_sees_a_value_is_open_to_its_own_user() {
    let host = of_user(b"a value");
    let mut control = as_user(USER, "sleep").arg("5").spawn().unwrap();
    host.eventually("a process that may be dumped belongs to its user", || !is_closed(control.id()));
    control.kill().unwrap();
    control.wait().unwrap();
    let daemon = start(&host, "65536");
    for pid in [daemon.front(), daemon.fetcher()] {
        assert!(is_closed(pid), "process {pid} may be dumped");
        assert_eq!(core_limit(pid), "0 0");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=33", "--regid=33", "--clear-groups"]).arg(host.path("hushfs"));
    command.args(["store", "set", "raw", "--store"]).arg(host.path("store.age"));
    let mut set = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    host.eventually("`store set` waits for its value and may not be dumped", || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", set.id())).unwrap();
        name == "hushfs\n" && is_closed(set.id()) && core_limit(set.id()) == "0 0"
    });
    set.stdin.take().unwrap().write_all(b"another").unwrap();
    assert!(set.wait().unwrap().success());
}
