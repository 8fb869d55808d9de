//! `hushfs store recipients`: the keys that can open the store besides its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::Place;
use crate::cli::{Outcome, term};
use crate::providers::store::{Change, Keys, Protection, StoreError, check_recipient, write_key};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the public keys (the default)
    List,
    /// Let another key open the store
    Add {
        /// Its public key
        #[arg(value_name = "AGE1…", required_unless_present = "new", conflicts_with = "new")]
        recipient: Option<String>,
        /// Make a new key in this file, to be kept away from this host
        #[arg(long, value_name = "FILE")]
        new: Option<PathBuf>,
    },
    /// Encrypt to a key no longer
    Remove {
        /// Its public key
        #[arg(value_name = "AGE1…")]
        recipient: String,
    },
}

pub(super) fn run(place: &Place, args: Args) -> Outcome {
    match args.verb.unwrap_or(Verb::List) {
        Verb::List => list(place),
        Verb::Add { recipient: Some(recipient), .. } => add(place, &recipient),
        Verb::Add { recipient: None, new } => {
            let keys = Keys::generate(Protection::Mode);
            let path = new.unwrap_or_default();
            write_key(&path, &keys)?;
            term::note(format_args!("{}: a new key; move it off this host", path.display()));
            keys.recipients().iter().try_fold(ExitCode::SUCCESS, |_, recipient| add(place, recipient))
        }
        Verb::Remove { recipient } => remove(place, &recipient),
    }
}

fn list(place: &Place) -> Outcome {
    let site = place.site();
    let own = site.keys(&|| place.passphrase())?.recipients();
    let (document, _) = site.read(&|| place.passphrase())?;
    for recipient in &document.recipients {
        let whose = if own.contains(recipient) { "  (in the key file)" } else { "" };
        term::say(format_args!("{recipient}{whose}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn add(place: &Place, recipient: &str) -> Outcome {
    check_recipient(recipient)?;
    let told = place.site().change(&|| place.passphrase(), |document| {
        if document.recipients.iter().any(|known| known == recipient) {
            return Ok(Change::Leave("it can open the store already"));
        }
        document.recipients.push(recipient.to_owned());
        Ok(Change::Save("the key can open the store from now on"))
    })?;
    term::note(told);
    Ok(ExitCode::SUCCESS)
}

fn remove(place: &Place, recipient: &str) -> Outcome {
    let site = place.site();
    let own = site.keys(&|| place.passphrase())?.recipients();
    site.change(&|| place.passphrase(), |document| {
        let before = document.recipients.len();
        document.recipients.retain(|known| known != recipient);
        let unfit = |message: &str, hint: &str| {
            Err(StoreError::Unfit { message: message.to_owned(), hint: hint.to_owned() })
        };
        if document.recipients.len() == before {
            return unfit(
                "the store is not encrypted to that key",
                "`hushfs store recipients list` shows its keys",
            );
        }
        if !document.recipients.iter().any(|left| own.contains(left)) {
            return unfit(
                "the key file in use could not open the store any more",
                "`hushfs store rotate-key` replaces it",
            );
        }
        Ok(Change::Save(()))
    })?;
    term::note("removed; copies of the store made before this still open with that key");
    Ok(ExitCode::SUCCESS)
}
