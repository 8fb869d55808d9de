//! `hushfs mount`: mounts and serves, in the foreground.

use std::process::ExitCode;

use super::log::{self, Log};
use super::{ConfigArg, Failure, Outcome, check};
use crate::run::{self, RunError};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// How log lines look
    #[arg(long, value_enum, default_value = "text")]
    log_format: log::Format,
    /// Log more: -v decisions, -vv everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub(crate) fn run(args: Args) -> Outcome {
    let log = start_log(args.log_format, args.verbose)?;
    let config = match crate::config::load(&args.config.path()) {
        Ok(config) => config,
        Err(problems) => return Ok(check::refuse(&problems)),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let ended = run::mount(config);
    log.flush();
    ended.map(|()| ExitCode::SUCCESS).map_err(|error| match error {
        RunError::Mount(error) => Failure::new(error.to_string()).hint(error.hint),
        error => Failure::new(error.to_string()),
    })
}

/// `hushfs fetcher`: the other process. Its log lines go where the front's go.
pub(crate) fn fetcher() -> Outcome {
    let _log = start_log(log::Format::Text, 0)?;
    run::fetch()
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| Failure::new(format!("the fetcher ended: {error}")))
}

fn start_log(format: log::Format, verbose: u8) -> Result<Log, Failure> {
    Log::start(format, verbose)
        .map_err(|error| Failure::new(format!("no thread for the log can be started: {error}")))
}
