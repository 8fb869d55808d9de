//! `hushfs get`: the value of one reference, fetched as the daemon would, to try it by hand.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::record::{Attempt, record, sink_of};
use super::{ConfigArg, Failure, Outcome, check, term};
use crate::audit::record::Outcome as Ended;
use crate::config::checked::{AuditSink, Config, Shows};
use crate::format::Form;
use crate::providers::{Fetched, Lease, Mint};
use crate::reference::Reference;
use crate::render::{Renderer, Secrets};
use crate::resolve::Secret;
use crate::run::Providers;
use crate::words::{listed, nearest};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret as a file's `from` would name it: provider:path, with #key and ?version=V where wanted
    #[arg(value_name = "REF")]
    reference: Reference,
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON object of what is known of it, without the value
    #[arg(long)]
    json: bool,
    /// Print the value even where standard output is a terminal
    #[arg(long, conflicts_with = "json")]
    to_terminal: bool,
    /// File to append the record of this to (default: where the configuration sends records)
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new("only root may have a value without a rule that lets him")
            .hint("run it with sudo; a store of your own is read with `hushfs store show`"));
    }
    if !args.json && !args.to_terminal && std::io::stdout().is_terminal() {
        return Err(Failure::new("standard output is a terminal: nothing is printed")
            .hint("send it into a pipe or a file, or say --to-terminal; --json shows what is known without the value"));
    }
    let config = match crate::config::load(&args.config.path()) {
        Ok(config) => config,
        Err(problems) => return Ok(check::refuse(&problems)),
    };
    let reference = &args.reference;
    check_provider(&config, reference)?;
    let sink = || args.audit.clone().map_or_else(|| sink_of(Some(&config)), AuditSink::File);
    let put = |outcome, version: &str, why: &str| {
        let verb = if args.json { "get --json" } else { "get" };
        record(sink(), &Attempt { verb, path: reference.to_string(), version, outcome, why })
    };
    let fetched = match fetch(&config, reference) {
        Ok(fetched) => fetched,
        Err(failure) => {
            put(Ended::Failed, "", &failure.to_string())?;
            return Err(failure);
        }
    };
    let known = Known::of(reference, &fetched);
    let (version, lease) = (fetched.version.clone(), fetched.lease.clone());
    let content = match content(&config, reference, fetched) {
        Ok(content) => content,
        Err(failure) => {
            put(Ended::Failed, &version, &failure.to_string())?;
            return Err(failure);
        }
    };
    put(Ended::Allowed, &version, "")?;
    let printed = if args.json {
        term::line(serde_json::to_string_pretty(&known).unwrap_or_default())
    } else {
        print(&content)
    };
    printed.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    if let Some(lease) = lease.filter(|_| !args.json) {
        let lasts = Duration::from_secs(lease.lasts.as_secs());
        term::note(format_args!("made for this, and lasts {lasts:?}: {}", lease.handle));
    }
    Ok(ExitCode::SUCCESS)
}

fn check_provider(config: &Config, reference: &Reference) -> Result<(), Failure> {
    let names: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    let name = reference.provider();
    if names.contains(&name) {
        return Ok(());
    }
    let failure = Failure::new(format!("there is no provider `{name}` in {}", config.path.display()));
    Err(failure.hint(match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("configured are {}", listed(&names)),
    }))
}

fn fetch(config: &Config, reference: &Reference) -> Result<Fetched, Failure> {
    let providers = Providers::start(config).map_err(|error| Failure::new(error.to_string()))?;
    let answer = providers.fetch(&[reference.whole()], Mint::Allowed).pop();
    let answer = answer.ok_or_else(|| Failure::new("it was not asked for"))?;
    answer.result.map_err(|error| Failure::new(error.to_string()))
}

/// What a file with this reference would show.
fn content(
    config: &Config,
    reference: &Reference,
    fetched: Fetched,
) -> Result<Arc<crate::render::Content>, Failure> {
    let shows = Arc::new(Shows::secret(reference.clone(), Form::RAW));
    let renderer = Renderer::new(config.limits.size_max, 0);
    let secrets = Secrets::from_elem(Arc::new(Secret::new(fetched)), 1);
    renderer.render(&shows, secrets).map_err(|error| Failure::new(error.to_string()))
}

#[expect(clippy::disallowed_methods, reason = "root asked for the value, and that is on record")]
fn print(content: &crate::render::Content) -> std::io::Result<()> {
    term::value(content.bytes().expose_secret())
}

/// What is known of a secret.
#[derive(Serialize)]
struct Known {
    reference: String,
    version: String,
    created: Option<jiff::Timestamp>,
    expires: Option<jiff::Timestamp>,
    lease: Option<Lent>,
    notes: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Lent {
    id: String,
    seconds: u64,
    renewable: bool,
    revocable: bool,
}

impl Known {
    fn of(reference: &Reference, fetched: &Fetched) -> Self {
        let time = |time: SystemTime| jiff::Timestamp::try_from(time).ok();
        let lent = |lease: &Lease| Lent {
            id: lease.handle.clone(),
            seconds: lease.lasts.as_secs(),
            renewable: lease.renewable,
            revocable: lease.revocable,
        };
        Self {
            reference: reference.to_string(),
            version: fetched.version.clone(),
            created: time(fetched.created),
            expires: fetched.expires.and_then(time),
            lease: fetched.lease.as_ref().map(lent),
            notes: fetched.notes.clone(),
        }
    }
}
