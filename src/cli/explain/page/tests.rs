//! A page, word for word.

use super::*;
use crate::explain::{Change, ContainerSeen, ExeSeen, SelectorSeen};

fn denied() -> Explanation {
    let permissions = |passes_as| Permissions { uid: 4001, gid: 0, mode: "0500".into(), passes_as };
    let selector = |selector: &str, strength: &str, matched, seen: &str| SelectorSeen {
        selector: selector.into(),
        strength: strength.into(),
        matched,
        seen: seen.into(),
    };
    Explanation {
        path: "mcpx/slack-token".into(),
        judged_by: JudgedBy::Daemon,
        outdated: None,
        outcome: Outcome::Denied,
        errno: Some("EACCES".into()),
        reason: Some("no rule matches".into()),
        rule: None,
        learning_until: None,
        caller: Seen {
            pid: 4711,
            thread: 4712,
            uid: 4001,
            uids: [4001; 4],
            gid: 4001,
            gids: [4001; 4],
            groups: vec![27, 4001],
            exe: Some(ExeSeen { path: "/tmp/\u{1b}[2Jx".into(), device: "254:1".into(), inode: 7 }),
            unit: None,
            container: None,
            cgroup: Some("/".into()),
            user_namespace: Some(Whose::Ours),
            mount_namespace: Some(Whose::Other),
            age_seconds: Some(12),
            no_new_privs: Some(false),
            not_dumpable: Some(false),
            traced: None,
            refused: None,
        },
        kernel: Kernel {
            passes: true,
            mount_only_for: None,
            directory: permissions(Some(Passes::Owner)),
            file: Some(permissions(None)),
        },
        rules: vec![RuleSeen {
            rule: "mcpx.1".into(),
            matches: false,
            holds_in_namespace: true,
            selectors: vec![
                selector("uid:4001", "strong", Told::Yes, "the caller's uid is 4001"),
                selector("exe:/usr/bin/node", "medium", Told::No, "the caller runs /tmp/\u{1b}[2Jx"),
                selector("no_new_privs:true", "weak", Told::Unknown, "its state cannot be read"),
            ],
        }],
        rules_not_shown: 2,
        beware: Vec::new(),
        to_change: Some(Change {
            rule: Some("mcpx.1".into()),
            missing: vec!["exe:/usr/bin/node is demanded: the caller runs /tmp/\u{1b}[2Jx".into()],
        }),
    }
}

#[test]
fn a_page_is_aligned_and_says_all_of_it() {
    let text = Page::new(false).explanation(&denied(), &Whom::Pid(4711));
    let expected = "\
DENIED     mcpx/slack-token for pid 4711 (uid 4001): EACCES, no rule matches
caller     pid 4711, thread 4712, started 12s ago
           uid 4001, gid 4001, groups 27 4001
           exe /tmp/\\u{1b}[2Jx (device 254:1, inode 7)
           unit none, cgroup /
           user namespace that of hushfs, mount namespace another
           no_new_privs not set, dumpable
kernel     + directory of uid 4001, gid 0, mode 0500: enters as owner
           - file of uid 4001, gid 0, mode 0500: closed
rules      - mcpx.1
               + uid:4001           strong
               - exe:/usr/bin/node  medium  the caller runs /tmp/\\u{1b}[2Jx
               ? no_new_privs:true  weak    its state cannot be read
           2 rules are not shown
to change  rule mcpx.1 is the nearest
           - exe:/usr/bin/node is demanded: the caller runs /tmp/\\u{1b}[2Jx
";
    assert_eq!(text, expected);
}

#[test]
fn colours_and_marks_are_for_terminals_and_nothing_else_of_a_page_drives_them() {
    let text = Page::new(true).explanation(&denied(), &Whom::Pid(4711));
    assert!(text.contains("\u{1b}[31mDENIED") && text.contains("\u{1b}[32m✓"), "{text}");
    assert!(!text.contains("\u{1b}[2J"));
}

#[test]
fn what_is_said_of_this_command_is_marked_as_such() {
    let own = Page::new(false).explanation(&denied(), &Whom::Itself);
    assert!(own.contains("\nnote       the process looked at is this command"), "{own}");
    let of = Explanation { judged_by: JudgedBy::Configuration, ..denied() };
    let mut page = Page::new(false).alone(Some("nobody listens at /s".into()));
    assert!(page.explanation(&of, &Whom::Pid(1)).contains("\nnote       nobody listens at /s\n"));
}

#[test]
fn what_only_learning_allows_is_not_told_like_what_a_rule_allows() {
    let until = Some("2026-11-25T10:00:00Z".parse().unwrap());
    let reason = Some("no rule matches: the caller runs /bin/x".to_owned());
    let rule = Some("mcpx.1".to_owned());
    let of = Explanation {
        outcome: Outcome::Allowed,
        errno: None,
        reason,
        rule,
        learning_until: until,
        ..denied()
    };
    let text = Page::new(false).explanation(&of, &Whom::Pid(4711));
    let expected = "ALLOWED    mcpx/slack-token for pid 4711 (uid 4001) only by learning, until 2026-11-25T10:00:00Z: \
                    no rule matches: the caller runs /bin/x\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\nto change  rule mcpx.1 is the nearest"), "{text}");
}

#[test]
fn a_container_and_four_gids_and_what_is_known_of_the_state_are_shown() {
    let container = ContainerSeen {
        id: "4e3ad9be6e02".into(),
        engine: Some("docker".into()),
        name: Some("\u{1b}web".into()),
        pod_uid: None,
    };
    let seen = Seen {
        container: Some(container),
        gids: [4001, 50, 50, 50],
        not_dumpable: Some(true),
        traced: Some(true),
        ..denied().caller
    };
    let lines = Page::new(false).caller(&seen);
    for line in [
        "uid 4001, gids real 4001, effective 50, saved 50, file system 50, groups 27 4001",
        "container \\u{1b}web 4e3ad9be6e02 (docker)",
        "no_new_privs not set, not dumpable, traced",
    ] {
        assert!(lines.iter().any(|one| one == line), "{lines:?}");
    }
}

#[test]
fn a_count_that_nobody_kept_is_marked_as_such() {
    let mut of = Explanation { judged_by: JudgedBy::Configuration, ..denied() };
    let note = "\nnote       only a daemon counts reads";
    assert!(!Page::new(false).explanation(&of, &Whom::Pid(1)).contains(note));
    of.rules[0].selectors[2].selector = "reads:1".into();
    assert!(Page::new(false).explanation(&of, &Whom::Pid(1)).contains(note));
}
