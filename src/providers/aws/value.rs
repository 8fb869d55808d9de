//! What Secrets Manager is asked about one secret, and its value.

use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use aws_smithy_types::{Blob, DateTime};
use zeroize::Zeroizing;

use super::fault::Fault;
use super::session::Place;
use super::{Fetched, ProviderError};
use crate::secret::SecretBytes;

/// The right that reading needs.
pub(super) const READ: &str = "secretsmanager:GetSecretValue";
/// How long version ids are. A stage of such a length is written `stage:NAME`.
const VERSION_IDS: std::ops::RangeInclusive<usize> = 32..=64;

/// A value as AWS answers it, alone or among others.
pub(super) struct Value {
    pub(super) text: Option<Zeroizing<String>>,
    pub(super) binary: Option<Blob>,
    pub(super) version: Option<String>,
    pub(super) created: Option<DateTime>,
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

/// The value of that version, or of the stage `AWSCURRENT`.
pub(super) async fn get(place: Place, name: String, version: Option<&str>) -> Result<Value, Fault> {
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
pub(super) async fn deleted(place: Place, name: String) -> Result<Option<DateTime>, Fault> {
    let asked = Client::new(&place.config).describe_secret().secret_id(name).send();
    asked.await.map(|answer| answer.deleted_date).map_err(|error| Fault::of(&error))
}
