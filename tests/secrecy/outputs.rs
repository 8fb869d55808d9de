//! A value put through everything is in no log, no record, no output, no environment and no file.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::canary::Canaries;
use crate::daemon::{Daemon, core_limit};
use crate::support::{HUSHFS, Host, as_user};

/// Runs commands and keeps what can be seen of them in a directory that is searched afterwards.
struct Seen<'a> {
    host: &'a Host,
    dir: tempfile::TempDir,
    count: u32,
}

/// Whether standard output is one of the places in which the value must not be.
#[derive(Clone, Copy, PartialEq)]
enum Stdout {
    Searched,
    IsTheValue,
}

impl Seen<'_> {
    fn keep(&mut self, what: &str, bytes: &[u8]) {
        self.count += 1;
        std::fs::write(self.dir.path().join(format!("{:03}-{what}", self.count)), bytes).unwrap();
    }

    /// What any user, or root, sees of a running process.
    fn keep_process(&mut self, what: &str, pid: u32) {
        for part in ["environ", "cmdline", "maps", "status"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{part}")).unwrap_or_default();
            self.keep(&format!("{what}-{part}"), &bytes);
        }
    }

    /// Runs `hushfs store ...` on the host's store with this input and this editor.
    fn store(&mut self, args: &[&str], input: &str, editor: &str, stdout: Stdout) -> (bool, Vec<u8>) {
        let store = self.host.path("store.age");
        let audit = self.host.path("audit.log");
        let place = ["--store", store.to_str().unwrap(), "--audit", audit.to_str().unwrap()];
        self.run(&[&["store"], args, &place].concat(), input, editor, stdout)
    }

    fn run(&mut self, args: &[&str], input: &str, editor: &str, stdout: Stdout) -> (bool, Vec<u8>) {
        let what = args[..2.min(args.len())].join("-").replace('/', "-");
        let mut child = Command::new(HUSHFS)
            .args(args)
            .env("EDITOR", editor)
            .env("TMPDIR", self.host.path("tmp"))
            .env_remove("VISUAL")
            .current_dir(self.host.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        while child.try_wait().unwrap().is_none() {
            self.keep_process(&what, child.id());
            std::thread::sleep(Duration::from_millis(3));
        }
        let output = child.wait_with_output().unwrap();
        if stdout == Stdout::Searched {
            self.keep(&format!("{what}-stdout"), &output.stdout);
        }
        self.keep(&format!("{what}-stderr"), &output.stderr);
        (output.status.success(), output.stdout)
    }
}

#[test]
fn a_value_put_through_everything_is_nowhere_but_where_it_is_read() {
    let mut canaries = Canaries::new();
    let mut make = |way: &str| canaries.make(way);
    let (set, imported, edited, malformed) =
        (make("set"), make("import"), make("edit"), make("malformed JSON"));
    let (bad_line, bad_json, bad_edit, refused) =
        (make("bad .env"), make("bad JSON import"), make("bad edit"), make("refused"));
    let host = Host::new();
    std::fs::create_dir(host.path("tmp")).unwrap();
    std::fs::write(host.path("tmp/start"), "").unwrap();
    let mut seen = Seen { host: &host, dir: tempfile::tempdir().unwrap(), count: 0 };

    // Into the store, in every way, right and wrong.
    let none = "false";
    let copying = |name: &str, text: String| format!("cp {}", canaries.file(name, &text).display());
    let ok = |(done, _): (bool, Vec<u8>)| assert!(done);
    let fails = |(done, _): (bool, Vec<u8>)| assert!(!done);
    ok(seen.store(&["set", "set"], &set, none, Stdout::Searched));
    ok(seen.store(
        &["set", "malformed"],
        &format!("{{\"key\": \"{malformed}\", \"x\" {malformed}"),
        none,
        Stdout::Searched,
    ));
    ok(seen.store(
        &["import", "-", "--as", "env"],
        &format!("A={imported}\nB=\"x {imported} \\\" $\"\n"),
        none,
        Stdout::Searched,
    ));
    ok(seen.store(&["set", "text"], "before", none, Stdout::Searched));
    ok(seen.store(&["edit", "text"], "", &copying("edit", edited.clone()), Stdout::Searched));
    ok(seen.store(
        &["edit", "env"],
        "",
        &copying("json", format!("{{\"A\": \"{imported}\", \"C\": \"{edited}\"}}")),
        Stdout::Searched,
    ));
    fails(seen.store(
        &["edit", "env"],
        "",
        &copying("bad", format!("{{\"A\": {bad_edit}")),
        Stdout::Searched,
    ));
    fails(seen.store(&["edit", "env"], "", &copying("list", format!("[\"{bad_edit}\"]")), Stdout::Searched));
    for line in [
        format!("A='{bad_line}"),
        bad_line.clone(),
        format!("A={bad_line} {bad_line}'\n"),
        format!("A=$({bad_line})"),
    ] {
        seen.store(&["import", "-", "--as", "bad"], &line, none, Stdout::Searched);
    }
    for text in [
        format!("{{\"a\": \"{bad_json}"),
        format!("[\"{bad_json}\"]"),
        format!("{{\"a\": [\"{bad_json}\"]}}"),
        format!("\"{bad_json}\""),
        format!("{{\"a\": \"{bad_json}\\q\"}}"),
        bad_json.clone(),
    ] {
        fails(seen.store(&["import", "-", "--as", "bad", "--format", "json"], &text, none, Stdout::Searched));
    }
    fails(seen.store(&["set", "env"], &refused, none, Stdout::Searched));
    fails(seen.store(&["set", "set#key"], &refused, none, Stdout::Searched));
    fails(seen.store(&["set", "large"], &refused.repeat(30_000), none, Stdout::Searched));
    let (done, shown) = seen.store(&["show", "set"], "", none, Stdout::IsTheValue);
    assert!(done && shown == set.as_bytes(), "show prints the value into a pipe");
    let (done, shown) = seen.store(&["show", "env#C"], "", none, Stdout::IsTheValue);
    assert!(done && shown == edited.as_bytes());
    fails(seen.store(&["show", "env#none"], "", none, Stdout::Searched));
    fails(seen.store(&["show", "set#key"], "", none, Stdout::Searched));
    for args in [&["list"][..], &["list", "--json"], &["rotate-key"]] {
        seen.store(args, "", none, Stdout::Searched);
    }

    // Through the mount, in every way, right and wrong.
    let file = |name: &str, from: &str| format!("file.{name} = {from}\n");
    let files: String = [
        file("set", "\"local:set\""),
        file("text", "\"local:text\""),
        file("one", "\"local:env#A\""),
        file("env", "{ from = \"local:env\", format = \"dotenv\" }"),
        file("json", "{ from = \"local:env\", format = \"json\" }"),
        file("nokey", "\"local:env#none\""),
        file("nosecret", "\"local:none\""),
        file("notnamed", "\"local:set#key\""),
        file("malformed", "\"local:malformed#key\""),
        file("badenv", "{ from = \"local:malformed\", format = \"dotenv\" }"),
        file("badjson", "{ from = \"local:malformed\", format = \"json\" }"),
    ]
    .concat();
    let metrics = "[metrics]\nlisten = \"./metrics.sock\"\nsecrets = true\n";
    host.configure("", &format!("{metrics}[scope.a]\nmode = \"0444\"\nallow = {{ uid = 0 }}\n{files}"));
    let read = |name: &str| std::fs::read(host.file(&format!("a/{name}")));
    let mut log = String::new();
    for format in ["text", "json"] {
        let daemon = Daemon::start(&host, &[], &["-vv", "--log-format", format]);
        for _ in 0..2 {
            assert_eq!(read("set").unwrap(), set.as_bytes());
            assert_eq!(read("text").unwrap(), edited.as_bytes());
            assert_eq!(read("one").unwrap(), imported.as_bytes());
            for name in ["env", "json"] {
                let text = String::from_utf8(read(name).unwrap()).unwrap();
                assert!(text.contains(&imported) && text.contains(&edited), "{name}");
            }
            for name in ["nokey", "nosecret", "notnamed", "malformed", "badenv", "badjson"] {
                assert!(read(name).is_err(), "{name}");
            }
            for name in ["set", "env", "malformed"] {
                let denied = as_user(1000, "cat").arg(host.file(&format!("a/{name}"))).output().unwrap();
                assert!(!denied.status.success() && denied.stdout.is_empty());
            }
            seen.keep_process("front", daemon.front());
            seen.keep_process("fetcher", daemon.fetcher());
            let config = host.path("hushfs.toml");
            let config = config.to_str().unwrap();
            // Some of the secrets cannot be fetched, which two of these say.
            for (args, well) in [
                (&["reload"][..], true),
                (&["whoami"], true),
                (&["explain", "--self", "a/set"], true),
                (&["status"], true),
                (&["status", "--json"], true),
                (&["status", "--check"], false),
                (&["refresh", "--all"], false),
                (&["evict", "a/set"], true),
            ] {
                let (done, _) = seen.run(&[args, &["--config", config]].concat(), "", none, Stdout::Searched);
                assert_eq!(done, well, "{args:?}");
            }
            let mut page = String::new();
            let mut scrape = UnixStream::connect(host.path("metrics.sock")).unwrap();
            scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            scrape.read_to_string(&mut page).unwrap();
            assert!(page.contains("reference=\"local:env\""), "{page}");
            seen.keep("metrics", page.as_bytes());
            daemon.signal(Signal::HUP);
        }
        assert_eq!(core_limit(daemon.front()), "0 0");
        log += &daemon.log();
        drop(daemon);
    }
    seen.keep("logs", log.as_bytes());
    let config = host.path("hushfs.toml");
    let config = ["--config", config.to_str().unwrap()];
    for args in [
        &["check"][..],
        &["check", "--json"],
        &["audit"],
        &["audit", "--json"],
        &["audit", "--outcome", "denied"],
    ] {
        let (done, _) = seen.run(&[args, &config].concat(), "", none, Stdout::Searched);
        assert!(done, "{args:?}");
    }

    // That there was something to find it in.
    assert!(log.contains(" mounted ") && log.contains("\"mounted\""), "{log}");
    let records = std::fs::read_to_string(host.path("audit.log")).unwrap();
    for word in ["\"denied\"", "\"failed\"", "\"allowed\"", "store show", "ENOKEY", "EIO", "EACCES"] {
        assert!(records.contains(word), "no {word} on record:\n{records}");
    }
    assert!(seen.count > 100, "{} things were seen", seen.count);

    let mut places = vec![seen.dir.path().to_owned(), host.path("")];
    places.extend(newer_than(&host.path("tmp/start"), &["/tmp", "/var/tmp", "/dev/shm", "/run"]));
    let places: Vec<&Path> = places.iter().map(AsRef::as_ref).collect();
    assert_eq!(canaries.found_in(&places), [""; 0]);
    // Another process may edit just now; what it makes is named for it.
    let is_left = |name: &str| {
        let pid = name.strip_prefix("hushfs-edit-").and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    let names = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| is_left(name)).collect();
    assert!(left.is_empty(), "left behind in /dev/shm: {left:?}");

    // That the search can find: the same places with one value in one of them.
    std::fs::write(host.path("tmp/leak"), format!("log: {set}")).unwrap();
    assert_eq!(canaries.found_in(&places).len(), 2, "two halves of one value");
}

/// Files changed since that one was.
fn newer_than(start: &Path, dirs: &[&str]) -> Vec<std::path::PathBuf> {
    let output = Command::new("find")
        .args(dirs)
        .args(["-xdev", "-type", "f", "-newer"])
        .arg(start)
        .arg("-print0")
        .output();
    let found = output.unwrap().stdout;
    let paths = found.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    paths.map(|path| std::path::PathBuf::from(String::from_utf8_lossy(path).into_owned())).collect()
}
