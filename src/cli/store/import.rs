//! `hushfs store import`: the pairs of a .env or JSON file as one secret.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::set::{Fit, store};
use super::{Place, dotenv, json};
use crate::cli::{Failure, Outcome, term};
use crate::providers::store::{Name, VALUE_LIMIT, Value, Wiping};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File to read; `-` is standard input
    file: PathBuf,
    /// Name of the secret (default: the file's name without its extension)
    #[arg(long = "as", value_name = "NAME", value_parser = Name::whole)]
    name: Option<Name>,
    /// How the file is written (default: json for *.json, else dotenv)
    #[arg(long)]
    format: Option<Format>,
    /// Put the pairs in place of a raw value
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// KEY=value lines
    Dotenv,
    /// One object of texts, numbers, true and false
    Json,
}

pub(super) fn run(place: &Place, args: Args) -> Outcome {
    let name = match args.name {
        Some(name) => name,
        None => name_of(&args.file)?,
    };
    let file = args.file.display();
    let text = if args.file == Path::new("-") {
        io::stdin().as_fd().try_clone_to_owned().map(File::from)
    } else {
        File::open(&args.file)
    }
    .and_then(|file| Wiping::read_from(file, 2 * VALUE_LIMIT))
    .map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    if text.len() > 2 * VALUE_LIMIT {
        return Err(Failure::new(format!("{file} is larger than {} bytes", 2 * VALUE_LIMIT)));
    }
    let is_json = args.file.extension().is_some_and(|extension| extension == "json");
    let format = args.format.unwrap_or(if is_json { Format::Json } else { Format::Dotenv });
    let failed = |why: String| Failure::new(format!("{file}: {why}")).hint("nothing was stored");
    let values = match format {
        Format::Json => json::parse(&text).map_err(|error| failed(error.to_string()))?,
        Format::Dotenv => {
            let text = std::str::from_utf8(&text).map_err(|_| failed("it is not text (UTF-8)".to_owned()))?;
            dotenv::parse(text).map_err(|error| failed(error.to_string()))?
        }
    };
    let keys: Vec<_> = values.keys().cloned().collect();
    let fit = if args.replace { Fit::Any } else { Fit::Same };
    let done = place.site().change(&|| place.passphrase(), |document| {
        store(document, &name.secret, Value::Named(values), fit)
    })?;
    term::note(format_args!("{done}, {}", keys.join(", ")));
    if args.file != Path::new("-") {
        term::note(format_args!(
            "{file} still holds the values in the clear; remove it when nothing reads it any more"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn name_of(file: &Path) -> Result<Name, Failure> {
    let stem =
        file.file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.starts_with('.') && *stem != "-");
    let name = stem.and_then(|stem| Name::whole(stem).ok());
    name.ok_or_else(|| {
        Failure::new(format!("{} gives the secret no name", file.display())).hint("say it with --as NAME")
    })
}
