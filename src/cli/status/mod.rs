//! `hushfs status`: how the running daemon does.

use std::process::ExitCode;
use std::time::Duration;

use super::daemon::{SocketArg, does_not_answer, unexpected};
use super::{Failure, Outcome, term};
use crate::control::{self, Answer, Ask, ReadersReport, Report};

mod grid;
mod page;
mod readers;
mod words;

use readers::Of;

/// The exit code where something is stale or failed, and that was asked.
const EXIT_TROUBLED: u8 = 4;

/// How long the daemon may take: it answers from memory, whatever hangs.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often it is drawn again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs status
  hushfs status --stale        # after a rotation: who still holds the version before
  hushfs status --check        # for a health check: says only what is not well
  hushfs status --json | jq '.secrets[] | select(.kept == \"failed\")'

Exit codes: 0 it runs, 1 it does not run or does not answer; with --check 4 where a provider is left alone, or a secret is stale or failed.")]
pub(crate) struct Args {
    /// Print one JSON object instead, for programs
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    /// Draw it again each second, until interrupted
    #[arg(long, short, conflicts_with = "check")]
    watch: bool,
    /// Say only what is not well, and exit with 4 where something is not
    #[arg(long)]
    check: bool,
    /// List the processes that read something and still run, each with the version
    #[arg(long, conflicts_with = "check")]
    readers: bool,
    /// Of those, list the ones that hold an old version: while there are any, it must not be revoked
    #[arg(long, conflicts_with = "check")]
    stale: bool,
    #[command(flatten)]
    daemon: SocketArg,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.watch {
        return watch(args);
    }
    if let Some(of) = args.readers() {
        let report = who_reads(args, of)?;
        term::say(match args.json {
            true => serde_json::to_string_pretty(&report).unwrap_or_default(),
            false => page().readers(&report, of),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let report = asked(args)?;
    let troubled = report.troubles().next().is_some();
    if args.json {
        term::say(serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        let page = page();
        let text = match (args.check, troubled) {
            (true, true) => page.troubles_of(&report),
            (true, false) => "all is well".to_owned(),
            (false, _) => page.whole(&report),
        };
        term::say(text.trim_end());
    }
    Ok(if args.check && troubled { ExitCode::from(EXIT_TROUBLED) } else { ExitCode::SUCCESS })
}

/// Draws it again and again. One that is started again meanwhile is found again.
fn watch(args: &Args) -> Outcome {
    loop {
        let drawn = match args.readers() {
            Some(of) => who_reads(args, of).map(|report| page().readers(&report, of)),
            None => asked(args).map(|report| page().whole(&report)),
        };
        let drawn = drawn.unwrap_or_else(|failure| failure.to_string());
        term::redraw(drawn.trim_end())
            .map_err(|error| Failure::new(format!("the output cannot be written: {error}")))?;
        std::thread::sleep(PAUSE);
    }
}

impl Args {
    /// Which readers are to be told of, where that is what is asked.
    fn readers(&self) -> Option<Of> {
        match (self.readers, self.stale) {
            (_, true) => Some(Of::Stale),
            (true, false) => Some(Of::All),
            (false, false) => None,
        }
    }
}

fn page() -> page::Page {
    page::Page { width: term::size().map(|(columns, _)| columns), fancy: term::says_fancy() }
}

fn asked(args: &Args) -> Result<Report, Failure> {
    match ask(args, &Ask::Status)? {
        Answer::Status(report) => Ok(*report),
        other => Err(unexpected(other)),
    }
}

fn who_reads(args: &Args, of: Of) -> Result<ReadersReport, Failure> {
    match ask(args, &Ask::Readers)? {
        Answer::Readers(report) => Ok(readers::only(report, of)),
        other => Err(unexpected(other)),
    }
}

fn ask(args: &Args, ask: &Ask) -> Result<Answer, Failure> {
    let control = args.daemon.find(None)?;
    control::ask(&control, ask, PATIENCE).map_err(|error| does_not_answer(&control, &error))
}
