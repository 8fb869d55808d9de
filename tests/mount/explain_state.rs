//! What is said of a decision that turns on what a process has done, on its state, or on learning.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::control::{as_other, json};
use crate::explain::{Running, explained, text};
use crate::support::{HUSHFS, Host, as_user};

/// A Python program that does something for each line it is sent, and says when it is done.
struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    /// Has it do the next thing.
    fn next(&mut self) -> String {
        self.to.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(uid: u32, program: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", program]).uid(uid).gid(uid);
    command
}

/// The selector of the first rule whose description begins like this.
fn selector<'a>(told: &'a Value, key: &str) -> &'a Value {
    let all = told["rules"][0]["selectors"].as_array().unwrap();
    all.iter().find(|one| one["selector"].as_str().unwrap().starts_with(key)).unwrap()
}

#[test]
fn reads_that_the_daemon_counted_are_told_and_decided_by() {
    let scope = "[scope.a]\nmode = \"0444\"\nallow = { uid = 1000, reads = 2 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], scope);
    let program = "import sys
for _ in sys.stdin:
    try: print(open(sys.argv[1]).read(), flush=True)
    except PermissionError: print('denied', flush=True)";
    let mut command = python(1000, program);
    command.arg(host.file("a/token"));
    let mut reader = Python::start(command);
    let whom = ["a/token", "--pid", &reader.pid()];
    for had in 0..2 {
        let (code, told) = explained(&host, &whom);
        assert_eq!((code, &told["outcome"]), (Some(0), &"allowed".into()), "{told}");
        let seen = format!("the caller's process has had {had} of its 2 reads of the file");
        assert_eq!(selector(&told, "reads")["seen"], seen);
        assert_eq!(reader.next(), "the value", "asking what would be is not reading");
    }
    let (code, told) = explained(&host, &whom);
    let spent = "the caller's process has had 2 of its 2 reads of the file";
    assert_eq!((code, &told["reason"]), (Some(3), &format!("no rule matches: {spent}").into()), "{told}");
    assert_eq!(told["to_change"]["missing"][0], format!("reads:2 is demanded: {spent}"));
    assert_eq!(reader.next(), "denied");

    let (code, told) = explained(&host, &[&whom[..], &["--offline"]].concat());
    assert_eq!((code, &told["outcome"]), (Some(0), &"allowed".into()), "{told}");
    let page = text(&host.run(&[&["explain"], &whom[..], &["--offline"]].concat(), b""));
    assert!(page.contains("only a daemon counts reads: judged as if the process had read nothing"), "{page}");
}

#[test]
fn what_learning_lets_in_is_said_as_the_open_puts_it_on_record() {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let scope = format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, exe = \"/usr/bin/head\" }}\nlearn_until = {until:.0}\n\
         file.token = \"local:t\""
    );
    let host = Host::mounted(&[("t", b"the value")], &scope);
    let tail = Running::start(1000, "/usr/bin/tail", &["-f", "/dev/null"]);
    let (code, told) = explained(&host, &["a/token", "--pid", &tail.pid()]);
    assert_eq!(
        (code, &told["outcome"], &told["errno"]),
        (Some(0), &"allowed".into(), &Value::Null),
        "{told}"
    );
    assert_eq!(told["learning_until"], format!("{until:.0}"));
    assert_eq!(told["to_change"]["rule"], "a.1", "what will be missing once it ends: {told}");
    let read = as_user(1000, "/usr/bin/tail").arg(host.file("a/token")).output().unwrap();
    assert_eq!(read.stdout, b"the value");
    let record = host.recorded("what was learned", |record| record["learned"] == true);
    assert_eq!((&record["rule"], &record["reason"]), (&told["rule"], &told["reason"]));
    let page = text(&host.run(&["explain", "a/token", "--pid", &tail.pid()], b""));
    assert!(page.starts_with("ALLOWED    ") && page.contains(" only by learning, until "), "{page}");

    let (_, offline) = explained(&host, &["a/token", "--pid", &tail.pid(), "--offline"]);
    assert_eq!(
        (&offline["outcome"], &offline["learning_until"]),
        (&told["outcome"], &told["learning_until"])
    );
    let other = Running::start(1001, "/usr/bin/tail", &["-f", "/dev/null"]);
    let (code, told) = explained(&host, &["a/token", "--pid", &other.pid()]);
    assert_eq!((code, &told["learning_until"]), (Some(3), &Value::Null), "{told}");
}

#[test]
fn an_ordinary_user_is_not_told_what_a_rule_that_is_hidden_from_him_turned_on() {
    let scope = format!(
        "[scope.a]\nmode = \"0444\"\nallow = [{{ uid = 1000 }}, {{ exe = \"{HUSHFS}\", no_new_privs = true }}]\n\
         file.token = \"local:t\""
    );
    let host = Host::mounted(&[("t", b"the value")], &scope);
    let (code, whole) = explained(&host, &["a/token", "--self"]);
    let reason = whole["reason"].as_str().unwrap();
    assert_eq!(code, Some(3));
    assert!(reason.starts_with("no rule matches: the caller "), "root is told: {whole}");
    let own = as_other(1001, &host, &["explain", "a/token", "--self", "--json"]);
    assert_eq!(own.status.code(), Some(3), "{}", text(&own));
    let told = json(&own);
    assert_eq!((&told["reason"], &told["rules_not_shown"]), (&"no rule matches".into(), &2.into()), "{told}");
    assert!(!text(&own).contains(&reason["no rule matches: ".len()..]), "{}", text(&own));
}

#[test]
fn who_is_traced_and_what_code_was_loaded_is_shown() {
    let scope = "[scope.a]\nmode = \"0444\"\nfile.token = \"local:t\"
        allow = { uid = 1000, no_preload = true, not_traced = true, not_dumpable = true }";
    let host = Host::mounted(&[("t", b"the value")], scope);
    let sleep = Running::start(1000, "/usr/bin/sleep", &["60"]);
    let (_, told) = explained(&host, &["a/token", "--pid", &sleep.pid()]);
    for (key, matched) in [("no_preload", "yes"), ("not_traced", "yes"), ("not_dumpable", "no")] {
        assert_eq!(selector(&told, key)["matched"], matched, "{told}");
    }
    assert_eq!((&told["caller"]["traced"], &told["caller"]["not_dumpable"]), (&false.into(), &false.into()));

    host.write("code", &[0; 4096], 0o755);
    std::os::unix::fs::chown(host.path("code"), Some(1000), Some(1000)).unwrap();
    let program = "import ctypes, mmap, sys
input()
file = open(sys.argv[1], 'rb')
code = mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE
print('ready', flush=True)
input()";
    let mut command = python(1000, program);
    command.arg(host.path("code"));
    let mut loaded = Python::start(command);
    assert_eq!(loaded.next(), "ready");
    let program = "import ctypes, sys
input()
print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0), flush=True)  # PTRACE_SEIZE
input()";
    let mut command = python(0, program);
    command.arg(loaded.pid());
    let mut tracer = Python::start(command);
    assert_eq!(tracer.next(), "0");
    let (code, told) = explained(&host, &["a/token", "--pid", &loaded.pid()]);
    assert_eq!(code, Some(3));
    let seen = |key| selector(&told, key)["seen"].as_str().unwrap();
    assert!(seen("no_preload").contains(host.path("code").to_str().unwrap()), "{told}");
    assert_eq!(
        seen("not_traced"),
        format!("process {} traces thread {} of the caller", tracer.pid(), loaded.pid())
    );
    assert_eq!((&told["caller"]["traced"], &told["caller"]["not_dumpable"]), (&true.into(), &true.into()));
    let page = text(&host.run(&["explain", "a/token", "--pid", &loaded.pid()], b""));
    assert!(page.contains("no_new_privs not set, not dumpable, traced\n"), "{page}");
    assert!(page.lines().count() <= 24, "more than a screen:\n{page}");
}

#[test]
fn a_setgid_program_is_shown_with_all_its_gids() {
    let host = crate::explain::host();
    host.write("setgid", &std::fs::read("/usr/bin/sleep").unwrap(), 0o755);
    std::os::unix::fs::chown(host.path("setgid"), Some(0), Some(50)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o2755);
    std::fs::set_permissions(host.path("setgid"), mode).unwrap();
    let sleep = Running::start(1000, host.path("setgid").to_str().unwrap(), &["60"]);
    let (_, told) = explained(&host, &["a/token", "--pid", &sleep.pid()]);
    assert_eq!(
        (&told["caller"]["gids"], &told["caller"]["gid"]),
        (&serde_json::json!([1000, 50, 50, 50]), &50.into()),
        "{told}"
    );
    let page = text(&host.run(&["explain", "a/token", "--pid", &sleep.pid()], b""));
    assert!(page.contains("gids real 1000, effective 50, saved 50, file system 50, groups"), "{page}");
}
