//! `hushfs status`, `refresh` and `evict`: what operators see of a daemon and have it do, while its providers do well, fail and
//! hang.

use std::fs;
use std::io::{Read, Seek};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::control::{as_other, json};
use crate::explain::text;
use crate::support::{HUSHFS, Host, says};

const SCOPES: &str = "[cache]\nfresh_for = \"10min\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\n\
    file.asked = \"asked:one\"\nfile.two = \"asked:two#key\"\n\
    [scope.b]\nallow = { uid = 0 }\nfile.asked = \"asked:one\"\n";

/// A provider that answers what stands in a file, or hangs where another one is.
pub(crate) struct Asked;

impl Asked {
    pub(crate) fn toml(host: &Host) -> String {
        let script = format!(
            "#!/bin/sh\nread -r question\n[ -e {0}/hangs ] && exec sleep 60\nexec cat {0}/answer\n",
            host.path("").display()
        );
        host.write("program", script.as_bytes(), 0o755);
        Self::is_at(host, "1");
        format!(
            "\n[provider.asked]\nkind = \"command\"\nprogram = \"{}\"\nuser = \"nobody\"\ntimeout = \"30s\"\n",
            host.path("program").display()
        )
    }

    /// It gives that version from now on.
    pub(crate) fn is_at(host: &Host, version: &str) {
        let answer = format!("{{\"values\": {{\"key\": \"value {version}\"}}, \"version\": \"{version}\"}}");
        host.write("new", answer.as_bytes(), 0o644);
        fs::rename(host.path("new"), host.path("answer")).unwrap();
    }

    /// It fails from now on.
    pub(crate) fn fails(host: &Host, kind: &str) {
        host.write("new", format!("{{\"error\": {{\"kind\": \"{kind}\"}}}}").as_bytes(), 0o644);
        fs::rename(host.path("new"), host.path("answer")).unwrap();
    }
}

/// A host with that provider, mounted with more settings.
pub(crate) fn host(scopes: &str) -> Host {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.configure("", &format!("{scopes}{}", Asked::toml(&host)));
    host.mount();
    host
}

fn status(host: &Host) -> Value {
    json(&host.run(&["status", "--json"], b""))
}

fn row<'s>(status: &'s Value, list: &str, key: &str, name: &str) -> &'s Value {
    let rows = status[list].as_array().unwrap();
    rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name} in {status:#}"))
}

fn failed(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", text(output));
    assert!(text(output).contains(words), "`{words}` is not in {}", text(output));
}

#[test]
fn status_tells_of_providers_secrets_the_mount_and_memory() {
    let host = host(SCOPES);
    let held = fs::File::open(host.file("a/token")).unwrap();
    for _ in 0..3 {
        fs::read(host.file("a/two")).unwrap();
    }
    let told = status(&host);
    assert_eq!(told["pid"], host.daemon_pid());
    assert_eq!(told["mount"]["point"], host.path("m").to_str().unwrap());
    assert_eq!((&told["mount"]["open_handles"], &told["configured"]), (&1.into(), &3.into()), "{told:#}");
    assert!(told["memory"]["cache_used"].as_u64() > Some(0) && told["memory"]["locked"].is_boolean());
    let local = row(&told, "providers", "name", "local");
    assert_eq!((&local["kind"], &local["asked"], &local["down"]), (&"store".into(), &1.into(), &Value::Null));
    assert!(local["took_micros"].is_u64() && local["login_until"].is_null(), "{local}");
    let two = row(&told, "secrets", "reference", "asked:two");
    assert_eq!(
        (&two["kept"], &two["version"], &two["files"]),
        (&"fresh".into(), &"1".into(), &vec!["a/two"].into())
    );
    assert_eq!((&two["reads"], &two["hits"], &two["leased"]), (&3.into(), &3.into(), &false.into()), "{two}");
    for time in ["fetched", "fresh_until", "usable_until", "next_refresh"] {
        assert!(two[time].is_string(), "{time}: {two}");
    }
    assert_eq!(told["secrets"].as_array().unwrap().len(), 2, "what nobody read is not known: {told:#}");

    let page = host.run_ok(&["status"], b"");
    let page = text(&page);
    for said in ["1 open file", "secrets: 2 known, 3 configured", "asked:two", "fresh for", "command"] {
        assert!(page.contains(said), "`{said}` is not in\n{page}");
    }
    assert!(!page.contains('\x1b') && !page.contains("the value") && !page.contains("value 1"), "{page}");
    drop(held);
    host.eventually("it is closed", || status(&host)["mount"]["open_handles"] == 0);
    assert_eq!(text(&host.run_ok(&["status", "--check"], b"")), "all is well\n");
}

#[test]
fn who_asks_where_none_runs_is_told_so() {
    let mut host = host(SCOPES);
    let (_, code) = host.stop();
    assert_eq!(code, Some(0));
    for verb in [
        &["status"][..],
        &["status", "--check"],
        &["refresh", "--all"],
        &["evict", "--all"],
        &["watch", "a/token"],
    ] {
        failed(&host.run(verb, b""), "no hushfs answers at");
    }
}

#[test]
fn a_configuration_that_is_wrong_by_now_hides_no_daemon() {
    let host = host(SCOPES);
    host.write("hushfs.toml", b"nonsense", 0o600);
    // By its socket: beside it other tests have mounts of their own.
    let output = Command::new(HUSHFS)
        .args(["status", "--json"])
        .env("HUSHFS_CONFIG", host.path("hushfs.toml"))
        .env("HUSHFS_CONTROL", host.path("m.sock"))
        .output()
        .unwrap();
    assert_eq!(json(&output)["pid"], host.daemon_pid(), "{}", text(&output));
}

#[test]
fn what_is_stale_or_failed_is_told_and_has_an_exit_code_of_its_own() {
    let host = host(&SCOPES.replace("10min", "1ms"));
    fs::read(host.file("a/two")).unwrap();
    Asked::fails(&host, "unavailable");
    assert_eq!(fs::read(host.file("a/two")).unwrap(), b"value 1", "served beyond its time");
    fs::read(host.file("a/asked")).unwrap_err();
    let told = status(&host);
    let two = row(&told, "secrets", "reference", "asked:two");
    assert_eq!(two["kept"], "stale", "{two}");
    assert!(
        two["error"].is_string() && two["retried"].is_string() && two["usable_until"].is_string(),
        "{two}"
    );
    assert_eq!(row(&told, "secrets", "reference", "asked:one")["kept"], "failed");
    assert!(row(&told, "providers", "name", "asked")["failed"].as_u64() >= Some(2), "{told:#}");
    assert_eq!(host.run(&["status"], b"").status.code(), Some(0), "it runs");
    let check = host.run(&["status", "--check"], b"");
    assert_eq!(check.status.code(), Some(4), "{}", text(&check));
    assert!(text(&check).contains("asked:two: stale, for") && text(&check).contains("asked:one: failed"));
    let as_json = host.run(&["status", "--check", "--json"], b"");
    assert_eq!(
        (as_json.status.code(), json(&as_json)["pid"].as_u64()),
        (Some(4), Some(host.daemon_pid().into()))
    );
}

#[test]
fn status_answers_while_a_provider_hangs() {
    let host = host(&SCOPES.replace("[cache]", "[limits]\ndeadline = \"20s\"\n[cache]"));
    host.write("hangs", b"", 0o644);
    let mut readers: Vec<_> = ["a/asked", "a/two", "b/asked"]
        .map(|file| Command::new("/usr/bin/cat").arg(host.file(file)).stderr(Stdio::null()).spawn().unwrap())
        .into();
    host.eventually("they are asked for", || {
        let told = status(&host);
        told["secrets"].as_array().unwrap().iter().filter(|row| row["kept"] == "unknown").count() == 2
    });
    // It gives up by itself before two seconds are over.
    let page = text(&host.run_ok(&["status"], b""));
    assert!(page.contains("being fetched"), "{page}");
    for reader in &mut readers {
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}

#[test]
fn refresh_fetches_again_now_and_tells_what_came_of_it() {
    let mut host = host(SCOPES);
    let refresh = |what: &str| host.run(&["refresh", what], b"");
    for file in ["a/token", "a/asked", "a/two"] {
        fs::read(host.file(file)).unwrap();
    }
    assert_eq!(text(&refresh("a/two")), "asked:two: unchanged (version 1)\n");
    Asked::is_at(&host, "2");
    assert_eq!(fs::read(host.file("a/two")).unwrap(), b"value 1", "it is fresh still");
    assert_eq!(text(&refresh("asked:two#key")), "asked:two: version 1 -> 2\n");
    assert_eq!(fs::read(host.file("a/two")).unwrap(), b"value 2");
    assert_eq!(text(&refresh(host.file("b").to_str().unwrap())), "asked:one: version 1 -> 2\n");
    Asked::is_at(&host, "3");
    let all = refresh("--all");
    let mut lines: Vec<_> = text(&all).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[..2], ["asked:one: version 2 -> 3", "asked:two: version 2 -> 3"]);
    assert!(lines[2].starts_with("local:t: unchanged (version "), "{lines:?}");
    assert!(all.status.success());

    Asked::fails(&host, "not_found");
    let gone = refresh("a");
    assert!(text(&gone).contains("local:t: unchanged"), "{}", text(&gone));
    failed(&gone, "asked:one: failed: ");
    Asked::is_at(&host, "4");
    assert_eq!(text(&refresh("b/asked")), "asked:one: version 4\n", "whatever is remembered of it");

    failed(&refresh("elsewhere"), "`elsewhere` is no file");
    failed(&refresh("a/tokem"), "scope `a` has no file `tokem`");
    failed(&refresh("/etc/passwd"), "is not below the mount");
    failed(
        &refresh("asked:on"),
        "no file shows `asked:on`, and nothing is known of it; did you mean `asked:one`?",
    );
    let neither = host.run(&["refresh"], b"");
    assert_eq!(neither.status.code(), Some(2), "{}", text(&neither));

    let records = host.all_records();
    let acts: Vec<_> = records.iter().filter(|record| record["op"] == "operator").collect();
    let told: Vec<_> =
        acts.iter().map(|act| (act["path"].as_str().unwrap(), act["outcome"].as_str().unwrap())).collect();
    let b = host.file("b").display().to_string();
    assert_eq!(
        told,
        [
            ("a/two", "allowed"),
            ("asked:two#key", "allowed"),
            (b.as_str(), "allowed"),
            ("--all", "allowed"),
            ("a", "failed"),
            ("b/asked", "allowed")
        ]
    );
    assert_eq!(
        (&acts[1]["version"], &acts[1]["uid"], &acts[1]["reason"]),
        (&"2".into(), &0.into(), &"refresh".into())
    );
    assert!(acts[1]["pid"].as_u64() != Some(host_pid()), "it is that of the command: {}", acts[1]);
    assert_eq!(acts[4]["reason"], "refresh; 3 of 3 fetched again, 2 of them failed");
}

fn host_pid() -> u64 {
    std::process::id().into()
}

#[test]
fn what_is_evicted_is_asked_for_again_and_stays_in_open_files() {
    let mut host = host(SCOPES);
    let mut held = fs::File::open(host.file("a/two")).unwrap();
    Asked::is_at(&host, "2");
    assert_eq!(
        text(&host.run_ok(&["evict", "a/two"], b"")),
        "asked:two: forgotten; 1 open file keeps its version until it is closed\n"
    );
    let known = status(&host);
    assert_eq!(known["secrets"].as_array().unwrap().len(), 0, "{known:#}");
    assert_eq!(text(&host.run_ok(&["evict", "asked:one"], b"")), "asked:one: nothing was known\n");
    let mut value = String::new();
    held.rewind().unwrap();
    held.read_to_string(&mut value).unwrap();
    assert_eq!(value, "value 1");
    assert_eq!(fs::read(host.file("a/two")).unwrap(), b"value 2");
    fs::read(host.file("a/token")).unwrap();
    let all = text(&host.run_ok(&["evict", "--all"], b""));
    assert!(all.contains("asked:two: forgotten") && all.contains("local:t: forgotten"), "{all}");
    assert_eq!(status(&host)["secrets"].as_array().unwrap().len(), 0);
    drop(held);
    let records = host.all_records();
    let acts: Vec<_> = records.iter().filter(|record| record["op"] == "operator").collect();
    assert_eq!(acts.len(), 3);
    assert_eq!((&acts[0]["path"], &acts[0]["reason"]), (&"a/two".into(), &"evict".into()));
}

#[test]
fn only_operators_see_and_order() {
    let host = host(SCOPES);
    fs::read(host.file("a/two")).unwrap();
    for verb in [&["status"][..], &["status", "--json"], &["refresh", "a/two"], &["evict", "--all"]] {
        failed(&as_other(1000, &host, verb), "only root may, and the user of the daemon");
    }
    assert_eq!(row(&status(&host), "secrets", "reference", "asked:two")["reads"], 1, "nothing was done");
}

#[test]
fn a_terminal_gets_a_page_that_fits_and_is_drawn_again() {
    let host =
        host(&SCOPES.replace("asked:two#", "asked:a/very/long/path/of/a/secret/that/somebody/has/chosen#"));
    fs::read(host.file("a/two")).unwrap();
    let program = "import fcntl, os, pty, select, signal, struct, sys, termios, time
columns, args = int(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    os.execv(args[0], args)
said, end = b'', time.monotonic() + 15
while time.monotonic() < end and said.count(b'\\x1b[H') < 3:
    try: more = os.read(terminal, 65536)
    except OSError: break
    if not more: break
    said += more
if '--watch' in args: os.write(terminal, b'\\x03')
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(said + b'\\n%d' % status)";
    let drawn = |columns: &str, args: &[&str]| {
        let mut python = crate::support::python(program);
        python.arg(columns).arg(HUSHFS).args(args).env("HUSHFS_CONFIG", host.path("hushfs.toml"));
        python.env("TERM", "xterm").env_remove("NO_COLOR");
        says(&mut python)
    };
    for columns in ["80", "40"] {
        let page = drawn(columns, &["status"]);
        assert!(page.contains("\x1b[") && page.contains('…'), "{page}");
        let lines = page.lines().map(bare).filter(|line| !line.contains(host.path("m").to_str().unwrap()));
        let widest = lines.map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns.parse().unwrap(), "{widest}: {page}");
    }
    let watched = drawn("80", &["status", "--watch"]);
    assert_eq!(watched.matches("\x1b[H").count(), 3, "{watched}");
    assert!(watched.ends_with("\n2"), "SIGINT ends it: {watched:?}");
}

/// A line without its colours.
fn bare(line: &str) -> String {
    let mut bare = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        bare.push_str(before);
        rest = after.find(|c: char| c.is_ascii_alphabetic()).map_or("", |end| &after[end + 1..]);
    }
    bare.push_str(rest);
    bare.trim_end().to_owned()
}

#[test]
fn a_daemon_that_is_stopped_is_not_waited_for() {
    let host = host(SCOPES);
    host.stopped(host.daemon_pid());
    let since = std::time::Instant::now();
    failed(&host.run(&["status"], b""), "no hushfs answers at");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    host.signal(rustix::process::Signal::CONT);
}
