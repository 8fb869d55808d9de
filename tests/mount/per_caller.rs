//! Scopes with workloads: a directory for each, and a credential of its own.

use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::explain::{explained, text};
use crate::inotify::{Watch, poker};
use crate::support::{HUSHFS, Host, as_user, says, signal};

/// Makes a user at each call, with a number. `lasts` says for how many seconds. While there is a file `down`, it has no `app`.
const PROGRAM: &str = r#"#!/bin/sh
cd "$MADE" || exit 1
read -r question
case $question in
    *'"operation":"revoke"'*) echo "$question" >> revoked; echo '{}'; exit ;;
esac
if [ -e down ] && [ "${question#*'"path":"app"'}" != "$question" ]; then
    echo '{"error": {"kind": "unavailable"}}'
    exit
fi
echo "$question" >> made
number=$(wc -l < made)
end=$(date -u -d "+$(cat lasts) seconds" +%FT%TZ)
echo "{\"values\": {\"user\": \"user-$number\"}, \"version\": \"$number\", \"expires\": \"$end\",
    \"lease\": {\"handle\": \"user-$number\", \"renewable\": false, \"revocable\": true}}"
"#;

/// Two workloads of one user, told apart by their programs.
const WORKLOADS: &str = "web = { exe = \"/usr/bin/cat\" }\nworker = { exe = \"/usr/bin/tail\" }\n";

/// What makes credentials on this host, as the provider `made`.
struct Made<'h>(&'h Host);

impl<'h> Made<'h> {
    fn of(host: &'h Host, lasts: u32) -> Self {
        host.write("made.sh", PROGRAM.as_bytes(), 0o755);
        fs::create_dir(host.path("made")).unwrap();
        chown(host.path("made"), Some(65534), Some(65534)).unwrap();
        fs::write(host.path("made/lasts"), lasts.to_string()).unwrap();
        Self(host)
    }

    /// The configuration of a scope `db` with these workloads, and more lines of it.
    fn configure(&self, workloads: &str, lines: &str) {
        let (program, directory) = (self.0.path("made.sh"), self.0.path("made"));
        let provider = format!(
            "[provider.made]\nkind = \"command\"\nprogram = \"{}\"\nuser = \"nobody\"\nset = {{ MADE = \"{}\" }}
             mints = true\nat_once = 1\n",
            program.display(),
            directory.display()
        );
        let scope = format!(
            "[scope.db]\nallow = {{ uid = 1000 }}\nmode = \"0444\"\n{lines}\n[scope.db.workload]\n{workloads}
             [scope.db.file]\nuser = {{ from = \"made:app#user\", per_caller = true }}
             \".env\" = {{ from = \"made:app\", format = \"dotenv\", per_caller = true }}
             shared = \"made:shared#user\"\n[scope.plain]\nallow = {{ uid = 1000 }}\nfile.t = \"local:t\"\n"
        );
        self.0.configure("", &format!("{scope}{provider}"));
    }

    /// How many were made.
    fn made(&self) -> usize {
        self.lines("made")
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.0.path("made").join(name)).unwrap_or_default().lines().count()
    }
}

/// A host with the two workloads, whose credentials last that long.
fn mounted(lasts: u32, lines: &str) -> Host {
    let mut host = Host::new();
    host.set("t", b"a value");
    Made::of(&host, lasts).configure(WORKLOADS, lines);
    host.mount();
    host
}

/// What a program of that uid reads, or nothing where it may not.
fn read_by(uid: u32, program: &str, path: PathBuf) -> Option<String> {
    let output = as_user(uid, program).arg(path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    match output.status.success() {
        true => Some(String::from_utf8(output.stdout).unwrap()),
        false => {
            assert!(said.contains("Permission denied"), "{said}");
            None
        }
    }
}

const WEB: &str = "/usr/bin/cat";
const WORKER: &str = "/usr/bin/tail";

#[test]
fn each_workload_is_given_a_credential_of_its_own_and_the_same_one_again() {
    let mut host = mounted(600, "");
    let made = Made(&host);
    assert!(fs::metadata(host.file("db/web/user")).unwrap().len() > 0);
    assert_eq!(made.made(), 0, "a stat has nothing made");
    let (web, worker) = (host.file("db/web/user"), host.file("db/worker/user"));
    let of_web = read_by(1000, WEB, web.clone()).unwrap();
    let of_worker = read_by(1000, WORKER, worker.clone()).unwrap();
    assert_eq!((of_web.as_str(), of_worker.as_str(), made.made()), ("user-1", "user-2", 2));
    for _ in 0..3 {
        assert_eq!(read_by(1000, WEB, web.clone()).unwrap(), of_web);
        assert_eq!(read_by(1000, WORKER, worker.clone()).unwrap(), of_worker);
    }
    assert_eq!(read_by(1000, WEB, host.file("db/web/.env")).unwrap(), "user='user-1'\n", "of one lease");
    assert_eq!(read_by(1000, WEB, worker.clone()), None, "the other's");
    assert_eq!(read_by(1000, WORKER, web.clone()), None, "the other's");
    assert_eq!(read_by(1000, "/usr/bin/head", web.clone()), None, "a third program");
    assert_eq!(read_by(1001, WEB, web.clone()), None, "not whom the scope allows");
    assert_eq!(made.made(), 2);
    assert_eq!(read_by(1000, WEB, host.file("db/web/shared")).unwrap(), "user-3");
    assert_eq!(read_by(1000, WORKER, host.file("db/worker/shared")).unwrap(), "user-3");
    assert_eq!(made.made(), 3, "without `per_caller` one is for all");

    let records = host.all_records();
    let of = |path: &str, outcome: &str| {
        let is = |record: &&serde_json::Value| record["path"] == path && record["outcome"] == outcome;
        records.iter().find(is).unwrap_or_else(|| panic!("{path} {outcome}: {records:?}")).clone()
    };
    let web = of("db/web/.env", "allowed");
    assert_eq!(
        (&web["scope"], &web["rule"], &web["version"]),
        (&"db/web".into(), &"db/web.1".into(), &"1".into())
    );
    let worker = of("db/worker/user", "allowed");
    assert_eq!((&worker["scope"], &worker["rule"]), (&"db/worker".into(), &"db/worker.1".into()));
    assert_eq!(of("db/worker/user", "denied")["errno"], "EACCES");
}

#[test]
fn a_scope_of_workloads_is_a_directory_of_directories() {
    let host = mounted(600, "");
    let names = |path: &str| {
        let entries = fs::read_dir(host.file(path)).unwrap().map(Result::unwrap);
        let mut names: Vec<_> = entries
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), entry.file_type().unwrap().is_dir(), entry.ino())
            })
            .collect();
        names.sort();
        names
    };
    for (path, expected) in [
        ("", vec![("db", true), ("plain", true)]),
        ("db", vec![("web", true), ("worker", true)]),
        ("db/web", vec![(".env", false), ("shared", false), ("user", false)]),
    ] {
        let found = names(path);
        let told: Vec<_> = found.iter().map(|(name, is_dir, _)| (name.as_str(), *is_dir)).collect();
        assert_eq!(told, expected, "{path}");
        for (name, is_dir, ino) in &found {
            let meta = fs::symlink_metadata(host.file(path).join(name)).unwrap();
            assert_eq!((meta.is_dir(), meta.ino()), (*is_dir, *ino), "{path}/{name}");
        }
    }
    let of = |path: &str| {
        let meta = fs::metadata(host.file(path)).unwrap();
        (meta.uid(), meta.mode() & 0o7777)
    };
    assert_eq!((of("db"), of("db/web"), of("db/web/user")), ((0, 0o555), (1000, 0o555), (1000, 0o444)));
    let up = |path: &str| fs::metadata(host.file(path)).unwrap().ino();
    assert_eq!((up("db/web/.."), up("db/..")), (up("db"), up("")));
    let here = says(as_user(1000, "/usr/bin/pwd").current_dir(host.file("db/web")));
    assert_eq!(here.trim(), host.file("db/web").display().to_string());
    for path in ["db/nobody", "db/web/nothing", "db/user"] {
        assert_eq!(fs::metadata(host.file(path)).unwrap_err().raw_os_error(), Some(libc::ENOENT), "{path}");
    }
    for path in ["db/new", "db/web/new"] {
        assert_eq!(fs::create_dir(host.file(path)).unwrap_err().raw_os_error(), Some(libc::EROFS), "{path}");
    }
}

#[test]
fn without_a_mode_the_kernel_keeps_each_workloads_directory_to_its_own_user() {
    let mut host = Host::new();
    let made = Made::of(&host, 600);
    made.configure("web = { uid = 1000 }\nworker = { uid = 1001 }", "");
    let config = fs::read_to_string(host.path("hushfs.toml")).unwrap();
    let config = config.replace("allow = { uid = 1000 }\nmode = \"0444\"\n", "");
    host.write("hushfs.toml", config.as_bytes(), 0o600);
    host.set("t", b"a value");
    host.mount();
    let of = |path: &str| {
        let meta = fs::metadata(host.file(path)).unwrap();
        (meta.uid(), meta.mode() & 0o7777)
    };
    assert_eq!((of("db"), of("db/web"), of("db/worker")), ((0, 0o555), (1000, 0o500), (1001, 0o500)));
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-1");
    assert_eq!(read_by(1001, WEB, host.file("db/worker/user")).unwrap(), "user-2");
    assert_eq!(read_by(1001, WEB, host.file("db/web/user")), None);
    assert_eq!(read_by(1002, WEB, host.file("db/web/user")), None);
}

#[test]
fn explain_says_of_a_workloads_file_why_one_may_read_it_and_another_may_not() {
    let host = mounted(600, "");
    let tail = Ended::start(WORKER, &["-f", "/dev/null"]);
    let pid = tail.0.id().to_string();
    let absolute = host.file("db/worker/user").display().to_string();
    for path in ["db/worker/user", &absolute] {
        let (code, told) = explained(&host, &[path, "--pid", &pid]);
        assert_eq!((code, &told["path"]), (Some(0), &"db/worker/user".into()), "{told}");
        assert!(told.to_string().contains("db/worker.1"), "{told}");
    }
    let (code, told) = explained(&host, &["db/web/.env", "--pid", &pid]);
    assert_ne!(code, Some(0), "{told}");
    assert!(told.to_string().contains("exe:/usr/bin/cat"), "{told}");
    for (path, said) in [
        ("db/user", "write `db/web/name`"),
        ("worker/user", "did you mean `db/worker`?"),
        ("db/worker/usr", "did you mean `user`?"),
        ("db/web/user/more", "does not name a file"),
    ] {
        let output = host.run(&["explain", path, "--pid", &pid], b"");
        assert!(!output.status.success() && text(&output).contains(said), "{path}: {}", text(&output));
    }
    // From where one is.
    let mut here = Command::new(HUSHFS);
    here.args(["explain", "user", "--pid", &pid]).env("HUSHFS_CONFIG", host.path("hushfs.toml"));
    let output = here.current_dir(host.file("db/worker")).output().unwrap();
    assert!(output.status.success() && text(&output).contains("db/worker/user"), "{}", text(&output));
}

#[test]
fn a_reload_adds_and_removes_workloads_and_leaves_the_others_their_credentials() {
    let host = mounted(600, "");
    let made = Made(&host);
    let reload = || {
        let output = host.reload();
        assert!(output.status.success(), "{}\n{}", text(&output), host.log());
    };
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-1");
    assert_eq!(read_by(1000, WORKER, host.file("db/worker/user")).unwrap(), "user-2");
    made.configure("web = { exe = \"/usr/bin/cat\" }\nother = { exe = \"/usr/bin/head\" }", "");
    reload();
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-1", "as it was");
    assert_eq!(read_by(1000, "/usr/bin/head", host.file("db/other/user")).unwrap(), "user-3");
    assert_eq!(fs::metadata(host.file("db/worker")).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    // A scope of files in its stead, one of which has the name of a workload; and back.
    let with = fs::read(host.path("hushfs.toml")).unwrap();
    host.configure("", "[scope.db]\nallow = { uid = 1000 }\nfile.web = \"local:t\"");
    reload();
    assert_eq!(read_by(1000, WEB, host.file("db/web")).unwrap(), "a value");
    host.write("hushfs.toml", &with, 0o600);
    reload();
    assert!(read_by(1000, WEB, host.file("db/web/user")).unwrap().starts_with("user-"));
    assert!(read_by(1000, "/usr/bin/head", host.file("db/other/user")).unwrap().starts_with("user-"));
}

#[test]
fn a_rotation_is_announced_in_the_directory_of_the_workload_alone() {
    let lines = "on_change = { run = [\"/usr/bin/true\"], user = \"nobody\" }";
    let host = mounted(6, lines);
    poker(&host);
    let (file, dir) = (Watch::on(&host.file("db/web/.env")), Watch::on(&host.file("db/web")));
    let other = Watch::on(&host.file("db/worker"));
    assert_eq!(read_by(1000, WEB, host.file("db/web/.env")).unwrap(), "user='user-1'\n");
    for watch in [&file, &dir] {
        watch.seen();
    }
    file.changed(&host);
    let seen = dir.changed(&host);
    assert!(seen.iter().any(|(_, name)| name == ".env"), "{seen:?}");
    let now = read_by(1000, WEB, host.file("db/web/.env")).unwrap();
    assert!(now.starts_with("user='user-") && now != "user='user-1'\n", "{now}");
    assert!(other.seen().is_empty(), "nothing changed for the other");
    let changed =
        host.recorded("what was done", |record| record["op"] == "change" && record["path"] == "db/web/.env");
    assert_eq!(changed["scope"], "db/web");
    let refreshed = host.recorded("the new one", |record| record["op"] == "refresh");
    assert_eq!((&refreshed["path"], &refreshed["scope"]), (&"made:app".into(), &"db/web".into()));
}

#[test]
fn what_fails_for_two_workloads_is_one_thing_that_fails_and_no_provider_that_is_down() {
    let host = mounted(600, "");
    fs::write(host.path("made/down"), "").unwrap();
    for _ in 0..2 {
        for (program, file) in [(WEB, "db/web/user"), (WORKER, "db/worker/user")] {
            let output = as_user(1000, program).arg(host.file(file)).output().unwrap();
            assert!(text(&output).contains("Input/output error"), "{}", text(&output));
        }
    }
    assert_eq!(read_by(1000, WEB, host.file("db/web/shared")).unwrap(), "user-1", "at once");
}

#[test]
fn operators_are_told_of_each_workloads_own_and_name_one_or_all() {
    let host = mounted(600, "");
    let says = |args: &[&str]| text(&host.run_ok(args, b""));
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-1");
    let worker = Ended::start(WORKER, &["-f", &host.file("db/worker/user").display().to_string()]);
    host.recorded("the worker's read", |record| record["path"] == "db/worker/user");
    let status: serde_json::Value = serde_json::from_str(&says(&["status", "--json"])).unwrap();
    let known: Vec<_> = status["secrets"].as_array().unwrap().iter().collect();
    let told = |number: usize, key: &str| known[number][key].clone();
    assert_eq!(
        (known.len(), told(0, "reference"), told(1, "reference")),
        (2, "made:app".into(), "made:app".into())
    );
    assert_eq!((told(0, "made_for"), told(1, "made_for")), ("db/web".into(), "db/worker".into()));
    let files = |of: &str| serde_json::json!([format!("db/{of}/.env"), format!("db/{of}/user")]);
    assert_eq!((told(0, "files"), told(1, "files")), (files("web"), files("worker")));
    assert!(says(&["status"]).contains("made:app for db/worker"));

    // One workload's alone: nobody holds an old one of the other's.
    // What is shared was read by nobody, and for operators nothing is made.
    let said = text(&host.run(&["refresh", "db/web"], b""));
    assert_eq!(said.matches("made:app for ").count(), 1, "{said}");
    assert_eq!(says(&["refresh", "db/web/user"]).trim(), "made:app for db/web: version 3 -> 4");
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-4");
    // The web's readers have ended, which is noticed soon.
    host.eventually("nobody holds an old one", || {
        says(&["status", "--stale"]).contains("no process that runs holds an old version")
    });
    for all in ["db", "made:app"] {
        let said = says(&["evict", all]);
        assert!(said.contains("made:app for db/web: forgotten"), "{all}: {said}");
        assert!(said.contains("made:app for db/worker: forgotten"), "{all}: {said}");
        assert!(read_by(1000, WEB, host.file("db/web/user")).is_some());
        assert!(read_by(1000, WORKER, host.file("db/worker/user")).is_some());
    }
    assert!(says(&["refresh", "made:app"]).contains("for db/worker: version"));
    host.eventually("the worker alone holds an old one", || {
        let stale = says(&["status", "--stale"]);
        stale.contains("db/worker/user") && !stale.contains("db/web")
    });
    drop(worker);
}

#[test]
fn the_credential_of_a_workload_that_ended_is_ended_and_the_others_is_not() {
    let host = mounted(600, "revoke = \"on_exit\"");
    let made = Made(&host);
    // It waits for what follows the file, which never comes.
    let worker = Ended::start(WORKER, &["-f", &host.file("db/worker/user").display().to_string()]);
    host.recorded("the worker's read", |record| record["path"] == "db/worker/user");
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-2");
    let revoked = host.recorded("the end of the web's", |record| record["op"] == "revoke");
    assert_eq!((&revoked["scope"], &revoked["version"]), (&"db/web".into(), &"2".into()));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(made.lines("revoked"), 1, "the worker's is in use");
    drop(worker);
    host.eventually("the worker's is ended too", || made.lines("revoked") == 2);
    assert_eq!(read_by(1000, WEB, host.file("db/web/user")).unwrap(), "user-3", "another one");
}

/// A process that is ended when this is dropped.
struct Ended(Child);

impl Ended {
    /// One of the user that the scope allows.
    fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).uid(1000).gid(1000).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        signal(self.0.id(), rustix::process::Signal::TERM);
        self.0.wait().unwrap();
    }
}
