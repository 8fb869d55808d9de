//! `hushfs audit`: who read what, from the log file or the journal.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{ConfigArg, Failure, Outcome, check, term};
use crate::audit::Line;
use crate::audit::keeps_journal;
use crate::config::{self, checked::AuditSink};

mod file;
mod filter;
mod journal;
mod shown;
mod table;
mod when;

use shown::Shown;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs audit --path mcpx/slack-token --since 7d
  hushfs audit --outcome denied --follow
  zcat audit.log.*.gz | hushfs audit --file - --uid alice --json")]
pub(crate) struct Args {
    /// Read this log file and its rotated siblings (FILE.1, FILE.2, ... not compressed); - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "journal")]
    file: Option<PathBuf>,
    /// Read systemd's journal
    #[arg(long)]
    journal: bool,
    #[command(flatten)]
    config: ConfigArg,
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

/// Where lines come from.
enum Source {
    File(PathBuf),
    Stdin,
    Journal,
}

/// How far a source is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To what is there now.
    End,
    /// For good: what comes later is read, too.
    Stopped,
}

/// What a source tells its reader.
enum Event<'a> {
    /// One line of the log, without its line break.
    Line(&'a [u8]),
    /// Everything that was there at the start has been read.
    CaughtUp,
}

/// Takes events. It breaks when nobody reads what it prints.
type Take<'a> = &'a mut dyn FnMut(Event<'_>) -> io::Result<ControlFlow<()>>;

pub(crate) fn run(args: &Args) -> Outcome {
    let filter = args.filter.checked(jiff::Timestamp::now())?;
    let source = match args.source() {
        Ok(source) => source,
        Err(code) => return Ok(code),
    };
    let until = if args.follow { Until::Stopped } else { Until::End };
    let mut shown = Shown::new(args);
    let mut malformed = 0_u64;
    let mut take = |event: Event<'_>| {
        let bytes = match event {
            Event::CaughtUp => return shown.caught_up(),
            Event::Line(bytes) => bytes,
        };
        match Line::parse(bytes) {
            Ok(line) if filter.matches(&line) => shown.line(line),
            Ok(_) => Ok(ControlFlow::Continue(())),
            Err(_) => {
                malformed = malformed.saturating_add(1);
                Ok(ControlFlow::Continue(()))
            }
        }
    };
    match source {
        Source::File(path) => file::read(&path, until, &mut take)?,
        Source::Stdin => file::read_stdin(until, &mut take)?,
        Source::Journal => journal::read(filter.since(), until, &mut take)?,
    }
    shown.finish();
    if malformed > 0 {
        term::note(format_args!("{malformed} lines are no audit records and were left out"));
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn source(&self) -> Result<Source, ExitCode> {
        if self.journal {
            return Ok(Source::Journal);
        }
        let source = match &self.file {
            Some(file) if file.as_os_str() == "-" => Source::Stdin,
            Some(file) => Source::File(file.clone()),
            None => match configured_sink(&self.config)? {
                AuditSink::File(file) => Source::File(file),
                // Under systemd, standard error is the journal.
                AuditSink::Stderr if !keeps_journal() => {
                    let nowhere = "records go to the daemon's standard error, and no journal keeps that here";
                    term::fail(&Failure::new(nowhere).hint(
                        "name what was kept of it with --file FILE; or set `to` of [audit] to the path of a file",
                    ));
                    return Err(ExitCode::FAILURE);
                }
                AuditSink::Journal | AuditSink::Stderr => Source::Journal,
            },
        };
        Ok(source)
    }
}

/// Where the configuration sends records; the exit code when it is wrong, once that is shown.
fn configured_sink(config: &ConfigArg) -> Result<AuditSink, ExitCode> {
    config::load(&config.path()).map(|config| config.audit.to).map_err(|problems| {
        let code = check::refuse(&problems);
        term::note("the log can be named without a configuration: --file FILE or --journal");
        code
    })
}

/// An error while reading or printing.
fn failure(error: &io::Error) -> Failure {
    Failure::new(format!("cannot show the audit log: {error}"))
}
