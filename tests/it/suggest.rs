//! `hushfs suggest`, from a log and a configuration to what is printed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use hushfs::audit::{Line, Lost, Outcome, Record};

use crate::audit::{at, folder_with, text};

const TIME: &str = "2026-11-02T10:00:00Z";

/// A denied attempt by uid 4000000, which has no name.
fn denied(exe: &str) -> Record {
    let reason = format!("no rule matches: the caller runs {exe}");
    let (unit, rule, version) = Default::default();
    Record { outcome: Outcome::Denied, exe: exe.to_owned(), unit, rule, version, reason, ..at(TIME, 1) }
}

/// What is suggested of that log, beside a configuration that need not be there.
fn run(log: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hushfs"))
        .args(["suggest", "--file"])
        .arg(log)
        .arg("--config")
        .arg(log.with_file_name("hushfs.toml"))
        .args(if args.contains(&"--since") { &[] } else { &["--since", "2026-11-01"][..] })
        .args(args)
        .env("TZ", "UTC")
        .env_remove("HUSHFS_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn suggested(records: impl IntoIterator<Item = Record>) -> String {
    let (_dir, log) = folder_with(&text(records));
    stdout(&run(&log, &[]))
}

/// Comments as they were before they were broken into lines.
fn unbroken(printed: &str) -> String {
    printed.replace("\n  # ", " ").replace("\n# ", " ")
}

/// The rules of a scope in what is printed, which must be TOML as a whole.
fn rules(printed: &str, scope: &str) -> Vec<toml::Table> {
    let whole: toml::Table = printed.parse().unwrap_or_else(|error| panic!("{error}\n{printed}"));
    let Some(scope) = whole.get("scope").and_then(|scopes| scopes.get(scope)) else { return Vec::new() };
    scope["allow"].as_array().unwrap().iter().map(|rule| rule.as_table().unwrap().clone()).collect()
}

/// Writes the configuration; both files of the scope `web` have that mode.
fn configured(log: &Path, mode: &str, allow: &str) {
    use std::os::unix::fs::PermissionsExt;
    let dir = log.parent().unwrap();
    for name in ["store.age", "store.key", "hushfs.toml"] {
        std::fs::write(dir.join(name), "").unwrap();
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = format!(
        "mount = \"m\"\n[provider.p]\nkind = \"store\"\npath = \"store.age\"\n\
         [scope.web]\nmode = \"{mode}\"\nallow = {allow}\nfile.token = \"p:t\"\nfile.key = \"p:k\"\n"
    );
    std::fs::write(dir.join("hushfs.toml"), config).unwrap();
}

#[test]
fn each_caller_of_a_scope_is_one_rule_with_what_to_judge_it_by() {
    let many = Record { count: 46, path: "web/key".to_owned(), ..denied("/usr/bin/cat") };
    let printed = suggested([denied("/usr/bin/cat"), many, denied("/usr/bin/head")]);
    let rules = rules(&printed, "web");
    let exes: Vec<_> = rules.iter().map(|rule| rule["exe"].as_str().unwrap()).collect();
    assert_eq!(exes, ["/usr/bin/cat", "/usr/bin/head"], "most attempts first\n{printed}");
    assert!(rules.iter().all(|rule| rule["uid"].as_integer() == Some(4_000_000) && rule.len() == 2));
    for said in ["47 attempts by 4000000", "key, token", "2026-11-02 10:00:00", "exe medium", "Judge each"] {
        assert!(unbroken(&printed).contains(said), "{said}\n{printed}");
    }
}

#[test]
fn what_was_allowed_or_is_too_old_is_nothing_to_suggest() {
    let (_dir, log) = folder_with(&text([at(TIME, 1)]));
    let output = run(&log, &[]);
    assert_eq!(stdout(&output), "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no rule is missing"));
    let (_dir, log) = folder_with(&text([denied("/usr/bin/cat")]));
    assert_eq!(stdout(&run(&log, &["--since", "2026-11-03"])), "");
    assert_eq!(stdout(&run(&log, &["--until", "2026-11-02"])), "");
    assert_eq!(stdout(&run(&log, &["--scope", "db"])), "");
}

#[test]
fn an_interpreter_is_answered_with_advice() {
    let printed = suggested([denied("/usr/bin/python3.11")]);
    assert!(rules(&printed, "web").is_empty(), "{printed}");
    assert!(
        unbroken(&printed).contains("runs any script") && unbroken(&printed).contains("container"),
        "{printed}"
    );
}

#[test]
fn whoever_cannot_be_let_in_is_told_and_no_rule() {
    let systemd = Record { uid: 0, ..denied("/usr/lib/systemd/systemd") };
    let foreign = Record { other_user_namespace: true, ..denied("/usr/bin/cat") };
    let printed = suggested([systemd, foreign, denied(""), denied("bin/cat")]);
    assert!(rules(&printed, "web").is_empty(), "{printed}");
    for said in ["LoadCredential=", "user namespace", "could not be identified", "none of this host"] {
        assert!(unbroken(&printed).contains(said), "{said}\n{printed}");
    }
}

#[test]
fn no_name_of_an_attacker_leaves_its_text_or_drives_the_terminal() {
    let hostile = [
        "/tmp/\"\n[scope.web]\nallow = [{ uid = 1 }]\n#",
        "/tmp/a\" }, { uid = 0, exe = \"/bin/sh",
        "/tmp/\u{1b}[2J",
        "/tmp/\u{202e}txt",
        "/tmp/'''\"\"\"\\",
        "/tmp/\u{85}\u{2028}x",
        "/tmp/\r\ninjected = 1",
    ];
    let odd = |exe: &&str| {
        let file = format!("web/{exe}");
        [
            denied(exe),
            Record { unit: format!("{exe}.service"), path: file.clone(), ..denied("/usr/bin/cat") },
            Record { container: (*exe).to_owned(), path: file, ..denied("/usr/bin/cat") },
            Record { scope: (*exe).to_owned(), ..denied("/usr/bin/cat") },
        ]
    };
    let printed = suggested(hostile.iter().flat_map(odd));
    assert!(!printed.chars().any(|c| c.is_control() && c != '\n'), "{printed:?}");
    assert!(!printed.contains(['\u{202e}', '\u{2028}']));
    let whole: toml::Table = printed.parse().unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(whole.keys().collect::<Vec<_>>(), ["scope"], "{printed}");
    for (name, scope) in whole["scope"].as_table().unwrap() {
        for rule in scope["allow"].as_array().unwrap() {
            assert_eq!(rule["uid"].as_integer(), Some(4_000_000), "{name}: {printed}");
        }
    }
}

#[test]
fn one_user_with_many_programs_does_not_drown_the_others() {
    let (dir, log) = folder_with(b"");
    let copy = |n: usize| {
        let path = dir.path().join(format!("app{n}"));
        std::os::unix::fs::symlink("/usr/bin/cat", &path).unwrap();
        Record { count: 1000, ..denied(path.to_str().unwrap()) }
    };
    let mut records: Vec<_> = (0..40).map(copy).collect();
    records.push(Record { uid: 4_000_001, ..denied("/usr/bin/cat") });
    std::fs::write(&log, text(records)).unwrap();
    let printed = stdout(&run(&log, &[]));
    let rules = rules(&printed, "web");
    assert_eq!(rules.len(), 17, "{printed}");
    assert!(rules.iter().any(|rule| rule["uid"].as_integer() == Some(4_000_001)));
    assert!(unbroken(&printed).contains("24000 attempts by 4000000: 24 more programs"), "{printed}");
}

#[test]
fn a_rule_that_nearly_matches_is_to_be_mended() {
    let (_dir, log) = folder_with(&text([denied("/usr/bin/cat")]));
    configured(&log, "0444", "{ uid = 4000000, exe = \"/usr/bin/head\" }");
    let printed = stdout(&run(&log, &[]));
    assert!(
        unbroken(&printed).contains("Rule web.1 is for them but for its `exe:/usr/bin/head`"),
        "{printed}"
    );
    assert!(unbroken(&printed).contains("write `exe = \"/usr/bin/cat\"` there"), "{printed}");
    configured(&log, "0444", "{ uid = 4000000, exe = \"/usr/bin/cat\", no_new_privs = true }");
    let printed = stdout(&run(&log, &[]));
    assert!(
        unbroken(&printed).contains("but for its `no_new_privs:true`, of which a record says nothing"),
        "{printed}"
    );
    configured(&log, "0444", "{ uid = 7, exe = \"/usr/bin/cat\" }");
    let printed = stdout(&run(&log, &[]));
    assert!(unbroken(&printed).contains("No rule of the scope is for this user"), "{printed}");
    assert!(!unbroken(&printed).contains("Rule web.1"), "for whom a rule is, no attempt may say\n{printed}");
}

#[test]
fn what_a_rule_allows_by_now_is_not_suggested_again() {
    let (_dir, log) = folder_with(&text([denied("/usr/bin/cat")]));
    configured(&log, "0444", "[{ uid = 1 }, { uid = 4000000, exe = \"/bin/cat\" }]");
    let printed = stdout(&run(&log, &[]));
    assert!(rules(&printed, "web").is_empty(), "{printed}");
    assert!(unbroken(&printed).contains("Rule web.2 is for them as it stands now"), "{printed}");
}

#[test]
fn owner_group_and_mode_that_keep_a_caller_out_are_pointed_out() {
    let (_dir, log) = folder_with(&text([Record { path: "web/key".to_owned(), ..denied("/usr/bin/cat") }]));
    configured(&log, "0400", "{ uid = 1 }");
    let printed = stdout(&run(&log, &[]));
    assert!(unbroken(&printed).contains("A rule does not help with key: uid 1, gid"), "{printed}");
}

#[test]
fn a_replaced_program_is_named_by_its_path_and_said_to_be() {
    let printed = suggested([denied("/usr/bin/cat (deleted)")]);
    assert_eq!(rules(&printed, "web")[0]["exe"].as_str(), Some("/usr/bin/cat"));
    assert!(unbroken(&printed).contains("was replaced while it ran"), "{printed}");
}

#[test]
fn json_has_the_same_and_losses_are_told() {
    let mut log = text([denied("/usr/bin/cat")]);
    let time = TIME.parse().unwrap();
    Line::Lost(Lost { v: 1, time, lost: 5 }).append_to(&mut log);
    let (_dir, log) = folder_with(&log);
    let output = run(&log, &["--json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let caller = &found["scopes"][0]["callers"][0];
    assert_eq!(caller["rule"], "{ uid = 4000000, exe = \"/usr/bin/cat\" }", "{found}");
    assert_eq!((&caller["attempts"], &found["scopes"][0]["scope"]), (&1.into(), &"web".into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("5 attempts of that time are not on record"));
}
