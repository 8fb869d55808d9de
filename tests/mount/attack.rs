//! What was once possible: each test is an attack, or an accident that looks like one.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Host, as_user, signal};

const ONE: &str = "[scope.a]\nmode = \"0444\"\nallow = { uid = 1000 }\nfile.token = \"local:t\"";

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let mut host = Host::new();
    host.set("t", b"v");
    // The audit too goes to standard error: a full pipe stops both.
    host.configure_audited("stderr", ONE);
    let (mut reader, writer) = std::io::pipe().unwrap();
    host.mount_logging_to(Stdio::from(OwnedFd::from(writer)));
    let file = host.file("a/token");
    let open = || {
        let script = "for i in range(18000):\n try: open(FILE).close()\n except OSError: break\nelse: raise SystemExit(1)";
        let script = script.replace("FILE", &format!("'{}'", file.display()));
        as_user(1000, "/usr/bin/python3").args(["-c", &script]).status().unwrap()
    };
    // Once the pipe and the ring are full, opens fail, as `on_failure = "deny"` wants; each such failure is logged.
    assert!(open().success(), "the ring never got full");
    for _ in 0..20 {
        let read = as_user(1000, "/usr/bin/cat").arg(&file).output().unwrap();
        assert_eq!(read.status.code(), Some(1), "{read:?}");
    }
    assert!(Command::new("timeout").args(["5", "stat"]).arg(&file).output().unwrap().status.success());
    let (took, code) = host.stop();
    assert!(took < Duration::from_secs(3) && code == Some(0), "{took:?} {code:?}");
    let mut log = Vec::new();
    reader.read_to_end(&mut log).unwrap();
    assert!(String::from_utf8_lossy(&log).contains("\"outcome\":\"allowed\""));
}

#[test]
fn the_end_is_orderly_while_the_fetcher_is_being_started_again() {
    let mut host = Host::mounted(&[("t", b"v")], ONE);
    let mut killed = 0;
    // Each time the pause before the next start is longer.
    host.eventually("several fetchers were killed", || {
        if let Some(fetcher) = host.fetcher_pid() {
            signal(fetcher, rustix::process::Signal::KILL);
            killed += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        killed == 6
    });
    let (_, code) = host.stop();
    assert_eq!(code, Some(0));
    assert!(!host.log().contains("not everything ended in time"), "{}", host.log());
}

#[test]
fn no_user_can_have_all_handles() {
    let host = Host::mounted(
        &[("t", b"v")],
        &format!("{ONE}\n[scope.b]\nallow = {{ uid = 1001 }}\nfile.token = \"local:t\""),
    );
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(1 << 20);
    let each = usize::try_from(limit).unwrap().min(33_000) - 100;
    // EIO while the disk is too busy for the records of so many opens: it is not what is asked about here.
    let script = "import errno, os, resource, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held, refused = 0, 0
while held < int(sys.argv[2]) and not refused:
    try: os.open(sys.argv[1], 0); held += 1
    except OSError as error:
        if error.errno != errno.EIO: refused = error.errno
        else: time.sleep(0.05)
print(refused, flush=True)
sys.stdin.read()";
    let mut hogs = Vec::new();
    let mut errno = 0;
    for _ in 0..(1 << 16) / each + 1 {
        let mut hog = as_user(1000, "/usr/bin/python3");
        hog.args(["-c", script]).arg(host.file("a/token")).arg(each.to_string());
        let mut hog = hog.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(hog.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        hogs.push((hog, out));
        errno = line.trim().parse().unwrap_or(0);
        if errno != 0 {
            break;
        }
    }
    let other = as_user(1001, "/usr/bin/cat").arg(host.file("b/token")).output().unwrap();
    for (mut hog, _) in hogs {
        drop(hog.stdin.take());
        hog.wait().unwrap();
    }
    assert_eq!(errno, libc::EAGAIN);
    assert_eq!(other.stdout, b"v");
}

#[test]
fn a_passed_descriptor_obeys_the_rules_that_are_in_force() {
    let two = "[scope.a]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"v")], two);
    let opened = std::fs::File::open(host.file("a/token")).unwrap();
    let read = || {
        // A descriptor of the same open file, at its start.
        let stdin = rustix::io::dup(&opened).unwrap();
        rustix::fs::seek(&stdin, rustix::fs::SeekFrom::Start(0)).unwrap();
        as_user(1000, "/usr/bin/cat").stdin(Stdio::from(stdin)).output().unwrap().stdout
    };
    assert_eq!(read(), b"v");
    host.configure("", &two.replace("{ uid = 1000 }", "{ uid = 1001 }"));
    assert!(host.reload().status.success());
    assert_eq!(read(), b"", "the rule for uid 1000 is gone");
    host.eventually("the denial is on record", || {
        host.audit().iter().any(|record| record["op"] == "read" && record["outcome"] == "denied")
    });
}
