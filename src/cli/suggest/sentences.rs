//! What is said of a rule that is there already, or is proposed.

use super::attempts::{Attempts, Caller, Place};
use super::choose::Rule;
use super::present::{Nearly, Undone};
use crate::config;

/// That there is a rule by now.
pub(super) fn matches(rule: &str, names_program: bool, caller: &Caller, attempts: &Attempts) -> String {
    let known = names_program && !attempts.programs.contains("");
    let why = match known {
        true => "the file that they run is another one that they see at that path".to_owned(),
        false => format!("`{}` says why", explain(caller, attempts)),
    };
    format!("Rule {rule} is for them as it stands now. Where they are denied still, {why}")
}

/// That a rule need not be added.
pub(super) fn mend(nearly: &Nearly) -> String {
    let Nearly { rule, lacks, write, keeps } = nearly;
    let keeps = match keeps.as_slice() {
        [] => String::new(),
        keeps => format!(", which keeps its {}", listed(keeps.iter().map(String::as_str), "and")),
    };
    format!(
        "Rule {rule} is for them but for its `{lacks}`. Where this is what was meant, write `{write}` there instead of \
         adding a rule{keeps}"
    )
}

/// That a rule must not be added.
pub(super) fn undone(undone: &Undone, caller: &Caller, attempts: &Attempts) -> String {
    let Undone { rule, lacks } = undone;
    let named = listed(lacks.iter().map(|(_, described)| described.as_str()), "or");
    let without = if lacks.len() == 1 { "it" } else { "them" };
    let mut remedies: Vec<_> = lacks.iter().map(|(key, _)| remedy(key)).collect();
    remedies.dedup();
    format!(
        "No rule: rule {rule} is for them, and its {named} did not hold, unless the rule is newer than these attempts. A rule \
         without {without} would undo what it protects from. Instead: {}. `{}` says what holds now",
        remedies.join("; "),
        explain(caller, attempts)
    )
}

/// What to do where a selector of that key does not hold and should.
fn remedy(key: &str) -> &'static str {
    match key {
        "no_new_privs" => {
            "have it started with `NoNewPrivileges=yes` in its unit, or by `setpriv --no-new-privs`"
        }
        "not_traced" => "see who traces it (a debugger, `strace`), and let it try again without",
        "not_dumpable" => "have the program set `PR_SET_DUMPABLE` to 0 before it opens the file",
        "no_preload" => "see what it has loaded that is not root's (`LD_PRELOAD`, `/proc/PID/maps`)",
        "within" => "have it read sooner after its start, or raise the time in the rule if that is too short",
        "reads" => "have it keep what it has read, or raise the number in the rule if that is too low",
        "exe_sha256" => {
            "after an upgrade, compare the digest that `sha256sum` prints with that of the package, and add it to the \
             rule's list"
        }
        "exe" => {
            "have the rule's program read it. If another one is to read as well, write a rule that names that one"
        }
        "unit" | "slice" | "user_unit" => "have systemd start it where the rule says",
        "container" => "run it in the container that the rule names, or mend the rule if that was made anew",
        "egid" => "run the setgid program itself, with no tracer and no `no_new_privs` above it",
        "gid" | "group" => "make the user a member of the group, if that is meant",
        _ => "see what it should be",
    }
}

/// The command that explains the caller.
fn explain(caller: &Caller, attempts: &Attempts) -> String {
    let whom = match &caller.place {
        Place::Container(id) => format!("--container {}", id.get(..12).unwrap_or(id)),
        Place::Unit(unit) => format!("--unit {unit}"),
        Place::OfUser { .. } | Place::Program(_) => "--pid PID".to_owned(),
    };
    let file = attempts.files.first().map_or("FILE", String::as_str);
    format!("hushfs explain {}/{file} {whom}", caller.scope)
}

/// What to know of a rule before it is added.
pub(super) fn of_rule(rule: &Rule, caller: &Caller, attempts: &Attempts) -> Vec<String> {
    let mut notes = Vec::new();
    if rule.names_container() {
        let better = "write `name`, or `image` with `compose`, instead, which the next one will have too";
        notes.push(format!("The id is this container's alone: {better}"));
    }
    if let Place::Unit(unit) | Place::OfUser { unit, .. } = &caller.place {
        notes.extend(rule.unit().and_then(|written| below(written, unit, attempts)));
    }
    if let Some(why) = rule.program().and_then(config::replaceable) {
        notes.push(format!("Whoever can replace this program matches the rule: {why}"));
    }
    notes
}

/// What to know of a rule that names groups below a unit.
fn below(written: &str, unit: &str, attempts: &Attempts) -> Option<String> {
    let (_, group) = written.split_once('/')?;
    let everything = "everything that the unit starts, containers too";
    Some(match (group, attempts.units.len()) {
        ("*", 0 | 1) => {
            format!("`{written}` is for {everything}: the group in which they are has no name in a rule")
        }
        ("*", _) => {
            let all = listed(attempts.units.iter().take(8).map(String::as_str), "and");
            format!(
                "`{written}` is for {everything}. They were in {all}; a rule for each is narrower, if that is all"
            )
        }
        _ => format!(
            "If the group below the unit has another name for each process, write `{unit}/*`, which is for {everything}"
        ),
    })
}

/// `a`, `b` and `c`, with that word before the last.
fn listed<'t>(words: impl Iterator<Item = &'t str>, last_word: &str) -> String {
    let quoted: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} {last_word} {last}", first.join(", ")),
        words => words.concat(),
    }
}
