//! Start and end: what is mounted is taken away in time and in order, and what is in the way is told apart.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::Signal;

use crate::support::{HUNG, Host, ends_within, open_errno, waits_for_fuse};

const SCOPE: &str = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.hung = \"hung:t\"\n
    [limits]\ndeadline = \"1min\"\nstat_wait = \"100ms\"";

fn host() -> Host {
    let mut host = Host::new();
    host.set("t", b"v");
    host.hang();
    host.configure("", &format!("{SCOPE}{HUNG}"));
    host.mount();
    host
}

fn hanging_readers(host: &Host, count: usize) -> Vec<Child> {
    let reader = |_| {
        let mut cat = Command::new("/usr/bin/cat");
        cat.arg(host.file("a/hung"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let readers: Vec<Child> = (0..count).map(reader).collect();
    host.eventually("all wait in open", || {
        readers.iter().all(|reader| {
            waits_for_fuse(reader.id()) && host.audit().iter().any(|record| record["op"] == "stat")
        })
    });
    readers
}

#[test]
fn sigterm_and_sigint_end_it_in_under_a_second_with_readers_in_flight() {
    for name in [Signal::TERM, Signal::INT] {
        let mut host = host();
        let holds = fs::File::open(host.file("a/token")).unwrap();
        let readers = hanging_readers(&host, 5);
        assert!(host.path("m.sock").exists());
        host.signal(name);
        let (took, code) = host.ends_within(Duration::from_secs(10));
        assert_eq!(code, Some(0), "{name:?}\n{}", host.log());
        assert!(took < Duration::from_secs(1), "{name:?}: {took:?}");
        assert!(host.mounts().is_empty());
        assert!(!host.path("m.sock").exists(), "the control socket is gone");
        for mut reader in readers {
            let (_, status) =
                ends_within(&mut reader, Duration::from_secs(2)).expect("no reader is left waiting");
            assert!(!status.success());
            let output = reader.wait_with_output().unwrap();
            assert!(output.stdout.is_empty());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("Input/output error"), "EIO from us, not from a dead connection: {said}");
        }
        drop(holds);
        assert!(host.path("m").is_dir(), "the directory stays, empty");
        assert_eq!(fs::read_dir(host.path("m")).unwrap().count(), 0);
        host.mount();
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v", "it can be mounted again");
    }
}

#[test]
fn at_whatever_moment_of_its_start_it_is_ended_nothing_stays_mounted() {
    let host = Host::new();
    host.set("t", b"v");
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    for milliseconds in (0..60).step_by(2) {
        let log = fs::File::create(host.path("log")).unwrap();
        let mut command = Command::new(crate::support::HUSHFS);
        command.args(["mount", "--config"]).arg(host.path("hushfs.toml")).stdin(Stdio::null()).stderr(log);
        let mut daemon = command.spawn().unwrap();
        // The moment is what is tested.
        std::thread::sleep(Duration::from_millis(milliseconds));
        crate::support::signal(daemon.id(), Signal::TERM);
        let ended = ends_within(&mut daemon, Duration::from_secs(5));
        let left = host.mounts();
        assert!(left.is_empty(), "after {milliseconds} ms: {ended:?} {left:?}\n{}", host.log());
        assert!(ended.is_some(), "after {milliseconds} ms it does not end\n{}", host.log());
    }
}

#[test]
fn what_somebody_mounts_over_it_is_not_taken_away_at_the_end() {
    let mut host = host();
    rustix::mount::mount("tmpfs", host.path("m"), "tmpfs", MountFlags::empty(), None).unwrap();
    fs::write(host.path("m").join("theirs"), "x").unwrap();
    let (_, code) = host.stop();
    assert_eq!(code, Some(1), "it could not unmount, and says so");
    assert!(host.log().contains("mounted over it"), "{}", host.log());
    assert!(host.path("m").join("theirs").exists());
    rustix::mount::unmount(host.path("m"), UnmountFlags::DETACH).unwrap();
    host.mount();
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
}

#[test]
fn what_somebody_mounts_in_its_place_stays() {
    let mut host = host();
    assert!(Command::new("umount").arg("-l").arg(host.path("m")).status().unwrap().success());
    rustix::mount::mount("tmpfs", host.path("m"), "tmpfs", MountFlags::empty(), None).unwrap();
    let (_, code) = host.ends_within(Duration::from_secs(5));
    assert_eq!(code, Some(0), "{}", host.log());
    assert_eq!(host.mounts().len(), 1, "{:?}", host.mounts());
    rustix::mount::unmount(host.path("m"), UnmountFlags::DETACH).unwrap();
}

#[test]
fn a_connection_that_is_aborted_ends_it_and_nothing_stays_mounted() {
    let mut host = host();
    let minor = fs::metadata(host.path("m")).unwrap().dev() & 0xff;
    let readers = hanging_readers(&host, 2);
    let control = Path::new("/sys/fs/fuse/connections");
    // Mounted on every host by systemd, but not in containers.
    let ours = fs::read_dir(control).unwrap().next().is_none();
    if ours {
        rustix::mount::mount("fusectl", control, "fusectl", MountFlags::empty(), None).unwrap();
    }
    fs::write(control.join(minor.to_string()).join("abort"), "1").unwrap();
    if ours {
        rustix::mount::unmount(control, UnmountFlags::DETACH).unwrap();
    }
    let (_, code) = host.ends_within(Duration::from_secs(5));
    assert!(host.mounts().is_empty(), "{code:?}\n{}", host.log());
    for mut reader in readers {
        assert!(ends_within(&mut reader, Duration::from_secs(2)).is_some());
    }
}

#[test]
fn a_fetcher_that_keeps_dying_holds_up_neither_the_end_nor_the_records() {
    let mut host = Host::new();
    host.set("t", b"v");
    host.configure(
        "",
        "[scope.a]\nmode = \"0444\"\nallow = { exe = \"/usr/bin/cat\" }\nfile.token = \"local:t\"",
    );
    host.mount();
    // Each time it waits longer before it starts another one.
    for _ in 0..6 {
        let mut fetcher = None;
        host.eventually("a fetcher runs", || {
            fetcher = host.fetcher_pid();
            fetcher.is_some()
        });
        crate::support::signal(fetcher.unwrap(), Signal::KILL);
        host.eventually("it is gone", || host.fetcher_pid() != fetcher);
    }
    for _ in 0..50 {
        assert_eq!(open_errno(&host.file("a/token")), Some(libc::EACCES));
    }
    let (took, code) = host.stop();
    assert!(code == Some(0) && took < Duration::from_secs(1), "{code:?} {took:?}");
    let counts = host.audit().iter().map(|record| record["count"].as_u64().unwrap_or(1)).sum::<u64>();
    assert_eq!(counts, 50, "all are on record\n{}", host.log());
}

#[test]
fn a_reload_that_hangs_on_a_dead_disk_holds_up_neither_readers_nor_the_end() {
    let mut host = host();
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
    host.stop_the_disk();
    host.signal(Signal::HUP);
    let pid = host.daemon_pid();
    let waits = |task: fs::DirEntry| {
        fs::read_to_string(task.path().join("wchan")).is_ok_and(|at| at == "request_wait_answer")
    };
    host.eventually("the reload waits for the disk", || {
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().any(waits)
    });
    let quick = crate::support::best_of_five(|| assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v"));
    assert!(quick < Duration::from_millis(50), "{quick:?}");
    let (took, code) = host.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(host.mounts().is_empty());
}

#[test]
fn taken_away_by_somebody_else_it_ends_in_order() {
    let mut host = host();
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
    assert!(Command::new("umount").arg("-l").arg(host.path("m")).status().unwrap().success());
    let (_, code) = host.ends_within(Duration::from_secs(5));
    assert_eq!(code, Some(0), "{}", host.log());
    assert!(host.log().contains("unmounted by somebody else"), "{}", host.log());
    assert!(host.mounts().is_empty());
    assert!(!host.path("m.sock").exists());
}

#[test]
fn a_dead_mount_of_ours_is_cleared_by_the_next_start() {
    let mut host = host();
    host.signal(Signal::KILL);
    host.ends_within(Duration::from_secs(5));
    assert_eq!(host.mounts().len(), 1, "the dead mount is still there");
    assert_eq!(open_errno(&host.file("a/token")), Some(libc::ENOTCONN));
    let check = host.run(&["check", "--config", host.path("hushfs.toml").to_str().unwrap()], b"");
    assert!(check.status.success(), "a dead mount is no mistake: {}", String::from_utf8_lossy(&check.stderr));
    host.mount();
    assert_eq!(host.mounts().len(), 1, "one over the other is not what is meant");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
    assert!(host.log().contains("dead mount"), "it is said");
}

#[test]
fn anybody_elses_mount_is_refused_and_stays() {
    let mut host = host();
    host.stop();
    rustix::mount::mount("tmpfs", host.path("m"), "tmpfs", MountFlags::empty(), None).unwrap();
    fs::write(host.path("m").join("theirs"), "x").unwrap();
    let output = host.try_mount();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("mount point of something else (tmpfs)"), "{said}");
    assert_eq!(host.mounts().len(), 1);
    assert_eq!(fs::read(host.path("m").join("theirs")).unwrap(), b"x");
    rustix::mount::unmount(host.path("m"), UnmountFlags::DETACH).unwrap();
}

#[test]
fn a_directory_that_holds_something_is_refused() {
    let mut host = host();
    host.stop();
    fs::write(host.path("m").join("theirs"), "x").unwrap();
    let output = host.try_mount();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not empty"));
}

#[test]
fn a_mount_point_behind_a_link_is_mounted_and_taken_away() {
    let mut host = host();
    host.stop();
    fs::create_dir(host.path("real")).unwrap();
    std::os::unix::fs::symlink("real", host.path("link")).unwrap();
    std::os::unix::fs::symlink("m", host.path("m2")).unwrap();
    let config = fs::read_to_string(host.path("hushfs.toml")).unwrap();
    let at = host.path("m").display().to_string();
    let mount_at = |to: &str| {
        let to = host.path(to).display().to_string();
        host.write("hushfs.toml", config.replace(&at, &to).as_bytes(), 0o600);
    };
    mount_at("m2");
    let refused = host.try_mount();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(1) && said.contains("symbolic link") && said.contains("hint"),
        "{said}"
    );
    mount_at("link/m");
    host.mount();
    assert_eq!(fs::read(host.path("real/m/a/token")).unwrap(), b"v");
    let (_, code) = host.stop();
    assert_eq!(code, Some(0), "{}", host.log());
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(&format!("{} ", host.path("real/m").display())), "{mounts}");
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let host = host();
    let output = host.try_mount();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("served by another hushfs") && said.contains("hint"), "{said}");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
    assert!(host.path("m.sock").exists());
    assert!(host.reload().status.success(), "its socket is still its own");
}

#[test]
fn a_wrong_configuration_mounts_nothing_and_ends_with_78() {
    let host = Host::new();
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.token = \"nowhere:t\"");
    let output = host.try_mount();
    assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(host.mounts().is_empty());
}

#[test]
fn lock_and_log_are_for_the_daemons_user_alone() {
    let host = host();
    for name in ["m.lock", "audit.log"] {
        let meta = fs::symlink_metadata(host.path(name)).unwrap();
        fs::read(host.file("a/token")).unwrap();
        assert_eq!((meta.permissions().mode() & 0o777, meta.uid()), (0o600, 0), "{name}");
    }
}

#[test]
fn the_daemon_cannot_be_looked_into_and_dumps_no_core() {
    let host = host();
    for pid in [host.daemon_pid(), host.fetcher_pid().unwrap()] {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("CoreDumping:\t0"));
        assert_eq!(fs::symlink_metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
    }
}

#[test]
fn an_audit_log_that_others_can_read_is_refused_with_the_chmod_that_mends_it() {
    let host = Host::new();
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    host.write("audit.log", b"", 0o644);
    let refused = host.try_mount();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("chmod 600"), "{said}");
    assert!(host.mounts().is_empty());
}
