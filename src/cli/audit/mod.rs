//! `hushfs audit`: who read what, from the log file or the journal.

use std::ops::ControlFlow;
use std::process::ExitCode;

use super::Outcome;
use super::records::{self, SourceArgs, Told, Until, when};

mod filter;
mod shown;
mod table;

use shown::Shown;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs audit --path mcpx/slack-token --since 7d
  hushfs audit --outcome denied --follow
  zcat audit.log.*.gz | hushfs audit --file - --uid alice --json")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    filter: filter::FilterArgs,
    /// Show new records as they come, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// One JSON object for each line, as it stands in the log
    #[arg(long)]
    json: bool,
    /// Show only the last N records; 0 for all [default: 1000 for a table, 10 with --follow, all with --json]
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let filter = args.filter.checked(jiff::Timestamp::now())?;
    let source = match args.source.source() {
        Ok(source) => source,
        Err(code) => return Ok(code),
    };
    let until = if args.follow { Until::Stopped } else { Until::End };
    let mut shown = Shown::new(args);
    records::read(&source, filter.since(), until, |told| match told {
        Told::CaughtUp => shown.caught_up(),
        Told::Line(line) if filter.matches(&line) => shown.line(line),
        Told::Line(_) => Ok(ControlFlow::Continue(())),
    })?;
    shown.finish();
    Ok(ExitCode::SUCCESS)
}
