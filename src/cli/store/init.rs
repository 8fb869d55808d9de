//! `hushfs store init`: an empty store and its key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use age::secrecy::{ExposeSecret, SecretString};

use super::{Place, input};
use crate::cli::{Failure, Outcome, term};
use crate::providers::store::{
    Document, KEEP, Keys, Protection, check_recipient, passphrase_from, write_key,
};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Protect the key file with a passphrase, asked for (or from --passphrase-file)
    #[arg(long)]
    passphrase: bool,
    /// Another public key that can open the store (may be repeated)
    #[arg(long, value_name = "AGE1…")]
    recipient: Vec<String>,
    /// Make a recovery key in this file, to be kept away from this host
    #[arg(long, value_name = "FILE")]
    recovery: Option<PathBuf>,
    /// How many versions of each secret to keep
    #[arg(long, value_name = "N", default_value_t = KEEP, value_parser = keep)]
    keep: usize,
}

pub(super) fn run(place: &Place, args: Args) -> Outcome {
    let site = place.site();
    for recipient in &args.recipient {
        check_recipient(recipient)?;
    }
    for path in [&site.path, &site.key] {
        make_parent(path)?;
    }
    let protection = match (args.passphrase, &place.passphrase_file) {
        (true, Some(file)) => Protection::Passphrase(passphrase_from(file)?),
        (true, None) => Protection::Passphrase(new_passphrase()?),
        (false, Some(_)) => {
            return Err(
                Failure::new("--passphrase-file is given without --passphrase").hint("add --passphrase")
            );
        }
        (false, None) => Protection::Mode,
    };
    let keys = Keys::generate(protection);
    let mut recipients = keys.recipients();
    recipients.extend(args.recipient.iter().cloned());
    if let Some(path) = &args.recovery {
        let recovery = Keys::generate(Protection::Mode);
        write_key(path, &recovery)?;
        recipients.extend(recovery.recipients());
    }
    if let Err(error) = site.create(&keys, &Document::new(recipients, args.keep)) {
        if let Some(path) = &args.recovery {
            let _it_opens_nothing = std::fs::remove_file(path);
        }
        return Err(error.into());
    }
    tell(&site.path, &site.key, &args);
    Ok(ExitCode::SUCCESS)
}

fn keep(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|keep| (1..=1000).contains(keep))
        .ok_or_else(|| "a number from 1 to 1000".to_owned())
}

fn tell(store: &Path, key: &Path, args: &Args) {
    let how = if args.passphrase { "under your passphrase" } else { "not under a passphrase" };
    term::say(format_args!("store     {}", store.display()));
    term::say(format_args!("key       {} ({how})", key.display()));
    if let Some(path) = &args.recovery {
        term::say(format_args!("recovery  {} (move it off this host)", path.display()));
    }
    term::say(
        "\nBack up both, in different places; without the key nobody can open the store, hushfs included:",
    );
    term::say(format_args!("  cp --preserve {} /path/to/backup/", quoted(store)));
    term::say(format_args!("  cp --preserve {} /another/place/", quoted(key)));
    if args.recovery.is_none() && args.recipient.is_empty() {
        term::say("\nThere is no recovery key. To open the store when this key is lost, add one now:");
        let at = format!("--store {} --key {}", quoted(store), quoted(key));
        term::say(format_args!("  hushfs store {at} recipients add --new /path/to/recovery.key"));
    }
}

/// For a command to be copied into a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Nobody else may enter a directory made for a store.
fn make_parent(path: &Path) -> Result<(), Failure> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| {
        Failure::new(format!("cannot create {}: {error}", parent.display()))
            .hint("--store names another place")
    })
}

fn new_passphrase() -> Result<SecretString, Failure> {
    let ask = |question: &str| {
        input::hidden(question).map_err(|error| {
            Failure::new(format!("cannot ask for a passphrase: {error}"))
                .hint("use --passphrase-file where there is no terminal")
        })
    };
    let (first, second) = (ask("New passphrase: ")?, ask("Again: ")?);
    #[expect(clippy::disallowed_methods, reason = "compares what was typed twice")]
    let (empty, same) = (first.expose_secret().is_empty(), first.expose_secret() == second.expose_secret());
    match (empty, same) {
        (true, _) => Err(Failure::new("the passphrase is empty").hint("leave --passphrase out to have none")),
        (_, false) => Err(Failure::new("the two passphrases differ").hint("nothing was made; try again")),
        (false, true) => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backup_command_survives_odd_paths() {
        assert_eq!(quoted(Path::new("/a/b.age")), "/a/b.age");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
