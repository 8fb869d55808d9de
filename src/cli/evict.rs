//! `hushfs evict`: has secrets forgotten now.

use std::process::ExitCode;

use super::daemon::{PATIENCE, SocketArg, does_not_answer, unexpected};
use super::which::WhichArg;
use super::{Outcome, term};
use crate::control::{self, Answer, Ask, Evicted};
use crate::words::printable;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs evict app/token
  hushfs evict --all

Files that are open keep the version they were opened with until they are closed.
The next open fetches the secret again.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: WhichArg,
    #[command(flatten)]
    daemon: SocketArg,
}

pub(crate) fn run(args: Args) -> Outcome {
    let control = args.daemon.find(None)?;
    let answer = control::ask(&control, &Ask::Evict { which: args.which.into() }, PATIENCE)
        .map_err(|error| does_not_answer(&control, &error))?;
    let Answer::Evicted { secrets } = answer else { return Err(unexpected(answer)) };
    if secrets.is_empty() {
        term::note("nothing is known yet: there is nothing to forget");
    }
    for one in &secrets {
        term::say(told(one));
    }
    Ok(ExitCode::SUCCESS)
}

/// What came of one.
fn told(one: &Evicted) -> String {
    let what = if one.known { "forgotten" } else { "nothing was known" };
    let held = match one.held_open {
        0 => String::new(),
        1 => "; 1 open file keeps its version until it is closed".to_owned(),
        more => format!("; {more} open files keep their version until they are closed"),
    };
    format!("{}: {what}{held}", printable(&one.reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_open_is_told() {
        let one = |known, held_open| told(&Evicted { reference: "p:a".into(), known, held_open });
        assert_eq!(one(true, 0), "p:a: forgotten");
        assert_eq!(one(true, 1), "p:a: forgotten; 1 open file keeps its version until it is closed");
        assert_eq!(
            one(false, 2),
            "p:a: nothing was known; 2 open files keep their version until they are closed"
        );
    }
}
