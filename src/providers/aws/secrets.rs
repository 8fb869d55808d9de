//! Secrets Manager: a secret's value by name or ARN, of the current version, of a stage or of one version.
//!
//! `DescribeSecret` is not asked before a value is: it costs what `GetSecretValue` costs, needs one more right, and the
//! value is no longer than 64 KiB. It is asked when a secret is marked for deletion, for the date.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::{Blob, DateTime};
use zeroize::Zeroizing;

use super::arn::Id;
use super::batch::{Batch, Turn};
use super::fault::{Fault, Meaning};
use super::session::{Place, Session};
use super::{Fetched, Provider, ProviderError, SettingsError, settings};
use crate::reference::Reference;
use crate::secret::SecretBytes;

/// The right that reading needs.
pub(super) const READ: &str = "secretsmanager:GetSecretValue";
/// Asked for at a login: there is none of that name, and AWS says so only to whom it knows.
const NOBODYS: &str = "hushfs/log-in";
/// How long version ids are. A stage of such a length is written `stage:NAME`.
const VERSION_IDS: std::ops::RangeInclusive<usize> = 32..=64;

/// Opens the provider. Nobody is reached before the first fetch.
pub(super) fn open(table: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    let settings = settings::open_secrets(table, base)?;
    let batch = settings.batch.then(Batch::default).map(Arc::new);
    Ok(Box::new(Secrets { session: Arc::new(Session::new(settings)), batch }))
}

struct Secrets {
    session: Arc<Session>,
    /// Where several secrets meet that are asked for at the same time.
    batch: Option<Arc<Batch>>,
}

/// A value as AWS answers it, alone or among others.
pub(super) struct Value {
    pub(super) text: Option<Zeroizing<String>>,
    pub(super) binary: Option<Blob>,
    pub(super) version: Option<String>,
    pub(super) created: Option<DateTime>,
}

#[async_trait::async_trait]
impl Provider for Secrets {
    async fn fetch(&self, reference: &Reference) -> Result<Fetched, ProviderError> {
        let id = Id::new(reference.path(), &self.session.settings.prefix);
        let what = named(reference);
        if let (None, Some(batch)) = (reference.version(), &self.batch) {
            match batch.turn(&self.session, &id, &what) {
                Turn::Together(answer) => {
                    if let Ok(Some(answer)) = answer.await {
                        return answer;
                    }
                    return self.alone(&id, None, &what).await;
                }
                Turn::Alone(_under_way) => return self.alone(&id, None, &what).await,
            }
        }
        self.alone(&id, reference.version(), &what).await
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        let id = Id::new(NOBODYS, "");
        match self.session.ask(&id, |place| deleted(place, NOBODYS.to_owned())).await {
            Err(error) if !error.knows_us() => {
                Err(error.told("Secrets Manager", "secretsmanager:DescribeSecret"))
            }
            _ => Ok(()),
        }
    }
}

impl Secrets {
    async fn alone(&self, id: &Id, version: Option<&str>, what: &str) -> Result<Fetched, ProviderError> {
        let asked = self.session.ask(id, |place| {
            let name = id.in_region(&place.region);
            get(place, name, version)
        });
        let error = match asked.await {
            Ok(value) => return value.fetched(what),
            Err(error) => error,
        };
        let told = error.told(what, READ);
        if error.meaning() != Some(Meaning::Deleted) {
            return Err(told);
        }
        let date = self.session.ask(id, |place| {
            let name = id.in_region(&place.region);
            deleted(place, name)
        });
        let date = date.await.ok().flatten().and_then(|date| date.fmt(Format::DateTime).ok());
        let date = date.map(|date| format!(" (DeletedDate {date})")).unwrap_or_default();
        Err(match told {
            ProviderError::NotFound(text) => ProviderError::NotFound(format!("{text}{date}")),
            other => other,
        })
    }
}

impl Value {
    /// What is fetched; an answer without a value or a version is none.
    pub(super) fn fetched(&self, what: &str) -> Result<Fetched, ProviderError> {
        let bytes = match (&self.text, &self.binary) {
            (Some(text), _) => Some(text.as_bytes()),
            (None, binary) => binary.as_ref().map(Blob::as_ref),
        };
        let (Some(bytes), Some(version)) =
            (bytes, self.version.as_deref().filter(|version| !version.is_empty()))
        else {
            return Err(ProviderError::Malformed(format!(
                "what AWS answers for {what} has no value, or no version"
            )));
        };
        let created =
            self.created.and_then(|at| SystemTime::try_from(at).ok()).unwrap_or_else(SystemTime::now);
        Ok(Fetched::new(SecretBytes::copy_from(bytes), version, created))
    }
}

/// How messages name what was asked for.
fn named(reference: &Reference) -> String {
    let path = reference.path();
    match reference.version() {
        None => format!("the secret `{path}`"),
        Some(version) => format!("version `{version}` of the secret `{path}`"),
    }
}

async fn get(place: Place, name: String, version: Option<&str>) -> Result<Value, Fault> {
    let asked = Client::new(&place.config).get_secret_value().secret_id(name);
    let asked = match version {
        None => asked,
        Some(version) => match version.strip_prefix("stage:") {
            Some(stage) => asked.version_stage(stage),
            None if VERSION_IDS.contains(&version.len()) => asked.version_id(version),
            None => asked.version_stage(version),
        },
    };
    let answer = asked.send().await.map_err(|error| Fault::of(&error))?;
    Ok(Value {
        text: answer.secret_string.map(Zeroizing::new),
        binary: answer.secret_binary,
        version: answer.version_id,
        created: answer.created_date,
    })
}

/// The date that goes with a mark for deletion.
async fn deleted(place: Place, name: String) -> Result<Option<DateTime>, Fault> {
    let asked = Client::new(&place.config).describe_secret().secret_id(name).send();
    asked.await.map(|answer| answer.deleted_date).map_err(|error| Fault::of(&error))
}
