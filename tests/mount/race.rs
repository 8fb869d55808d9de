//! Callers that change, or are in a strange state, while they ask: the answer is for who asked, and nobody else waits.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{HUNG, Host, as_user, best_of_five, python, says};

/// A rule for a program of uid 1000.
fn scope(program: &str) -> String {
    format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, exe = \"{program}\" }}\nfile.token = \"local:t\"\n"
    )
}

/// A host with the programs `exec` and `attempt`, of which one may read.
fn host(entitled: &str) -> Host {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.compile("exec");
    host.compile("attempt");
    let entitled = host.path(entitled);
    host.configure("", &scope(entitled.to_str().unwrap()));
    host.mount();
    host
}

/// What `exec` says, run as uid 1000.
fn becomes(host: &Host, how: &str, file: &str, program: &str) -> String {
    let mut exec = as_user(1000, host.path("exec").to_str().unwrap());
    says(exec.arg(how).arg(host.file(file)).arg(program))
}

#[test]
fn a_process_that_becomes_another_program_during_an_open_is_answered_as_what_it_was() {
    let mut host = Host::new();
    host.hang();
    let exec = host.compile("exec");
    let scope = scope(exec.to_str().unwrap()).replace("local:t", "hung:t");
    host.configure("", &format!("[limits]\ndeadline = \"2s\"\nstat_wait = \"500ms\"\n{HUNG}{scope}"));
    host.mount();
    let said = becomes(&host, "during", "a/token", "/bin/echo");
    assert_eq!(said, format!("{}\n", host.file("a/token").display()));
    // The stat before the open waits as well. execve ends the other threads first, so the one that waits is seen to be stopped.
    let record = host.recorded("the attempt", |record| record["outcome"] == "failed");
    assert_eq!(record["exe"], exec.to_str().unwrap(), "{record}");
    assert_eq!(record["errno"], "EINTR", "{record}");
}

#[test]
fn a_process_that_is_about_to_become_an_entitled_program_reads_nothing_before() {
    let mut host = host("attempt");
    let entitled = host.path("attempt");
    for _ in 0..100 {
        let said = becomes(&host, "race", "a/token", entitled.to_str().unwrap());
        assert_eq!(said, "the value\n", "once, by the entitled program");
    }
    let records = host.all_records();
    assert!(
        records
            .iter()
            .filter(|record| record["outcome"] == "allowed")
            .all(|r| r["exe"] == entitled.to_str().unwrap())
    );
    assert!(records.iter().any(|record| record["outcome"] == "denied"), "the race was run");
}

#[test]
fn another_thread_that_becomes_a_program_has_the_id_of_the_first_and_not_its_rights() {
    let entitled = host("exec");
    let attempt = entitled.path("attempt");
    let said = becomes(&entitled, "thread", "a/token", attempt.to_str().unwrap());
    assert_eq!(said, "before: the value\nEACCES\n");
    let entitled = host("attempt");
    let attempt = entitled.path("attempt");
    let said = becomes(&entitled, "thread", "a/token", attempt.to_str().unwrap());
    assert_eq!(said, "before: EACCES\nthe value\n");
}

#[test]
fn a_process_that_gives_up_its_uid_or_group_loses_the_right_with_it() {
    let rules = "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"
[scope.b]\nmode = \"0444\"\nallow = { gid = 50 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], rules);
    let program = "
import os, sys
def attempt(name, act):
    try: print(name, act(), flush=True)
    except PermissionError: print(name, 'denied', flush=True)
a, b = sys.argv[1:]
os.setgroups([50, 51])
fds = os.open(a, 0), os.open(b, 0)
for i in range(2): attempt('read', lambda: os.pread(fds[i], 100, 0).decode())
os.setgroups([51])
attempt('without the group', lambda: os.pread(fds[1], 100, 0).decode())
attempt('again', lambda: os.open(b, 0))
os.setgroups([])
attempt('without any', lambda: os.open(b, 0))
os.setgroups([50])
attempt('with the group', lambda: os.pread(fds[1], 100, 0).decode())
os.setresuid(1000, 1000, 1000)
attempt('as another user', lambda: os.pread(fds[0], 100, 0).decode())
attempt('again', lambda: os.open(a, 0))";
    let said = says(python(program).arg(host.file("a/token")).arg(host.file("b/token")));
    let expected = "read the value\nread the value\nwithout the group denied\nagain denied\nwithout any denied\n\
                    with the group the value\nas another user denied\nagain denied\n";
    assert_eq!(said, expected);
}

/// What `threads` says, run as that user.
fn threads(host: &Host, uid: u32, how: &str) -> String {
    says(as_user(uid, host.path("threads").to_str().unwrap()).arg(how).arg(host.file("a/token")))
}

#[test]
fn each_thread_is_judged_by_its_own_ids() {
    let rules = |uid| format!("[scope.a]\nmode = \"0444\"\nallow = {uid}\nfile.token = \"local:t\"");
    let host = Host::mounted(&[("t", b"the value")], &rules("[{ uid = 0 }, { uid = 1000 }]"));
    host.compile("threads");
    let both = "uid 1000: the value\nuid 1000, by root's descriptor: the value\nroot: the value\nroot, by uid 1000's descriptor: the value\n";
    assert_eq!(threads(&host, 0, "uids"), both);

    // The descriptors are there before only root may.
    let host = Host::mounted(&[("t", b"the value")], &rules("{ uid = 0 }"));
    host.compile("threads");
    let said = Command::new(host.path("threads")).arg("uids").arg(host.file("a/token")).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said, "uid 1000: EACCES\nuid 1000, by root's descriptor: EACCES\n");
}

#[test]
fn a_process_whose_first_thread_has_ended_or_that_shares_its_memory_is_the_program_still() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let program = host.compile("threads");
    host.configure("", &scope(program.to_str().unwrap()));
    host.mount();
    assert_eq!(threads(&host, 1000, "leader"), "after the leader: the value\n");
    assert_eq!(threads(&host, 1000, "vfork"), "child: the value\nparent: the value\n");
    assert_eq!(threads(&host, 1000, "stopped"), "beside the stopped: the value\n");
    assert_eq!(threads(&host, 1001, "leader"), "after the leader: EACCES\n");
}

/// A program that talks by lines.
struct Talker {
    child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, to, from: BufReader::new(from).lines() }
    }

    fn go_on(&mut self) {
        self.to.write_all(b"\n").unwrap();
    }

    fn says(&mut self) -> String {
        self.from.next().expect("the program ended").unwrap()
    }

    /// Ends it. What it waits for must answer again, or have ended.
    fn end(mut self) {
        drop(self.to);
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// All of the mount is as quick as ever.
fn others_are_quick(host: &Host) {
    let took = best_of_five(|| {
        assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("b/token"))), "the value");
    });
    assert!(took < Duration::from_millis(500), "{took:?}");
}

const ANYBODY: &str =
    "[scope.b]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"\n";

#[test]
fn an_executable_on_a_disk_that_does_not_answer_holds_up_nobody() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let resident = host.compile_as("resident", "resident", &["-static"]);
    host.hang_with_program(&resident);
    host.configure("", &format!("{}{ANYBODY}", scope("/usr/bin/cat")));
    host.mount();
    let mut command = as_user(1000, host.path("hang/demo/exec").to_str().unwrap());
    command.arg(host.file("a/token")).arg(host.file("b/token"));
    let mut program = Talker::start(command);
    assert_eq!(program.says(), "ready");
    host.stop_the_disk();
    for _ in 0..3 {
        let since = Instant::now();
        program.go_on();
        assert_eq!([program.says(), program.says()], ["EACCES", "the value"]);
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        others_are_quick(&host);
    }
    drop(host);
    program.end();
}

#[test]
fn a_rule_that_names_a_program_on_a_disk_that_does_not_answer_holds_up_nobody() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let resident = host.compile_as("resident", "resident", &["-static"]);
    host.hang_with_program(&resident);
    let program = host.path("hang/demo/exec");
    host.configure("", &format!("{}{ANYBODY}", scope(program.to_str().unwrap())));
    host.mount();
    host.stop_the_disk();
    for _ in 0..4 {
        // Before somebody is turned away it is looked whether the program was replaced.
        let denied = as_user(1000, "/usr/bin/cat").arg(host.file("a/token")).output().unwrap();
        assert!(String::from_utf8_lossy(&denied.stderr).contains("Permission denied"), "{denied:?}");
        std::thread::sleep(Duration::from_millis(150));
    }
    others_are_quick(&host);
}

#[test]
fn a_parent_that_is_stuck_in_execve_holds_up_nobody() {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.hang();
    let program = host.compile("ancestor");
    host.configure("", &format!("{}{ANYBODY}", scope(program.to_str().unwrap())));
    host.mount();
    // By itself: `timeout` is to wait for no such thing.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]).arg(program);
    let mut parent = Talker::start({
        command.arg(host.file("a/token")).arg(host.path("hang/demo/token"));
        command
    });
    assert_eq!(parent.says(), "ready");
    host.stop_the_disk();
    parent.go_on();
    assert_eq!(parent.says(), "child: the value");
    // Whoever reads this of a process in execve waits, but can be killed.
    let stat = format!("/proc/{}/stat", parent.child.id());
    let read = Command::new("timeout").args(["--signal=KILL", "1", "cat", &stat]).output().unwrap();
    assert!(!read.status.success(), "the parent is not in execve");
    others_are_quick(&host);
    drop(host);
    parent.end();
}

#[test]
fn a_thread_that_is_stuck_does_not_hold_up_the_others_of_its_process() {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.hang();
    let program = host.compile("threads");
    host.configure("", ANYBODY);
    host.mount();
    let mut command = Command::new(program);
    command.arg("stuck").arg(host.file("b/token")).arg(host.path("hang/demo/hang"));
    let mut threads = Talker::start(command);
    assert_eq!(threads.says(), "beside the stuck: the value");
    others_are_quick(&host);
    drop(host);
    threads.end();
}
