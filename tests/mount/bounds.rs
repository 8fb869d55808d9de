//! One caller that is over its bounds, and everybody else: who asks for too much gets `EAGAIN`, and nobody else notices.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{HUNG, Host, Record, as_user, best_of_five, python, says, signal, waits_for_fuse};

/// Files of one scope that are not at the provider: each open of one makes it be asked.
const MISSING: usize = 100;

fn host(limits: &str) -> Host {
    let mut host = Host::new();
    host.set("t", b"warm");
    host.set("u", b"cold");
    host.set("v", b"cold too");
    host.hang();
    let missing: String = (0..MISSING).map(|n| format!("file.n{n} = \"local:none/{n}\"\n")).collect();
    let scopes = format!(
        "[limits]\ndeadline = \"1min\"\nstat_wait = \"100ms\"\n{limits}\n[scope.a]\nmode = \"0444\"
        allow = [{{ uid = 0 }}, {{ uid = 1000 }}, {{ uid = 1001 }}]\nfile.warm = \"local:t\"\nfile.cold = \"local:u\"
        file.cold2 = \"local:v\"\nfile.hung = \"hung:t\"\n{missing}{HUNG}"
    );
    host.configure("", &scopes);
    host.mount();
    host
}

/// Opens what is missing until its standard input ends, then says how often it tried and what it got.
struct Flood(Child);

impl Flood {
    fn of(uid: u32, host: &Host) -> Self {
        let program = format!(
            "
import collections, errno, os, select, sys
got = collections.Counter()
while not select.select([sys.stdin], [], [], 0)[0]:
    for n in range({MISSING}):
        try: os.close(os.open(f'{{sys.argv[1]}}/n{{n}}', os.O_RDONLY))
        except OSError as error: got[errno.errorcode[error.errno]] += 1
    print('round', flush=True)
print(' '.join(f'{{name}}={{times}}' for name, times in sorted(got.items())), flush=True)"
        );
        let mut flood = as_user(uid, "/usr/bin/python3");
        flood.args(["-c", &program]).arg(host.file("a"));
        let mut child = flood.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "round\n");
        Self(child)
    }

    /// How many opens failed by `ENOKEY`, which asked the provider, and by `EAGAIN`, which did not.
    fn ends(mut self) -> (u64, u64) {
        drop(self.0.stdin.take());
        let said = self.0.wait_with_output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let of = |name: &str| {
            let mut words = said.lines().last().unwrap().split(' ');
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(0)
        };
        (of("ENOKEY"), of("EAGAIN"))
    }
}

/// How many attempts those records stand for that `are` meant, and how many lines they are.
fn counted(records: &[Record], are: impl Fn(&Record) -> bool) -> (u64, usize) {
    let counts: Vec<u64> =
        records.iter().filter(|r| are(r)).map(|r| r["count"].as_u64().unwrap_or(1)).collect();
    (counts.iter().sum(), counts.len())
}

#[test]
fn a_uid_that_makes_the_provider_be_asked_too_often_gets_eagain_and_another_uid_is_served_as_ever() {
    let mut host = host("misses_per_uid = 2");
    let since = Instant::now();
    let flood = Flood::of(1000, &host);
    assert_eq!(fs::read(host.file("a/warm")).unwrap(), b"warm");
    let warm = best_of_five(|| assert_eq!(fs::read(host.file("a/warm")).unwrap(), b"warm"));
    let before = Instant::now();
    assert_eq!(fs::read(host.file("a/cold")).unwrap(), b"cold", "a miss of another uid");
    let cold = before.elapsed();
    assert_eq!(says(as_user(1001, "/usr/bin/cat").arg(host.file("a/cold2"))), "cold too");
    assert!(warm < Duration::from_millis(50) && cold < Duration::from_secs(1), "{warm:?}, {cold:?}");
    assert_eq!(
        says(as_user(1000, "/usr/bin/cat").arg(host.file("a/cold"))),
        "cold",
        "what is known costs nothing"
    );
    let (asked, refused) = flood.ends();
    let most = 20 + 2 * (since.elapsed().as_secs() + 1);
    assert!(asked <= most && asked > 0 && refused >= 50, "{asked} of {most} asked, {refused} refused");

    let records = host.all_records();
    let is = |op: &'static str| {
        move |r: &Record| {
            r["op"] == op && r["uid"] == 1000 && r["errno"] == "EAGAIN" && r["outcome"] == "failed"
        }
    };
    let (opens, lines) = counted(&records, is("open"));
    assert_eq!(opens, refused, "all of them are on record");
    let seconds = usize::try_from(since.elapsed().as_secs()).unwrap();
    assert!(lines <= 2 * (seconds + 2), "{lines} lines in {seconds} s");
    let (stats, _) = counted(&records, is("stat"));
    assert!(stats >= refused / 2, "a stat that makes the provider be asked counts: {stats}");
    let reason = records.iter().find(|r| is("open")(r)).unwrap()["reason"].as_str().unwrap();
    assert_eq!(reason, "the caller's uid makes providers be asked more often than 2 times a second");
    let logged = host.log().matches("makes providers be asked").count();
    assert!((1..=2).contains(&logged), "logged {logged} times");
}

#[test]
fn a_process_over_its_bound_leaves_room_for_another_of_its_user() {
    let host = host("misses_per_process = 2");
    let flood = Flood::of(1000, &host);
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("a/cold"))), "cold");
    let (asked, refused) = flood.ends();
    assert!(asked > 0 && refused >= 50, "{asked} asked, {refused} refused");
    let record = host.recorded("a refused open", |r| r["errno"] == "EAGAIN");
    let reason = record["reason"].as_str().unwrap();
    assert_eq!(reason, "the caller's process makes providers be asked more often than 2 times a second");
}

/// A process of so many threads that open what hangs. Says what those got that did not have to wait.
fn waiters(uid: u32, threads: u32, host: &Host) -> Child {
    let program = "
import errno, os, sys, threading
def wait():
    try: os.open(sys.argv[1], os.O_RDONLY)
    except OSError as error: os.write(1, (errno.errorcode[error.errno] + '\\n').encode())
for _ in range(int(sys.argv[2])): threading.Thread(target=wait).start()";
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--clear-groups", "--reuid", &uid.to_string(), "--regid", &uid.to_string()]);
    command.args(["timeout", "--signal=KILL", "--foreground", "20", "/usr/bin/python3", "-c", program]);
    command.arg(host.file("a/hung")).arg(threads.to_string()).stdout(Stdio::piped()).spawn().unwrap()
}

/// How many threads of a process below `child` wait for an answer of a FUSE.
fn waiting_below(child: &Child) -> usize {
    let pid = child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", children.trim())) else { return 0 };
    let waits = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("wchan")).is_ok_and(|at| at == "request_wait_answer")
    };
    tasks.flatten().filter(waits).count()
}

#[test]
fn so_many_requests_of_a_process_and_of_a_uid_wait_and_all_others_are_served_as_ever() {
    let host = host("waiting_per_process = 5\nwaiting_per_uid = 8");
    assert_eq!(fs::read(host.file("a/warm")).unwrap(), b"warm");
    let mut first = waiters(1000, 7, &host);
    let mut said = BufReader::new(first.stdout.take().unwrap()).lines();
    assert_eq!([said.next().unwrap().unwrap(), said.next().unwrap().unwrap()], ["EAGAIN", "EAGAIN"]);
    host.eventually("five threads wait", || waiting_below(&first) == 5);
    let mut second = waiters(1000, 4, &host);
    let mut said = BufReader::new(second.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "EAGAIN", "its uid has eight");
    host.eventually("three more wait", || waiting_below(&second) == 3);
    assert_eq!(
        says(as_user(1000, "/usr/bin/cat").arg(host.file("a/warm"))),
        "warm",
        "what is known does not wait"
    );

    let mut other = as_user(1001, "/usr/bin/cat").arg(host.file("a/hung")).spawn().unwrap();
    let other_waits = || {
        let pid = other.id();
        let cat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        cat.trim().parse().is_ok_and(waits_for_fuse)
    };
    host.eventually("another uid waits for the same", other_waits);
    assert_eq!(fs::read(host.file("a/cold")).unwrap(), b"cold", "another uid's miss at another provider");
    let quick = best_of_five(|| assert_eq!(fs::read(host.file("a/warm")).unwrap(), b"warm"));
    assert!(quick < Duration::from_millis(50), "{quick:?}");
    for reason in [
        "too many requests of the caller's process are waiting",
        "too many requests of the caller's uid are waiting",
    ] {
        host.recorded(reason, |r| r["reason"] == reason && r["errno"] == "EAGAIN" && r["op"] == "open");
    }
    for child in [&mut first, &mut second, &mut other] {
        let pid = child.id();
        let below = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        signal(below.trim().parse().unwrap(), Signal::KILL);
        child.wait().unwrap();
    }
}

#[test]
fn a_uid_that_waits_for_many_slow_secrets_leaves_turns_at_the_provider_to_others() {
    let mut host = Host::new();
    host.set("t", b"fine");
    host.hang();
    let files: String = (0..20).map(|n| format!("file.h{n} = \"hung:s{n}\"\n")).collect();
    let scopes = format!(
        "[limits]\ndeadline = \"1min\"\nstat_wait = \"1ms\"\n[scope.a]\nmode = \"0444\"
        allow = [{{ uid = 0 }}, {{ uid = 1000 }}]\nfile.fine = \"local:t\"\n{files}{HUNG}"
    );
    host.configure("", &scopes);
    host.mount();
    let fetcher = host.fetcher_pid().unwrap();
    let threads = || fs::read_dir(format!("/proc/{fetcher}/task")).unwrap().count();
    assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine");
    let before = threads();
    let read = |uid: u32, name: String| {
        let mut cat = Command::new("/usr/bin/setpriv");
        cat.args([
            "--clear-groups",
            "--reuid",
            &uid.to_string(),
            "--regid",
            &uid.to_string(),
            "/usr/bin/cat",
        ]);
        cat.arg(host.file(&name)).spawn().unwrap()
    };
    let mut readers: Vec<Child> = (0..19).map(|n| read(1000, format!("a/h{n}"))).collect();
    host.eventually("all wait", || readers.iter().all(|reader| waits_for_fuse(reader.id())));
    // A fetch from a store takes a thread of its own; one thread may be left from the first.
    let under_way = || threads() - before;
    host.eventually("twelve are under way", || under_way() >= 11);
    assert!(under_way() <= 12, "{} fetches of one uid at once", under_way());
    let of_one = under_way();
    readers.push(read(0, "a/h19".into()));
    host.eventually("another uid's is under way too", || under_way() == of_one + 1);
    assert!(under_way() <= 13, "{} fetches of two uids at once", under_way());
    for reader in &mut readers {
        signal(reader.id(), Signal::KILL);
        reader.wait().unwrap();
    }
}

#[test]
fn a_thousand_threads_of_a_service_that_start_on_one_secret_are_all_served() {
    // They wait for one fetch, and only that one counts.
    let host = host("misses_per_process = 1");
    let fetcher = host.fetcher_pid().unwrap();
    signal(fetcher, Signal::STOP);
    let program = "
import os, sys, threading
threading.stack_size(65536)
def read():
    fd = os.open(sys.argv[1], os.O_RDONLY)
    os.write(1, os.read(fd, 100) + b'\\n')
    os.close(fd)
threads = [threading.Thread(target=read) for _ in range(1000)]
for thread in threads: thread.start()
for thread in threads: thread.join()";
    let child = python(program).arg(host.file("a/cold")).stdout(Stdio::piped()).spawn().unwrap();
    host.eventually("nearly all wait", || waiting_below(&child) > 900);
    signal(fetcher, Signal::CONT);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').filter(|line| line == b"cold").count(), 1000);
}
