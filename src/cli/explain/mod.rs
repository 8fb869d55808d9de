//! `hushfs explain`: why a process may read a file, or why not.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::daemon::{Asked, DaemonArg, unexpected};
use super::{Failure, Outcome, path, term};
use crate::config::Config;
use crate::control::{Answer, Ask};
use crate::explain::{self, Explained, Explanation, JudgedBy, Outcome as Judged, Place, View, Whom};
use crate::identity::{Attestor, Runtimes, Tid};

pub(super) mod page;

/// The exit code where somebody would be denied.
const EXIT_DENIED: u8 = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs explain mcpx/slack-token --pid 4711
  hushfs explain /run/hushfs/mcpx/slack-token --unit mcpx.service
  hushfs explain mcpx/slack-token --container web
  hushfs explain mcpx/slack-token --self

Exit codes: 0 allowed, 3 denied, 1 it cannot be found out.")]
pub(crate) struct Args {
    /// `scope/name`, or the path of the file, from the root or from here (it is not touched)
    path: String,
    #[command(flatten)]
    whom: WhomArg,
    /// Print JSON instead, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArg,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct WhomArg {
    /// A process, or a thread of one; who is not root may ask about his own
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// This command itself: it has the user, groups and unit that you have
    #[arg(long = "self")]
    itself: bool,
    /// The processes of this system unit; .service may be left out
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// The processes of this container: its name, its id, or the first 12 digits or more of that
    #[arg(long, value_name = "CONTAINER")]
    container: Option<String>,
}

impl WhomArg {
    fn whom(self) -> Whom {
        let Self { pid, itself: _, unit, container } = self;
        let whom = pid.map(Whom::Pid).or(unit.map(Whom::Unit)).or(container.map(Whom::Container));
        whom.unwrap_or(Whom::Itself)
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let whom = args.whom.whom();
    let path = path::meant(&args.path);
    let ask = Ask::Explain { path: path.clone(), whom: whom.clone() };
    let mut why_alone = None;
    let Explained { explanations, unseen } = match args.daemon.ask(Some(Path::new(&path)), &ask)? {
        Asked::Answered(Answer::Explained(explained)) => explained,
        Asked::Answered(other) => return Err(unexpected(other)),
        Asked::Wrong(code) => return Ok(code),
        Asked::Alone(config) => {
            why_alone = Some(args.daemon.why_alone(&config));
            alone(&config, &path, &whom)?
        }
    };
    if args.json {
        term::say(match (&whom, explanations.as_slice()) {
            (Whom::Pid(_) | Whom::Itself, [one]) => serde_json::to_string_pretty(one).unwrap_or_default(),
            (_, all) => serde_json::to_string_pretty(all).unwrap_or_default(),
        });
    } else {
        let mut page = page::Page::new(term::says_fancy()).alone(why_alone);
        let pages: Vec<_> = explanations.iter().map(|one| page.explanation(one, &whom)).collect();
        term::say(pages.join("\n").trim_end());
    }
    for why in unseen {
        term::note(why);
    }
    Ok(code(&explanations))
}

/// Explains without a daemon.
fn alone(config: &Config, path: &str, whom: &Whom) -> Result<Explained, Failure> {
    let place = Place::find(config, path).map_err(|error| Failure::new(error.to_string()))?;
    let asked = explain::Asked {
        place: &place,
        view: View::Whole,
        only_of: None,
        judged_by: JudgedBy::Configuration,
        served_by: rustix::process::geteuid().as_raw(),
        outdated: None,
        now: jiff::Timestamp::now(),
        counted: None,
    };
    look(&config.runtimes, async |attestor, itself| explain::answer(&attestor, &asked, whom, itself).await)?
        .map_err(Failure::new)
}

/// What looking at processes from this command finds. It gets who can look, and can ask these runtimes, and this process.
pub(super) fn look<T>(
    runtimes: &Runtimes,
    look: impl AsyncFnOnce(Arc<Attestor>, Tid) -> T,
) -> Result<T, Failure> {
    let cannot = |error| Failure::new(format!("processes cannot be looked at: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let attestor = Arc::new(Attestor::new().map_err(cannot)?);
    attestor.ask_runtimes_at(runtimes);
    let found = runtime.block_on(look(attestor, Tid(std::process::id())));
    // A look that does not answer is not waited for.
    runtime.shutdown_background();
    Ok(found)
}

fn code(explanations: &[Explanation]) -> ExitCode {
    let any = |outcome| explanations.iter().any(|one| one.outcome == outcome);
    match (any(Judged::Denied), any(Judged::Unknown)) {
        (true, _) => ExitCode::from(EXIT_DENIED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}
