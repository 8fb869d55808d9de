//! Directories of which the files are what the provider has.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::support::{Host, as_user};

/// One scope for root and uid 1000.
fn scope(dirs: &str) -> String {
    format!("[scope.a]\nallow = [{{ uid = 0 }}, {{ uid = 1000 }}]\nmode = \"0444\"\n{dirs}\n")
}

fn names(host: &Host, dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(host.file(dir)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn errno(host: &Host, path: &str) -> Option<Errno> {
    fs::read(host.file(path)).err().and_then(|error| Errno::from_io_error(&error))
}

/// The value of an extended attribute; `None` where there is none.
fn xattr(host: &Host, path: &str, name: &str) -> Option<String> {
    let mut value = vec![0_u8; 65536];
    let len = rustix::fs::getxattr(host.file(path), format!("user.hushfs.{name}"), &mut value).ok()?;
    value.truncate(len);
    Some(String::from_utf8(value).unwrap())
}

#[test]
fn every_key_of_a_secret_is_a_file() {
    let host = Host::mounted(
        &[("app#user", b"app"), ("app#password", b"s3cret"), ("app#port", b"5432")],
        &scope("group = \"root\"\ndir.db = { from = \"local:app\", mode = \"0440\" }"),
    );
    // A name is found though nobody has listed the directory before.
    assert_eq!(fs::read(host.file("a/db/password")).unwrap(), b"s3cret");
    assert_eq!(names(&host, "a/db"), set(&["user", "password", "port"]));
    let meta = fs::metadata(host.file("a/db/user")).unwrap();
    assert_eq!((meta.len(), meta.permissions().mode() & 0o777, meta.uid()), (3, 0o440, 0));
    assert_eq!(fs::metadata(host.file("a/db")).unwrap().permissions().mode() & 0o777, 0o550);
    assert_eq!(errno(&host, "a/db/nothing"), Some(Errno::NOENT), "its names are known, and this is none");
    let record =
        host.recorded("the read", |record| record["path"] == "a/db/password" && record["op"] == "open");
    assert_eq!((record["scope"].as_str(), record["outcome"].as_str()), (Some("a"), Some("allowed")));
}

#[test]
fn the_keys_that_a_new_version_has_are_there_soon_and_those_that_it_has_not_are_gone() {
    let mut host = Host::mounted(
        &[("app#old", b"1"), ("app#both", b"2")],
        &scope("fresh_for = \"1s\"\ndir.db = \"local:app\""),
    );
    assert_eq!(names(&host, "a/db"), set(&["old", "both"]));
    let inode = fs::metadata(host.file("a/db/both")).unwrap().ino();
    host.set("app#new", b"3");
    let store = host.path("store.age");
    host.run_ok(&["store", "rm", "app#old", "--store", store.to_str().unwrap()], b"");
    host.eventually("the new names are there", || names(&host, "a/db") == set(&["both", "new"]));
    assert_eq!(fs::read(host.file("a/db/new")).unwrap(), b"3");
    host.eventually("the old name is gone", || errno(&host, "a/db/old") == Some(Errno::NOENT));
    assert_eq!(fs::metadata(host.file("a/db/both")).unwrap().ino(), inode, "what stays keeps its number");
    host.stop();
}

#[test]
fn a_key_that_can_be_no_name_is_another_name_and_one_that_is_too_long_keeps_no_other_out() {
    let host = Host::new();
    let long = "k".repeat(300);
    let value =
        serde_json::json!({ "a/b": "slash", "..": "dots", "nul\0": "nul", "plain": "plain", long: "long" });
    host.set("odd", value.to_string().as_bytes());
    let mut host = host;
    host.configure("", &scope("dir.odd = \"local:odd\""));
    host.mount();
    assert_eq!(names(&host, "a/odd"), set(&["a%2Fb", "%2E%2E", "nul%00", "plain"]));
    for (name, value) in [("a%2Fb", "slash"), ("%2E%2E", "dots"), ("nul%00", "nul"), ("plain", "plain")] {
        assert_eq!(fs::read_to_string(host.file(&format!("a/odd/{name}"))).unwrap(), value);
    }
    let left_out = xattr(&host, "a/odd", "left-out").unwrap();
    assert!(
        left_out.contains("its name would have 300 bytes") && left_out.lines().count() == 1,
        "{left_out}"
    );
    assert!(host.log().contains("its name would have 300 bytes"), "{}", host.log());
    assert_eq!(xattr(&host, "a/odd", "provider").as_deref(), Some("local"));
}

#[test]
fn every_secret_below_a_path_is_a_file_in_directories_as_there() {
    let secrets: &[(&str, &[u8])] = &[
        ("team/token", b"t"),
        ("team/db/user", b"u"),
        ("team/db/deep/er", b"e"),
        ("team/both", b"b"),
        ("team/both/x", b"x"),
        ("other", b"o"),
    ];
    let host = Host::mounted(
        secrets,
        &scope("dir.all = { under = \"local:team\", depth = 2 }\ndir.flat = { under = \"local:team\" }"),
    );
    assert_eq!(fs::read(host.file("a/all/db/user")).unwrap(), b"u");
    assert_eq!(names(&host, "a/all"), set(&["token", "db", "both"]));
    assert_eq!(names(&host, "a/all/db"), set(&["user"]), "what lies deeper is not shown");
    assert_eq!(names(&host, "a/all/both"), set(&["x"]));
    assert_eq!(names(&host, "a/flat"), set(&["token", "both"]));
    assert!(xattr(&host, "a/all", "left-out").unwrap().starts_with("both: there are secrets below it"));
    let record = host.recorded("the list", |record| record["op"] == "list" && record["outcome"] == "allowed");
    assert_eq!(record["path"], "local:team");
}

#[test]
fn a_directory_whose_list_cannot_be_had_is_an_error_and_not_empty() {
    let host = Host::mounted(
        &[("plain", b"not named")],
        &scope("dir.missing = \"local:nowhere\"\ndir.plain = \"local:plain\"\nfile.x = \"local:plain\""),
    );
    for dir in ["a/missing", "a/plain"] {
        let error = fs::read_dir(host.file(dir)).map(drop).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::IO), "{dir}");
        assert_eq!(errno(&host, &format!("{dir}/name")), Some(Errno::IO), "never ENOENT");
        assert!(xattr(&host, dir, "failure").is_some());
    }
    assert!(host.log().contains("is one plain value, not a JSON object"), "{}", host.log());
    assert_eq!(fs::read(host.file("a/x")).unwrap(), b"not named");
    // It comes to be.
    host.set("nowhere#now", b"here");
    host.eventually("the list is there", || fs::read_dir(host.file("a/missing")).is_ok());
    assert_eq!(fs::read(host.file("a/missing/now")).unwrap(), b"here");
    // And goes: its names stay, and say so.
    let store = host.path("store.age");
    host.run_ok(&["store", "rm", "nowhere", "--store", store.to_str().unwrap()], b"");
    host.eventually("it is gone", || errno(&host, "a/missing/now") == Some(Errno::NOKEY));
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(names(&host, "a/missing"), set(&["now"]));
    assert_eq!(errno(&host, "a/missing/now"), Some(Errno::NOKEY), "never ENOENT");
}

#[test]
fn a_list_that_nobody_answers_holds_up_nothing_else_and_is_given_up_soon() {
    let mut host = Host::new();
    host.set("x", b"x");
    host.hang();
    let hung = crate::support::HUNG;
    host.configure("", &format!("{hung}{}", scope("dir.hung = \"hung:app\"\nfile.x = \"local:x\"")));
    host.mount();
    let since = Instant::now();
    let path = host.file("a/hung/name");
    let waits = std::thread::spawn(move || fs::read(path).unwrap_err());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(fs::read(host.file("a/x")).unwrap(), b"x");
    assert_eq!(names(&host, "a"), set(&["hung", "x"]));
    assert!(since.elapsed() < Duration::from_millis(900), "siblings wait for nothing: {:?}", since.elapsed());
    let error = waits.join().unwrap();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::IO));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    host.end_hang();
}

#[test]
fn who_may_not_open_the_files_of_a_directory_is_told_its_names_and_nothing_else() {
    let host = Host::mounted(&[("app#user", b"app")], &scope("dir.db = \"local:app\""));
    let ls = as_user(1001, "/bin/ls").arg(host.file("a/db")).output().unwrap();
    assert_eq!(ls.stdout, b"user\n");
    let cat = as_user(1001, "/bin/cat").arg(host.file("a/db/user")).output().unwrap();
    assert!(
        !cat.status.success() && String::from_utf8_lossy(&cat.stderr).contains("Permission denied"),
        "{cat:?}"
    );
    let cat = as_user(1000, "/bin/cat").arg(host.file("a/db/user")).output().unwrap();
    assert_eq!(cat.stdout, b"app");
}

#[test]
fn keys_that_are_written_need_no_list() {
    let host = Host::mounted(
        &[("app#user", b"app"), ("app#more", b"more")],
        &scope("dir.db = { from = \"local:app\", keys = [\"user\", \"gone\"] }"),
    );
    assert_eq!(names(&host, "a/db"), set(&["gone", "user"]));
    assert_eq!(fs::read(host.file("a/db/user")).unwrap(), b"app");
    assert_eq!(errno(&host, "a/db/gone"), Some(Errno::NOKEY), "a configured name is never ENOENT");
}

#[test]
fn a_reload_keeps_the_lists_of_directories_that_are_the_same() {
    let mut host = Host::mounted(&[("app#user", b"app")], &scope("dir.db = \"local:app\""));
    assert_eq!(fs::read(host.file("a/db/user")).unwrap(), b"app");
    let inode = fs::metadata(host.file("a/db/user")).unwrap().ino();
    host.configure("", &scope("dir.db = \"local:app\"\ndir.again = \"local:app\""));
    let config = host.path("hushfs.toml");
    host.run_ok(&["reload", "--config", config.to_str().unwrap()], b"");
    assert_eq!(fs::metadata(host.file("a/db/user")).unwrap().ino(), inode);
    assert_eq!(fs::read(host.file("a/again/user")).unwrap(), b"app");
    host.configure("", &scope("file.db = \"local:app#user\""));
    host.run_ok(&["reload", "--config", config.to_str().unwrap()], b"");
    assert_eq!(fs::read(host.file("a/db")).unwrap(), b"app", "a file where a directory was");
    host.stop();
}

#[test]
fn files_of_a_directory_are_files_to_every_verb() {
    let host = Host::mounted(&[("app#user", b"app")], &scope("dir.db = \"local:app\""));
    assert_eq!(fs::read(host.file("a/db/user")).unwrap(), b"app");
    let config = host.path("hushfs.toml");
    let run = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        String::from_utf8(host.run_ok(&all, b"").stdout).unwrap()
    };
    assert!(run(&["explain", "a/db/user", "--self"]).contains("a.1"), "explain");
    assert!(run(&["evict", "a/db/user"]).contains("local:app"));
    assert!(run(&["refresh", "a/db/user"]).contains("local:app"));
    assert!(run(&["status"]).contains("local:app"));
}
