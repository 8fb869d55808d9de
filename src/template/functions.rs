//! What a template can call.

use minijinja::{Environment, Error, State, Value};

use super::ledger::Failure;
use super::root::with;

/// Every function.
pub(super) const FUNCTIONS: &[&str] = &["secret", "secret_json", "range"];

/// The longest range.
const RANGE: usize = 10_000;

/// Adds them.
pub(super) fn add(to: &mut Environment<'static>) {
    to.add_function("secret", |state: &State<'_, '_>, reference: &str| -> Result<Value, Error> {
        with(state, |root| root.text(reference))
    });
    to.add_function("secret_json", |state: &State<'_, '_>, reference: &str| -> Result<Value, Error> {
        with(state, |root| root.tree(reference))
    });
    to.add_function(
        "range",
        |state: &State<'_, '_>, from: i64, to: Option<i64>, step: Option<i64>| -> Result<Value, Error> {
            with(state, |_| range(from, to, step))
        },
    );
}

fn range(from: i64, to: Option<i64>, step: Option<i64>) -> Result<Value, Failure> {
    let (from, to) = to.map_or((0, from), |to| (from, to));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Failure::new("`range` cannot take steps of 0"));
    }
    let inside = |number: &i64| if step > 0 { *number < to } else { *number > to };
    let numbers = std::iter::successors(Some(from), |number| number.checked_add(step)).take_while(inside);
    let numbers: Vec<_> = numbers.take(RANGE + 1).map(Value::from).collect();
    if numbers.len() > RANGE {
        return Err(Failure::Other(format!("`range` gives at most {RANGE} numbers")));
    }
    Ok(Value::from(numbers))
}
