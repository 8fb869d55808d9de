//! The control socket: who may ask what, and who cannot be held up.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::explain::{Running, Unit, explained, host, text};
use crate::support::{HUSHFS, Host, as_user, signal};

/// `hushfs` as another user, who may not read the configuration.
pub(crate) fn as_other(uid: u32, host: &Host, args: &[&str]) -> Output {
    let mut command = as_user(uid, HUSHFS);
    command.args(args).env("HUSHFS_CONTROL", host.path("m.sock")).output().unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)))
}

#[test]
fn everybody_may_ask_about_himself_and_about_nobody_else() {
    let host = host();
    let own = as_other(1001, &host, &["explain", "a/token", "--self", "--json"]);
    assert_eq!(own.status.code(), Some(0), "{}", text(&own));
    let told = json(&own);
    assert_eq!((&told["rule"], &told["caller"]["uid"]), (&"a.2".into(), &1001.into()), "{told}");
    assert_eq!(told["caller"]["exe"]["path"], HUSHFS);
    assert_eq!((told["rules"].as_array().unwrap().len(), &told["rules_not_shown"]), (1, &2.into()), "{told}");

    let closed = as_other(1001, &host, &["explain", "mine/token", "--self", "--json"]);
    assert_eq!(closed.status.code(), Some(3));
    let told = json(&closed);
    assert_eq!((&told["kernel"]["file"], &told["rules"]), (&Value::Null, &Value::Array(Vec::new())));
    let mut other = json(&as_other(1001, &host, &["explain", "mine/nothing", "--self", "--json"]));
    for changing in ["path", "caller"] {
        other[changing] = told[changing].clone();
    }
    assert_eq!(other, told, "whether a file is there is not told to who may not enter");

    // Who may not read the configuration finds the socket beside the mount.
    let path = host.file("a/token");
    let mut by_path = as_user(1001, HUSHFS);
    let by_path = by_path.arg("explain").arg(&path).args(["--self", "--json"]).env_remove("HUSHFS_CONFIG");
    assert_eq!(json(&by_path.output().unwrap())["path"], "a/token");

    let whoami = as_other(1000, &host, &["whoami", "--json"]);
    assert_eq!((whoami.status.code(), &json(&whoami)["uid"]), (Some(0), &1000.into()), "{}", text(&whoami));
    let page = text(&as_other(1000, &host, &["whoami"]));
    assert!(page.contains("uid = 1000  (strong)") || page.contains("user = "), "{page}");

    let mine = Running::start(1000, "/usr/bin/sleep", &["60"]);
    let theirs = Running::start(1001, "/usr/bin/sleep", &["60"]);
    let root = std::process::id().to_string();
    for whom in [["--pid", &root], ["--pid", &theirs.pid()], ["--unit", "x.service"], ["--container", "x"]] {
        let output = as_other(1000, &host, &[&["explain", "a/token"], &whom[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{whom:?}");
        assert!(text(&output).contains("only root may"), "{}", text(&output));
    }
    let allowed = as_other(1000, &host, &["explain", "a/token", "--json", "--pid", &mine.pid()]);
    let told = json(&allowed);
    assert_eq!((allowed.status.code(), &told["rule"]), (Some(0), &"a.1".into()), "{told}");
    assert_eq!(told["caller"]["exe"]["path"], "/usr/bin/sleep");
    assert_eq!((told["rules"].as_array().unwrap().len(), &told["rules_not_shown"]), (1, &2.into()), "{told}");
}

#[test]
fn a_process_that_is_an_ordinary_users_only_in_part_is_not_his_to_ask_about() {
    let host = host();
    let program = "import os, sys, time
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(*map(int, sys.argv[1:]))
print('ready', flush=True)
time.sleep(60)";
    for uids in [["1000", "1000", "0"], ["1000", "0", "1000"], ["0", "1000", "1000"]] {
        let mut child = Command::new("/usr/bin/python3");
        let mut child = child.args(["-c", program]).args(uids).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let output = as_other(1000, &host, &["explain", "a/token", "--pid", &child.id().to_string()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(output.status.code(), Some(1), "{uids:?}");
        let told = text(&output);
        assert!(told.contains("is not one that has uid 1000 alone") && !told.contains("python"), "{told}");
    }
}

#[test]
fn the_socket_is_for_everybody_and_reload_is_not() {
    let host = host();
    let meta = std::fs::metadata(host.path("m.sock")).unwrap();
    assert_eq!((meta.permissions().mode() & 0o777, meta.uid()), (0o666, 0));
    let program = "import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall((sys.argv[2] + '\\n').encode()); print(s.makefile().readline(), end='')";
    let say = |what: &str| {
        let mut peer = as_user(1000, "/usr/bin/python3");
        text(&peer.args(["-c", program]).arg(host.path("m.sock")).arg(what).output().unwrap())
    };
    let reload = format!("{{\"verb\":\"reload\",\"config\":\"{}\"}}", host.path("hushfs.toml").display());
    assert!(say(&reload).contains("only root may"));
    assert!(
        say("{\"verb\":\"explain\",\"path\":\"a/token\",\"whom\":{\"pid\":1}}").contains("only root may")
    );
    assert!(say("nonsense").contains("not understood"));
    assert!(say(&"x".repeat(5000)).contains("not understood"));
    assert!(say("{\"verb\":\"whoami\"}").contains("\"uid\":1000"));
    assert!(!host.log().contains("configuration applied"), "{}", host.log());
}

#[test]
fn a_flood_of_connections_shuts_out_nobody_but_who_makes_it() {
    let host = host();
    let program = "import socket, sys
held = []
for _ in range(300):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); held.append(s)
print(held[-1].makefile().readline(), end='', flush=True)
sys.stdin.read()";
    let mut floods: Vec<_> = (2000..2016)
        .map(|uid| {
            let mut flood = as_user(uid, "/usr/bin/python3");
            flood.args(["-c", program]).arg(host.path("m.sock")).stdin(Stdio::piped()).stdout(Stdio::piped());
            flood.spawn().unwrap()
        })
        .collect();
    for flood in &mut floods {
        let mut line = String::new();
        BufReader::new(flood.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("too many are asking"), "{line}");
    }
    let output = host.run(&["whoami"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(host.reload().status.code(), Some(0));
    for mut flood in floods {
        drop(flood.stdin.take());
        flood.wait().unwrap();
    }
    host.eventually("there is room again", || as_other(1000, &host, &["whoami"]).status.success());
}

#[test]
fn a_silent_peer_is_given_up_after_a_while() {
    let host = host();
    let mut silent = std::os::unix::net::UnixStream::connect(host.path("m.sock")).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let since = Instant::now();
    assert_eq!(std::io::Read::read(&mut silent, &mut [0; 8]).unwrap(), 0, "closed without a word");
    assert!(since.elapsed() > Duration::from_secs(4), "{:?}", since.elapsed());
}

#[test]
fn a_peer_that_ended_or_became_somebody_else_is_told_nothing() {
    let host = host();
    host.write("setuid", &std::fs::read("/usr/bin/sleep").unwrap(), 0o4755);
    // The process that connects does what is asked; a child of it then speaks in its stead.
    let program = "import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.set_inheritable(True)
gone, done = os.pipe()
if os.fork() == 0:
    os.close(done)
    os.read(gone, 1)
    s.sendall(b'{\"verb\":\"whoami\"}\\n')
    print(s.makefile().readline(), end='', flush=True)
    os._exit(0)
if sys.argv[2]: os.execv(sys.argv[2], ['it', '2'])";
    let said = |becomes: &str| {
        let mut peer = as_user(1000, "/usr/bin/python3");
        text(&peer.args(["-c", program]).arg(host.path("m.sock")).arg(becomes).output().unwrap())
    };
    let setuid = said(host.path("setuid").to_str().unwrap());
    assert!(setuid.contains("another one by now") && !setuid.contains("\"uid\""), "{setuid}");
    let ended = said("");
    assert!(ended.contains("refused") && !ended.contains("\"uid\""), "{ended}");
    let same = said("/usr/bin/sleep");
    assert!(same.contains("/usr/bin/sleep") && same.contains("\"uid\":1000"), "{same}");
}

/// Connects, then never gets out of execve: the file that it has open is closed there, which its file system has to be told.
#[test]
fn a_process_that_is_stuck_in_execve_holds_up_nobody_else() {
    let unit = Unit::new("stuck");
    let mut host = host();
    host.hang();
    let program = "import os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.seteuid(1000)
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2]); s.set_inheritable(True)
if os.fork() == 0:
    sys.stdin.readline()
    s.sendall(b'{\"verb\":\"whoami\"}\\n')
    print(s.makefile().readline(), end='', flush=True)
    os._exit(0)
os.seteuid(0)
held = os.open(sys.argv[1], os.O_RDONLY)
os.setresuid(1000, 1000, 1000)
print(os.getpid(), flush=True)
signal.sigwait([signal.SIGUSR1])
os.execv('/bin/true', ['true'])";
    let mut stuck = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .args([host.path("hang/demo/hang"), host.path("m.sock")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(stuck.stdout.take().unwrap()).lines();
    let pid: u32 = lines.next().unwrap().unwrap().parse().unwrap();
    let sleep = Running::start(1000, "/usr/bin/sleep", &["60"]);
    unit.add(&pid.to_string());
    unit.add(&sleep.pid());
    host.stop_the_disk();
    signal(pid, Signal::USR1);
    // Its arguments are gone with its old memory. What else would tell, such as `wchan`, cannot be read now.
    let arguments = format!("/proc/{pid}/cmdline");
    host.eventually("it waits inside execve", || std::fs::read(&arguments).is_ok_and(|text| text.is_empty()));

    let since = Instant::now();
    let mut asking = as_user(1001, HUSHFS);
    asking.arg("whoami").env("HUSHFS_CONTROL", host.path("m.sock")).stdout(Stdio::null());
    std::io::Write::write_all(stuck.stdin.as_mut().unwrap(), b"\n").unwrap();
    let about_it: Vec<_> = (0..4)
        .map(|_| {
            let mut ask = Command::new(HUSHFS);
            ask.args(["explain", "a/token", "--pid", &pid.to_string()]);
            ask.env("HUSHFS_CONFIG", host.path("hushfs.toml")).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for _ in 0..10 {
        assert!(asking.status().unwrap().success());
        assert_eq!(explained(&host, &["a/token", "--self"]).0, Some(3));
        let read = as_user(1000, "/usr/bin/cat").arg(host.file("mine/token")).output().unwrap();
        assert_eq!(read.stdout, b"the value");
    }
    let (took, answer) = (since.elapsed(), lines.next().unwrap().unwrap());
    assert!(answer.contains("took too long"), "{answer}");
    for ask in about_it {
        let output = ask.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains("took too long"), "{}", text(&output));
    }
    assert!(took < Duration::from_secs(15), "{took:?}");
    let of_unit = host.run(&["explain", "a/token", "--unit", &unit.name], b"");
    assert_eq!(of_unit.status.code(), Some(0), "{}", text(&of_unit));
    let missed = String::from_utf8_lossy(&of_unit.stderr).into_owned();
    assert!(missed.contains(&format!("process {pid}: looking at it took too long")), "{missed}");
    drop((host, sleep));
    stuck.wait().unwrap();
}
