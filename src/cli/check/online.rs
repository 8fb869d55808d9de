//! `hushfs check --online`: asks the providers for everything that the files refer to, as the daemon would, and keeps no value.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::super::{Failure, term};
use super::counted;
use crate::config::checked::{Config, File, Shows};
use crate::providers::{Fetched, Mint, ProviderError};
use crate::reference::Reference;
use crate::render::{RenderError, Renderer, Secrets};
use crate::resolve::Secret;
use crate::run::{Answered, Providers};

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Online {
    /// Whether every file could be shown.
    pub(super) ok: bool,
    providers: Vec<Provider>,
    references: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Provider {
    name: String,
    kind: &'static str,
    ok: bool,
    millis: u64,
    error: Option<Fault>,
}

/// One reference, for all files that show it in the same way.
#[derive(Debug, Serialize)]
struct Row {
    reference: String,
    #[serde(skip)]
    is_template: bool,
    files: Vec<String>,
    ok: bool,
    version: Option<String>,
    /// `null` where it was not asked for.
    millis: Option<u64>,
    error: Option<Fault>,
}

#[derive(Debug, Clone, Serialize)]
struct Fault {
    kind: Kind,
    message: String,
}

/// Failures by who must act, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Misconfigured,
    Refused,
    NotFound,
    Malformed,
    Unavailable,
    /// Its provider did not let us in, which is told once.
    NotTried,
    /// To ask would make a credential, which is no fault.
    WouldMint,
}

impl Kind {
    const TOLD: [Self; 5] =
        [Self::Misconfigured, Self::Refused, Self::NotFound, Self::Malformed, Self::Unavailable];

    /// For the table.
    fn word(self) -> &'static str {
        match self {
            Self::Misconfigured => "misconfigured",
            Self::Refused => "refused",
            Self::NotFound => "not found",
            Self::Malformed => "malformed",
            Self::Unavailable => "unavailable",
            Self::NotTried => "not tried",
            Self::WouldMint => "not tried: it would make a credential",
        }
    }

    /// Who can change it.
    fn who(self) -> &'static str {
        match self {
            Self::Misconfigured => "for whoever writes this configuration",
            Self::Refused => "for whoever gives hushfs its rights at the provider",
            Self::NotFound => "for whoever owns the secret, or wrote the reference",
            Self::Malformed => "for whoever runs the provider",
            Self::Unavailable => {
                "for nobody, if it passes; else for whoever runs the provider, or the network to it"
            }
            Self::NotTried | Self::WouldMint => "for nobody",
        }
    }
}

impl Online {
    /// Asks all providers, and those that let us in for their secrets.
    pub(super) fn ask(config: &Config) -> Result<Self, Failure> {
        let asked = Providers::start(config).map_err(|error| Failure::new(error.to_string()))?;
        let names: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
        let logins = asked.log_in(&names);
        let providers: Vec<_> = config
            .providers
            .iter()
            .zip(logins)
            .map(|(provider, login)| Provider {
                name: provider.name.clone(),
                kind: provider.kind.name,
                ok: login.result.is_ok(),
                millis: millis(login.took),
                error: login.result.err().map(Fault::from),
            })
            .collect();
        let is_open = |name: &str| providers.iter().any(|provider| provider.ok && provider.name == name);
        let mut wanted: Vec<_> =
            files(config).flat_map(|(_, file)| file.shows.secrets()).map(Reference::as_asked).collect();
        wanted.sort();
        wanted.dedup();
        wanted.retain(|whole| is_open(whole.provider()));
        let answers = asked.fetch(&wanted, Mint::Never);
        let answers: HashMap<_, _> = wanted.into_iter().zip(answers.into_iter().map(kept)).collect();
        let references = rows(config, &answers);
        let ok = providers.iter().all(|provider| provider.ok) && references.iter().all(|row| row.ok);
        Ok(Self { ok, providers, references })
    }
}

type Kept = (Result<Arc<Secret>, ProviderError>, Duration);

/// Until its files are looked at.
fn kept(answer: Answered<Fetched>) -> Kept {
    (answer.result.map(|fetched| Arc::new(Secret::new(fetched))), answer.took)
}

/// All files, with their paths below the mount.
fn files(config: &Config) -> impl Iterator<Item = (String, &Arc<File>)> {
    config
        .scopes
        .iter()
        .flat_map(|scope| scope.files.iter().map(move |file| (format!("{}/{}", scope.name, file.name), file)))
}

/// What each file would show, one row for those that show the same.
fn rows(config: &Config, answers: &HashMap<Reference, Kept>) -> Vec<Row> {
    let renderer = Renderer::new(config.limits.size_max, 0);
    let mut rows = Vec::<Row>::new();
    let mut places = HashMap::new();
    for (path, file) in files(config) {
        let place = *places.entry((file.shows.to_string(), file.shows.form())).or_insert(rows.len());
        match rows.get_mut(place) {
            Some(row) => row.files.push(path),
            None => rows.push(row(path, &file.shows, answers, &renderer)),
        }
    }
    rows
}

fn row(path: String, shows: &Arc<Shows>, answers: &HashMap<Reference, Kept>, renderer: &Renderer) -> Row {
    let mut row = Row {
        reference: shows.to_string(),
        is_template: shows.is_template(),
        files: vec![path],
        ok: false,
        version: None,
        millis: None,
        error: None,
    };
    let mut secrets = Secrets::new();
    for whole in shows.secrets() {
        // Of several what is told is how the first ended that could not be had.
        let Some((result, took)) = answers.get(&whole.as_asked()) else {
            let message = format!("`{}` does not let us in", whole.provider());
            row.error = Some(Fault { kind: Kind::NotTried, message });
            return row;
        };
        row.millis = row.millis.max(Some(millis(*took)));
        match result {
            Ok(secret) => secrets.push(Arc::clone(secret)),
            Err(error) => {
                row.error = Some(error.clone().into());
                row.ok = matches!(error, ProviderError::WouldMint(_));
                return row;
            }
        }
    }
    match renderer.render(shows, secrets) {
        Ok(content) => (row.version, row.ok) = (Some(content.version().to_owned()), true),
        Err(error) => row.error = Some(error.into()),
    }
    row
}

impl From<ProviderError> for Fault {
    fn from(error: ProviderError) -> Self {
        let (kind, message) = match error {
            ProviderError::NotFound(message) => (Kind::NotFound, message),
            ProviderError::Refused(message) => (Kind::Refused, message),
            ProviderError::Unavailable { message, .. } => (Kind::Unavailable, message),
            ProviderError::Malformed(message) => (Kind::Malformed, message),
            ProviderError::Misconfigured(message) => (Kind::Misconfigured, message),
            ProviderError::WouldMint(message) => (Kind::WouldMint, message),
        };
        Self { kind, message }
    }
}

impl From<RenderError> for Fault {
    fn from(error: RenderError) -> Self {
        let kind = match error {
            RenderError::TooLarge { .. } => Kind::Misconfigured,
            _ => Kind::NotFound,
        };
        Self { kind, message: error.to_string() }
    }
}

impl Row {
    fn outcome(&self) -> String {
        match (&self.error, &self.version) {
            (Some(fault), _) => fault.kind.word().to_owned(),
            (None, version) => format!("version {}", version.as_deref().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Online {
    /// The table, then each failure with its remedy, by who must act.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(term::arrangement());
        let time = |millis: Option<u64>| millis.map(|millis| format!("{millis} ms")).unwrap_or_default();
        for provider in &self.providers {
            let outcome = provider.error.as_ref().map_or("logged in", |fault| fault.kind.word());
            let name = format!("{} ({})", provider.name, provider.kind);
            table.add_row([name, outcome.to_owned(), time(Some(provider.millis))]);
            let of = |row: &&Row| {
                !row.is_template && row.reference.split(':').next() == Some(provider.name.as_str())
            };
            for row in self.references.iter().filter(of) {
                table.add_row([format!("  {}", row.reference), row.outcome(), time(row.millis)]);
            }
        }
        for row in self.references.iter().filter(|row| row.is_template) {
            table.add_row([row.reference.clone(), row.outcome(), time(row.millis)]);
        }
        if let Some(times) = table.column_mut(2) {
            times.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{}", table.trim_fmt())?;
        let faults: Vec<_> = self.faults().collect();
        for kind in Kind::TOLD {
            let of: Vec<_> = faults.iter().filter(|(_, fault)| fault.kind == kind).collect();
            if !of.is_empty() {
                writeln!(f, "\n{}, {}:", kind.word(), kind.who())?;
            }
            for (what, fault) in of {
                writeln!(f, "  {what}: {}", fault.message)?;
            }
        }
        let untried = self.references.iter().filter(|row| row.ok && row.error.is_some()).count();
        match faults.len() {
            0 if untried > 0 => write!(
                f,
                "\neverything else that the files refer to is there; {} not tried, since a credential is made only for a read",
                counted(untried, "reference")
            ),
            0 => write!(f, "\neverything that the files refer to is there"),
            failures => write!(f, "\n{}", counted(failures, "failure")),
        }
    }
}

impl Online {
    /// What failed and why, without what was not tried.
    fn faults(&self) -> impl Iterator<Item = (String, &Fault)> {
        let providers = self.providers.iter().map(|provider| (provider.name.clone(), &provider.error));
        let rows = self
            .references
            .iter()
            .map(|row| (format!("{} ({})", row.reference, row.files.join(", ")), &row.error));
        let faults = providers.chain(rows).filter_map(|(what, fault)| Some((what, fault.as_ref()?)));
        faults.filter(|(_, fault)| !matches!(fault.kind, Kind::NotTried | Kind::WouldMint))
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
