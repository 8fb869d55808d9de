//! `hushfs reload`: makes the running daemon read its configuration again, whole or not at all.

use std::process::ExitCode;
use std::time::Duration;

use super::{ConfigArg, EXIT_CONFIG, Outcome, check, daemon, term};
use crate::control::{self, Answer, Ask};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

pub(crate) fn run(args: Args) -> Outcome {
    // Checked here first: the mistakes can be drawn with their places, and the daemon is not bothered.
    let config = match crate::config::load(&args.config.path()) {
        Ok(config) => config,
        Err(problems) => return Ok(check::refuse(&problems)),
    };
    let answer = control::ask(&config.control, &Ask::Reload { config: config.path.clone() }, PATIENCE)
        .map_err(|error| daemon::does_not_answer(&config.control, &error))?;
    match answer {
        Answer::Done { message } => {
            term::say(message);
            Ok(ExitCode::SUCCESS)
        }
        Answer::Wrong { message } => {
            term::note(message);
            Ok(ExitCode::from(EXIT_CONFIG))
        }
        other => Err(daemon::unexpected(other)),
    }
}
