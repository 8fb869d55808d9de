//! `hushfs refresh`: has secrets fetched again now.

use std::process::ExitCode;
use std::time::Duration;

use super::daemon::{PATIENCE, SocketArg, does_not_answer, unexpected};
use super::which::WhichArg;
use super::{Failure, Outcome, term};
use crate::control::{Answer, Ask, Lines, Refreshed};
use crate::words::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs refresh app/token
  hushfs refresh app
  hushfs refresh prod:kv/app
  hushfs refresh --all

Exit codes: 0 all were fetched, 1 one could not be, or hushfs does not run.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: WhichArg,
    #[command(flatten)]
    daemon: SocketArg,
}

pub(crate) fn run(args: Args) -> Outcome {
    let control = args.daemon.find(None)?;
    let cannot = |error| does_not_answer(&control, &error);
    let mut lines =
        Lines::of(&control, &Ask::Refresh { which: args.which.into() }, PATIENCE).map_err(cannot)?;
    let mut code = ExitCode::SUCCESS;
    while let Some(line) = lines.next().map_err(cannot)? {
        match line {
            Answer::Refreshing { secrets: 0, .. } => {
                term::note("nothing is known yet: there is nothing to fetch again")
            }
            Answer::Refreshing { deadline_millis, .. } => {
                let each = Duration::from_millis(deadline_millis).saturating_add(PATIENCE);
                lines.wait(Some(each)).map_err(cannot)?;
            }
            Answer::Refreshed(one) => {
                if one.error.is_some() {
                    code = ExitCode::FAILURE;
                }
                term::say(told(&one));
            }
            Answer::Done { .. } => return Ok(code),
            other => return Err(unexpected(other)),
        }
    }
    Err(Failure::new("hushfs ended before all were fetched"))
}

/// What came of one.
fn told(one: &Refreshed) -> String {
    let shown = |text: &Option<String>| text.as_deref().map(printable);
    let came = match (shown(&one.error), shown(&one.before), shown(&one.version)) {
        (Some(error), ..) => format!("failed: {error}"),
        (None, Some(before), Some(version)) if before == version => format!("unchanged (version {version})"),
        (None, Some(before), Some(version)) => format!("version {before} -> {version}"),
        (None, _, version) => format!("version {}", version.unwrap_or_default()),
    };
    format!("{}: {came}", printable(&one.reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_came_of_one() {
        let one = |before: Option<&str>, version: Option<&str>, error: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let (before, version, error) = (text(before), text(version), text(error));
            told(&Refreshed { reference: "p:a".into(), before, version, error })
        };
        assert_eq!(one(Some("3"), Some("3"), None), "p:a: unchanged (version 3)");
        assert_eq!(one(Some("3"), Some("4"), None), "p:a: version 3 -> 4");
        assert_eq!(one(None, Some("4"), None), "p:a: version 4");
        assert_eq!(one(Some("3"), None, Some("it is\ndown")), r"p:a: failed: it is\ndown");
    }
}
