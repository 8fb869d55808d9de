//! What is accepted and what is refused, by text alone.

use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::identity::Runtimes;

mod workloads;

/// Four lines: what a test adds to a scope begins at line 6.
const BEGIN: &str = "mount = \"/run/hushfs\"\n[provider.local]\nkind = \"store\"\npath = \"STORE\"\n";

/// Stands in for a store and its key: nothing here reads them.
static STORE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    for name in ["store.age", "store.key"] {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(dir.path().join(name)).unwrap();
    }
    dir
});

/// Checks a text as if it were the file.
fn check_text(text: &str) -> Result<Config, Problems> {
    let path = PathBuf::from("/etc/hushfs/hushfs.toml");
    let text = text.replace("STORE", &STORE.path().join("store.age").display().to_string());
    check(&path.clone(), &[Text { path, text }], Report::default())
}

/// Each problem as `line:column: message` and its hint.
fn problems(text: &str) -> Vec<(String, String)> {
    let one = |one: Problem| {
        let place = format!("{}:{}", one.line.unwrap_or(0), one.column.unwrap_or(0));
        (format!("{place}: {}", one.message), one.hint.unwrap_or_default())
    };
    check_text(text).err().map(|found| found.problems.into_iter().map(one).collect()).unwrap_or_default()
}

/// The one problem of a scope with these lines.
fn of_scope(lines: &str) -> (String, String) {
    let found = problems(&format!("{BEGIN}[scope.s]\n{lines}"));
    assert_eq!(found.len(), 1, "{lines}: {found:?}");
    found[0].clone()
}

fn warnings(lines: &str) -> Vec<String> {
    let config = check_text(&format!("{BEGIN}[scope.s]\n{lines}"));
    config.unwrap_or_else(|problems| panic!("{problems}")).warnings
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    for (text, key, meant) in [
        ("mont = 1", "`mont`", "`mount`"),
        ("deadline = \"1s\"", "`deadline`", "`[limits]`"),
        ("on_failure = \"deny\"", "`on_failure`", "`[audit]`"),
        ("[limits]\nchache_max = 1", "`chache_max`", "`cache_max`"),
        ("[scope.s]\nalow = { uid = 1 }", "`alow`", "`allow`"),
    ] {
        let found = problems(text);
        let hit = found.iter().any(|(message, hint)| message.contains(key) && hint.contains(meant));
        assert!(hit, "{text}: {found:?}");
    }
}

#[test]
fn a_file_comes_from_one_place_alone() {
    let rule = "allow = { uid = 1 }\n";
    for (lines, said) in [
        (
            format!("{rule}file.x = {{ from = \"local:x\", template = \"t\" }}"),
            "a file has `from` or `template`, not both",
        ),
        (format!("{rule}file.x = {{ template = \"nowhere\" }}"), "does not exist"),
        (
            format!("{rule}file.x = {{ text = '{{{{ secret(\"local:x\") }}}}', format = \"json\" }}"),
            "a template is written as it stands there, in no other form",
        ),
    ] {
        assert!(of_scope(&lines).0.contains(said), "{lines}");
    }
}

#[test]
fn a_scope_that_nobody_could_read_is_refused() {
    for lines in [
        "file.x = \"local:x\"",
        "allow = []",
        "allow = {}",
        "allow = [{ uid = 1 }, {}]",
        "allow = \"anyone\"",
    ] {
        assert!(of_scope(lines).1.contains("allow = {"), "{lines}");
    }
}

#[test]
fn what_proves_nothing_is_no_selector_and_the_message_says_why() {
    for key in ["argv", "comm", "cmdline", "cwd", "env"] {
        let (message, hint) = of_scope(&format!("allow = {{ uid = 1, {key} = \"x\" }}"));
        assert!(message.contains("so it proves nothing"), "{message}");
        assert!(hint.contains("`exe`"), "{hint}");
    }
}

#[test]
fn a_rule_that_can_never_match_is_refused_at_its_place() {
    for (lines, place) in [
        ("owner = 1000\nallow = { uid = 1001 }", "7:9"),
        ("owner = 1000\nallow = [{ uid = 1000 }, { uid = 1001 }]", "7:26"),
        ("owner = 1000\nallow = { gid = 4000000 }", "7:9"),
        ("mode = \"0400\"\nallow = [{ uid = 7 }, { uid = 8 }]", "7:10"),
        ("allow = { uid = 0, user = \"daemon\" }", "6:27"),
        (
            "group = 5\nallow = { uid = 7 }\nfile.x = { from = \"local:x\", mode = \"0400\" }\nowner = 6",
            "8:37",
        ),
    ] {
        let found = problems(&format!("{BEGIN}[scope.s]\n{lines}"));
        assert!(
            found.iter().any(|(message, _)| message.starts_with(&format!("{place}: "))),
            "{lines}: {found:?}"
        );
    }
}

#[test]
fn owner_group_and_mode_follow_the_rules_where_they_are_not_written() {
    let modes = |lines: &str| {
        let config = check_text(&format!("{BEGIN}[scope.s]\n{lines}\nfile.x = \"local:x\"")).unwrap();
        let scope = &config.scopes[0];
        (scope.uid, scope.dir_mode, scope.files[0].mode)
    };
    let us = rustix::process::geteuid().as_raw();
    assert_eq!(modes("allow = { uid = 1000 }"), (1000, 0o500, 0o400));
    assert_eq!(modes("allow = [{ uid = 1000, gid = 5 }, { uid = 1000 }]"), (1000, 0o500, 0o400));
    assert_eq!(modes("allow = [{ uid = 1000 }, { uid = 1001 }]"), (us, 0o555, 0o444));
    assert_eq!(modes("allow = [{ uid = 1000 }, { gid = 5 }]"), (us, 0o555, 0o444));
    assert_eq!(modes("owner = 9\nallow = { uid = 9 }"), (9, 0o500, 0o400));
    assert_eq!(modes("owner = 9\ngroup = 5\nallow = { gid = 5 }"), (9, 0o550, 0o440));
    assert_eq!(modes("mode = 0o444\nallow = { uid = 9 }"), (9, 0o555, 0o444));
}

#[test]
fn a_file_has_the_owner_group_and_mode_that_it_names_and_else_its_scopes() {
    let files = |lines: &str| {
        let config = check_text(&format!("{BEGIN}[scope.s]\n{lines}")).unwrap();
        let scope = &config.scopes[0];
        assert_eq!(config.warnings, [""; 0], "{lines}");
        let files: Vec<_> = scope.files.iter().map(|file| (file.uid, file.gid, file.mode)).collect();
        (scope.dir_mode, files)
    };
    let (us, our) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let two = "allow = [{ uid = 1000 }, { uid = 1001 }]\n";
    // Two users, a file for each, and one for both.
    assert_eq!(
        files(&format!(
            "{two}file.a = {{ from = \"local:a\", owner = 1000, mode = \"0600\" }}\nfile.b = {{ from = \"local:b\", owner = 1001 }}\nfile.c = \"local:c\""
        )),
        (0o555, vec![(1000, our, 0o600), (1001, our, 0o400), (us, our, 0o444)])
    );
    // The directory lets in who may read something in it, and lets nobody else list it.
    assert_eq!(
        files(&format!(
            "{two}owner = 1000\nfile.a = \"local:a\"\nfile.b = {{ from = \"local:b\", owner = 1001 }}"
        )),
        (0o511, vec![(1000, our, 0o400), (1001, our, 0o400)])
    );
    // A mode that the scope writes is that of a file with an owner as well.
    assert_eq!(
        files("mode = \"0444\"\nallow = { uid = 1000 }\nfile.a = { from = \"local:a\", owner = 1001 }"),
        (0o555, vec![(1001, our, 0o444)])
    );
    assert_eq!(
        files("allow = { uid = 0 }\nfile.a = { from = \"local:a\", group = 5, mode = \"0640\" }"),
        (0o511, vec![(0, 5, 0o640)])
    );
}

#[test]
fn a_file_for_nobody_whom_a_rule_lets_in_is_refused_at_its_owner() {
    for (lines, place, said) in [
        (
            "allow = { uid = 7 }\nfile.x = { from = \"local:x\", owner = 8 }",
            "7:38",
            "no rule of the scope can match for `x`: it is for uid 8 alone",
        ),
        (
            "allow = { uid = 7 }\nfile.x = { from = \"local:x\", owner = 8 }\nfile.y = \"local:y\"",
            "7:38",
            "no rule of the scope can match for `x`: it is for uid 8 alone",
        ),
        (
            "allow = [{ uid = 7 }, { uid = 9 }]\nowner = 7\nfile.x = { from = \"local:x\", owner = 8, mode = \"0444\" }\nfile.y = { from = \"local:y\", owner = 6 }",
            "9:38",
            "it is for uid 6 alone",
        ),
        (
            "allow = [{ uid = 7 }, { uid = 8 }, { uid = 9 }]\nfile.x = { from = \"local:x\", owner = 8 }\nfile.y = { from = \"local:y\", owner = 7 }",
            "6:36",
            "the files are for the uids 7 and 8 alone, and the rule asks for uid 9",
        ),
        ("allow = { uid = 7 }\nfile.x = { from = \"local:x\", mode = \"0440\" }", "7:37", "names no `group`"),
        (
            "allow = { uid = 7 }\nfile.x = { from = \"local:x\", owner = \"no-such-user\" }",
            "7:38",
            "there is no user `no-such-user`",
        ),
    ] {
        let found = problems(&format!("{BEGIN}[scope.s]\n{lines}"));
        let [(message, hint)] = &found[..] else { panic!("{lines}: {found:?}") };
        assert!(message.starts_with(&format!("{place}: ")) && message.contains(said), "{lines}: {message}");
        assert!(!hint.is_empty(), "{lines}");
    }
}

#[test]
fn a_group_of_a_file_that_its_callers_are_not_in_is_warned_of_once() {
    let found = warnings("allow = { uid = 1 }\nfile.x = { from = \"local:x\", owner = 0, group = 4000000 }");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("6:9: uid 1 is not in its files' group 4000000"), "{found:?}");
    let found = warnings(
        "allow = { uid = 1 }\nfile.y = \"local:y\"\nfile.x = { from = \"local:x\", owner = 0, group = 4000000 }",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("8:49: uid 1 is not in the group 4000000 of `x`"), "{found:?}");
}

#[test]
fn modes_that_do_more_than_read_are_refused() {
    for mode in ["\"0664\"", "\"0500\"", "\"0446\"", "\"4400\"", "\"0040\"", "\"rw\"", "0o420", "440", "true"]
    {
        let (message, _) = of_scope(&format!("mode = {mode}\nallow = {{ uid = 0 }}"));
        assert!(message.starts_with("6:8: "), "{mode}: {message}");
    }
    let (message, _) = of_scope("mode = \"0440\"\nallow = { uid = 0 }");
    assert!(message.contains("names no `group`"), "{message}");
}

#[test]
fn an_executable_that_others_can_replace_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app");
    std::fs::copy("/bin/true", &path).unwrap();
    let found = |mode| {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let rule = format!("{{ exe = \"{}\", uid = 5 }}", path.display());
        warnings(&format!("allow = {rule}\nfile.t = \"local:t\"\n"))
    };
    assert_eq!(found(0o755), [""; 0]);
    assert!(found(0o777).iter().any(|one| one.contains("whoever can replace this program")));
}

#[test]
fn an_executable_alone_is_warned_of() {
    let found = warnings("allow = { exe = \"/usr/bin/cat\" }\nfile.a = \"local:a\"");
    assert!(found.iter().any(|warning| warning.contains("any user of this host")), "{found:?}");
    let found = warnings("allow = { uid = 0, exe = \"/usr/bin/cat\" }\nfile.a = \"local:a\"");
    assert!(!found.iter().any(|warning| warning.contains("any user of this host")), "{found:?}");
}

#[test]
fn an_interpreter_with_nothing_but_a_uid_is_warned_of() {
    let lines = |rule: &str| format!("allow = {rule}\nfile.x = \"local:x\"");
    assert_eq!(warnings(&lines("{ exe = \"/bin/sh\" }")).len(), 1);
    assert_eq!(warnings(&lines("{ exe = \"/bin/sh\", uid = 5 }")).len(), 1);
    let found = warnings(&lines("{ exe = \"/bin/sh\", uid = 5, within = \"5s\" }"));
    assert_eq!(found.len(), 1, "a state does not say whose script it is");
    assert!(found[0].contains("`unit = \"app.service\"`"), "{found:?}");
    assert_eq!(warnings(&lines("{ exe = \"/bin/sh\", uid = 5, gid = 5 }")), [""; 0]);
    assert_eq!(warnings(&lines("{ exe = \"/bin/sh\", uid = 5, unit = \"a.service\" }")), [""; 0]);
    assert_eq!(warnings(&lines("{ unit = \"a.service\" }")), [""; 0], "a unit is enough");
    assert_eq!(warnings(&lines("{ exe = \"/bin/cat\", uid = 5 }")), [""; 0]);
}

#[test]
fn an_executable_that_is_a_script_is_warned_of_with_what_runs_instead() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway");
    let found = |text: &str| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let rule = format!("{{ exe = \"{}\", uid = 5 }}", path.display());
        warnings(&format!("allow = {rule}\nfile.t = \"local:t\"\n"))
    };
    for (text, runs) in [("#!/usr/bin/env node\n1", "`node`"), ("#!/bin/sh -e\n", "`/bin/sh`")] {
        let [one] = &found(text)[..] else { panic!("{text}: one warning") };
        assert!(one.contains("6:17: this rule never matches") && one.contains(runs), "{one}");
        assert!(one.contains("unit = \"app.service\""), "{one}");
    }
    assert_eq!(found("\u{7f}ELF"), [""; 0]);
}

#[test]
fn a_users_own_unit_is_named_only_beside_the_user() {
    for rule in ["{ user_unit = \"a.service\" }", "{ gid = 5, user_unit = \"a.service\" }"] {
        let (message, hint) = of_scope(&format!("allow = {rule}"));
        assert!(message.contains("`user_unit` is what any user may call his own"), "{message}");
        assert_eq!(hint, "add the user: `uid` or `user`");
    }
    for rule in ["{ uid = 5, user_unit = \"a.service\" }", "{ user = \"root\", user_unit = \"a.service\" }"] {
        assert_eq!(warnings(&format!("allow = {rule}\nfile.a = \"local:a\"")), [""; 0]);
    }
}

#[test]
fn a_rule_of_nothing_but_a_state_is_refused() {
    for state in [
        "no_new_privs = true",
        "not_traced = true",
        "not_dumpable = true",
        "no_preload = true",
        "within = \"30s\"",
        "reads = 1",
        "reads = 1, within = \"30s\", not_traced = true",
    ] {
        let (message, hint) = of_scope(&format!("allow = {{ {state} }}"));
        assert!(message.starts_with("6:9: this rule says in what state"), "{state}: {message}");
        assert!(hint.contains("`user`"), "{hint}");
    }
}

#[test]
fn a_unit_that_is_none_is_refused_with_what_to_write() {
    let (message, hint) = of_scope("allow = { unit = \"nginx\" }");
    assert_eq!(
        (message.as_str(), hint.as_str()),
        ("6:18: `unit`: `nginx` has no kind", "write \"nginx.service\"")
    );
    assert!(of_scope("allow = { slice = \"a.service\" }").0.contains("`slice` takes the name of a slice"));
}

#[test]
fn a_state_beside_somebody_is_taken_and_warned_of_only_where_it_says_nothing() {
    let found = |rule: &str| warnings(&format!("allow = {{ {rule} }}\nfile.x = \"local:x\""));
    for state in
        ["not_traced = true", "not_dumpable = true", "no_preload = true", "within = \"500ms\"", "reads = 3"]
    {
        assert_eq!(found(&format!("uid = 7, {state}")), [""; 0], "{state}");
    }
    let of_root = found("uid = 0, not_dumpable = true");
    assert!(of_root.iter().any(|warning| warning.contains("for uid 0 it cannot be told")), "{of_root:?}");
    let of_program = found("exe = \"/usr/bin/cat\", reads = 1");
    assert!(of_program.iter().any(|warning| warning.contains("any user of this host")), "{of_program:?}");
    let of_shell = found("exe = \"/bin/sh\", uid = 7, not_traced = true");
    assert!(of_shell.iter().any(|warning| warning.contains("runs any script")), "{of_shell:?}");
}

#[test]
fn a_selector_with_a_value_that_it_does_not_take_says_which_it_takes() {
    for (rule, said, hinted) in [
        ("egid = true", "`egid` takes the name or the number", "hushclient"),
        ("egid = 0", "does not take the group of root", "groupadd"),
        ("egid = \"no-such-group\"", "there is no group `no-such-group`", "`egid`"),
        ("exe_sha256 = \"abc\"", "64 hexadecimal digits", "sha256sum"),
        ("exe_sha256 = []", "64 hexadecimal digits", "sha256sum"),
        ("uid = 1, not_traced = false", "`not_traced` takes `true`", "leave it out"),
        ("uid = 1, not_dumpable = 1", "`not_dumpable` takes `true`", "leave it out"),
        ("uid = 1, no_preload = \"yes\"", "`no_preload` takes `true`", "leave it out"),
        ("uid = 1, no_new_privs = false", "`no_new_privs` takes `true`", "leave it out"),
        ("uid = 1, within = 30", "`within` takes a duration", "\"10s\""),
        ("uid = 1, within = \"0s\"", "`within` takes a duration", "leaves time to start"),
        ("uid = 1, reads = 0", "`reads` takes a number from 1 on", "such as 1"),
        ("uid = 1, reads = \"1\"", "`reads` takes a number from 1 on", "such as 1"),
    ] {
        let (message, hint) = of_scope(&format!("allow = {{ {rule} }}"));
        assert!(message.contains(said) && hint.contains(hinted), "{rule}: {message} / {hint}");
    }
}

#[test]
fn a_setgid_program_passes_owner_and_mode_without_being_a_member() {
    let found = |lines: &str| warnings(&format!("{lines}\nfile.x = \"local:x\""));
    assert_eq!(found("owner = 1000\nallow = { egid = 4000000 }"), [""; 0], "the owner may run it");
    assert_eq!(found("owner = 1000\nallow = { uid = 1000, egid = 4000000 }"), [""; 0]);
    // By the host's database user daemon is in group 1.
    let members = found("allow = { egid = 1 }");
    assert!(members.iter().any(|warning| warning.contains("has members (`daemon`)")), "{members:?}");
}

#[test]
fn a_digest_alone_is_warned_of() {
    let digest = "0123456789abcdef".repeat(4);
    let found = |rule: String| warnings(&format!("allow = {{ {rule} }}\nfile.x = \"local:x\""));
    let alone = found(format!("exe_sha256 = \"{digest}\""));
    assert!(alone.iter().any(|warning| warning.contains("any user of this host")), "{alone:?}");
    assert_eq!(found(format!("uid = 5, exe_sha256 = [\"{digest}\", \"{digest}\"]")), [""; 0]);
}

#[test]
fn references_are_checked_where_they_stand() {
    let rule = "allow = { uid = 1 }\n";
    let (message, hint) = of_scope(&format!("{rule}file.x = \"locl:x\""));
    assert!(message.starts_with("7:10: there is no provider `locl`; providers are `local`"), "{message}");
    assert_eq!(hint, "did you mean `local`?");
    let (message, _) = of_scope(&format!("{rule}file.x = {{ from = \"local:../x\" }}"));
    assert!(message.starts_with("7:19: not a reference"), "{message}");
    let (_, hint) = of_scope(&format!("{rule}file.mcp.json = \"local:x\""));
    assert_eq!(hint, "a name with a dot is quoted: `file.\"mcp.json\"`");
    assert!(warnings(rule).iter().any(|one| one.contains("no file uses the provider `local`")));
}

#[test]
fn names_that_no_directory_can_hold_are_refused() {
    for name in ["a/b", "..", ""] {
        let (message, _) = of_scope(&format!("allow = {{ uid = 1 }}\nfile.\"{name}\" = \"local:x\""));
        assert!(message.starts_with("7:6: file: "), "{message}");
    }
}

#[test]
fn a_mistake_within_a_selectors_value_is_shown_where_it_stands() {
    let digest = "0123456789abcdef".repeat(4);
    for (rule, place, said, hinted) in [
        (
            "container = { name = \"web\", imag = \"x\" }",
            "39",
            "`imag` is not known in `container`",
            "did you mean `image`?",
        ),
        (
            "container = { service = \"web\" }",
            "25",
            "`service` is not known",
            "`compose = \"project/service\"`",
        ),
        ("container = { name = \"/web\" }", "32", "`name` of `container` takes", "without a slash"),
        ("container = { id = 5 }", "30", "`id` of `container` takes", "`docker ps --no-trunc`"),
        ("container = { label = \"a=b\" }", "33", "`label` of `container` takes a table", "`label = {"),
        (
            "container = { label = { a = \"1\", b = 2 } }",
            "48",
            "`label` of `container` takes a table",
            "`label = {",
        ),
        ("container = { user = \"x\" }", "25", "`user` is not known", "beside `container`"),
        ("container = \"web\"", "23", "`container` takes a table", "{ name = \"web\" }"),
        ("unit = \"/system.slice/a.service\"", "18", "is the path of a control group", "write \"a.service\""),
        ("uid = [1, 2]", "17", "`uid` takes one value", "write a rule for each"),
        ("exe = [\"/bin/cat\"]", "17", "`exe` takes one value", "{ exe = … }, { exe = … }"),
        ("unit = [\"a.service\", \"b.service\"]", "18", "`unit` takes one value", "write a rule for each"),
        (&format!("exe_sha256 = [\"{digest}\", \"{digest}0\"]"), "93", "`exe_sha256` takes", "`sha256sum`"),
        ("image = \"nginx\"", "11", "`image` is not a known selector", "container = { image ="),
        ("compose = \"a/b\"", "11", "`compose` is not a known selector", "container = { compose ="),
        ("name = \"web\"", "11", "`name` is not offered as a selector", "container = { name ="),
        ("service = \"a\"", "11", "`service` is not a known selector", "unit = \"app.service\""),
        ("path = \"/bin/a\"", "11", "`path` is not a known selector", "exe = \"/usr/bin/app\""),
        ("script = \"/bin/a\"", "11", "`script` is not a known selector", "only its interpreter is seen"),
        ("uid = 1, within = \"2m\"", "29", "`within` takes a duration", "write \"2min\""),
    ] {
        let (message, hint) = of_scope(&format!("allow = {{ {rule} }}"));
        assert!(message.starts_with(&format!("6:{place}: ")) && message.contains(said), "{rule}: {message}");
        assert!(hint.contains(hinted), "{rule}: {hint}");
    }
}

#[test]
fn what_stands_at_an_unknown_key_of_a_container_is_not_shown() {
    let text = format!("{BEGIN}[scope.s]\nallow = {{ container = {{ token = \"hunter2\" }} }}");
    let drawn = draw(&check_text(&text).err().unwrap(), Look::Plain);
    assert!(drawn.contains("`token` is not known") && !drawn.contains("hunter2"), "{drawn}");
}

#[test]
fn a_selector_that_stands_outside_of_a_rule_is_told_where_it_belongs() {
    let (message, hint) = of_scope("allow = { uid = 1 }\nunit = \"a.service\"\nfile.x = \"local:x\"");
    assert!(message.starts_with("7:1: `unit` is not known in a scope"), "{message}");
    assert_eq!(hint, "it belongs into a rule: `allow = { unit = … }`");
    let found = problems(&format!("container = {{ name = \"web\" }}\n{BEGIN}"));
    assert!(
        found[0].0.starts_with("1:1: `container` is not known") && found[0].1.contains("`[scope.NAME]`"),
        "{found:?}"
    );
}

#[test]
fn a_container_is_demanded_by_a_table_of_known_keys() {
    let (message, hint) = of_scope("allow = { container = \"web\" }");
    assert!(message.starts_with("6:23: `container` takes a table"), "{message}");
    assert!(hint.contains("{ name = \"web\" }"), "{hint}");
    assert!(
        of_scope("allow = { container = { nme = \"web\" } }").0.contains("`nme` is not known in `container`")
    );
    let named = "allow = { container = { image = \"x\", compose = \"shop/web\", label.\"a.b\" = \"c\" } }\nfile.x = \"local:x\"";
    assert_eq!(warnings(named), [""; 0], "a container is somebody");
}

#[test]
fn labels_without_an_image_are_warned_of() {
    let found =
        |table: &str| warnings(&format!("allow = {{ container = {{ {table} }} }}\nfile.x = \"local:x\""));
    for (table, said) in [
        (
            "compose = \"shop/web\"",
            "6:25: `compose` goes by labels, which can be set by whoever may start containers",
        ),
        ("label = { a = \"b\" }", "6:25: labels can be set by whoever may start containers"),
    ] {
        let [one] = &found(table)[..] else { panic!("{table}: one warning") };
        assert!(
            one.contains(said) && one.ends_with("name the `image` (or its `digest`) in the table as well"),
            "{one}"
        );
        for more in ["image = \"x\"", "name = \"x\"", "id = \"0123456789ab\""] {
            assert_eq!(found(&format!("{table}, {more}")), [""; 0], "{more}");
        }
    }
}

#[test]
fn a_slice_that_everybody_is_in_is_warned_of() {
    let found = |rule: &str| warnings(&format!("allow = {{ {rule} }}\nfile.x = \"local:x\""));
    for (slice, said) in
        [("system", "every service of which the unit names no slice"), ("user", "every session")]
    {
        let [one] = &found(&format!("slice = \"{slice}.slice\""))[..] else { panic!("{slice}: one warning") };
        assert!(one.contains(said) && one.contains("a slice of your own"), "{one}");
    }
    assert_eq!(found("uid = 5, slice = \"system.slice\"").len(), 1, "it says nothing beside a user either");
    assert_eq!(found("unit = \"a.service\", slice = \"system.slice\""), [""; 0]);
    assert_eq!(found("slice = \"mcpx.slice\""), [""; 0]);
}

#[test]
fn the_sockets_of_runtimes_have_a_place_of_their_own() {
    let runtimes = |text: &str| check_text(&format!("mount = \"/run/hushfs\"\n{text}")).unwrap().runtimes;
    assert_eq!(runtimes(""), Runtimes::default());
    let set =
        runtimes("[runtime.docker]\nsocket = \"/var/run/d.sock\"\n[runtime.podman]\nsocket = \"p.sock\"");
    assert_eq!(set.docker, PathBuf::from("/var/run/d.sock"));
    assert_eq!(set.podman, PathBuf::from("/etc/hushfs/p.sock"));
    for (lines, said) in [
        ("[runtime.dokcer]\nsocket = \"/x\"", "`dokcer` is not known in `[runtime]`"),
        ("[runtime.docker]\nsock = \"/x\"", "`sock` is not known in `[runtime.docker]`"),
        ("[docker]\nsocket = \"/x\"", "`docker` is not known in a configuration"),
        ("[runtime]\ndocker = \"/x\"", "`docker` takes a table"),
        ("[runtime.docker]\nsocket = \"unix:///x\"", "`socket` takes the path of a socket"),
        ("[runtime.docker]\nsocket = \"\"", "`socket` takes the path of a socket"),
        ("[runtime.docker]\nsocket = \"/run/hushfs/a/x\"", "`socket` lies below the mount"),
    ] {
        let found = problems(&format!("mount = \"/run/hushfs\"\n{lines}"));
        assert!(found.len() == 1 && found[0].0.contains(said), "{lines}: {found:?}");
    }
}

#[test]
fn limits_that_cannot_be_or_contradict_each_other_are_refused() {
    for (lines, key) in [
        ("size_max = \"33MiB\"", "`size_max`"),
        ("cache_max = 0", "`cache_max`"),
        ("deadline = \"0s\"", "`deadline`"),
        ("stat_wait = \"11s\"", "`stat_wait`"),
        ("waiting_per_uid = 0", "`waiting_per_uid` takes a whole number from 1 to 1000000"),
        ("waiting_per_process = 1.5", "`waiting_per_process`"),
        ("misses_per_uid = \"50/s\"", "`misses_per_uid`"),
        ("misses_per_process = 1_000_001", "`misses_per_process`"),
        ("misses_per_process = -1", "`misses_per_process`"),
    ] {
        let found = problems(&format!("mount = \"/run/hushfs\"\n[limits]\n{lines}"));
        assert!(found.len() == 1 && found[0].0.contains(key), "{found:?}");
    }
}

#[test]
fn every_mistake_of_the_syntax_is_shown() {
    let found = problems("mount = /run\n[scope.s]\nowner = root\n");
    assert_eq!(found.len(), 2, "{found:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = check_text(&text).map_err(|problems| draw(&problems, Look::Plain));
    }

    #[test]
    fn no_mixture_of_real_parts_makes_it_panic(parts in proptest::collection::vec(prop_oneof![
        Just("mount"), Just("[scope.s]"), Just("[provider.p]"), Just("kind"), Just("allow"), Just("file.x"), Just("file"),
        Just("mode"), Just("0o440"), Just("\"0440\""), Just("="), Just("."), Just("{"), Just("}"), Just("["), Just("]"),
        Just(","), Just("\n"), Just("\r\n"), Just("uid"), Just("1"), Just("-9999999999999999999"), Just("\"\"\"ü\n"),
        Just("'p:x'"), Just("from"), Just("owner"), Just("limits"), Just("audit"), Just("1e5"), Just("2020-01-01"),
    ], 0..40)) {
        let _ = check_text(&parts.concat()).map_err(|problems| draw(&problems, Look::Plain));
    }
}

#[test]
fn a_wrong_on_change_is_refused_at_its_place_with_a_remedy() {
    for (on_change, place, said, remedy) in [
        ("1", "7:13", "takes a table or a list of tables", "signal = \"SIGHUP\""),
        ("{}", "7:13", "nothing is to be done", "signal = \"SIGHUP\""),
        ("[{ signal = 'SIGHUP', reload = 'a' }]", "7:14", "two things", "a list of them"),
        ("{ signal = 'HUP' }", "7:24", "no signal `HUP`", "did you mean \"SIGHUP\"?"),
        ("{ signal = 'sighup' }", "7:24", "no signal `sighup`", "SIG"),
        ("{ sgnal = 'SIGHUP' }", "7:15", "`sgnal` is not known", "did you mean `signal`?"),
        ("{ unit = 'a.service' }", "7:15", "`unit` is not known", "`reload = "),
        ("{ reload = 'a b' }", "7:24", "not the name of a unit", "nginx.service"),
        ("{ restart = 'app@.service' }", "7:25", "not the name of a unit", "app@1.service"),
        ("{ restart = 'session-1.scope' }", "7:25", "not the name of a unit", "nginx.service"),
        ("{ run = '/bin/true', user = 'daemon' }", "7:21", "takes a list of strings", "no shell"),
        ("{ run = [], user = 'daemon' }", "7:21", "no program", "write `run"),
        ("{ run = ['true'], user = 'daemon' }", "7:21", "no absolute path", "no PATH"),
        ("{ run = ['/nonexistent/x'], user = 'daemon' }", "7:21", "does not exist", "install it"),
        ("{ run = ['/bin/true'], user = 'nobody-of-that-name' }", "7:43", "no user", "useradd"),
        ("{ run = ['/bin/true'] }", "7:21", "as whom the program is to run is not said", "user = \"root\""),
        ("{ run = ['/bin/true'], user = 'daemon', timeout = '1h' }", "7:63", "out of range", "choose from"),
        ("{ signal = 'SIGHUP', user = 'daemon' }", "7:34", "means nothing for `signal`", "remove it"),
        ("{ signal = 'SIGHUP', timeout = '1s' }", "7:34", "means nothing for `signal`", "remove it"),
        ("{ signal = 'SIGHUP', at_most_every = '10ms' }", "7:50", "out of range", "choose from"),
        ("{ signal = 'SIGHUP', at_most_every = '10' }", "7:50", "takes a duration", "write \"10s\""),
    ] {
        let (message, hint) = of_scope(&format!("allow = {{ uid = 0 }}\non_change = {on_change}"));
        assert!(
            message.starts_with(&format!("{place}: ")) && message.contains(said),
            "{on_change}: {message}"
        );
        assert!(hint.contains(remedy), "{on_change}: {hint}");
    }
}

#[test]
fn a_program_that_others_could_replace_is_not_run_on_a_change() {
    let program = STORE.path().join("anybody");
    std::fs::write(&program, "").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let lines = format!(
        "allow = {{ uid = 0 }}\non_change = {{ run = [\"{}\"], user = \"daemon\" }}",
        program.display()
    );
    let (message, hint) = of_scope(&lines);
    assert!(
        message.contains("others can write to it") && hint.starts_with("chmod go-w "),
        "{message}: {hint}"
    );
}

#[test]
fn what_a_file_says_of_its_changes_holds_in_stead_of_what_the_scope_says() {
    let text = "allow = { user = \"daemon\" }
        on_change = [{ reload = \"nginx\" }, { run = [\"/bin/true\"], at_most_every = \"1min\" }]
        file.a = \"local:x\"
        file.b = { from = \"local:x\", on_change = { restart = \"backup.timer\", timeout = \"5s\" } }
        file.c = { from = \"local:x\", on_change = [] }";
    let config = check_text(&format!("{BEGIN}[scope.s]\n{text}")).unwrap();
    let actions = |number: usize| {
        let on_change = config.scopes[0].files[number].on_change.iter();
        on_change.map(|one| format!("{} {:?}", one.action, one.at_most_every)).collect::<Vec<_>>()
    };
    assert_eq!(actions(0), ["reload nginx.service 1s", "run /bin/true 60s"]);
    assert_eq!(actions(1), ["restart backup.timer 1s"]);
    assert_eq!(actions(2), [""; 0]);
    // The owner of the files runs it, where nobody else is named.
    let crate::change::Action::Command(command) = &config.scopes[0].files[0].on_change[1].action else {
        panic!("it is a program")
    };
    assert_eq!(command.account.map(|account| account.uid), Some(config.scopes[0].uid));
}

#[test]
fn a_program_runs_as_the_owner_of_the_file_that_changed() {
    // The scope belongs to root, as whom nothing runs that does not say so; of its files none does.
    let run = "on_change = { run = [\"/bin/true\"] }";
    let text = format!(
        "allow = [{{ user = \"daemon\" }}, {{ user = \"nobody\" }}]
        {run}
        file.a = {{ from = \"local:x\", owner = \"daemon\" }}
        file.b = {{ from = \"local:x\", owner = \"nobody\" }}
        file.c = {{ from = \"local:x\", owner = \"nobody\", {run} }}"
    );
    let config = check_text(&format!("{BEGIN}[scope.s]\n{text}")).unwrap();
    let accounts = config.scopes[0].files.iter().map(|file| {
        let crate::change::Action::Command(command) = &file.on_change[0].action else {
            panic!("it is a program")
        };
        assert_eq!(command.account.map(|account| account.uid), Some(file.uid));
        file.uid
    });
    assert_eq!(accounts.collect::<Vec<_>>(), [1, 65534, 65534]);
    let found = problems(&format!("{BEGIN}[scope.s]\n{text}\nfile.d = \"local:x\""));
    let [(message, _)] = &found[..] else { panic!("{found:?}") };
    assert!(message.starts_with("7:29: as whom the program is to run is not said"), "{message}");
}
