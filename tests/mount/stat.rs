//! `st_size`: true for the entitled, never 0 and never an error where it is not known.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::{Host, as_user, open_errno, python, says};

/// The size that uid 1000 sees, which no rule of the tests below lets in.
fn size_for_others(host: &Host, file: &str) -> String {
    says(as_user(1000, "/usr/bin/stat").args(["-c", "%s"]).arg(host.file(file))).trim().to_owned()
}

#[test]
fn the_first_stat_of_a_fresh_mount_is_exact_for_the_entitled_and_recorded_once() {
    let scopes = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.key = \"local:n#k\"
        file.env = { from = \"local:n\", format = \"dotenv\" }";
    let mut host = Host::mounted(&[("t", &[1; 5000]), ("n", br#"{"k":"four"}"#)], scopes);
    for _ in 0..3 {
        assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 5000);
        assert_eq!(fs::metadata(host.file("a/key")).unwrap().len(), 4);
        assert_eq!(fs::metadata(host.file("a/env")).unwrap().len(), "k='four'\n".len() as u64);
    }
    let records = host.all_records();
    let stats = |path: &str| records.iter().filter(|r| r["op"] == "stat" && r["path"] == path).count();
    assert_eq!((stats("a/token"), records.len()), (1, 2), "what is known costs no record: {records:?}");
}

#[test]
fn who_may_not_read_sees_1_and_later_the_last_true_size() {
    let scopes = "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"thirteen byte")], scopes);
    assert_eq!(size_for_others(&host, "a/token"), "1");
    assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 13);
    assert_eq!(size_for_others(&host, "a/token"), "13");
    assert_eq!(fs::metadata(host.file("a/token")).unwrap().mode() & 0o7777, 0o444);
}

#[test]
fn a_stat_where_the_provider_fails_is_no_error_and_not_0_and_the_open_is_loud() {
    let host = Host::mounted(
        &[("t", b"thirteen byte")],
        "[cache]\nstale_for = \"0s\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"
        file.missing = \"local:nothing\"\nfile.empty = \"local:empty\"",
    );
    assert_eq!(fs::metadata(host.file("a/missing")).unwrap().len(), 1);
    assert_eq!(open_errno(&host.file("a/missing")), Some(libc::ENOKEY));
    assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 13);
    host.write("store.age", b"garbage", 0o600);
    assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 13, "the last true size");
    assert_eq!(fs::metadata(host.file("a/missing")).unwrap().len(), 1);
    assert_eq!(open_errno(&host.file("a/token")), Some(libc::EIO));
}

#[test]
fn a_true_empty_value_has_size_0_once_it_is_known() {
    let scopes = "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.empty = \"local:empty\"";
    let host = Host::mounted(&[("empty", b"")], scopes);
    assert_eq!(size_for_others(&host, "a/empty"), "1", "not known yet");
    assert_eq!(fs::metadata(host.file("a/empty")).unwrap().len(), 0);
    assert_eq!(fs::read(host.file("a/empty")).unwrap(), b"");
}

#[test]
fn fstat_after_open_is_exact_also_right_after_a_change() {
    let host = Host::mounted(&[("t", b"first")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    for value in [&b"first"[..], b"the second is longer", b"3", b""] {
        host.set("t", value);
        let file = fs::File::open(host.file("a/token")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), value.len() as u64);
    }
}

#[test]
fn node_reads_the_whole_value_at_once_and_throws_where_it_may_not() {
    let scopes = "
        [scope.a]\nmode = \"0444\"\nallow = { exe = \"/usr/bin/node\" }\nfile.token = \"local:t\"\nfile.missing = \"local:x\"
        [scope.b]\nmode = \"0444\"\nallow = { exe = \"/usr/bin/cat\" }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"a value of some length")], scopes);
    let script = "const fs = require('fs'), p = process.argv[1];
        const seen = [fs.existsSync(p), fs.statSync(p).size];
        try { seen.push(fs.readFileSync(p, 'utf8')) } catch (error) { seen.push(error.code, error.errno) }
        console.log(JSON.stringify(seen))";
    let node = |file: &str| says(as_user(1000, "/usr/bin/node").args(["-e", script]).arg(host.file(file)));
    assert_eq!(node("a/token"), "[true,22,\"a value of some length\"]\n");
    assert_eq!(node("b/token"), "[true,1,\"EACCES\",-13]\n");
    assert!(node("a/missing").starts_with("[true,1,"));
    assert!(node("a/missing").contains(&format!("-{}", libc::ENOKEY)));
}

#[test]
fn a_holder_sees_the_size_of_what_it_opened_and_others_see_none_that_shrinks() {
    let host =
        Host::mounted(&[("t", &[b'x'; 100])], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let long = fs::File::open(host.file("a/token")).unwrap();
    host.set("t", &[b'y'; 40]);
    assert_eq!(long.metadata().unwrap().len(), 100, "rotated to a shorter one");
    assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 100, "a stat cannot be told from an fstat");
    let program = "import os, sys; print(os.stat(sys.argv[1]).st_size)";
    assert_eq!(
        says(python(program).arg(host.file("a/token"))),
        "100\n",
        "another process: nothing shrinks while it is open"
    );
    let short = fs::File::open(host.file("a/token")).unwrap();
    assert_eq!(short.metadata().unwrap().len(), 40, "the newest handle of the process");
    drop(long);
    drop(short);
    host.eventually("the size is that of the present version", || {
        says(python(program).arg(host.file("a/token"))) == "40\n"
    });
}

#[test]
fn mtime_is_when_the_version_was_made() {
    let mut host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let mtime = |host: &Host| fs::metadata(host.file("a/token")).unwrap().modified().unwrap();
    let first = mtime(&host);
    assert!(first <= std::time::SystemTime::now());
    host.set("t", b"w");
    let second = mtime(&host);
    assert!(second > first);
    host.stop();
    host.mount();
    assert_eq!(mtime(&host), second, "not when it was fetched");
}
