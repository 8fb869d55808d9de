//! An explanation on one screen. What a process could have chosen is escaped: its name must not drive the terminal.

use std::fmt::Write as _;

use owo_colors::{AnsiColors, OwoColorize as _};

use crate::audit::line::printable;
use crate::cli::names::Names;
use crate::explain::{
    Explanation, JudgedBy, Kernel, Outcome, Passes, Permissions, RuleSeen, Seen, Told, Whom, Whose,
};

/// The width of the labels at the left.
const LABEL: usize = 11;

/// Draws pages.
pub(crate) struct Page {
    fancy: bool,
    names: Names,
}

impl Page {
    /// For a terminal with colours, or for plain text.
    pub(crate) fn new(fancy: bool) -> Self {
        Self { fancy, names: Names::default() }
    }

    /// A whole explanation, asked for about `whom`.
    pub(crate) fn explanation(&mut self, of: &Explanation, whom: &Whom) -> String {
        let mut text = self.headline(of);
        if of.judged_by == JudgedBy::Configuration {
            section(&mut text, "note", ["no daemon was asked: judged by the configuration file".to_owned()]);
        }
        let tells_of_exe =
            of.rules.iter().flat_map(|rule| &rule.selectors).any(|one| one.selector.starts_with("exe"));
        if *whom == Whom::Itself && tells_of_exe {
            let note = "the process looked at is this command, so what is said of its executable is of hushfs itself";
            section(&mut text, "note", [note.to_owned()]);
        }
        let caller = self.caller(&of.caller);
        section(&mut text, "caller", caller);
        section(&mut text, "kernel", self.kernel(&of.kernel));
        section(&mut text, "rules", self.rules(of));
        if let Some(change) = &of.to_change {
            let rule = change.rule.iter().map(|rule| format!("rule {} is the nearest", printable(rule)));
            let missing = change.missing.iter().map(|one| format!("- {}", printable(one)));
            section(&mut text, "to change", rule.chain(missing));
        }
        text
    }

    /// What is seen of a process, a line each.
    pub(crate) fn caller(&mut self, seen: &Seen) -> Vec<String> {
        let mut lines = vec![match seen.age_seconds {
            Some(age) => format!("pid {}, thread {}, started {age}s ago", seen.pid, seen.thread),
            None => format!("pid {}, thread {}", seen.pid, seen.thread),
        }];
        let user = printable(self.names.shown(seen.uid));
        lines.push(match seen.uids == [seen.uid; 4] {
            true => format!("uid {user}, gid {}, groups {}", seen.gid, listed(&seen.groups)),
            false => {
                let [real, effective, saved, file] = seen.uids;
                format!("uids real {real}, effective {effective}, saved {saved}, file system {file}: not one")
            }
        });
        if let Some(exe) = &seen.exe {
            lines.push(format!("exe {} (device {}, inode {})", printable(&exe.path), exe.device, exe.inode));
        }
        if let Some(cgroup) = &seen.cgroup {
            let unit = seen.unit.as_deref().unwrap_or("none");
            lines.push(format!("unit {}, cgroup {}", printable(unit), printable(cgroup)));
        }
        let whose = |whose: Option<Whose>| match whose {
            Some(Whose::Ours) => "that of hushfs",
            Some(Whose::Other) => "another",
            None => "not known",
        };
        lines.push(format!(
            "user namespace {}, mount namespace {}",
            whose(seen.user_namespace),
            whose(seen.mount_namespace)
        ));
        if let Some(set) = seen.no_new_privs {
            lines.push(format!("no_new_privs {}", if set { "set" } else { "not set" }));
        }
        lines
    }

    fn headline(&mut self, of: &Explanation) -> String {
        let (word, told) = match of.outcome {
            Outcome::Allowed => ("ALLOWED", Told::Yes),
            Outcome::Denied => ("DENIED", Told::No),
            Outcome::Unknown => ("UNKNOWN", Told::Unknown),
        };
        let pad = " ".repeat(LABEL.saturating_sub(word.len()));
        let word = self.painted(word, told);
        let user = printable(self.names.shown(of.caller.uid));
        let mut text = format!("{word}{pad}{} for pid {} (uid {user})", printable(&of.path), of.caller.pid);
        if let Some(rule) = &of.rule {
            let _ = write!(text, " by rule {}", printable(rule));
        }
        let why: Vec<_> = [&of.errno, &of.reason].into_iter().flatten().map(|one| printable(one)).collect();
        if !why.is_empty() {
            let _ = write!(text, ": {}", why.join(", "));
        }
        text.push('\n');
        text
    }

    fn kernel(&self, kernel: &Kernel) -> Vec<String> {
        let line = |what: &str, does: &str, of: &Permissions| {
            let Permissions { uid, gid, mode, passes_as } = of;
            let passes = match passes_as {
                Some(Passes::Owner) => format!("{does} as owner"),
                Some(Passes::Group) => format!("{does} as group"),
                Some(Passes::Others) => format!("{does} as anybody"),
                Some(Passes::Capability) => format!("{does} by a capability, as root"),
                None => "closed".to_owned(),
            };
            let mark = self.mark(if passes_as.is_some() { Told::Yes } else { Told::No });
            format!("{mark} {what} of uid {uid}, gid {gid}, mode {mode}: {passes}")
        };
        let mut lines = Vec::new();
        if let Some(user) = kernel.mount_only_for {
            lines.push(format!("  the mount is for uid {user} alone"));
        }
        lines.push(line("directory", "enters", &kernel.directory));
        lines.extend(kernel.file.as_ref().map(|file| line("file", "reads", file)));
        lines
    }

    fn rules(&self, of: &Explanation) -> Vec<String> {
        let all = || of.rules.iter().flat_map(|rule| &rule.selectors);
        let widest = all().map(|one| printable(&one.selector).chars().count()).max().unwrap_or(0);
        let mut lines: Vec<String> = of.rules.iter().flat_map(|rule| self.rule(rule, widest)).collect();
        match of.rules_not_shown {
            0 => {}
            1 => lines.push("1 rule is not shown".to_owned()),
            more => lines.push(format!("{more} rules are not shown")),
        }
        lines
    }

    fn rule(&self, rule: &RuleSeen, widest: usize) -> Vec<String> {
        let mark = self.mark(if rule.matches { Told::Yes } else { Told::No });
        let mut lines = vec![format!("{mark} {}", printable(&rule.rule))];
        for one in &rule.selectors {
            let (mark, selector) = (self.mark(one.matched), printable(&one.selector));
            let why = if one.matched == Told::Yes { String::new() } else { printable(&one.seen) };
            lines.push(
                format!("    {mark} {selector:<widest$}  {:<6}  {why}", one.strength).trim_end().to_owned(),
            );
        }
        if !rule.holds_in_namespace {
            let mark = self.mark(Told::No);
            lines.push(format!("    {mark} it is not for callers in another user namespace"));
        }
        lines
    }

    fn mark(&self, told: Told) -> String {
        let mark = match (told, self.fancy) {
            (Told::Yes, true) => "✓",
            (Told::No, true) => "✗",
            (Told::Unknown, _) => "?",
            (Told::Yes, false) => "+",
            (Told::No, false) => "-",
        };
        self.painted(mark, told)
    }

    fn painted(&self, text: &str, told: Told) -> String {
        let colour = match told {
            Told::Yes => AnsiColors::Green,
            Told::No => AnsiColors::Red,
            Told::Unknown => AnsiColors::Yellow,
        };
        if self.fancy { text.color(colour).to_string() } else { text.to_owned() }
    }
}

/// Adds lines with a label in front of the first.
pub(crate) fn section(text: &mut String, label: &str, lines: impl IntoIterator<Item = String>) {
    for (number, line) in lines.into_iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        let _ = writeln!(text, "{}", format!("{label:<LABEL$}{line}").trim_end());
    }
}

fn listed(ids: &[u32]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Change, ExeSeen, SelectorSeen};

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
            outcome: Outcome::Denied,
            errno: Some("EACCES".into()),
            reason: Some("no rule matches".into()),
            rule: None,
            caller: Seen {
                pid: 4711,
                thread: 4712,
                uid: 4001,
                uids: [4001; 4],
                gid: 4001,
                groups: vec![27, 4001],
                exe: Some(ExeSeen { path: "/tmp/\u{1b}[2Jx".into(), device: "254:1".into(), inode: 7 }),
                unit: None,
                cgroup: Some("/".into()),
                user_namespace: Some(Whose::Ours),
                mount_namespace: Some(Whose::Other),
                age_seconds: Some(12),
                no_new_privs: Some(false),
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
           no_new_privs not set
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
        assert!(
            Page::new(false).explanation(&of, &Whom::Pid(1)).contains("\nnote       no daemon was asked")
        );
    }
}
