//! What is said of a decision.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{HUSHFS, Host};

const SCOPES: &str = "
    [scope.a]\nmode = \"0444\"\nfile.token = \"local:t\"
    allow = [{ uid = 1000, exe = \"/usr/bin/sleep\" }, { uid = 1001, within = \"1h\" }, { uid = 0, gid = 50 }]
    [scope.mine]\nallow = { uid = 1000 }\nfile.token = \"local:t\"";

pub(crate) fn host() -> Host {
    Host::mounted(&[("t", b"the value")], SCOPES)
}

/// A process of that uid, until dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(uid: u32, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        let command = command.args(args).uid(uid).gid(uid).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// `hushfs explain ... --json` by root: the exit code and what it says.
pub(crate) fn explained(host: &Host, args: &[&str]) -> (Option<i32>, Value) {
    let output = host.run(&[&["explain", "--json"], args].concat(), b"");
    let text = text(&output);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}")))
}

pub(crate) fn text(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn root_is_told_why_a_process_may_and_why_another_may_not() {
    let host = host();
    let sleep = Running::start(1000, "/usr/bin/sleep", &["60"]);
    let tail = Running::start(1000, "/usr/bin/tail", &["-f", "/dev/null"]);
    let (code, told) = explained(&host, &["a/token", "--pid", &sleep.pid()]);
    assert_eq!(
        (code, &told["outcome"], &told["rule"]),
        (Some(0), &"allowed".into(), &"a.1".into()),
        "{told}"
    );
    assert_eq!(told["judged_by"], "daemon");
    assert_eq!(told["caller"]["exe"]["path"], "/usr/bin/sleep");
    assert_eq!(told["kernel"]["file"]["passes_as"], "others");
    let beware = told["beware"][0].as_str().unwrap();
    assert!(beware.starts_with("whatever else runs as uid 1000 can put code into this process"), "{told}");

    let path = host.file("a/token");
    let (code, told) = explained(&host, &[path.to_str().unwrap(), "--pid", &tail.pid()]);
    assert_eq!(
        (code, &told["outcome"], &told["errno"]),
        (Some(3), &"denied".into(), &"EACCES".into()),
        "{told}"
    );
    assert_eq!(told["to_change"]["rule"], "a.1");
    let missing = told["to_change"]["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1);
    assert!(missing[0].as_str().unwrap().contains("the caller runs /usr/bin/tail"), "{missing:?}");
    // Every fact is established, also where another selector says no already.
    assert_eq!(told["rules"][1]["selectors"][1]["selector"], "within:3600s");
    assert_eq!(told["rules"][1]["selectors"][1]["matched"], "yes");

    let page = text(&host.run(&["explain", "a/token", "--pid", &tail.pid()], b""));
    assert!(page.starts_with("DENIED     a/token for pid "), "{page}");
    for line in ["rules      - a.1", "to change  rule a.1 is the nearest"] {
        assert!(page.contains(line), "{page}");
    }
    assert!(page.lines().count() <= 24, "more than a screen:\n{page}");
}

#[test]
fn what_is_said_is_what_an_open_does() {
    let host = host();
    // Opens, says what came of it, and stays.
    let program = "import os, sys
exec(sys.argv[1])
print(os.getpid())
for path in sys.argv[2:]:
    try: os.close(os.open(path, os.O_RDONLY)); print('allowed')
    except OSError as error: print('denied')
sys.stdout.flush()
import time; time.sleep(60)";
    let ids = |ids: &str| format!("os.setgroups([]); os.setresgid(7, 7, 7); os.setresuid({ids})");
    let who = [
        ids("1000, 1000, 1000"),
        ids("1001, 1001, 1001"),
        ids("1002, 1002, 1002"),
        ids("1001, 1001, 0"),
        "os.setgroups([50])".to_owned(),
        "os.setgroups([])".to_owned(),
        format!("{}; import ctypes; ctypes.CDLL(None).unshare(0x10000000)", ids("1001, 1001, 1001")),
    ];
    let mut seen = Vec::new();
    for setup in &who {
        let mut child = Command::new("/usr/bin/python3");
        child.args(["-c", program, setup]).args([host.file("a/token"), host.file("mine/token")]);
        let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pid = lines.next().unwrap().unwrap();
        for file in ["a/token", "mine/token"] {
            let did = lines.next().unwrap().unwrap();
            let (code, told) = explained(&host, &[file, "--pid", &pid]);
            assert_eq!(told["outcome"], did, "{setup}: {told}");
            assert_eq!(code, Some(if did == "allowed" { 0 } else { 3 }));
            seen.push(did);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(seen.iter().filter(|did| *did == "allowed").count() >= 3, "{seen:?}");
    assert!(seen.iter().filter(|did| *did == "denied").count() >= 8, "{seen:?}");
}

#[test]
fn without_a_daemon_the_configuration_says_the_same() {
    let mut host = host();
    let sleep = Running::start(1000, "/usr/bin/sleep", &["60"]);
    let tail = Running::start(1000, "/usr/bin/tail", &["-f", "/dev/null"]);
    let ask = |host: &Host, more: &[&str]| {
        [&sleep, &tail].map(|process| {
            let (code, mut told) = explained(host, &[&["a/token", "--pid", &process.pid()], more].concat());
            (told["caller"]["age_seconds"], told["outdated"]) = (Value::Null, Value::Null);
            (code, told["judged_by"].take(), told)
        })
    };
    let online = ask(&host, &[]);
    let forced = ask(&host, &["--offline"]);
    host.stop();
    let offline = ask(&host, &[]);
    for ((online, forced), offline) in online.iter().zip(&forced).zip(&offline) {
        assert_eq!((&online.1, &offline.1), (&"daemon".into(), &"configuration".into()));
        assert_eq!((online.0, &online.2), (offline.0, &offline.2));
        assert_eq!(forced, offline);
    }
    let page = text(&host.run(&["explain", "a/token", "--pid", &tail.pid()], b""));
    let (socket, file) = (host.path("m.sock"), host.path("hushfs.toml"));
    let note =
        format!("no daemon was asked: none listens at {}; judged by {}", socket.display(), file.display());
    assert!(page.contains(&note), "{page}");
    let page = text(&host.run(&["explain", "a/token", "--pid", &tail.pid(), "--offline"], b""));
    assert!(page.contains("no daemon was asked (--offline); judged by"), "{page}");
    let other = text(&crate::control::as_other(1001, &host, &["explain", "a/token", "--self"]));
    assert!(other.contains(&format!("no hushfs answers at `{}`", socket.display())), "{other}");
    assert!(other.contains("needs no daemon: --config FILE --offline"), "{other}");
    let mut nowhere = crate::support::as_user(1001, HUSHFS);
    nowhere
        .args(["explain", "/nowhere/a/token", "--self"])
        .env_remove("HUSHFS_CONFIG")
        .env("HOME", "/nobody");
    let nowhere = text(&nowhere.env_remove("XDG_CONFIG_HOME").output().unwrap());
    assert!(nowhere.contains("/nobody/.config/hushfs/hushfs.toml cannot be read"), "{nowhere}");
    assert!(nowhere.contains("with --config FILE it works without a daemon"), "{nowhere}");
    assert!(text(&host.run(&["whoami"], b"")).contains("no daemon was asked"));
}

#[test]
fn what_is_not_there_is_said_and_is_not_a_denial() {
    let host = host();
    let said = |args: &[&str], words: &str| {
        let output = host.run(&[&["explain"], args].concat(), b"");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains(words), "{}", text(&output));
    };
    said(&["a/nothing", "--self"], "has no file `nothing`; it has token");
    said(&["a/tokn", "--self"], "it has token; did you mean `token`?");
    said(&["mien/token", "--self"], "there is no scope `mien`; did you mean `mine`?");
    said(&["another/token", "--self"], "there is no scope `another`\n");
    said(&["a/token", "--unit", "nobody-has-this"], "no process of unit `nobody-has-this.service`");
    said(&["/etc/passwd", "--self"], "is not below the mount");
    said(&["a/token", "--pid", "4194300"], "the process is gone");
    said(&["a/token", "--unit", "nobody-has-this.service"], "no process of unit `nobody-has-this.service`");
    let container = "4e3ad9be6e02";
    said(&["a/token", "--container", container], "no process of container `4e3ad9be6e02` is running");
    let output = host.run(&["explain", "a/token"], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_that_was_changed_since_the_daemon_read_it_is_told_of() {
    let host = host();
    let said = |args: &[&str]| text(&host.run(&[&["explain"], args].concat(), b""));
    let note = "the configuration file has changed since hushfs read it: `hushfs reload`";
    let outdated = || explained(&host, &["a/token", "--self"]).1["outdated"].clone();
    assert_eq!(outdated(), false);
    assert!(!said(&["a/token", "--self"]).contains(note));

    host.configure("", &format!("{SCOPES}\n[scope.new]\nallow = {{ uid = 0 }}\nfile.token = \"local:t\""));
    assert_eq!(outdated(), true);
    assert!(said(&["a/token", "--self"]).contains(&format!("note       {note}")));
    assert!(said(&["new/token", "--self"]).contains(&format!("there is no scope `new`; {note}")));
    assert_eq!(explained(&host, &["a/token", "--self", "--offline"]).1["outdated"], Value::Null);
    let other = crate::control::as_other(1001, &host, &["explain", "a/token", "--self", "--json"]);
    assert_eq!(crate::control::json(&other)["outdated"], Value::Null, "only root reads the file");
    assert_eq!(host.reload().status.code(), Some(0));
    assert_eq!(outdated(), false);

    std::fs::create_dir(host.path("conf.d")).unwrap();
    host.write("conf.d/more.toml", b"", 0o600);
    assert_eq!(outdated(), true, "a file beside it counts as well");
}

#[test]
fn a_path_may_be_written_from_the_current_directory() {
    let host = host();
    let said = |here: &Path, path: &str| {
        let mut command = Command::new(HUSHFS);
        command.args(["explain", "--self", "--json", path]).env("HUSHFS_CONFIG", host.path("hushfs.toml"));
        let output = command.current_dir(here).output().unwrap();
        let text = text(&output);
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{text}"))["path"].clone()
    };
    for (here, path) in
        [("m/a", "token"), ("m/a", "./token"), ("m/mine", "../a/token"), ("m", "a/token"), (".", "m/a/token")]
    {
        assert_eq!(said(&host.path(here), path), "a/token", "{path} in {here}");
    }
    assert_eq!(said(&host.file("mine"), "a/token"), "a/token", "a scope and a name, wherever that is said");
}

/// A control group that looks like a system unit's, until dropped; its processes must have ended by then.
pub(crate) struct Unit {
    pub(crate) name: String,
    place: PathBuf,
}

impl Unit {
    pub(crate) fn new(name: &str) -> Self {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let root = Path::new(mounts.find(|fields| fields[2] == "cgroup2").expect("a cgroup v2 hierarchy")[1]);
        let name = format!("{name}-{}.service", std::process::id());
        let place = root.join(format!("hushfs-test-{name}.slice")).join(&name);
        std::fs::create_dir_all(&place).unwrap();
        Self { name, place }
    }

    pub(crate) fn add(&self, pid: &str) {
        std::fs::write(self.place.join("cgroup.procs"), pid).unwrap();
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let since = Instant::now();
        // A process leaves a little after it was waited for.
        while std::fs::remove_dir(&self.place).is_err() && since.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = std::fs::remove_dir(self.place.parent().unwrap());
    }
}

#[test]
fn a_unit_is_explained_once_for_each_kind_of_process() {
    let host = host();
    let unit = Unit::new("kinds");
    let tail = Running::start(1000, "/usr/bin/tail", &["-f", "/dev/null"]);
    let sleeps = [1000, 1000, 1001].map(|uid| Running::start(uid, "/usr/bin/sleep", &["60"]));
    for process in sleeps.iter().chain([&tail]) {
        unit.add(&process.pid());
    }
    let (code, told) = explained(&host, &["a/token", "--unit", &unit.name]);
    assert_eq!(code, Some(3), "one of them is denied");
    let told = told.as_array().unwrap();
    let mut kinds: Vec<_> = told.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["allowed", "allowed", "denied"], "{told:?}");
    assert!(told.iter().all(|one| one["caller"]["unit"] == unit.name.as_str()), "{told:?}");
    let short = unit.name.strip_suffix(".service").unwrap();
    let by_short = explained(&host, &["a/token", "--unit", short]).1;
    assert_eq!(by_short.as_array().map(Vec::len), Some(3), "as systemctl takes it: {by_short}");
    let page = text(&host.run(&["explain", "a/token", "--unit", &unit.name], b""));
    assert_eq!(page.matches(&format!("unit {}", unit.name)).count(), 3, "{page}");
}

#[test]
fn the_keys_of_the_json_stay() {
    let host = host();
    let tail = Running::start(1000, "/usr/bin/tail", &["-f", "/dev/null"]);
    let (_, told) = explained(&host, &["a/token", "--pid", &tail.pid()]);
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&told),
        "beware caller errno judged_by kernel learning_until outcome outdated path reason rule rules rules_not_shown to_change"
    );
    assert_eq!(
        keys(&told["caller"]),
        "age_seconds cgroup container exe gid gids groups mount_namespace no_new_privs not_dumpable pid refused \
         thread traced uid uids unit user_namespace"
    );
    assert_eq!(keys(&told["caller"]["exe"]), "device inode path");
    assert_eq!(keys(&told["kernel"]), "directory file mount_only_for passes");
    assert_eq!(keys(&told["kernel"]["file"]), "gid mode passes_as uid");
    assert_eq!(keys(&told["rules"][0]), "holds_in_namespace matches rule selectors");
    assert_eq!(keys(&told["rules"][0]["selectors"][0]), "matched seen selector strength");
    assert_eq!(keys(&told["to_change"]), "missing rule");
}
