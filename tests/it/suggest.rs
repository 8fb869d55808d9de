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
        // What has a slash is taken for a workload.
        let workloads = scope.get("workload").into_iter().flat_map(|all| all.as_table().unwrap().values());
        for rule in scope.get("allow").into_iter().chain(workloads).flat_map(|all| all.as_array().unwrap()) {
            assert_eq!(rule["uid"].as_integer(), Some(4_000_000), "{name}: {printed}");
        }
    }
}

#[test]
fn rules_of_workloads_are_proposed_where_those_are_written() {
    let of = |scope: &str, uid: u32| Record {
        scope: scope.to_owned(),
        path: format!("{scope}/t"),
        uid,
        ..denied("/usr/bin/cat")
    };
    let printed = suggested([of("db/web", 1), of("db/worker", 2), of("db", 3), of("web", 4)]);
    let whole: toml::Table = printed.parse().unwrap_or_else(|error| panic!("{error}\n{printed}"));
    let scopes = &whole["scope"];
    let rules = |of: &toml::Value| of.as_array().unwrap().len();
    let workloads = &scopes["db"]["workload"];
    assert_eq!((rules(&workloads["web"]), rules(&workloads["worker"])), (1, 1), "{printed}");
    assert_eq!((rules(&scopes["db"]["allow"]), rules(&scopes["web"]["allow"])), (1, 1), "{printed}");
    assert!(
        unbroken(&printed).contains("right behind the `[` of the `web` of [scope.db.workload]"),
        "{printed}"
    );
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
    configured(&log, "0444", "{ uid = 4000000, exe = \"/usr/bin/head\", no_new_privs = true }");
    let printed = stdout(&run(&log, &[]));
    assert!(unbroken(&printed).contains("adding a rule, which keeps its `no_new_privs:true`"), "{printed}");
    configured(&log, "0444", "{ uid = 7, exe = \"/usr/bin/cat\" }");
    let printed = stdout(&run(&log, &[]));
    assert!(unbroken(&printed).contains("No rule of the scope is for this user"), "{printed}");
    assert!(!unbroken(&printed).contains("Rule web.1"), "for whom a rule is, no attempt may say\n{printed}");
}

#[test]
fn no_rule_is_proposed_that_lacks_what_protects_one_that_is_there() {
    let digest = "00".repeat(32);
    let plain = || denied("/usr/bin/cat");
    let in_unit = || Record { unit: "a.service".to_owned(), ..plain() };
    let in_container = || Record { container: "ab".repeat(32), ..plain() };
    let (program, user) = ("uid = 4000000, exe = \"/usr/bin/cat\"", "uid = 4000000");
    let cases = [
        (plain(), program, "no_new_privs = true", "`no_new_privs:true`", "NoNewPrivileges"),
        (plain(), program, "not_traced = true", "`not_traced:true`", "who traces it"),
        (plain(), program, "not_dumpable = true", "`not_dumpable:true`", "PR_SET_DUMPABLE"),
        (plain(), program, "no_preload = true", "`no_preload:true`", "LD_PRELOAD"),
        (plain(), program, "within = \"30s\"", "`within:30s`", "sooner"),
        (plain(), program, "reads = 1", "`reads:1`", "keep what it has read"),
        (plain(), program, "egid = 4000001", "`egid:4000001`", "setgid program"),
        (plain(), program, "gid = 4000001", "`gid:4000001`", "member"),
        (
            plain(),
            user,
            &format!("exe_sha256 = \"{digest}\""),
            &format!("`exe_sha256:{digest}`"),
            "sha256sum",
        ),
        (plain(), program, "unit = \"a.service\"", "`unit:a.service`", "where the rule says"),
        (plain(), program, "slice = \"a.slice\"", "`slice:a.slice`", "where the rule says"),
        (
            plain(),
            user,
            "container = { id = \"0123456789ab\" }",
            "`container:{id=0123456789ab}`",
            "in the container",
        ),
        (plain(), program, "not_traced = true, reads = 1", "`not_traced:true` or `reads:1`", "who traces it"),
        (
            plain(),
            program,
            "unit = \"a.service\", reads = 1",
            "its `unit:a.service` did not",
            "where the rule",
        ),
        (
            in_unit(),
            "unit = \"a.service\", uid = 4000000",
            "within = \"30s\"",
            "`within:30s`",
            "--unit a.service",
        ),
        (in_unit(), user, "no_new_privs = true", "`no_new_privs:true`", "NoNewPrivileges"),
        (in_unit(), "unit = \"a.service\"", "exe = \"/usr/bin/head\", reads = 1", "", ""),
        (
            in_container(),
            user,
            "container = { name = \"web\" }",
            "`container:{name=web}`",
            "--container abababababab`",
        ),
    ];
    for (record, has, demands, lacks, remedy) in cases {
        let (_dir, log) = folder_with(&text([record]));
        configured(&log, "0444", &format!("{{ {has}, {demands} }}"));
        let printed = stdout(&run(&log, &[]));
        let said = unbroken(&printed);
        if lacks.is_empty() {
            assert!(said.contains("instead of adding a rule, which keeps its `reads:1`"), "{printed}");
            continue;
        }
        assert!(rules(&printed, "web").is_empty(), "{demands}\n{printed}");
        for part in
            ["No rule: rule web.1 is for them", lacks, "would undo", remedy, "`hushfs explain web/token --"]
        {
            assert!(said.contains(part), "{demands}: {part}\n{printed}");
        }
    }
}

#[test]
fn a_rule_that_has_nothing_of_the_caller_or_that_another_place_replaces_keeps_nobody_from_a_rule() {
    let python = || Record { unit: "b.service".to_owned(), ..denied("/usr/bin/python3.11") };
    let id = "ab".repeat(32);
    let container = || Record { container: id.clone(), ..denied("/usr/bin/cat") };
    for (record, allow) in [
        (denied("/usr/bin/cat"), "{ unit = \"a.service\" }"),
        (
            denied("/usr/bin/cat"),
            "{ exe_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\" }",
        ),
        (denied("/usr/bin/cat"), "{ gid = 4000001, exe = \"/usr/bin/cat\" }"),
        (denied("/usr/bin/cat"), "{ uid = 7, exe = \"/usr/bin/cat\", reads = 1 }"),
        (python(), "{ uid = 4000000, exe = \"/usr/bin/cat\" }"),
        (python(), "{ uid = 4000000, unit = \"a.service\" }"),
        (container(), "{ uid = 4000000, container = { id = \"0123456789ab\" } }"),
    ] {
        let (_dir, log) = folder_with(&text([record]));
        configured(&log, "0444", allow);
        let printed = stdout(&run(&log, &[]));
        assert_eq!(rules(&printed, "web").len(), 1, "{allow}\n{printed}");
    }
}

#[test]
fn where_the_program_is_not_known_nothing_is_said_of_it() {
    let (_dir, log) = folder_with(&text([Record { unit: "a.service".to_owned(), ..denied("") }]));
    configured(&log, "0444", "{ uid = 4000000, unit = \"a.service\" }");
    let printed = stdout(&run(&log, &[]));
    let said = unbroken(&printed);
    assert!(
        said.contains("Rule web.1 is for them as it stands now") && !said.contains("the file that they run")
    );
    assert!(said.contains("`hushfs explain web/token --unit a.service` says why"), "{printed}");
    configured(&log, "0444", "{ uid = 4000000, unit = \"a.service\", exe = \"/usr/bin/cat\" }");
    let printed = stdout(&run(&log, &[]));
    assert!(rules(&printed, "web").is_empty(), "it may be another program\n{printed}");
}

#[test]
fn below_a_unit_the_rule_names_the_group_that_all_attempts_were_in() {
    let at = |group: &str| Record {
        unit: "a.service".to_owned(),
        cgroup: format!("/system.slice/a.service{group}"),
        ..denied("/usr/bin/cat")
    };
    let unit = |groups: &[&str]| {
        let printed = suggested(groups.iter().map(|group| at(group)));
        let rules = rules(&printed, "web");
        assert_eq!(rules.len(), 1, "{printed}");
        (rules[0]["unit"].as_str().unwrap().to_owned(), unbroken(&printed))
    };
    assert_eq!(unit(&[""]).0, "a.service");
    let (one, said) = unit(&["/main"]);
    assert_eq!(one, "a.service/main");
    assert!(said.contains("another name for each process, write `a.service/*`"), "{said}");
    let (all, said) = unit(&["/job1", "/job2"]);
    assert_eq!(all, "a.service/*");
    assert!(said.contains("They were in `a.service/job1` and `a.service/job2`"), "{said}");
    assert_eq!(unit(&["/x/y"]).0, "a.service/*");
    let odd = Record {
        unit: r"a\x2db.service".to_owned(),
        cgroup: r"/s.slice/a\x2db.service/x".to_owned(),
        ..at("")
    };
    let printed = suggested([odd]);
    assert_eq!(rules(&printed, "web")[0]["unit"].as_str(), Some(r"a\x2db.service/x"));
    assert!(unbroken(&printed).contains(r"write `a\x2db.service/*`"), "as it is to be written\n{printed}");
}

#[test]
fn what_is_printed_says_where_it_goes_and_can_be_pasted_there() {
    let (_dir, log) = folder_with(&text([denied("/usr/bin/cat"), denied("/usr/bin/tail")]));
    for allow in ["[{ uid = 7 }]", "[\n  { uid = 7 },\n]", "{ uid = 7 }"] {
        configured(&log, "0444", allow);
        let printed = stdout(&run(&log, &[]));
        let config = log.with_file_name("hushfs.toml");
        assert!(
            unbroken(&printed)
                .contains(&format!("right behind the `[` of its `allow`, at {}:7:1", config.display())),
            "{printed}"
        );
        let single = !allow.starts_with('[');
        assert_eq!(
            unbroken(&printed).contains("without `[` and `]`, put it between some"),
            single || allow.len() > 2,
            "{printed}"
        );
        let (_, list) = printed.split_once("allow = [\n").unwrap();
        let (lines, _) = list.split_once("\n]").unwrap();
        let list = if single { format!("[{allow}]") } else { allow.to_owned() };
        configured(&log, "0444", &list.replacen('[', &format!("[\n{lines}\n"), 1));
        let again = stdout(&run(&log, &[]));
        assert!(rules(&again, "web").is_empty(), "{again}");
        assert!(unbroken(&again).contains("Rule web.2 is for them as it stands now"), "{again}");
    }
}

#[test]
fn a_scope_that_there_is_not_is_an_error_that_names_those_there_are() {
    let (_dir, log) = folder_with(&text([Record { scope: "old".to_owned(), ..denied("/usr/bin/cat") }]));
    configured(&log, "0444", "{ uid = 1 }");
    for (scope, hint) in [("wbe", true), ("elsewhere", false)] {
        let output = run(&log, &["--scope", scope]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        assert!(said.contains(&format!("no scope `{scope}`")) && said.contains("known are `web`"), "{said}");
        assert_eq!(said.contains("did you mean `web`?"), hint, "{said}");
    }
    assert_eq!(stdout(&run(&log, &["--scope", "web"])), "", "nothing was denied there");
    assert!(stdout(&run(&log, &["--scope", "old"])).contains("has none of that name"), "it was there");
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
