//! The command line: one file for each verb, and a line in `Verb`.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line is wrong, 3 `explain` says denied, 4 `status --check` finds something
//! stale or failed, 78 the configuration is wrong (`EX_CONFIG` of sysexits.h).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod audit;
mod check;
mod daemon;
mod evict;
mod explain;
mod get;
mod init;
mod log;
mod mount;
mod names;
mod path;
mod record;
mod records;
mod refresh;
mod reload;
mod status;
mod store;
mod suggest;
mod term;
mod watch;
mod which;
mod whoami;

/// The configuration is wrong: `EX_CONFIG` of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;

/// Secrets as read-only files, each open decided by who is asking.
#[derive(Debug, Parser)]
#[command(name = "hushfs", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 it failed, 2 the command line is wrong, 3 explain: denied, 4 status --check: something is stale or failed, 78 the configuration is wrong."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a commented configuration to start from
    Init(init::Args),
    /// Check the configuration without mounting
    Check(check::Args),
    /// Mount, in the foreground
    Mount(mount::Args),
    /// Print the value of one reference, to try it by hand (root only)
    Get(get::Args),
    /// Make the running daemon read its configuration again
    Reload(reload::Args),
    /// Show how the running daemon does: providers, secrets, memory
    Status(status::Args),
    /// Have secrets fetched again now
    Refresh(refresh::Args),
    /// Have secrets forgotten now
    Evict(evict::Args),
    /// Print a line for each version of a file as it comes
    Watch(watch::Args),
    /// Say why a process may read a file, or why not
    Explain(explain::Args),
    /// Show what hushfs sees of you
    Whoami(whoami::Args),
    /// Work on an embedded encrypted store
    Store(store::Args),
    /// Show who read what
    Audit(Box<audit::Args>),
    /// Propose rules from what was denied or learned
    Suggest(Box<suggest::Args>),
    /// Talk to providers for a `hushfs mount` (started by it, not by hand)
    #[command(hide = true)]
    Fetcher(mount::FetcherArgs),
    /// Announce changes for a `hushfs mount` (started by it, not by hand)
    #[command(hide = true)]
    Poker,
}

/// Which configuration.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ConfigArg {
    /// Configuration file
    ///
    /// Default: /etc/hushfs/hushfs.toml as root, else $XDG_CONFIG_HOME/hushfs/hushfs.toml (or ~/.config/hushfs/hushfs.toml).
    #[arg(long, short, value_name = "FILE", env = "HUSHFS_CONFIG")]
    config: Option<PathBuf>,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Init(args) => init::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Mount(args) => mount::run(args),
        Verb::Get(args) => get::run(&args),
        Verb::Reload(args) => reload::run(args),
        Verb::Status(args) => status::run(&args),
        Verb::Refresh(args) => refresh::run(args),
        Verb::Evict(args) => evict::run(args),
        Verb::Watch(args) => watch::run(&args),
        Verb::Explain(args) => explain::run(args),
        Verb::Whoami(args) => whoami::run(args),
        Verb::Store(args) => store::run(args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Suggest(args) => suggest::run(&args),
        Verb::Fetcher(args) => mount::fetcher(args),
        Verb::Poker => mount::poker(),
    };
    outcome.unwrap_or_else(|error| {
        term::fail(&error);
        ExitCode::FAILURE
    })
}

/// Why a verb failed, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// It failed because of `message` (lower case, no value of a secret).
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What a verb answers.
pub(crate) type Outcome = Result<ExitCode, Failure>;

impl ConfigArg {
    /// Whether somebody named a file, or the usual one can be read.
    pub(crate) fn is_there(&self) -> bool {
        self.config.is_some() || std::fs::File::open(self.path()).is_ok()
    }

    /// The file to read.
    pub(crate) fn path(&self) -> PathBuf {
        if let Some(path) =
            self.config.clone().or_else(|| std::env::var_os("HUSHFS_CONFIG").map(PathBuf::from))
        {
            return path;
        }
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/etc/hushfs/hushfs.toml");
        }
        let home = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        home("XDG_CONFIG_HOME")
            .or_else(|| home("HOME").map(|home| home.join(".config")))
            .unwrap_or_else(|| PathBuf::from("/etc"))
            .join("hushfs/hushfs.toml")
    }
}
