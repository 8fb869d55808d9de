//! Who watches a file or its directory is told when the content changes, as on a disk.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::support::{HUNG, Host, as_user, ends_within, open_errno, says, signal};

/// Watches with everything that there is to see.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn on(path: &Path) -> Self {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&fd, path, WatchFlags::ALL_EVENTS).unwrap();
        Self(fd)
    }

    /// What was seen since it was last asked: the event, and in a directory the name.
    pub(crate) fn seen(&self) -> Vec<(ReadFlags, String)> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut seen = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_str().unwrap().to_owned());
                    seen.push((event.events(), name.unwrap_or_default()));
                }
                Err(Errno::AGAIN) => return seen,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until the content is said to have changed, and gives all that was seen.
    pub(crate) fn changed(&self, host: &Host) -> Vec<(ReadFlags, String)> {
        let mut seen = Vec::new();
        host.eventually("the change is announced", || {
            seen.extend(self.seen());
            seen.iter().any(|(event, _)| event.contains(ReadFlags::CLOSE_WRITE))
        });
        seen
    }
}

/// `inotifywait` that watches already: what it prints for the first change.
fn inotifywait(mut command: Command) -> Child {
    command.args(["--event", "close_write", "--timeout", "20", "--format", "%e %f"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let watches = said.any(|line| line.unwrap().contains("Watches established"));
    assert!(watches, "inotifywait is of the package inotify-tools");
    child
}

fn says_of_itself(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// A scope whose file shows this secret, and another whose file never changes.
fn scopes(secret: &str) -> String {
    format!(
        "[scope.a]\nallow = {{ uid = 0 }}\nfile.token = \"local:{secret}\"\nfile.other = \"local:t\"
         [scope.user]\nallow = {{ uid = 1000 }}\nfile.token = \"local:{secret}\""
    )
}

fn host() -> Host {
    Host::mounted(&[("t", b"first"), ("u", b"another"), ("empty", b"")], &scopes("t"))
}

/// Has the files show another secret.
fn rotate(host: &Host, secret: &str) {
    host.configure("", &scopes(secret));
    reload(host);
}

fn reload(host: &Host) {
    let output = host.reload();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), host.log());
}

/// The process that announces, once it is ready.
pub(crate) fn poker(host: &Host) -> u32 {
    let mut found = None;
    host.eventually("what announces changes runs", || {
        found = host.poker_pid().filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|status| status.contains("Seccomp:\t2"))
        });
        found.is_some()
    });
    found.unwrap()
}

/// All that a process writes to a file makes the kernel tell of.
const A_WRITE: [ReadFlags; 3] = [ReadFlags::OPEN, ReadFlags::MODIFY, ReadFlags::CLOSE_WRITE];

#[test]
fn a_change_is_a_write_to_who_watches_the_file_and_to_who_watches_its_directory() {
    let host = host();
    let (file, dir) = (Watch::on(&host.file("a/token")), Watch::on(&host.file("a")));
    let other = Watch::on(&host.file("a/other"));
    for secret in ["u", "t"] {
        rotate(&host, secret);
        assert_eq!(file.changed(&host), A_WRITE.map(|event| (event, String::new())));
        assert_eq!(dir.changed(&host), A_WRITE.map(|event| (event, "token".to_owned())));
        let now = if secret == "u" { "another" } else { "first" };
        assert_eq!(fs::read_to_string(host.file("a/token")).unwrap(), now);
        // What the reader did.
        host.eventually("the reader is seen", || {
            file.seen().iter().any(|(event, _)| event.contains(ReadFlags::CLOSE_NOWRITE))
        });
        dir.seen();
    }
    assert_eq!(other.seen(), [], "the other file did not change");
    host.configure("", &format!("{}\nfile.new = \"local:t\"", scopes("t")));
    reload(&host);
    assert_eq!(dir.seen(), [], "nor did any by a reload that leaves them as they are");
}

#[test]
fn who_reads_when_told_reads_the_new_value() {
    let host = host();
    let script = "inotifywait -qq -e modify \"$0\" && cat \"$0\"";
    let mut command = Command::new("bash");
    let mut child =
        command.args(["-c", script]).arg(host.file("a/token")).stdout(Stdio::piped()).spawn().unwrap();
    host.eventually("it watches", || host.is_watched("a/token"));
    rotate(&host, "u");
    let (_, status) = ends_within(&mut child, Duration::from_secs(20)).unwrap();
    assert!(status.success());
    assert_eq!(says_of_itself(child), "another");
}

#[test]
fn it_is_seen_through_a_bind_mount_in_another_mount_namespace() {
    let host = host();
    let elsewhere = host.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$0\" \"$1\" && shift && exec inotifywait \"$@\"";
    command.args(["--mount", "--propagation", "private", "/bin/bash", "-c", script]);
    command.arg(host.file("a")).arg(&elsewhere).arg(elsewhere.as_path());
    let watches = inotifywait(command);
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none(), "it is mounted there alone");
    rotate(&host, "u");
    assert_eq!(says_of_itself(watches), "CLOSE_WRITE,CLOSE token\n");
}

#[test]
fn a_file_that_only_another_user_may_read_is_announced_to_that_user() {
    let host = host();
    let file = host.file("user/token");
    assert_eq!(says(as_user(0, "stat").args(["-c", "%a %u"]).arg(&file)), "400 1000\n");
    let watch = |uid| {
        let mut command = Command::new("setpriv");
        let uid = format!("{uid}");
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "inotifywait"]).arg(&file);
        command
    };
    let watches = inotifywait(watch(1000));
    assert!(!watch(1001).output().unwrap().status.success(), "another may not even watch");
    rotate(&host, "u");
    assert_eq!(says_of_itself(watches), "CLOSE_WRITE,CLOSE \n");
    assert_eq!(says(as_user(1000, "cat").arg(&file)), "another");
}

/// Ways into the private mount: what root can reach by descriptors of others.
fn ways_in(host: &Host) -> Vec<PathBuf> {
    let pids = [host.daemon_pid(), poker(host)];
    let ways: Vec<_> = pids.map(|pid| format!("/proc/{pid}/fd")).into_iter().collect();
    let fds = ways.iter().flat_map(|fds| fs::read_dir(fds).unwrap().flatten());
    fds.map(|fd| fd.path()).filter(|fd| fd.join("a/token").exists()).collect()
}

#[test]
fn the_writes_of_everybody_else_are_erofs_through_the_private_mount_too() {
    let host = host();
    let ways = ways_in(&host);
    assert!(ways.len() >= 2, "the daemon and the process each hold the private mount: {ways:?}");
    let errno = |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error());
    for way in ways.into_iter().chain([host.file("")]) {
        let file = way.join("a/token");
        for (what, errno) in [
            ("write", errno(File::options().write(true).open(&file).map(drop))),
            ("append", errno(File::options().append(true).open(&file).map(drop))),
            ("truncate", errno(File::options().write(true).truncate(true).open(&file).map(drop))),
            ("touch", errno(File::open(&file).unwrap().set_modified(std::time::SystemTime::now()))),
            ("create", errno(File::create_new(way.join("a/new")).map(drop))),
            ("mkdir", errno(fs::create_dir(way.join("a/new")))),
            ("rename", errno(fs::rename(&file, way.join("a/other")))),
            ("remove", errno(fs::remove_file(&file))),
        ] {
            assert_eq!(errno, Some(libc::EROFS), "{what} at {}", way.display());
        }
        assert_eq!(fs::read(&file).unwrap(), b"first");
    }
}

#[test]
fn it_waits_for_no_provider_and_leaves_no_record() {
    let mut host = Host::new();
    host.set("t", b"first");
    host.hang();
    // Whoever asks for the size of what was never fetched waits for the provider all this time.
    let limits = "[limits]\ndeadline = \"60s\"\nstat_wait = \"60s\"";
    let configure = |host: &Host, secret| {
        let scope = format!("[scope.a]\nallow = {{ uid = 0 }}\nfile.token = \"hung:{secret}\"");
        host.configure("", &format!("{limits}\n{scope}\n{HUNG}"));
    };
    configure(&host, "t");
    host.mount();
    let dir = Watch::on(&host.file("a"));
    configure(&host, "u");
    reload(&host);
    dir.changed(&host);
    assert_eq!(host.all_records(), Vec::<serde_json::Value>::new());
}

#[test]
fn what_is_open_stays_as_it_is() {
    let host = host();
    let mut held = File::open(host.file("a/token")).unwrap();
    let watch = Watch::on(&host.file("a"));
    for secret in ["u", "empty", "t", "empty"] {
        rotate(&host, secret);
        watch.changed(&host);
        let mut text = String::new();
        held.rewind().unwrap();
        held.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), held.metadata().unwrap().len()), ("first", 5));
    }
    drop(held);
    // The kernel lets go of a file that was closed a moment later, and until then its size does not shrink.
    host.eventually("an empty value is an empty file", || {
        fs::metadata(host.file("a/token")).unwrap().len() == 0
    });
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"");
}

#[test]
fn what_is_mapped_stays_mapped() {
    let (long, short) = (vec![b'x'; 200_000], b"short");
    let host = Host::mounted(&[("t", &long), ("u", short)], &scopes("t"));
    let program = "import mmap, sys
h = open(sys.argv[1], 'rb')
m = mmap.mmap(h.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
print(len(m), flush=True)
for line in sys.stdin: print(m[:] == b'x' * 200000, flush=True)";
    let mut reader = Command::new("python3");
    let mut reader = reader
        .args(["-c", program])
        .arg(host.file("a/token"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = reader.stdin.take().unwrap();
    let mut from = BufReader::new(reader.stdout.take().unwrap()).lines();
    assert_eq!(from.next().unwrap().unwrap(), "200000");
    let watch = Watch::on(&host.file("a"));
    // Announced as another value, and the first one again: what the pages hold is what the file holds.
    for secret in ["u", "t"] {
        rotate(&host, secret);
        watch.changed(&host);
    }
    std::io::Write::write_all(&mut to, b"\n").unwrap();
    assert_eq!(from.next().unwrap().unwrap(), "True");
    drop(to);
    assert!(reader.wait().unwrap().success());
}

#[test]
fn who_holds_a_lease_of_a_file_is_told_of_it_and_holds_up_no_other_file() {
    let host = host();
    let program = "import fcntl, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
signal.signal(signal.SIGIO, lambda *_: (print('told', flush=True), os._exit(0)))
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
print('leased', flush=True)
while True: signal.pause()";
    let mut command = as_user(1000, "/usr/bin/python3");
    let mut leases =
        command.args(["-c", program]).arg(host.file("user/token")).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(leases.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "leased");
    let watch = Watch::on(&host.file("a/token"));
    rotate(&host, "u");
    watch.changed(&host);
    assert_eq!(said.next().unwrap().unwrap(), "told");
    assert!(leases.wait().unwrap().success());
}

#[test]
fn killed_it_is_started_again_and_the_next_change_is_announced() {
    let host = host();
    let watch = Watch::on(&host.file("a/token"));
    for secret in ["u", "t", "u"] {
        let before = poker(&host);
        signal(before, Signal::KILL);
        rotate(&host, secret);
        watch.changed(&host);
        host.eventually("another one runs", || host.poker_pid().is_some_and(|now| now != before));
    }
    let before = poker(&host);
    signal(before, Signal::KILL);
    host.eventually("it is not waited for until something changes", || {
        host.poker_pid().is_some_and(|now| now != before)
    });
}

#[test]
fn one_that_hangs_is_replaced_and_the_change_is_announced() {
    let host = host();
    let watch = Watch::on(&host.file("a/token"));
    let before = poker(&host);
    host.stopped(before);
    rotate(&host, "u");
    let since = Instant::now();
    while watch.seen().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(30), "not within thirty seconds\n{}", host.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    host.eventually("the one that hung is gone", || !Path::new(&format!("/proc/{before}")).exists());
}

#[test]
fn a_change_of_a_file_that_a_reload_removed_does_no_harm() {
    let host = host();
    let other = Watch::on(&host.file("a"));
    let poker = poker(&host);
    host.stopped(poker);
    rotate(&host, "u");
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.other = \"local:t\"");
    reload(&host);
    assert_eq!(open_errno(&host.file("a/token")), Some(libc::ENOENT));
    signal(poker, Signal::CONT);
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.other = \"local:u\"");
    reload(&host);
    let seen = other.changed(&host);
    assert!(seen.iter().all(|(_, name)| name != "token"), "{seen:?}");
    assert_eq!(host.poker_pid(), Some(poker), "it is still there");
}

#[test]
fn it_may_write_to_files_of_others_and_has_no_right_beside_that() {
    let host = host();
    let watch = Watch::on(&host.file("a/token"));
    rotate(&host, "u");
    watch.changed(&host);
    let poker = poker(&host);
    let status = fs::read_to_string(format!("/proc/{poker}/status")).unwrap();
    // CAP_DAC_OVERRIDE alone.
    for line in [
        "CapEff:\t0000000000000002",
        "CapPrm:\t0000000000000002",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "Threads:\t1",
    ] {
        assert!(status.contains(line), "{line}\n{status}");
    }
    let links = fs::read_dir(format!("/proc/{poker}/fd")).unwrap().flatten();
    let opened: Vec<_> = links.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    let is_socket = |path: &PathBuf| path.to_string_lossy().starts_with("socket:");
    assert_eq!(opened.iter().filter(|path| is_socket(path)).count(), 1, "{opened:?}");
    assert_eq!(opened.iter().filter(|path| *path == Path::new("/")).count(), 1, "the mount: {opened:?}");
    assert!(!opened.iter().any(|path| path.as_os_str() == OsStr::new("/dev/fuse")), "{opened:?}");
    assert!(!host.log().contains("announces changes"), "it has nothing to complain of: {}", host.log());
}

#[test]
fn when_the_daemon_is_killed_while_it_announces_nothing_is_left_behind() {
    for _ in 0..5 {
        let mut host = host();
        let poker = poker(&host);
        host.configure("", &scopes("u"));
        host.signal(Signal::HUP);
        host.eventually("the reload is under way", || host.log().contains("configuration applied"));
        host.signal(Signal::KILL);
        let (took, _) = host.ends_within(Duration::from_secs(10));
        assert!(took < Duration::from_secs(5), "it is reaped at once: {took:?}");
        host.eventually("what announced is gone", || {
            !fs::read_to_string(format!("/proc/{poker}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        });
    }
}
