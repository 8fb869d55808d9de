//! What Secret Manager answers, and its errors by who must act. Nothing here passes on a word of a body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{StatusCode, Url};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::ProviderError;
use super::http::Answer;
use super::name::Name;
use crate::secret::SecretBytes;

/// The value of a version, and the version's number.
pub(super) struct Value {
    pub(super) bytes: SecretBytes,
    pub(super) version: String,
}

#[derive(Deserialize)]
struct Accessed<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    // An empty value is left out.
    #[serde(borrow, default)]
    data: Cow<'a, str>,
    #[serde(default, deserialize_with = "number")]
    data_crc32c: Option<u32>,
}

/// What is known of a version beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    #[serde(deserialize_with = "time")]
    pub(super) create_time: SystemTime,
    #[serde(default, deserialize_with = "maybe_time")]
    pub(super) scheduled_destroy_time: Option<SystemTime>,
}

/// What is known of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "maybe_time")]
    pub(super) expire_time: Option<SystemTime>,
}

/// Some of the names of secrets, and what the next ones are asked for with.
pub(super) struct Page {
    pub(super) names: Vec<String>,
    /// As a parameter of an address.
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listed {
    // Where there is nothing, both are left out.
    #[serde(default)]
    secrets: Vec<Named>,
    #[serde(default)]
    next_page_token: String,
    #[serde(rename = "totalSize")]
    _total_size: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Wrong {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: String,
}

/// The value in an answer to `:access`, checked by its sum.
pub(super) fn value(answer: &Answer, name: &Name) -> Result<Value, ProviderError> {
    let malformed = |what: &str| ProviderError::Malformed(format!("`{}`: {what}", name.secret));
    let accessed: Accessed<'_> = serde_json::from_slice(&answer.body)
        .map_err(|_| malformed("the answer is not one of Secret Manager"))?;
    let other = || malformed("the answer is for something else");
    let (secret, version) = accessed.name.rsplit_once("/versions/").ok_or_else(other)?;
    let pinned = is_number(&name.version) && name.version != version;
    if !secret.ends_with(&format!("/secrets/{}", name.secret)) || !is_number(version) || pinned {
        return Err(other());
    }
    let bytes = STANDARD.decode(accessed.payload.data.as_bytes());
    let bytes = Zeroizing::new(bytes.map_err(|_| malformed("the value is not in base64"))?);
    match accessed.payload.data_crc32c {
        Some(sum) if sum == crc32c::crc32c(&bytes) => {}
        Some(_) => {
            return Err(malformed(
                "the value does not have its checksum (CRC32C): it was damaged on its way",
            ));
        }
        None => return Err(malformed("the value comes without its checksum (CRC32C)")),
    }
    Ok(Value { bytes: SecretBytes::copy_from(&bytes), version: version.to_owned() })
}

/// A page of names. A resource names its project by number, whatever it was asked for by.
pub(super) fn page(answer: &Answer, resource: &str) -> Result<Page, ProviderError> {
    let malformed =
        || ProviderError::Malformed(format!("`{resource}`: the answer is not one of Secret Manager"));
    let Listed { secrets, next_page_token, .. } = answer.json().ok_or_else(malformed)?;
    let own = |named: &Named| named.name.rsplit_once("/secrets/").map(|(_, name)| name.to_owned());
    let names = secrets.iter().map(own).collect::<Option<_>>().ok_or_else(malformed)?;
    let next = match next_page_token.as_str() {
        "" => None,
        token => Some(parameter("pageToken", token).ok_or_else(malformed)?),
    };
    Ok(Page { names, next })
}

fn parameter(name: &str, value: &str) -> Option<String> {
    let mut url = Url::parse("https://localhost").ok()?;
    url.query_pairs_mut().append_pair(name, value);
    url.query().map(str::to_owned)
}

/// Who must act on an answer to a listing that is not 200. `None` where the token is not accepted: another may be.
pub(super) fn unlisted(answer: &Answer, resource: &str, whom: &str) -> Option<ProviderError> {
    if let Some(error) = answer.unavailable(whom) {
        return Some(error);
    }
    let status = answer.status;
    let Some(error) = answer.json::<Wrong>().map(|wrong| wrong.error) else {
        return Some(foreign(status, whom));
    };
    if let Some(error) = of_project(&error) {
        return Some(error);
    }
    Some(match status {
        StatusCode::UNAUTHORIZED => return None,
        StatusCode::FORBIDDEN => ProviderError::Refused(format!(
            "`{resource}`: the credentials may not list it; give them secretmanager.secrets.list on the project, \
             which roles/secretmanager.viewer has"
        )),
        StatusCode::NOT_FOUND => {
            ProviderError::NotFound(format!("`{resource}`: there is no such project, or no such location"))
        }
        _ => ProviderError::Malformed(format!("`{resource}`: {whom} answers {status}")),
    })
}

/// What answers as Secret Manager does not.
fn foreign(status: StatusCode, whom: &str) -> ProviderError {
    ProviderError::Misconfigured(format!(
        "{whom} answers {status}, and not as Secret Manager does: is `endpoint` right?"
    ))
}

/// Who must act on an answer that is not 200. `None` where the token is not accepted: another may be.
pub(super) fn refusal(answer: &Answer, name: &Name, whom: &str) -> Option<ProviderError> {
    if let Some(error) = answer.unavailable(whom) {
        return Some(error);
    }
    let (secret, status) = (&name.secret, answer.status);
    let Some(Wrong { error }) = answer.json::<Wrong>() else { return Some(foreign(status, whom)) };
    if let Some(error) = of_project(&error) {
        return Some(error);
    }
    let version = &name.version;
    Some(match (status, error.status.as_str()) {
        (StatusCode::UNAUTHORIZED, _) => return None,
        (StatusCode::FORBIDDEN, _) => ProviderError::Refused(format!(
            "`{secret}`: the credentials may not read it, or there is none of that name; \
             give them roles/secretmanager.secretAccessor on it"
        )),
        (StatusCode::NOT_FOUND, _) if version == "latest" => {
            ProviderError::NotFound(format!("`{secret}`: there is no such secret, or it has no version yet"))
        }
        (StatusCode::NOT_FOUND, _) => ProviderError::NotFound(format!(
            "`{secret}`: there is no such secret, or no version `{version}` of it"
        )),
        (_, "FAILED_PRECONDITION") if error.message.contains(" DESTROYED ") => {
            ProviderError::NotFound(format!(
                "`{secret}`: version `{version}` is destroyed and cannot be had back; refer to another, or add one"
            ))
        }
        (_, "FAILED_PRECONDITION") if error.message.contains(" DISABLED ") => disabled(name),
        (_, "FAILED_PRECONDITION") => ProviderError::Refused(format!(
            "`{secret}`: version `{version}` cannot be read as it is (FAILED_PRECONDITION): \
             `{}` says how it is, and its key in Cloud KMS may be disabled",
            name.command("describe")
        )),
        (_, "INVALID_ARGUMENT") => ProviderError::Misconfigured(format!(
            "`{secret}`: Secret Manager does not take this name or version (INVALID_ARGUMENT)"
        )),
        _ => ProviderError::Malformed(format!("`{secret}`: {whom} answers {status}")),
    })
}

/// Whether an answer to a question about a project means that we are known there: what is listed is not for us to see.
pub(super) fn welcome(answer: &Answer, whom: &str) -> Option<Result<(), ProviderError>> {
    if let Some(error) = answer.unavailable(whom) {
        return Some(Err(error));
    }
    if answer.status.is_success() {
        let about = answer.json::<serde_json::Map<String, serde_json::Value>>();
        return Some(about.map(drop).ok_or_else(|| {
            ProviderError::Malformed(format!("{whom} does not answer as Secret Manager does"))
        }));
    }
    let Some(Wrong { error }) = answer.json::<Wrong>() else {
        let told = format!("{whom} answers {}, and not as Secret Manager does", answer.status);
        return Some(Err(ProviderError::Misconfigured(told)));
    };
    match answer.status {
        StatusCode::UNAUTHORIZED => None,
        _ => Some(of_project(&error).map_or(Ok(()), Err)),
    }
}

/// It is by its number that a version is enabled.
fn disabled(name: &Name) -> ProviderError {
    let Name { secret, version, .. } = name;
    ProviderError::NotFound(if is_number(version) {
        let command = name.command("enable");
        format!("`{secret}`: version `{version}` is disabled; `{command}` enables it")
    } else {
        let command = name.command("list");
        format!(
            "`{secret}`: version `{version}` is disabled; enable it, or refer to one that `{command}` shows enabled"
        )
    })
}

fn is_number(version: &str) -> bool {
    (1..20).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is wrong with the project as a whole.
fn of_project(error: &Status) -> Option<ProviderError> {
    error.details.iter().find_map(|detail| {
        Some(ProviderError::Misconfigured(match detail.reason.as_str() {
            "SERVICE_DISABLED" => "the Secret Manager API is off in this project (SERVICE_DISABLED); \
                 `gcloud services enable secretmanager.googleapis.com` turns it on"
                .into(),
            "BILLING_DISABLED" => "the project has no billing account (BILLING_DISABLED)".into(),
            "CONSUMER_INVALID" | "CONSUMER_SUSPENDED" | "RESOURCE_PROJECT_INVALID" => {
                "there is no such project, or it is suspended; correct `project`".into()
            }
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => "the token is not for Secret Manager \
                 (ACCESS_TOKEN_SCOPE_INSUFFICIENT); give the instance the scope cloud-platform"
                .into(),
            _ => return None,
        }))
    })
}

/// A 64 bit number of protobuf, which JSON has as a text. A sum has 32 of them.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number<'a> {
        Text(#[serde(borrow)] Cow<'a, str>),
        Number(u32),
    }
    let wrong = |_| serde::de::Error::custom("no sum");
    match Number::deserialize(from)? {
        Number::Text(text) => text.parse().map(Some).map_err(wrong),
        Number::Number(number) => Ok(Some(number)),
    }
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let time = jiff::Timestamp::deserialize(from)?;
    SystemTime::try_from(time).map_err(|_| serde::de::Error::custom("no time"))
}

fn maybe_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
    time(from).map(Some)
}
