//! `hushfs watch`: a line for each version of a file as it comes.

use std::path::Path;

use super::daemon::{PATIENCE, SocketArg, does_not_answer, unexpected};
use super::{Failure, Outcome, path, term};
use crate::control::{Answer, Ask, Lines, VersionSeen};
use crate::words::printable;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first line is the version that is known, if one is; nothing is fetched for it. From then on the secret is kept fresh.

Example:
  hushfs watch app/token | while read -r time version; do systemctl reload app; done

Root and the user of the daemon may watch every file, others what the rules let them open.
Exit codes: 1 it ended (hushfs was stopped, or the file is no longer there for you)."
)]
pub(crate) struct Args {
    /// `scope/name`, or the path of the file, from the root or from here (it is not touched)
    path: String,
    /// Print one JSON object a line instead, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: SocketArg,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let path = path::meant(&args.path);
    let control = args.daemon.find(Some(Path::new(&path)))?;
    let cannot = |error| does_not_answer(&control, &error);
    let mut lines = Lines::of(&control, &Ask::Watch { path }, PATIENCE).map_err(cannot)?;
    lines.wait(None).map_err(cannot)?;
    while let Some(line) = lines.next().map_err(cannot)? {
        let Answer::Version(seen) = line else { return Err(unexpected(line)) };
        let text = if args.json { serde_json::to_string(&seen).unwrap_or_default() } else { told(&seen) };
        // Whoever read it has ended, and so do we.
        term::line(text).map_err(|error| Failure::new(format!("the output cannot be written: {error}")))?;
    }
    Err(Failure::new("hushfs ended, so there is nothing more to watch"))
}

/// The time and the version.
fn told(seen: &VersionSeen) -> String {
    let time = seen.time.round(jiff::Unit::Second).unwrap_or(seen.time);
    format!("{time} {}", printable(&seen.version))
}
