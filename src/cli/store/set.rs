//! `hushfs store set`: a new version of a secret, or of one named value of it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use zeroize::Zeroizing;

use super::{Place, input};
use crate::cli::{Failure, Outcome, term};
use crate::providers::store::{Change, Document, Hidden, Name, StoreError, Value};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The secret, or one named value of it: NAME#KEY
    #[arg(value_name = "NAME[#KEY]")]
    name: Name,
    /// Strip one line end from the end of the value (as `echo` leaves it)
    #[arg(long)]
    trim: bool,
    /// Put a raw value in place of named ones, or the other way round
    #[arg(long)]
    replace: bool,
    /// Take an empty value
    #[arg(long)]
    allow_empty: bool,
}

pub(super) fn run(place: &Place, args: Args) -> Outcome {
    let name = args.name;
    let mut value = input::value(&name.to_string())?;
    if args.trim && value.ends_with(b"\n") {
        let line_end = if value.ends_with(b"\r\n") { 2 } else { 1 };
        let length = value.len().saturating_sub(line_end);
        value.truncate(length);
    }
    if value.is_empty() && !args.allow_empty {
        return Err(Failure::new(format!("the value of `{name}` is empty"))
            .hint("a command in the pipe may have failed; if empty is right, say --allow-empty"));
    }
    let fit = if args.replace { Fit::Any } else { Fit::Same };
    let change = place.site().change(&|| place.passphrase(), |document| put(document, &name, value, fit))?;
    term::note(change);
    Ok(ExitCode::SUCCESS)
}

/// Whether a value may change its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Raw stays raw, named values stay named values.
    Same,
    /// It may become the other.
    Any,
}

fn put(
    document: &mut Document,
    name: &Name,
    value: Zeroizing<Vec<u8>>,
    fit: Fit,
) -> Result<Change<String>, StoreError> {
    let value = match &name.key {
        None => Value::Bytes(value),
        Some(key) => {
            let mut values = named(document, name, fit)?;
            let text = std::str::from_utf8(&value).map_err(|_| StoreError::Unfit {
                message: format!("the value of `{name}` is not text (UTF-8), and named values are text"),
                hint: "store bytes as a secret of their own, without `#KEY`".to_owned(),
            })?;
            values.insert(key.clone(), Hidden(Zeroizing::new(text.to_owned())));
            Value::Named(values)
        }
    };
    store(document, &name.secret, value, fit)
}

/// The named values there are now; none for a new secret.
fn named(document: &Document, name: &Name, fit: Fit) -> Result<BTreeMap<String, Hidden>, StoreError> {
    match document.version(&name.secret, None).ok().map(|version| &version.value) {
        Some(Value::Named(values)) => Ok(values.clone()),
        Some(Value::Bytes(_)) if fit == Fit::Same => Err(StoreError::Unfit {
            message: format!("`{}` is one raw value and has no named ones", name.secret),
            hint: "leave `#KEY` out, or say --replace to have named values instead".to_owned(),
        }),
        Some(Value::Bytes(_)) | None => Ok(BTreeMap::new()),
    }
}

/// Adds `value` as the newest version, unless it is what the newest version holds already.
pub(super) fn store(
    document: &mut Document,
    secret: &str,
    value: Value,
    fit: Fit,
) -> Result<Change<String>, StoreError> {
    if let Ok(current) = document.version(secret, None) {
        if current.value == value {
            return Ok(Change::Leave(format!("{secret}: unchanged, version {}", current.version)));
        }
        let other = match (&current.value, &value) {
            (Value::Named(_), Value::Bytes(_)) => Some("named values, and this is one raw value"),
            (Value::Bytes(_), Value::Named(_)) => Some("one raw value, and these are named ones"),
            _ => None,
        };
        if let (Some(other), Fit::Same) = (other, fit) {
            return Err(StoreError::Unfit {
                message: format!("`{secret}` holds {other}"),
                hint: "set one named value with `NAME#KEY`, or say --replace".to_owned(),
            });
        }
    }
    let version = document.put(secret, value, jiff::Timestamp::now())?;
    Ok(Change::Save(format!("{secret}: version {version}")))
}
