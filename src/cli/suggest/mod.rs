//! `hushfs suggest`: from attempts that no rule allowed to the strongest rules that would allow exactly those.
//!
//! ```text
//!  records -- attempts --> who tried what -- choose --> a rule, or why there is none --+-- show --> TOML, JSON
//!                                         configuration -- present --> what is there --'
//! ```
//!
//! Whoever tries leaves a record, with names of his own choice: what comes out is what was attempted, for a person to
//! judge, and none of it can be more than the text that it is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;

use jiff::Timestamp;

use super::names::Names;
use super::records::{self, SourceArgs, Told, Until, when};
use super::{Failure, Outcome, term};
use crate::audit::Line;
use crate::config::checked::is_of_scope;
use crate::config::{self, Config};
use crate::words;

mod attempts;
mod choose;
mod present;
mod sentences;
mod show;
mod suggestions;

use attempts::Gathered;
use suggestions::Suggestions;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hushfs suggest --scope mcpx
  hushfs suggest --since 7d --json")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Only attempts on this scope, with all its workloads; or on one of those: scope/workload
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Attempts from then on: 90s, 30m, 24h, 7d, 2w (back from now), 2026-11-01 (local), or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Attempts before then, written like --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// One JSON object instead of TOML, for programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let now = Timestamp::now();
    let since = when::argument("--since", &args.since, now)?;
    let until = args.until.as_deref().map(|text| when::argument("--until", text, now)).transpose()?;
    let source = match args.source.source() {
        Ok(source) => source,
        Err(code) => return Ok(code),
    };
    let mut gathered = Gathered::default();
    let mut lost = 0_u64;
    let mut is_on_record = false;
    records::read(&source, Some(since), Until::End, |told| {
        match told {
            Told::Line(line) if line.time() < since || until.is_some_and(|until| line.time() >= until) => {}
            Told::Line(Line::Lost(line)) => lost = lost.saturating_add(line.lost),
            Told::Line(Line::Record(record)) => {
                if args.scope.as_ref().is_none_or(|scope| record.is_of_scope(scope)) {
                    is_on_record = true;
                    gathered.add(record);
                }
            }
            Told::CaughtUp => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let config = configuration(args);
    if let (Some(scope), Some(config), false) = (&args.scope, &config, is_on_record) {
        known(scope, config)?;
    }
    let suggestions = Suggestions::of(gathered, config.as_ref(), &mut Names::default());
    if args.json {
        term::say(serde_json::to_string_pretty(&suggestions).unwrap_or_default());
    } else if suggestions.is_empty() {
        term::note("no rule is missing: nothing was denied or learned that one could allow");
    } else {
        term::say(show::toml(&suggestions));
    }
    if lost > 0 {
        term::note(format_args!("{lost} attempts of that time are not on record"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration, to compare with. Without it there are suggestions all the same.
fn configuration(args: &Args) -> Option<Config> {
    let path = args.source.config.path();
    match config::load(&path) {
        Ok(config) => Some(config),
        Err(_) => {
            let path = path.display();
            term::note(format_args!(
                "not compared with the rules of {path}, which cannot be read; see `hushfs check`"
            ));
            None
        }
    }
}

/// Checks that there is a scope of that name.
fn known(scope: &str, config: &Config) -> Result<(), Failure> {
    let names: Vec<_> = config.scopes.iter().map(|scope| scope.name.as_str()).collect();
    if names.iter().any(|name| is_of_scope(name, scope)) {
        return Ok(());
    }
    let failure = Failure::new(format!(
        "--scope: there is no scope `{scope}` in {}, nor in the log of that time; known are {}",
        config.path.display(),
        words::listed(&names)
    ));
    Err(match words::nearest(scope, &names) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    })
}

/// Items by the scope that they are about.
fn by_scope<T>(items: impl IntoIterator<Item = (String, T)>) -> BTreeMap<String, Vec<T>> {
    let mut scopes: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (scope, item) in items {
        scopes.entry(scope).or_default().push(item);
    }
    scopes
}
