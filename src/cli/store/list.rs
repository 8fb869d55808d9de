//! `hushfs store list`: names and versions, never values.

use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use super::Place;
use crate::cli::{Failure, Outcome, term};
use crate::providers::store::{Name, Value, Version};

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show the versions kept of one secret
    #[arg(long, value_name = "NAME", value_parser = Name::whole)]
    history: Option<Name>,
}

pub(super) fn run(place: &Place, args: &Args) -> Outcome {
    let (document, _) = place.site().read(&|| place.passphrase())?;
    let rows: Vec<(&str, &Version)> = match &args.history {
        Some(name) => {
            let history = document.history(&name.secret)?;
            history.versions.iter().rev().map(|version| (name.secret.as_str(), version)).collect()
        }
        None => document
            .secrets
            .iter()
            .filter_map(|(name, history)| Some((name.as_str(), history.versions.last()?)))
            .collect(),
    };
    if args.json {
        let rows: Vec<_> = rows.iter().map(|(name, version)| as_json(name, version)).collect();
        let text = serde_json::to_string_pretty(&rows)
            .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
        term::say(text);
    } else if rows.is_empty() {
        term::note("the store is empty; `hushfs store set NAME` adds a secret");
    } else {
        term::say(table(&rows));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(name: &str, version: &Version) -> serde_json::Value {
    json!({
        "name": name,
        "version": version.version,
        "created": version.created.to_string(),
        "keys": keys(version),
    })
}

fn table(rows: &[(&str, &Version)]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["NAME", "VERSION", "CREATED", "KEYS"]);
    for (name, version) in rows {
        let created = version.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let keys = keys(version).map_or_else(|| "(raw)".to_owned(), |keys| keys.join(", "));
        table.add_row([*name, &version.version, &created, &keys]);
    }
    table.trim_fmt()
}

/// The names of its values; none for a raw value.
fn keys(version: &Version) -> Option<Vec<&str>> {
    match &version.value {
        Value::Bytes(_) => None,
        Value::Named(values) => Some(values.keys().map(String::as_str).collect()),
    }
}
