//! What can be done to a value: `x | filter`.
//!
//! Every filter is ours, one line in a table: what it makes is bounded, and what it says when it fails never quotes a value.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::ledger::Failure;
use super::root::with;
use crate::words::nearest;

mod call;
mod encodings;
mod lists;
mod pem;
mod quotes;
mod texts;

use call::{Call, Made};

/// One filter.
pub(super) struct Filter {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [&'static str],
    /// How many of the parameters it needs.
    pub(super) required: usize,
    /// Whether it leaves a mark that stands for a value as it is: it would fail on one or make it unreadable.
    keeps_marks: bool,
    make: fn(&Call<'_>) -> Result<Made, Failure>,
}

const fn filter(name: &'static str, make: fn(&Call<'_>) -> Result<Made, Failure>) -> Filter {
    Filter { name, parameters: &[], required: 0, keeps_marks: false, make }
}

impl Filter {
    /// Takes these, of which the first `required` must be there.
    const fn takes(mut self, parameters: &'static [&'static str], required: usize) -> Self {
        self.parameters = parameters;
        self.required = required;
        self
    }

    const fn keeping_marks(mut self) -> Self {
        self.keeps_marks = true;
        self
    }
}

const TABLES: &[&[Filter]] =
    &[texts::FILTERS, lists::FILTERS, encodings::FILTERS, pem::FILTERS, quotes::FILTERS];

/// Every filter.
pub(super) fn all() -> impl Iterator<Item = &'static Filter> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The filter of that name.
pub(super) fn find(name: &str) -> Option<&'static Filter> {
    all().find(|filter| filter.name == name)
}

/// What is said to who wrote another name.
pub(super) fn offered(name: &str) -> String {
    let names: Vec<_> = all().map(|filter| filter.name).collect();
    match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("filters are {}", names.join(", ")),
    }
}

/// Adds them.
pub(super) fn add(to: &mut Environment<'static>) {
    for filter in all() {
        to.add_filter(
            filter.name,
            |state: &State<'_, '_>, input: &Value, rest: Rest<ValueOrKwargs>| -> Result<Value, Error> {
                apply(filter, state, input, rest.into_values())
            },
        );
    }
}

fn apply(
    filter: &Filter,
    state: &State<'_, '_>,
    input: &Value,
    mut rest: Vec<Value>,
) -> Result<Value, Error> {
    let named = match rest.pop_if(|last| last.is_kwargs()) {
        Some(named) => Some(Kwargs::try_from(named)?),
        None => None,
    };
    for parameter in filter.parameters.iter().skip(rest.len()) {
        let given = named.as_ref().and_then(|named| named.peek::<Value>(parameter).ok());
        // What was left out is none: no filter tells that from a none that is written.
        rest.push(given.unwrap_or(Value::from(())));
    }
    with(state, |root| {
        let call = Call { input, args: &rest, ledger: &root.ledger };
        let undefined = rest.iter().any(Value::is_undefined) || input.is_undefined();
        if undefined && filter.name != "default" {
            return Err(Failure::Undefined);
        }
        if filter.keeps_marks && call.is_mark() {
            return Ok(input.clone());
        }
        (filter.make)(&call)?.value(&root.ledger)
    })
}
