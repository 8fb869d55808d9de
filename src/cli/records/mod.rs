//! Reading the audit log, for every verb that does: from its file, standard input or the journal.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use super::{ConfigArg, Failure, check, term};
use crate::audit::{Line, keeps_journal};
use crate::config::{self, checked::AuditSink};

mod file;
mod journal;
pub(super) mod when;

#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// Read this log file and its rotated siblings (FILE.1, FILE.2, ... not compressed); - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "journal")]
    file: Option<PathBuf>,
    /// Read systemd's journal
    #[arg(long)]
    journal: bool,
    #[command(flatten)]
    pub(super) config: ConfigArg,
}

/// Where lines come from.
pub(super) enum Source {
    File(PathBuf),
    Stdin,
    Journal,
}

/// How far a source is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To what is there now.
    End,
    /// For good: what comes later is read, too.
    Stopped,
}

/// What a reader is told.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are lines")]
pub(super) enum Told {
    /// A line of the log.
    Line(Line),
    /// Everything that was there at the start has been read.
    CaughtUp,
}

/// What a source gives.
enum Event<'a> {
    /// One line of the log, without its line break.
    Line(&'a [u8]),
    /// Everything that was there at the start has been read.
    CaughtUp,
}

/// Takes events. It breaks when nobody reads what it prints.
type Take<'a> = &'a mut dyn FnMut(Event<'_>) -> io::Result<ControlFlow<()>>;

/// Tells `each` of the lines of `source`, oldest first, until it breaks. `since` is a hint: earlier lines may come too.
/// What is no line is left out and counted on standard error.
pub(super) fn read(
    source: &Source,
    since: Option<Timestamp>,
    until: Until,
    mut each: impl FnMut(Told) -> io::Result<ControlFlow<()>>,
) -> Result<(), Failure> {
    let mut malformed = 0_u64;
    let mut take = |event: Event<'_>| match event {
        Event::CaughtUp => each(Told::CaughtUp),
        Event::Line(bytes) => match Line::parse(bytes) {
            Ok(line) => each(Told::Line(line)),
            Err(_) => {
                malformed = malformed.saturating_add(1);
                Ok(ControlFlow::Continue(()))
            }
        },
    };
    match source {
        Source::File(path) => file::read(path, until, &mut take)?,
        Source::Stdin => file::read_stdin(until, &mut take)?,
        Source::Journal => journal::read(since, until, &mut take)?,
    }
    if malformed > 0 {
        term::note(format_args!("{malformed} lines are no audit records and were left out"));
    }
    Ok(())
}

impl SourceArgs {
    /// The log that is meant; the exit code where there is none, once that is shown.
    pub(super) fn source(&self) -> Result<Source, ExitCode> {
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
