//! What a template can ask of a value: `x is defined`.

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, State, Value};

use super::root::with;
use super::tree::Number;

/// One test.
pub(super) struct Test {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [&'static str],
    ask: fn(&Value, &[Value]) -> bool,
}

const fn plain(name: &'static str, ask: fn(&Value, &[Value]) -> bool) -> Test {
    Test { name, parameters: &[], ask }
}

/// Every test.
pub(super) const TESTS: &[Test] = &[
    plain("defined", |value, _| !value.is_undefined()),
    plain("undefined", |value, _| value.is_undefined()),
    plain("none", |value, _| value.is_none()),
    plain("string", |value, _| value.kind() == ValueKind::String),
    plain("number", |value, _| value.is_number() || value.downcast_object_ref::<Number>().is_some()),
    plain("boolean", |value, _| value.kind() == ValueKind::Bool),
    plain("mapping", |value, _| value.kind() == ValueKind::Map),
    plain("sequence", |value, _| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)),
    Test {
        name: "startingwith",
        parameters: &["text"],
        ask: |value, of| both(value, of, |a, b| a.starts_with(b)),
    },
    Test {
        name: "endingwith",
        parameters: &["text"],
        ask: |value, of| both(value, of, |a, b| a.ends_with(b)),
    },
];

fn both(value: &Value, of: &[Value], ask: impl Fn(&str, &str) -> bool) -> bool {
    match (value.as_str(), of.first().and_then(Value::as_str)) {
        (Some(text), Some(part)) => ask(text, part),
        _ => false,
    }
}

/// Adds them.
pub(super) fn add(to: &mut Environment<'static>) {
    for test in TESTS {
        to.add_test(test.name, |state: &State<'_, '_>, value: &Value, of: Rest<Value>| {
            with(state, |root| {
                if value.is_undefined() {
                    root.ledger.found();
                }
                Ok((test.ask)(value, &of))
            })
        });
    }
}
