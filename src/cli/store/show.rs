//! `hushfs store show`: prints a value, to a terminal only after a question.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use zeroize::Zeroizing;

use super::{Place, input};
use crate::audit::record::Outcome as Ended;
use crate::cli::record::{Attempt, record, sink};
use crate::cli::{Failure, Outcome, term};
use crate::providers::store::{Document, Name, StoreError, Value};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The secret, or one named value of it: NAME#KEY
    #[arg(value_name = "NAME[#KEY]")]
    name: Name,
    /// An earlier version (default: the newest)
    #[arg(long, value_name = "V")]
    version: Option<String>,
}

pub(super) fn run(place: &Place, args: Args) -> Outcome {
    let name = &args.name;
    let asked = args.version.as_deref().unwrap_or_default();
    let put = |outcome, version: &str, why: &str| {
        let path = format!("store:{name}");
        record(sink(place.audit.as_deref())?, &Attempt { verb: "store show", path, version, outcome, why })
    };
    let (version, value) = match find(place, name, args.version.as_deref()) {
        Ok(found) => found,
        Err(error) => {
            put(Ended::Failed, asked, &error.to_string())?;
            return Err(error.into());
        }
    };
    let terminal = io::stdout().is_terminal();
    if terminal {
        let refusal = match input::confirm(&format!("Print the value of {name} to this terminal?")) {
            Some(true) => None,
            Some(false) => Some("not confirmed"),
            None => Some("there is no terminal to ask on"),
        };
        if let Some(why) = refusal {
            put(Ended::Denied, &version, why)?;
            return Err(Failure::new(format!("{why}: nothing is printed"))
                .hint("send it into a pipe or a file to print it without a question"));
        }
    }
    put(Ended::Allowed, &version, "")?;
    term::value(&value).map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

fn find(
    place: &Place,
    name: &Name,
    version: Option<&str>,
) -> Result<(String, Zeroizing<Vec<u8>>), StoreError> {
    let (document, _) = place.site().read(&|| place.passphrase())?;
    let version_id = document.version(&name.secret, version)?.version.clone();
    Ok((version_id, value(&document, name, version)?))
}

fn value(document: &Document, name: &Name, version: Option<&str>) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let value = &document.version(&name.secret, version)?.value;
    let Some(key) = &name.key else {
        return value.to_bytes();
    };
    let found = match value {
        Value::Named(values) => values.get(key),
        Value::Bytes(_) => None,
    };
    found
        .map(|text| Zeroizing::new(text.0.as_bytes().to_vec()))
        .ok_or_else(|| StoreError::NoKey { name: name.secret.clone(), key: key.clone() })
}
