//! A provider that hangs: nobody but its own readers notices, and those wait no longer than the deadline and can always
//! be ended.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    HUNG, Host, as_user, best_of_five, ends_within, open_errno, python, signal, waits_for_fuse,
};

const SCOPE: &str = "[limits]\ndeadline = \"2s\"\nstat_wait = \"500ms\"
    [scope.a]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.fine = \"local:t\"\nfile.cold = \"local:u\"
    file.hung = \"hung:t\"\nfile.hung2 = \"hung:u\"";

fn host(limits: &str) -> Host {
    let mut host = Host::new();
    host.set("t", b"fine");
    host.set("u", b"cold");
    host.hang();
    host.configure("", &format!("{}{HUNG}", SCOPE.replace("deadline = \"2s\"", limits)));
    host.mount();
    host
}

/// A process that opens the file that hangs, and waits for it. Its signals are not ignored, whoever started us.
fn reader(host: &Host) -> Child {
    let program = "import os, signal, sys
for name in signal.SIGINT, signal.SIGTERM: signal.signal(name, signal.SIG_DFL)
os.execv('/usr/bin/cat', ['cat', sys.argv[1]])";
    let mut reader = Command::new("/usr/bin/python3");
    reader.args(["-c", program]).arg(host.file("a/hung")).stdin(Stdio::null());
    let child = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    host.eventually("the reader waits", || waits_for_fuse(child.id()));
    child
}

#[test]
fn everybody_else_stays_quick_and_the_reader_gets_etimedout_in_time() {
    let host = host("deadline = \"2s\"");
    assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine");
    let since = Instant::now();
    let mut reader = reader(&host);
    let quick = [
        ("a warm read", best_of_five(|| assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine"))),
        ("ls", best_of_five(|| assert_eq!(fs::read_dir(host.file("a")).unwrap().count(), 4))),
        ("stat of a directory", best_of_five(|| assert!(fs::metadata(host.file("a")).unwrap().is_dir()))),
        ("stat of the root", best_of_five(|| assert!(fs::metadata(host.file("")).unwrap().is_dir()))),
        (
            "stat of another file",
            best_of_five(|| assert_eq!(fs::metadata(host.file("a/fine")).unwrap().len(), 4)),
        ),
        (
            "a denied open",
            best_of_five(|| {
                let denied =
                    as_user(1001, "/bin/bash").args(["-c", "! : < $0"]).arg(host.file("a/fine")).output();
                assert!(denied.unwrap().status.success());
            }),
        ),
    ];
    assert!(since.elapsed() < Duration::from_millis(1500), "measured while the reader waits");
    for (what, took) in quick {
        assert!(took < Duration::from_millis(50), "{what} took {took:?}");
    }
    assert_eq!(fs::read(host.file("a/cold")).unwrap(), b"cold", "a miss at another provider");
    let (_, status) = ends_within(&mut reader, Duration::from_secs(5)).expect("the reader is answered");
    let took = since.elapsed();
    assert!(
        !status.success() && took < Duration::from_secs(3) && took > Duration::from_millis(1900),
        "{took:?}"
    );
    let output = reader.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("timed out"), "{output:?}");
    assert!(output.stdout.is_empty());
    let record = host.recorded("the failed open", |r| r["path"] == "a/hung" && r["op"] == "open");
    assert_eq!((record["outcome"].as_str(), record["errno"].as_str()), (Some("failed"), Some("ETIMEDOUT")));
}

#[test]
fn a_stat_waits_for_stat_wait_and_then_leaves_the_provider_alone() {
    let host = host("deadline = \"2s\"");
    let since = Instant::now();
    assert_eq!(fs::metadata(host.file("a/hung")).unwrap().len(), 1);
    let first = since.elapsed();
    assert!(first >= Duration::from_millis(500) && first < Duration::from_millis(1500), "{first:?}");
    let others = best_of_five(|| assert_eq!(fs::metadata(host.file("a/hung2")).unwrap().len(), 1));
    assert!(others < Duration::from_millis(50), "{others:?}");
    let long = best_of_five(|| {
        assert!(Command::new("ls").arg("-l").arg(host.file("a")).output().unwrap().status.success())
    });
    assert!(long < Duration::from_millis(100), "ls -l took {long:?}");
}

#[test]
fn a_waiting_reader_dies_at_once_of_sigint_sigterm_and_sigkill() {
    let host = host("deadline = \"1min\"");
    for name in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut reader = reader(&host);
        signal(reader.id(), name);
        let took = ends_within(&mut reader, Duration::from_secs(5)).map(|(took, _)| took);
        assert!(took.is_some_and(|took| took < Duration::from_millis(500)), "{name:?}: {took:?}");
    }
    let record = host.recorded("the interrupted open", |r| r["errno"] == "EINTR");
    assert_eq!((record["path"].as_str(), record["outcome"].as_str()), (Some("a/hung"), Some("failed")));
    assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine");
}

#[test]
fn a_reader_with_several_threads_is_killed_whole() {
    let host = host("deadline = \"1min\"");
    let program = "import sys, threading, time
def read(): open(sys.argv[1]).read()
for _ in range(4): threading.Thread(target=read).start()
print('started', flush=True)
time.sleep(60)";
    let mut child = python(program).arg(host.file("a/hung")).stdout(Stdio::piped()).spawn().unwrap();
    let children =
        |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut python = 0;
    host.eventually("four threads wait", || {
        python = children(child.id()).trim().parse().unwrap_or(0);
        let Ok(tasks) = fs::read_dir(format!("/proc/{python}/task")) else { return false };
        let waiting = |tid: &str| {
            fs::read_to_string(format!("/proc/{python}/task/{tid}/wchan"))
                .is_ok_and(|at| at == "request_wait_answer")
        };
        tasks.flatten().filter(|task| waiting(task.file_name().to_str().unwrap())).count() == 4
    });
    signal(python, Signal::KILL);
    let took = ends_within(&mut child, Duration::from_secs(5)).map(|(took, _)| took);
    assert!(took.is_some_and(|took| took < Duration::from_millis(500)), "{took:?}");
    assert!(!std::path::Path::new(&format!("/proc/{python}")).exists(), "nothing of it is stuck");
}

#[test]
fn a_signal_that_the_reader_handles_does_not_turn_into_a_failed_read_of_others() {
    let host = host("deadline = \"2s\"");
    // SIGCHLD, SIGWINCH and the like arrive all the time and ask nobody to stop.
    let program = "import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
try: os.open(sys.argv[1], os.O_RDONLY)
except OSError as error: print(error.errno)";
    let mut command = Command::new("/usr/bin/python3");
    let child =
        command.args(["-c", program]).arg(host.file("a/hung")).stdout(Stdio::piped()).spawn().unwrap();
    host.eventually("the reader waits", || waits_for_fuse(child.id()));
    signal(child.id(), Signal::USR1);
    signal(child.id(), Signal::WINCH);
    let said = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), format!("{}\n", libc::ETIMEDOUT), "it waited on");
}

#[test]
fn fifty_readers_of_a_value_that_is_not_there_yet_share_one_fetch() {
    let host = host("deadline = \"20s\"");
    let fetcher = host.fetcher_pid().unwrap();
    let threads = || fs::read_dir(format!("/proc/{fetcher}/task")).unwrap().count();
    assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine");
    let before = threads();
    let mut readers: Vec<Child> = (0..50)
        .map(|_| Command::new("/usr/bin/cat").arg(host.file("a/hung")).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    host.eventually("all fifty wait", || readers.iter().all(|reader| waits_for_fuse(reader.id())));
    // A fetch from a store takes a thread of its own, up to sixteen for one provider.
    let fetching = threads().saturating_sub(before);
    assert!(fetching <= 1, "{fetching} fetches for fifty readers");
    let quick = best_of_five(|| assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine"));
    assert!(quick < Duration::from_millis(50), "others wait {quick:?}");
    for reader in &readers {
        signal(reader.id(), Signal::KILL);
    }
    for reader in &mut readers {
        assert!(ends_within(reader, Duration::from_secs(5)).is_some(), "stuck");
    }
}

#[test]
fn a_full_house_of_hung_fetches_does_not_hold_up_another_provider() {
    let mut host = Host::new();
    host.set("t", b"fine");
    host.hang();
    let files: String = (0..40).map(|n| format!("file.h{n} = \"hung:s{n}\"\n")).collect();
    let scopes = format!(
        "[limits]\ndeadline = \"2s\"\n[scope.a]\nallow = {{ uid = 0 }}\nfile.fine = \"local:t\"\n{files}{HUNG}"
    );
    host.configure("", &scopes);
    host.mount();
    let mut readers: Vec<Child> = (0..40)
        .map(|n| {
            Command::new("/usr/bin/cat")
                .arg(host.file(&format!("a/h{n}")))
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    host.eventually("all wait", || readers.iter().all(|reader| waits_for_fuse(reader.id())));
    assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine", "a miss at the store that works");
    for reader in &mut readers {
        assert!(ends_within(reader, Duration::from_secs(4)).is_some_and(|(_, status)| !status.success()));
    }
    assert_eq!(open_errno(&host.file("a/h0")), Some(libc::ETIMEDOUT));
}

/// Has what it maps read ahead, then never gets out of execve: the file that it has open is closed there, which its file
/// system has to be told. If it were not kept until the READ is answered, a look at who reads would wait as long.
#[test]
fn reading_ahead_and_getting_stuck_in_execve_holds_up_nobody_else() {
    let mut host = Host::new();
    host.set("t", b"fine");
    host.hang();
    // One for each thread that answers: what waits to be read of a file keeps others from mapping it.
    let files: String = (0..4).map(|n| format!("file.f{n} = \"local:t\"\n")).collect();
    host.configure("", &format!("[scope.a]\nallow = {{ uid = 0 }}\nfile.fine = \"local:t\"\n{files}"));
    host.mount();
    let program = "import mmap, os, sys
held = os.open(sys.argv[2], os.O_RDONLY)
secret = os.open(sys.argv[1], os.O_RDONLY)
mapped = mmap.mmap(secret, os.fstat(secret).st_size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
print('ready', flush=True)
sys.stdin.readline()
print('asks', flush=True)
mapped.madvise(mmap.MADV_WILLNEED)
os.execv('/bin/true', ['true'])";
    let mut stuck: Vec<_> = (0..4)
        .map(|n| {
            let mut command = Command::new("/usr/bin/python3");
            command.args(["-c", program]).arg(host.file(&format!("a/f{n}"))).arg(host.path("hang/demo/hang"));
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
            assert_eq!(said.next().unwrap().unwrap(), "ready");
            (child, said)
        })
        .collect();
    host.stop_the_disk();
    host.stopped(host.daemon_pid());
    for (child, said) in &mut stuck {
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert_eq!(said.next().unwrap().unwrap(), "asks");
    }
    // Whoever does not have to wait for the READ is inside execve by then. To look whether it is would be to wait for it.
    std::thread::sleep(Duration::from_millis(500));
    host.signal(Signal::CONT);
    let mut reader =
        Command::new("/usr/bin/cat").arg(host.file("a/fine")).stdout(Stdio::piped()).spawn().unwrap();
    let ended = ends_within(&mut reader, Duration::from_secs(5));
    assert!(ended.is_some_and(|(_, status)| status.success()), "others wait");
    // With the disk, which goes with the host, what they wait for is gone.
    drop(host);
    assert!(stuck.iter_mut().all(|(child, _)| ends_within(child, Duration::from_secs(5)).is_some()));
}
