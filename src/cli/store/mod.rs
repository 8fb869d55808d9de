//! `hushfs store`: work on an embedded encrypted store.
//!
//! A value comes from standard input or a prompt that does not echo, never from an argument or the environment, and is
//! printed to a terminal only after a question.

use std::cell::OnceCell;
use std::path::PathBuf;

use age::secrecy::SecretString;
use clap::Subcommand;

use super::{Failure, Outcome};
use crate::providers::store::{Site, StoreError, passphrase_from};
use crate::run;

mod dotenv;
mod edit;
mod import;
mod init;
mod input;
mod json;
mod list;
mod recipients;
mod rm;
mod rotate;
mod scratch;
mod set;
mod show;

/// What `hushfs store` takes.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// Which store.
#[derive(Debug, clap::Args)]
struct Place {
    /// Store file
    ///
    /// Default: /var/lib/hushfs/store.age as root, else $XDG_DATA_HOME/hushfs/store.age (or ~/.local/share/hushfs/store.age).
    #[arg(long, alias = "path", value_name = "FILE", global = true)]
    store: Option<PathBuf>,
    /// Key file (default: the store's path with the extension .key)
    #[arg(long, value_name = "FILE", global = true)]
    key: Option<PathBuf>,
    /// File with the key's passphrase, where there is no terminal to ask on
    #[arg(long, value_name = "FILE", global = true)]
    passphrase_file: Option<PathBuf>,
    /// File to append the record of `show` and `edit` to (default: where the configuration sends records)
    #[arg(long, value_name = "FILE", global = true)]
    audit: Option<PathBuf>,
    /// The passphrase once it was typed, so that a verb that reads and then writes asks once.
    #[arg(skip)]
    typed: OnceCell<SecretString>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an empty store and its key
    Init(init::Args),
    /// Store a value, read from standard input or asked for without echo
    Set(set::Args),
    /// Show names and versions, never values
    List(list::Args),
    /// Print a value
    Show(show::Args),
    /// Remove a secret with all its versions, or one named value
    Rm(rm::Args),
    /// Change a secret in $VISUAL or $EDITOR
    Edit(edit::Args),
    /// Store the pairs of a .env or JSON file as one secret
    Import(import::Args),
    /// Replace the store's key by a new one
    RotateKey,
    /// Show, add or remove keys that can open the store besides its own
    Recipients(recipients::Args),
}

/// Runs the verb.
pub(crate) fn run(args: Args) -> Outcome {
    // Values pass through this process: no core file, no debugger of the same user, no swap. The limit holds for an editor, too.
    run::harden().map_err(|error| Failure::new(format!("cannot turn core dumps off: {error}")))?;
    let place = args.place;
    match args.verb {
        Verb::Init(args) => init::run(&place, args),
        Verb::Set(args) => set::run(&place, args),
        Verb::List(args) => list::run(&place, &args),
        Verb::Show(args) => show::run(&place, args),
        Verb::Rm(args) => rm::run(&place, &args),
        Verb::Edit(args) => edit::run(&place, &args),
        Verb::Import(args) => import::run(&place, args),
        Verb::RotateKey => rotate::run(&place),
        Verb::Recipients(args) => recipients::run(&place, args),
    }
}

impl Place {
    /// The store and its key.
    fn site(&self) -> Site {
        let path = self.store.clone().unwrap_or_else(default_store);
        let key = self.key.clone().unwrap_or_else(|| Site::default_key(&path));
        Site { path, key }
    }

    /// The passphrase of the key: from the file named for it, or asked for.
    fn passphrase(&self) -> Result<SecretString, StoreError> {
        if let Some(path) = &self.passphrase_file {
            return passphrase_from(path);
        }
        if let Some(typed) = self.typed.get() {
            return Ok(typed.clone());
        }
        let typed = input::hidden("Passphrase of the key: ")
            .map_err(|_| StoreError::NoPassphrase(self.site().key))?;
        Ok(self.typed.get_or_init(|| typed).clone())
    }
}

fn default_store() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/hushfs/store.age");
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("hushfs/store.age")
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::new(error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
