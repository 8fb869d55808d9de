//! The strongest rule for a caller, or why there is none.

use std::path::Path;

use toml::Value;

use super::attempts::{Attempts, Caller, Place};
use crate::cli::names::{self, Names};
use crate::identity::{Selector, holds_elsewhere, is_interpreter, selector};
use crate::words::is_plain;

/// What is proposed for a caller.
pub(super) enum Proposal {
    Rule(Rule),
    /// There is no safe rule. Why, and what to do.
    Advice(String),
}

/// A rule as it would be written.
pub(super) struct Rule {
    parts: Vec<Part>,
}

/// One selector of it.
struct Part {
    key: &'static str,
    value: Value,
    selector: Box<dyn Selector>,
}

/// What a rule would demand: keys and values.
type Demands = Vec<(&'static str, Value)>;

/// Proposes a rule that `hushfs check` takes on this host.
pub(super) fn choose(caller: &Caller, attempts: &Attempts, names: &mut Names) -> Proposal {
    let mut rule = match demands(caller, attempts, names).and_then(Rule::of) {
        Ok(rule) => rule,
        Err(advice) => return Proposal::Advice(advice),
    };
    if attempts.foreign && !holds_elsewhere(rule.parts.iter().map(|part| &*part.selector)) {
        return Proposal::Advice(FOREIGN.to_owned());
    }
    // In another user namespace a program could be forged.
    if matches!(caller.place, Place::Unit(_)) && !attempts.foreign {
        // Only the one program, where there was one and this host has it: the rule is good without.
        rule.parts.extend(program(attempts).and_then(|path| part("exe", path.into()).ok()));
    }
    Proposal::Rule(rule)
}

/// What there is to say of callers in another user namespace.
pub(super) const FOREIGN: &str = "they are in another user namespace, where the program could be forged, and no rule of a user \
                                  or a program is for such callers";

/// Without the program of a unit, which is a matter of taste.
fn demands(caller: &Caller, attempts: &Attempts, names: &mut Names) -> Result<Demands, String> {
    match &caller.place {
        // A user's name on the host means nothing in a container.
        Place::Container(id) => {
            let container = toml::Table::from_iter([("id".to_owned(), plain(id)?)]);
            Ok(vec![("container", container.into()), ("uid", Value::Integer(caller.uid.into()))])
        }
        Place::Unit(unit) => Ok(vec![("unit", plain(&named(unit, attempts))?), user(caller.uid, names)]),
        Place::Program(path) | Place::OfUser { program: path, .. } if is_interpreter(Path::new(path)) => {
            Err(format!(
                "{path} runs any script, so a rule of it and a user is for everything that the user runs. Have the \
                 system's own systemd start it in a unit of its own, or run it in a container, and let it try again"
            ))
        }
        Place::OfUser { unit, program } => {
            let unit = plain(&named(unit, attempts))?;
            Ok(vec![user(caller.uid, names), ("user_unit", unit), ("exe", plain(program)?)])
        }
        Place::Program(path) => Ok(vec![user(caller.uid, names), ("exe", plain(path)?)]),
    }
}

/// How a rule names the unit so that it is for all of the attempts: with the group below it, if that was one.
fn named(unit: &str, attempts: &Attempts) -> String {
    let mut all = attempts.units.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => only.clone(),
        (Some(_), Some(_)) => format!("{unit}/*"),
        (None, _) => unit.to_owned(),
    }
}

fn user(uid: u32, names: &mut Names) -> (&'static str, Value) {
    match names.name(uid).filter(|name| is_plain(name) && names::uid(name) == Some(uid)) {
        Some(name) => ("user", name.into()),
        None => ("uid", Value::Integer(uid.into())),
    }
}

fn plain(text: &str) -> Result<Value, String> {
    let odd = || "its name has characters that do not show".to_owned();
    Some(text).filter(|text| is_plain(text)).map(Value::from).ok_or_else(odd)
}

/// The program of all attempts, if it is one that says something.
fn program(attempts: &Attempts) -> Option<&str> {
    let mut programs = attempts.programs.iter();
    let only = programs.next().filter(|_| programs.next().is_none())?;
    let says = only.starts_with('/') && is_plain(only) && !is_interpreter(Path::new(only));
    says.then_some(only)
}

fn part(key: &'static str, value: Value) -> Result<Part, String> {
    let kind = selector(key).ok_or_else(|| format!("this hushfs has no selector `{key}`"))?;
    let selector = (kind.parse)(&value).map_err(|error| error.to_string())?;
    Ok(Part { key, value, selector })
}

impl Rule {
    fn of(demands: Demands) -> Result<Self, String> {
        let parts = demands.into_iter().map(|(key, value)| part(key, value));
        Ok(Self { parts: parts.collect::<Result<_, _>>()? })
    }

    /// As it is written: an inline table of TOML.
    pub(super) fn written(&self) -> String {
        let parts: Vec<_> = self.parts.iter().map(Part::written).collect();
        format!("{{ {} }}", parts.join(", "))
    }

    /// How hard each selector is to evade.
    pub(super) fn strengths(&self) -> Vec<(&'static str, String)> {
        let of = |key| selector(key).map(|kind| kind.strength.to_string()).unwrap_or_default();
        self.parts.iter().map(|part| (part.key, of(part.key))).collect()
    }

    /// The program it names.
    pub(super) fn program(&self) -> Option<&Path> {
        self.parts.iter().find_map(|part| part.selector.executable()).map(|reference| reference.path())
    }

    /// Whether it names a container, by the id that a record has and the next container will not have.
    pub(super) fn names_container(&self) -> bool {
        self.parts.iter().any(|part| part.key == "container")
    }

    /// The unit that it names, with the group below it.
    pub(super) fn unit(&self) -> Option<&str> {
        let part = self.parts.iter().find(|part| matches!(part.key, "unit" | "user_unit"))?;
        part.value.as_str()
    }

    /// How it writes the selector of that key, if it has it.
    pub(super) fn part(&self, key: &str) -> Option<String> {
        self.parts.iter().find(|part| part.key == key).map(Part::written)
    }
}

impl Part {
    /// `key = value`. No value that could break its line comes this far.
    fn written(&self) -> String {
        format!("{} = {}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Record;
    use crate::cli::suggest::attempts::tests::{denied, gathered};

    fn proposed(records: impl IntoIterator<Item = Record>) -> Vec<Result<String, String>> {
        let mut names = Names::default();
        let one = |(caller, attempts): (&Caller, &Attempts)| match choose(caller, attempts, &mut names) {
            Proposal::Rule(rule) => Ok(rule.written()),
            Proposal::Advice(advice) => Err(advice),
        };
        gathered(records).callers.iter().map(one).collect()
    }

    fn root(exe: &str) -> Record {
        Record { uid: 0, ..denied(exe) }
    }

    fn written(demands: Demands) -> String {
        demands.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_program_is_named_with_its_user_by_name_where_the_host_knows_one() {
        assert_eq!(
            proposed([root("/usr/bin/cat"), Record { uid: 4_000_000, ..denied("/usr/bin/cat") }]),
            [
                Ok("{ user = \"root\", exe = \"/usr/bin/cat\" }".into()),
                Ok("{ uid = 4000000, exe = \"/usr/bin/cat\" }".into())
            ]
        );
    }

    #[test]
    fn an_interpreter_and_a_user_are_never_a_rule() {
        for exe in ["/usr/bin/python3.11", "/usr/local/bin/node", "/bin/bash", "/lib64/ld-linux-x86-64.so.2"]
        {
            let found = proposed([root(exe)]);
            let [Err(advice)] = found.as_slice() else { panic!("{exe}: {found:?}") };
            assert!(advice.contains("unit") && advice.contains("container"), "{advice}");
        }
    }

    #[test]
    fn a_program_that_this_host_does_not_have_is_no_rule() {
        assert!(proposed([root("/nonexistent/app")])[0].as_ref().unwrap_err().contains("/nonexistent/app"));
    }

    #[test]
    fn a_unit_and_a_container_are_named_with_the_user() {
        let demanded = |place| {
            let caller = Caller { scope: "web".into(), uid: 0, place };
            written(demands(&caller, &Attempts::default(), &mut Names::default()).unwrap())
        };
        assert_eq!(
            demanded(Place::Unit("a\\x2db.service".into())),
            "unit = 'a\\x2db.service', user = \"root\""
        );
        let id = "0123456789ab";
        assert_eq!(
            demanded(Place::Container(id.into())),
            format!("container = {{ id = \"{id}\" }}, uid = 0")
        );
    }

    #[test]
    fn no_name_breaks_out_of_its_text() {
        for name in ["a\nb", "a\u{1b}[2J", "a\u{202e}b", "a\0b"] {
            let caller = |place| Caller { scope: "web".into(), uid: 0, place };
            let mut names = Names::default();
            for place in
                [Place::Unit(name.into()), Place::Container(name.into()), Place::Program(name.into())]
            {
                assert!(demands(&caller(place), &Attempts::default(), &mut names).is_err(), "{name:?}");
            }
        }
        for name in ["a\" }, { uid = 0", "'''", "a'b\"c", "\"\"\"", "# x", "a\\"] {
            let text = format!("x = {}", plain(name).unwrap());
            let parsed: toml::Table = text.parse().unwrap();
            assert_eq!((parsed.len(), parsed["x"].as_str()), (1, Some(name)), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}
