//! `hushfs mount`: mounts and serves, in the foreground.

use std::process::ExitCode;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;

use super::log::{Flush, Log};
use super::{ConfigArg, Failure, Outcome, check};
use crate::run::{self, RunError};
use crate::sandbox::{Account, Cage};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// How log lines look
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Log more: -v decisions, -vv everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FetcherArgs {
    /// Become this user
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    /// In this group alone
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// Run the providers that start programs
    #[arg(long, conflicts_with_all = ["uid", "gid"])]
    programs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

pub(crate) fn run(args: Args) -> Outcome {
    let _flush = log_to_stderr(args.log_format, args.verbose);
    let config = match crate::config::load(&args.config.path()) {
        Ok(config) => config,
        Err(problems) => return Ok(check::refuse(&problems)),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    run::mount(config).map(|()| ExitCode::SUCCESS).map_err(|error| match error {
        RunError::Misplaced(error) => Failure::new(error.to_string()).hint(error.hint),
        RunError::Mount(error) => Failure::new(error.to_string()).hint(error.hint),
        RunError::Audit(error) => Failure::new(error.to_string()).hint(error.hint()),
        error => Failure::new(error.to_string()),
    })
}

/// `hushfs fetcher`: the other process. Its log lines go where the front's go.
pub(crate) fn fetcher(args: FetcherArgs) -> Outcome {
    let account = args.uid.zip(args.gid).map(|(uid, gid)| Account { uid, gid });
    let cage = if args.programs { Cage::ForPrograms } else { Cage::Whole(account) };
    run::fetch(cage, || log_to_stderr(LogFormat::Text, 0))
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| Failure::new(format!("the fetcher ended: {error}")))
}

/// `hushfs poker`: the process that announces changes. The front logs what it has to say.
pub(crate) fn poker() -> Outcome {
    run::poke()
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| Failure::new(format!("the process that announces changes ended: {error}")))
}

fn log_to_stderr(format: LogFormat, verbose: u8) -> Flush {
    let level = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let (to, flush) = Log::start();
    let log =
        tracing_subscriber::fmt().with_writer(move || to.clone()).with_max_level(level).with_target(false);
    // Fails only when there is a subscriber already, as in tests.
    let _ = match format {
        LogFormat::Text => log.with_ansi(super::term::is_fancy()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    flush
}
