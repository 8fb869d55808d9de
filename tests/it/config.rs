//! The configuration from end to end: files on disk, `config::load`, `hushfs check` and `hushfs init`.

use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hushfs::config::checked::{AuditSink, CacheRules, OnFailure};
use hushfs::config::{Config, Problems, diff, load};
use hushfs::format::Format;
use hushfs::providers::Asks;
use tempfile::TempDir;

/// Where things are before a scope is added.
const BEGIN: &str = "mount = \"mnt\"\n[provider.local]\nkind = \"store\"\npath = \"store.age\"\n";

/// What people come for, each in at most eight lines. The programs named are ones that every host has.
const TASKS: [(&str, &str); 5] = [
    (
        "one token for one systemd service that runs as a user of its own",
        r#"
[scope.app]
allow = { user = "daemon", exe = "/usr/bin/cat" }
file.token = "local:app#token"
"#,
    ),
    (
        "the .env file of a compose service that runs as a uid",
        r#"
[scope.shop]
allow = { uid = 10001 }
file.".env" = { from = "local:shop", format = "dotenv" }
"#,
    ),
    (
        "an mcp.json",
        r#"
[scope.mcpx]
group = "daemon"
allow = { group = "daemon", exe = "/usr/bin/cat" }
file."mcp.json" = { from = "local:mcpx", format = "json" }
"#,
    ),
    (
        "a database login",
        r#"
[scope.db]
allow = { user = "daemon" }
file.username = "local:db#username"
file.password = "local:db#password"
"#,
    ),
    (
        "key and certificate for a web server that reads them as root and serves as another user",
        r#"
[scope.tls]
owner = "root"
group = "daemon"
allow = [{ user = "root", exe = "/usr/bin/cat" }, { group = "daemon", exe = "/usr/bin/cat" }]
file."site.key" = { from = "local:tls#key", mode = "0400" }
file."site.crt" = "local:tls#certificate"
"#,
    ),
];

/// A directory with a configuration of that text and a store and its key, which nothing here reads.
fn place(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hushfs.toml");
    private(&path, text);
    for name in ["store.age", "store.key"] {
        private(&dir.path().join(name), "");
    }
    (dir, path)
}

fn private(path: &Path, text: &str) {
    write(path, text).unwrap();
    mode(path, 0o600);
}

fn mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn right(path: &Path) -> Config {
    load(path).unwrap_or_else(|problems| panic!("{problems}"))
}

fn wrong(path: &Path) -> Problems {
    load(path).err().expect("it should have been refused")
}

/// Message and hint of the one problem.
fn the_problem(path: &Path) -> (String, String) {
    let problems = wrong(path).problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    (problems[0].message.clone(), problems[0].hint.clone().unwrap_or_default())
}

fn hushfs(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hushfs")).args(args).env_remove("HUSHFS_CONFIG").output().unwrap()
}

#[test]
fn each_of_the_commonest_tasks_takes_at_most_eight_lines() {
    for (task, lines) in TASKS {
        assert!(lines.trim().lines().count() <= 8, "{task}");
        let (_dir, path) = place(&format!("{BEGIN}{lines}"));
        let config = right(&path);
        assert_eq!(config.warnings, [""; 0], "{task}");
        assert_eq!(config.scopes.len(), 1, "{task}");
    }
}

#[test]
fn the_example_in_the_manual_is_accepted() {
    let manual = include_str!("../../docs/configuration.md");
    let example = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let (_dir, path) = place(
        &example
            .replace("/run/hushfs", "mnt")
            .replace("/var/lib/hushfs/", "")
            .replace("\"shop\"", "\"daemon\"")
            .replace("/usr/bin/shopctl", "/usr/bin/cat")
            .replace("/usr/bin/shop", "/usr/bin/cat"),
    );
    let config = right(&path);
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(config.scopes[0].files.len(), 3);
}

#[test]
fn what_is_written_arrives() {
    let (dir, path) = place(
        r#"
mount = "mnt"
[audit]
to = "./audit.log"
on_failure = "serve"
[limits]
cache_max = "1MiB"
size_max = 4096
deadline = "2s"
misses_per_uid = 7
[provider.local]
kind = "store"
path = "store.age"
[scope.web]
owner = 1000
group = 1001
allow = [{ uid = 1000 }, { gid = 1001 }]
file.token = "local:web#token"
file.".env" = { from = "local:web", format = "dotenv", mode = "0400" }
"#,
    );
    let config = right(&path);
    assert_eq!(config.mount, dir.path().join("mnt"));
    assert_eq!(config.control, dir.path().join("mnt.sock"));
    assert_eq!(config.audit.to, AuditSink::File(dir.path().join("audit.log")));
    assert_eq!(config.audit.on_failure, OnFailure::Serve);
    assert_eq!((config.limits.cache_max, config.limits.size_max), (1 << 20, 4096));
    assert_eq!(config.limits.deadline.as_secs(), 2);
    let kept = CacheRules { asks: Asks::LocalFile, ..CacheRules::DEFAULT };
    assert_eq!(config.scopes[0].files[0].cache, [kept]);
    assert_eq!((config.limits.misses_per_uid, config.limits.misses_per_process), (7, 100));
    let scope = &config.scopes[0];
    assert_eq!((scope.uid, scope.gid, scope.dir_mode), (1000, 1001, 0o550));
    assert_eq!(scope.rules.iter().count(), 2);
    let files: Vec<_> =
        scope.files.iter().map(|file| (&*file.name, file.shows.form().unwrap().format, file.mode)).collect();
    assert_eq!(files, [(".env", Format::Dotenv, 0o400), ("token", Format::Raw, 0o440)]);
}

/// A scope that learns until what is written there.
fn learning(until: &str, allow: &str) -> (TempDir, PathBuf) {
    place(&format!("{BEGIN}[scope.a]\nallow = {allow}\nlearn_until = {until}\nfile.x = \"local:x\"\n"))
}

/// The time in so many hours.
fn in_hours(hours: i64) -> jiff::Timestamp {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).round(jiff::Unit::Second).unwrap()
}

#[test]
fn a_scope_that_learns_says_until_when() {
    let until = in_hours(24);
    for written in [until.to_string(), format!("\"{until}\"")] {
        let (_dir, path) = learning(&written, "{ uid = 1, exe = \"/usr/bin/cat\" }");
        let config = right(&path);
        assert_eq!(config.scopes[0].learn_until, Some(until));
        let warning = config.warnings.join("\n");
        assert!(warning.contains(&format!("scope `a` learns until {until}")), "{warning}");
        let output = hushfs(&["check", "--config", path.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(&format!("  learning until {until}")), "{said}");
    }
}

#[test]
fn a_scope_learns_for_seven_days_at_most_and_not_in_the_past() {
    let rule = "{ uid = 1, exe = \"/usr/bin/cat\" }";
    right(&learning(&(in_hours(7 * 24) - jiff::SignedDuration::from_secs(1)).to_string(), rule).1);
    let (_dir, path) = learning(&in_hours(7 * 24 + 1).to_string(), rule);
    let (message, hint) = the_problem(&path);
    assert!(message.contains("7 days at most") && hint.contains("or earlier"), "{message} {hint}");
    let (_dir, path) = learning(&in_hours(-1).to_string(), rule);
    let warning = right(&path).warnings.join("\n");
    assert!(warning.contains("scope `a` learns no more") && warning.contains("hushfs suggest"), "{warning}");
    let output = hushfs(&["check", "--config", path.to_str().unwrap()]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("learning until"));
}

#[test]
fn a_time_to_learn_until_needs_an_offset() {
    for written in ["2026-12-01T12:00:00", "2026-12-01", "12:00:00", "\"tomorrow\"", "\"7d\"", "7", "true"] {
        let (_dir, path) = learning(written, "{ uid = 1, exe = \"/usr/bin/cat\" }");
        let (message, hint) = the_problem(&path);
        assert!(message.contains("`learn_until` takes"), "{written}: {message}");
        let example: toml::Table = hint.split('`').nth(1).unwrap().parse().unwrap();
        let (_dir, path) = learning(&example["learn_until"].to_string(), "{ uid = 1 }");
        right(&path);
    }
}

#[test]
fn where_no_rule_names_a_user_nothing_is_learned() {
    for rule in ["{ gid = 0 }", "{ exe = \"/usr/bin/cat\" }", "[{ gid = 0, exe = \"/usr/bin/cat\" }]"] {
        let (_dir, path) = learning(&in_hours(1).to_string(), rule);
        let (message, hint) = the_problem(&path);
        assert!(
            message.contains("nothing can be learned safely") && hint.contains("`user`"),
            "{message} {hint}"
        );
    }
}

#[test]
fn files_beside_it_are_read_in_order_and_what_is_there_twice_names_both_places() {
    let (dir, path) = place(&format!("{BEGIN}[scope.a]\nallow = {{ uid = 1 }}\nfile.x = \"local:x\"\n"));
    let fragments = dir.path().join("conf.d");
    create_dir(&fragments).unwrap();
    let scope = |name: &str| format!("[scope.{name}]\nallow = {{ uid = 1 }}\nfile.x = \"local:x\"\n");
    private(&fragments.join("20.toml"), &scope("b"));
    private(&fragments.join("10.toml"), &scope("c"));
    private(&fragments.join("ignored.txt"), "no toml");
    let names: Vec<_> = right(&path).scopes.iter().map(|scope| scope.name.clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);

    private(&fragments.join("30.toml"), &scope("c"));
    let problems = wrong(&path).problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, fragments.join("30.toml"));
    assert!(problems[0].message.contains("conf.d/10.toml:1:8"), "{problems:?}");
}

#[test]
fn mistakes_of_all_files_are_shown_at_once_in_order() {
    let (dir, path) = place("mont = \"/x\"\nmount = \"mnt\"\n[limits]\ndeadline = 5\n");
    create_dir(dir.path().join("conf.d")).unwrap();
    private(&dir.path().join("conf.d/a.toml"), "[scope.a]\nfile.x = \"nowhere:x\"\n");
    private(&dir.path().join("conf.d/b.toml"), "[scope.b\n");
    let problems = wrong(&path);
    let places: Vec<_> = problems
        .problems
        .iter()
        .map(|one| (one.file.file_name().unwrap().to_str().unwrap(), one.line))
        .collect();
    let expected = [("hushfs.toml", 1), ("hushfs.toml", 4), ("a.toml", 1), ("b.toml", 1)];
    assert_eq!(places, expected.map(|(file, line)| (file, Some(line))), "{problems}");
}

#[test]
fn a_configuration_that_others_can_read_or_write_is_refused_with_the_command_that_mends_it() {
    let (_dir, path) = place(BEGIN);
    for (bits, said) in [(0o644, "read"), (0o640, "read"), (0o620, "write"), (0o602, "write")] {
        mode(&path, bits);
        let (message, hint) = the_problem(&path);
        assert!(message.contains(said), "{message}");
        assert_eq!(hint, format!("chmod 600 {}", path.display()));
    }
    mode(&path, 0o400);
    right(&path);
}

#[test]
fn a_configuration_of_somebody_else_is_refused_with_the_command_that_mends_it() {
    let (_dir, path) = place(BEGIN);
    std::os::unix::fs::chown(&path, Some(12345), None).expect("this test needs root");
    let (message, hint) = the_problem(&path);
    assert!(message.contains("uid 12345"), "{message}");
    assert_eq!(hint, format!("chown 0 {}", path.display()));
}

#[test]
fn a_directory_above_it_that_others_can_write_to_is_refused() {
    let (dir, _) = place(BEGIN);
    let open = dir.path().join("open dir");
    create_dir(&open).unwrap();
    let path = open.join("hushfs.toml");
    private(&path, "mount = \"/run/hushfs\"");
    mode(&open, 0o777);
    let (message, hint) = (wrong(&path).problems[0].message.clone(), wrong(&path).problems[0].hint.clone());
    assert!(message.contains("0777"), "{message}");
    assert_eq!(hint, Some(format!("chmod go-w '{}'", open.display())));
    mode(&open, 0o755);
    right(&path);
}

#[test]
fn a_link_is_followed_and_the_directories_of_its_target_are_judged() {
    let (dir, path) = place(BEGIN);
    let link = dir.path().join("link.toml");
    symlink("hushfs.toml", &link).unwrap();
    right(&link);

    let open = dir.path().join("open");
    create_dir(&open).unwrap();
    private(&open.join("real.toml"), BEGIN);
    mode(&open, 0o777);
    std::fs::remove_file(&link).unwrap();
    symlink("./open/../open/real.toml", &link).unwrap();
    assert!(the_problem(&link).0.contains("others can write"));
    right(&path);
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let (dir, path) = place(BEGIN);
    std::fs::remove_file(&path).unwrap();
    create_dir(&path).unwrap();
    assert!(the_problem(&path).0.contains("not a regular file"));
    std::fs::remove_dir(&path).unwrap();
    symlink("hushfs.toml", &path).unwrap();
    assert!(the_problem(&path).0.contains("loop"));
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    assert!(the_problem(&pipe).0.contains("not a regular file"));
}

#[test]
fn a_missing_configuration_says_how_to_begin() {
    let (dir, _) = place(BEGIN);
    let (message, hint) = the_problem(&dir.path().join("none.toml"));
    assert!(message.contains("does not exist"), "{message}");
    assert!(hint.contains("hushfs init"), "{hint}");
}

#[test]
fn a_store_that_is_missing_or_open_to_others_is_reported_where_it_is_named() {
    let (dir, path) = place(BEGIN);
    let (store, key) = (dir.path().join("store.age"), dir.path().join("store.key"));
    mode(&store, 0o640);
    let problem = wrong(&path).problems[0].clone();
    assert_eq!((problem.line, problem.column), (Some(4), Some(1)));
    assert_eq!(problem.hint, Some(format!("chmod 600 {}", store.display())));
    mode(&store, 0o600);

    std::fs::remove_file(&key).unwrap();
    assert!(the_problem(&path).1.contains("backup"));
    std::fs::remove_file(&store).unwrap();
    assert_eq!(
        the_problem(&path).1,
        format!("`hushfs store init --store {}` makes a new one", store.display())
    );
}

#[test]
fn nothing_may_lie_below_the_mount() {
    let (dir, path) = place(&BEGIN.replace("store.age", "mnt/store.age"));
    assert!(wrong(&path).problems[0].message.contains("below the mount"));
    private(&path, &format!("{BEGIN}[audit]\nto = \"mnt/../mnt/log\"\n"));
    assert!(wrong(&path).problems[0].message.contains("below the mount"));
    private(&path, &BEGIN.replace("mnt", "."));
    let problems = wrong(&path);
    assert!(problems.problems[0].message.contains("hushfs.toml` lies below the mount"), "{problems}");
    symlink("mnt", dir.path().join("link")).unwrap();
    private(&path, &BEGIN.replace("\"mnt\"", "\"link\"").replace("store.age", "mnt/store.age"));
    assert!(wrong(&path).problems[0].message.contains("below the mount"));
}

#[test]
fn only_what_changed_is_new_after_a_reload() {
    let scope =
        |name: &str, uid: u32| format!("[scope.{name}]\nallow = {{ uid = {uid} }}\nfile.x = \"local:x\"\n");
    let (_dir, path) = place(&format!("{BEGIN}{}{}{}", scope("a", 1), scope("b", 1), scope("gone", 1)));
    let old = right(&path);
    private(&path, &format!("{BEGIN}{}{}{}", scope("a", 1), scope("b", 2), scope("new", 1)));
    let mut new = right(&path);
    let changes = diff(&old, &new);
    assert_eq!((changes.unchanged, changes.changed), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert_eq!((changes.added, changes.removed), (vec!["new".to_owned()], vec!["gone".to_owned()]));
    assert_eq!((changes.providers, changes.restart), (vec![], vec![]));

    hushfs::config::keep_unchanged(&mut new.scopes, &old);
    assert!(std::sync::Arc::ptr_eq(&new.scopes[0], &old.scopes[0]));
    assert!(!std::sync::Arc::ptr_eq(&new.scopes[1], &old.scopes[1]));
}

#[test]
fn a_reload_that_moves_the_mount_takes_a_restart() {
    let (_dir, path) = place(BEGIN);
    let old = right(&path);
    assert!(diff(&old, &right(&path)).is_empty());
    private(&path, &BEGIN.replace("mnt", "elsewhere"));
    let restart = diff(&old, &right(&path)).restart;
    assert_eq!(restart.len(), 2, "{restart:?}");
    assert!(restart[0].contains("`mount`") && restart[1].contains("`control`"), "{restart:?}");
}

#[test]
fn check_ends_with_0_when_it_is_right_and_with_78_when_not() {
    let (_dir, path) = place(&format!("{BEGIN}{}", TASKS[0].1));
    let file = path.to_str().unwrap();
    let out = hushfs(&["check", "--config", file]);
    assert_eq!(out.status.code(), Some(0));
    let text = String::from_utf8(out.stdout).unwrap();
    for part in ["is right", "local (store)", "app/", "token", "app.1", "strong", "medium"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    private(&path, "mont = 1");
    let out = hushfs(&["check", "--config", file]);
    assert_eq!((out.status.code(), out.stdout.len()), (Some(78), 0));
    let text = String::from_utf8(out.stderr).unwrap();
    for part in [":1:1", "did you mean `mount`?", "help:", "2 problems"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "colour in a pipe: {text:?}");
    assert_eq!(hushfs(&["check", "--config", "/nowhere/hushfs.toml"]).status.code(), Some(78));
}

#[test]
fn the_table_of_check_is_narrow_and_names_users() {
    let digests = ["0123456789abcdef".repeat(4), "f".repeat(64)];
    let rule = format!("user = \"daemon\", exe_sha256 = [\"{}\", \"{}\"]", digests[0], digests[1]);
    let scope = format!("{BEGIN}[scope.app]\nallow = {{ {rule} }}\nfile.x = \"local:x\"");
    let (_dir, path) = place(&scope);
    let text = String::from_utf8(hushfs(&["check", "--config", path.to_str().unwrap()]).stdout).unwrap();
    assert!(
        text.contains("user:daemon (1) ") && text.contains("exe_sha256:0123456789ab…, ffffffffffff… "),
        "{text}"
    );
    let table = text.split("app/").nth(1).unwrap();
    assert!(table.lines().all(|line| line.chars().count() < 80), "{table}");
    let json = hushfs(&["check", "--json", "--config", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let whole = report["scopes"][0]["rules"][0][1]["selector"].as_str().unwrap();
    assert_eq!(whole, format!("exe_sha256:{}", digests.join(",")), "programs get all of it");
}

#[test]
fn check_speaks_json_to_programs() {
    let (_dir, path) = place(&format!("{BEGIN}{}", TASKS[3].1));
    let out = hushfs(&["check", "--json", "--config", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["scopes"][0]["files"][0]["from"], "local:db#password");
    assert_eq!(report["scopes"][0]["rules"][0][0]["strength"], "strong");
    private(&path, "mont = 1\nmount = \"mnt\"");
    let out = hushfs(&["check", "--json", "--config", path.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(78));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!((&report["problems"][0]["line"], &report["problems"][0]["column"]), (&1.into(), &1.into()));
}

#[test]
fn nothing_that_could_be_a_secret_is_drawn() {
    const CANARY: &str = "canary-4b1d";
    for text in [
        format!("mount = \"mnt\"\n[provider.x]\nkind = \"nope\"\ntoken = \"{CANARY}\"\n"),
        format!("mount = \"mnt\"\nprovider.x = {{ kind = \"nope\", token = \"{CANARY}\" }}\n"),
        format!("mount = \"mnt\"\ntoken = \"{CANARY}\"\n"),
        format!("mount = \"mnt\"\n[provider.x]\ntoken = {CANARY}\n"),
        format!("mount = \"mnt\"\n[provider.x]\nkind = \"store\"\ntoken = \"\"\"\n{CANARY}\n"),
        format!("mount = \"mnt\"\n[scope.a]\npassword = \"{CANARY}\"\nallow = {{ uid = 1 }}\n"),
        format!("mount = \"mnt\"\n[scope.a]\nallow = {{ uid = 1 }}\nfile.x = \"{CANARY}\"\n"),
        format!("mount = \"mnt\"\n[scope.a]\nallow = {{ uid = 1, env = \"{CANARY}\" }}\n"),
    ] {
        let (_dir, path) = place(&text);
        for args in [vec!["check"], vec!["check", "--json"]] {
            let out = hushfs(&[&args[..], &["--config", path.to_str().unwrap()]].concat());
            assert_eq!(out.status.code(), Some(78), "{text}");
            let shown = [out.stdout, out.stderr].concat();
            assert!(!String::from_utf8_lossy(&shown).contains(CANARY), "{}", String::from_utf8_lossy(&shown));
        }
    }
}

#[test]
fn init_writes_a_private_file_that_check_accepts_once_the_store_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/hushfs.toml");
    let file = path.to_str().unwrap();
    let out = hushfs(&["init", "--config", file]);
    assert_eq!(out.status.code(), Some(0));
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(said.contains("hushfs store init --store") && said.contains("hushfs check"), "{said}");
    let bits = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((bits(&path), bits(path.parent().unwrap())), (0o600, 0o700));

    let again = hushfs(&["init", "--config", file]);
    assert_eq!(again.status.code(), Some(1));

    let text = std::fs::read_to_string(&path).unwrap();
    let store = dir.path().join("store.age");
    private(&store, "");
    private(&dir.path().join("store.key"), "");
    let line = text.lines().find(|line| line.starts_with("path = ")).unwrap();
    private(&path, &text.replace(line, &format!("path = \"{}\"", store.display())));
    let config = right(&path);
    assert_eq!(config.warnings, [""; 0]);
}
