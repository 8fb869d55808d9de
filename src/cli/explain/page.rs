//! An explanation on one screen. What a process could have chosen is escaped: its name must not drive the terminal.

use std::fmt::Write as _;

use owo_colors::{AnsiColors, OwoColorize as _};

use crate::cli::names::Names;
use crate::explain::{
    Explanation, JudgedBy, Kernel, OUTDATED, Outcome, Passes, Permissions, RuleSeen, Seen, Told, Whom, Whose,
};
use crate::words::printable;

/// The width of the labels at the left.
const LABEL: usize = 11;

/// What is said of a rule that does not hold where the caller is.
const NOT_ELSEWHERE: &str = "it is not for callers in another user namespace: one that is has `unit`, `slice` or \
                             `container`, and no `exe` or `exe_sha256`";

/// Draws pages.
pub(crate) struct Page {
    fancy: bool,
    names: Names,
    alone: Option<String>,
}

impl Page {
    /// For a terminal with colours, or for plain text.
    pub(crate) fn new(fancy: bool) -> Self {
        Self { fancy, names: Names::default(), alone: None }
    }

    /// For what no daemon said: why not.
    pub(crate) fn alone(self, why: Option<String>) -> Self {
        Self { alone: why, ..self }
    }

    /// A whole explanation, asked for about `whom`.
    pub(crate) fn explanation(&mut self, of: &Explanation, whom: &Whom) -> String {
        let mut text = self.headline(of);
        section(&mut text, "note", self.alone.iter().map(|why| printable(why)));
        if of.outdated == Some(true) {
            section(&mut text, "note", [OUTDATED.to_owned()]);
        }
        let tells_of =
            |key| of.rules.iter().flat_map(|rule| &rule.selectors).any(|one| one.selector.starts_with(key));
        if of.judged_by == JudgedBy::Configuration && tells_of("reads:") {
            let note = "only a daemon counts reads: judged as if the process had read nothing";
            section(&mut text, "note", [note.to_owned()]);
        }
        if *whom == Whom::Itself && tells_of("exe") {
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
        section(&mut text, "beware", of.beware.iter().map(|one| printable(one)));
        text
    }

    /// What is seen of a process, a line each.
    pub(crate) fn caller(&mut self, seen: &Seen) -> Vec<String> {
        let mut first = format!("pid {}", seen.pid);
        if seen.thread != seen.pid {
            let _ = write!(first, ", thread {}", seen.thread);
        }
        if let Some(age) = seen.age_seconds {
            let _ = write!(first, ", started {age}s ago");
        }
        let mut lines = vec![first];
        let user = printable(&self.names.shown(seen.uid));
        lines.push(match seen.uids == [seen.uid; 4] {
            true if seen.gids == [seen.gid; 4] => {
                format!("uid {user}, gid {}, groups {}", seen.gid, listed(&seen.groups))
            }
            true => format!("uid {user}, gids {}, groups {}", four(seen.gids), listed(&seen.groups)),
            false => format!("uids {}: not one", four(seen.uids)),
        });
        if let Some(exe) = &seen.exe {
            lines.push(format!("exe {} (device {}, inode {})", printable(&exe.path), exe.device, exe.inode));
        }
        if let Some(container) = &seen.container {
            let engine = container.engine.as_deref().map(|engine| format!(" ({engine})")).unwrap_or_default();
            let name = container.name.as_deref().map(|name| format!("{} ", printable(name)));
            // The rest of it stands in the path below.
            let id = printable(container.id.get(..12).unwrap_or(&container.id));
            let name = name.unwrap_or_default();
            lines.push(format!("container {name}{id}{engine}"));
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
        let state = [
            seen.no_new_privs.map(|set| if set { "no_new_privs set" } else { "no_new_privs not set" }),
            seen.not_dumpable.map(|set| if set { "not dumpable" } else { "dumpable" }),
            seen.traced.map(|traced| if traced { "traced" } else { "not traced" }),
        ];
        let state: Vec<_> = state.into_iter().flatten().collect();
        if !state.is_empty() {
            lines.push(state.join(", "));
        }
        lines
    }

    fn headline(&mut self, of: &Explanation) -> String {
        let (word, told) = match of.outcome {
            Outcome::Allowed if of.learning_until.is_some() => ("ALLOWED", Told::Unknown),
            Outcome::Allowed => ("ALLOWED", Told::Yes),
            Outcome::Denied => ("DENIED", Told::No),
            Outcome::Unknown => ("UNKNOWN", Told::Unknown),
        };
        let pad = " ".repeat(LABEL.saturating_sub(word.len()));
        let word = self.painted(word, told);
        let user = printable(&self.names.shown(of.caller.uid));
        let mut text = format!("{word}{pad}{} for pid {} (uid {user})", printable(&of.path), of.caller.pid);
        match (&of.learning_until, &of.rule) {
            (Some(until), _) => {
                let _ = write!(text, " only by learning, until {until}");
            }
            (None, Some(rule)) => {
                let _ = write!(text, " by rule {}", printable(rule));
            }
            (None, None) => {}
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
            lines.push(format!("    {mark} {NOT_ELSEWHERE}"));
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

fn four([real, effective, saved, file]: [u32; 4]) -> String {
    format!("real {real}, effective {effective}, saved {saved}, file system {file}")
}

fn listed(ids: &[u32]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
