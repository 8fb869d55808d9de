//! `hushfs store rm`: removes a secret with all its versions, or one named value from the next version.

use std::process::ExitCode;

use super::Place;
use crate::cli::{Outcome, term};
use crate::providers::store::{Change, Document, Name, StoreError, Value};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The secret, or one named value of it: NAME#KEY
    #[arg(value_name = "NAME[#KEY]")]
    name: Name,
}

pub(super) fn run(place: &Place, args: &Args) -> Outcome {
    let told = place.site().change(&|| place.passphrase(), |document| match &args.name.key {
        None => {
            document.remove(&args.name.secret)?;
            Ok(Change::Save(format!("{}: removed, with all its versions", args.name)))
        }
        Some(key) => remove_key(document, &args.name.secret, key),
    })?;
    term::note(told);
    Ok(ExitCode::SUCCESS)
}

fn remove_key(document: &mut Document, name: &str, key: &str) -> Result<Change<String>, StoreError> {
    let no_key = || StoreError::NoKey { name: name.to_owned(), key: key.to_owned() };
    let mut values = match &document.version(name, None)?.value {
        Value::Named(values) => values.clone(),
        Value::Bytes(_) => return Err(no_key()),
    };
    values.remove(key).ok_or_else(no_key)?;
    if values.is_empty() {
        return Err(StoreError::Unfit {
            message: format!("`{key}` is the last value of `{name}`"),
            hint: format!("remove the secret: `hushfs store rm {name}`"),
        });
    }
    let version = document.put(name, Value::Named(values), jiff::Timestamp::now())?;
    Ok(Change::Save(format!("{name}: version {version} is without `{key}`; earlier versions still hold it")))
}
