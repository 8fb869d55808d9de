//! Suggestions as text: TOML as a whole, with everything that is no rule in comments. What a caller could have chosen stands
//! in a TOML string or is made printable, so it ends neither its line nor the comment.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::suggestions::{OfScope, Suggested, Suggestions};
use crate::words::{is_plain, printable};

/// How long the lines of comments are, unless a word is longer.
const WIDTH: usize = 100;

/// Names in a list, before it is cut short.
const LISTED: usize = 8;

const HEADER: &str = "\
# What was attempted and no rule allowed, as rules. That somebody tried does not mean that he may:
# programs, units and containers are what he chose to try with. Judge each before you add it.
";

/// All of it.
pub(super) fn toml(suggestions: &Suggestions) -> String {
    let mut text = HEADER.to_owned();
    // The workloads of a scope follow each other and are in one table, which can have its header only once.
    let mut last = String::new();
    for scope in &suggestions.scopes {
        let _ = write!(text, "\n{}", of_scope(scope, suggestions, &mut last));
    }
    text.trim_end().to_owned()
}

fn of_scope(of: &OfScope, suggestions: &Suggestions, last: &mut String) -> String {
    let mut text = String::new();
    let rules: Vec<_> = of.callers.iter().filter_map(|one| Some((one, one.rule.as_ref()?))).collect();
    let scope = printable(&of.scope);
    let (table, list) = place(&of.scope);
    comment(
        &mut text,
        "",
        &match (&suggestions.config, &of.rules_at) {
            (Some(config), None) => {
                format!("scope {scope}: {} has none of that name", printable(&config.display().to_string()))
            }
            _ if rules.is_empty() => format!("scope {scope}: no rule to add"),
            (_, Some(at)) => {
                let has = match of.rules {
                    Some(1) => {
                        "1 rule now; if that stands there without `[` and `]`, put it between some".to_owned()
                    }
                    has => format!("{} rules now", has.unwrap_or_default()),
                };
                let at = printable(at);
                format!(
                    "scope {scope}: paste what is below between `[` and `]` right behind the `[` of its `{list}`, at \
                     {at}, which has {has}. Then: `hushfs check`, `hushfs reload`"
                )
            }
            (None, None) => format!(
                "scope {scope}: paste what is below between `[` and `]` right behind the `[` of the `{list}` of {table}"
            ),
        },
    );
    if !rules.is_empty() {
        if *last != table {
            let _ = writeln!(text, "{table}");
            *last = table;
        }
        let _ = writeln!(text, "{list} = [");
        for (one, rule) in rules {
            about(&mut text, "  ", one);
            let _ = writeln!(text, "  {rule},");
        }
        text.push_str("]\n");
    }
    for one in of.callers.iter().filter(|one| one.rule.is_none()) {
        text.push('\n');
        about(&mut text, "", one);
    }
    for not in &of.left_out {
        text.push('\n');
        let attempts = counted(not.attempts);
        comment(&mut text, "", &format!("{attempts} by {}: {}.", printable(&not.user), not.why));
    }
    text
}

/// The comment above a rule, or in its place.
fn about(text: &mut String, indent: &str, one: &Suggested) {
    let mut said = format!("{} by {}", counted(one.attempts), printable(&one.user));
    let places = [("unit", &one.unit), ("user unit", &one.user_unit), ("container", &one.container)];
    for (what, name) in places {
        if let Some(name) = name {
            let _ = write!(said, ", {what} {}", printable(name));
        }
    }
    let _ = write!(said, " with {}", listed(&one.programs));
    let _ = match one.learned {
        0 => Ok(()),
        all if all == one.attempts => write!(said, ", allowed by learning"),
        some => write!(said, ", {some} of them allowed by learning"),
    };
    let mut times: Vec<_> = one.first.into_iter().chain(one.last).map(time).collect();
    times.dedup();
    if !times.is_empty() {
        let _ = write!(said, ", {}", times.join(" to "));
    }
    let _ = write!(said, ": {}", listed(&one.files));
    comment(text, indent, &said);
    if !one.reason.is_empty() {
        comment(text, indent, &format!("Last: {}.", printable(&one.reason)));
    }
    if !one.strengths.is_empty() {
        let strengths: Vec<_> =
            one.strengths.iter().map(|of| format!("{} {}", of.selector, of.strength)).collect();
        comment(text, indent, &format!("Strength: {}.", strengths.join(", ")));
    }
    for note in &one.notes {
        // What is to be written elsewhere stands as it is: names of units have backslashes.
        let note = if is_plain(note) { note.clone() } else { printable(note) };
        comment(text, indent, &format!("{note}."));
    }
}

/// A comment, on as many lines as it takes.
fn comment(text: &mut String, indent: &str, said: &str) {
    let mut line = String::new();
    for word in said.split(' ') {
        if !line.is_empty() && line.chars().count().saturating_add(word.chars().count()) >= WIDTH {
            let _ = writeln!(text, "{indent}#{line}");
            line.clear();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{indent}#{line}");
}

fn counted(attempts: u64) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}

fn listed(names: &[String]) -> String {
    let mut shown: Vec<_> = names.iter().take(LISTED).map(|name| printable(name)).collect();
    if let Some(more) = names.len().checked_sub(LISTED).filter(|more| *more > 0) {
        shown.push(format!("{more} more"));
    }
    if shown.iter().all(String::is_empty) { "nothing known".to_owned() } else { shown.join(", ") }
}

fn time(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime("%F %T").to_string()
}

/// The header of the table in which the rules of a scope, or of one of its workloads, are written; and their key there.
fn place(scope: &str) -> (String, String) {
    match scope.split_once('/') {
        Some((scope, workload)) => (format!("[scope.{}.workload]", key(scope)), key(workload)),
        None => (format!("[scope.{}]", key(scope)), "allow".to_owned()),
    }
}

/// A key as it stands in a header: bare, or quoted.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        return name.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for c in name.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            c if is_plain(&c.to_string()) => write!(quoted, "{c}"),
            c => write!(quoted, "\\U{:08X}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::Record;
    use crate::cli::names::Names;
    use crate::cli::suggest::attempts::tests::{denied, gathered};

    proptest! {
            #[test]
            fn whatever_is_in_the_log_what_is_printed_is_toml_and_nothing_but_rules(
                texts in proptest::array::uniform6("(/bin/|/|)(cat|\\PC{0,4}|[\\x00-\\x7f\u{85}\u{202e}\"'#\\[\\]\n]{0,8})(\\.service| \\(deleted\\)|)"),
                container in any::<bool>(),
            ) {
                let [exe, unit, id, scope, path, reason] = texts;
                let container = if container { id } else { String::new() };
                let path = format!("{scope}/{path}");
                let records = [
                    Record { exe: exe.clone(), scope: scope.clone(), path: path.clone(), reason, ..denied("") },
                    Record { exe, unit, container, scope: scope.clone(), path, ..denied("") },
                    Record { scope: scope.clone(), ..denied("/bin/cat") },
                ];
                let text = toml(&Suggestions::of(gathered(records), None, &mut Names::default()));
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{}", text);
                let whole: toml::Table = text.parse().map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
                let scopes: Vec<_> = whole["scope"].as_table().unwrap().keys().map(String::as_str).collect();
                let (above, workload) = scope.split_once('/').map_or((&*scope, None), |(a, w)| (a, Some(w)));
                prop_assert_eq!((whole.len(), scopes), (1, vec![above]));
                let of = &whole["scope"][above];
                let rules = workload.map_or_else(|| &of["allow"], |workload| &of["workload"][workload]);
                for rule in rules.as_array().unwrap() {
    prop_assert!(rule.get("user").or(rule.get("uid")).is_some(), "{}", text);
                }
            }
        }

    #[test]
    fn rules_of_a_workload_are_written_where_those_are() {
        assert_eq!(place("db"), ("[scope.db]".to_owned(), "allow".to_owned()));
        assert_eq!(place("db/my web"), ("[scope.db.workload]".to_owned(), "\"my web\"".to_owned()));
    }

    #[test]
    fn a_header_has_the_name_of_the_scope_whatever_that_is() {
        for name in ["web", "my web", ".env", "a\"b'c", "a\\u0041", "\u{202e}x", "a]\n[b", "\u{7f}", ""] {
            let text = format!("[scope.{}]\n", key(name));
            let whole: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
            let scopes: Vec<_> = whole["scope"].as_table().unwrap().keys().collect();
            assert_eq!(scopes, [name]);
            assert_eq!((text.lines().count(), text.contains('\u{202e}')), (1, false));
        }
    }
}
