//! `hushfs whoami`: what hushfs sees of whoever runs it.

use std::process::ExitCode;

use nix::unistd::{Uid, User};

use super::daemon::{Asked, DaemonArg, unexpected};
use super::explain::{self, page};
use super::{Failure, Outcome, term};
use crate::audit::line::printable;
use crate::control::{Answer, Ask};
use crate::explain::{ContainerSeen, Seen, whoami};
use crate::identity::selector;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object instead, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArg,
}

pub(crate) fn run(args: Args) -> Outcome {
    let (seen, by) = match args.daemon.ask(None, &Ask::Whoami)? {
        Asked::Answered(Answer::Seen { caller }) => (*caller, None),
        Asked::Answered(other) => return Err(unexpected(other)),
        Asked::Wrong(code) => return Ok(code),
        Asked::Alone(config) => {
            let seen =
                explain::look(&config.runtimes, async |attestor, itself| whoami(&attestor, itself).await)?;
            let seen = seen.map_err(|why| Failure::new(why.to_string()))?;
            (seen, Some("no daemon was asked: this is what one would see".to_owned()))
        }
    };
    if args.json {
        term::say(serde_json::to_string_pretty(&seen).unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    page::section(&mut text, "you", page::Page::new(term::says_fancy()).caller(&seen));
    let note = "pid, executable and age are those of this command; what you run has its own";
    page::section(&mut text, "note", by.into_iter().chain([note.to_owned()]));
    page::section(&mut text, "refused", seen.refused.iter().map(|why| printable(why)));
    page::section(&mut text, "in a rule", hints(&seen));
    term::say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// How a rule could name whoever was seen: by what is inherited and so is true of what he runs as well.
fn hints(seen: &Seen) -> Vec<String> {
    let user = User::from_uid(Uid::from_raw(seen.uid)).ok().flatten();
    let by_user = match user {
        Some(user) => ("user", format!("{:?}", user.name)),
        None => ("uid", seen.uid.to_string()),
    };
    // A container's scope is a unit as well, of a name that is not used again.
    let by_place = match (&seen.container, &seen.unit) {
        (Some(container), _) => Some(("container", demand(container))),
        (None, Some(unit)) => Some(("unit", format!("{unit:?}"))),
        (None, None) => None,
    };
    let keys = [by_user].into_iter().chain(by_place);
    let line = |(key, value): (&str, String)| {
        let strength = selector(key)?.strength;
        Some(format!("{key} = {value}  ({strength})"))
    };
    keys.filter_map(line).collect()
}

/// How a rule would name a container: by what it has again when it is made anew, if that is known.
fn demand(container: &ContainerSeen) -> String {
    let ContainerSeen { id, name, pod_uid, .. } = container;
    match (name, pod_uid) {
        (Some(name), _) => format!("{{ name = {name:?} }}"),
        (None, Some(pod_uid)) => format!("{{ pod_uid = {pod_uid:?} }}"),
        (None, None) => format!("{{ id = {id:?} }}"),
    }
}
