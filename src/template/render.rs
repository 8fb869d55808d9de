//! How values are printed, and what is told of errors.

use minijinja::{Environment, Error, ErrorKind, Output, State, Value};

use super::json;
use super::root::with;

/// How values are printed.
pub(super) fn print(environment: &mut Environment<'static>) {
    environment.set_formatter(|out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value| {
        if let Some(text) = value.as_str() {
            return out.write_str(text).map_err(Error::from);
        }
        if value.is_undefined() {
            // An `if` without `else`: what is missing does not come here.
            return Ok(());
        }
        let text = with(state, |root| Ok(json::text(value, &root.ledger)?.into_owned()))?;
        out.write_str(&text).map_err(Error::from)
    });
}

/// What is told of an error of the engine: its kind, in our words.
pub(super) fn said(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::UndefinedError => "a value that is not there is used",
        ErrorKind::OutOfFuel => "rendering takes too many steps",
        ErrorKind::CannotUnpack => "there are not as many values as names",
        ErrorKind::NonKey => "this cannot be a key",
        _ => "this cannot be done with these values",
    }
}
