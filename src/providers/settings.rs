//! The settings that several kinds have, and how settings are read.
#![cfg_attr(
    not(any(feature = "vault", feature = "aws", feature = "gcp", feature = "command")),
    expect(dead_code, reason = "the store is reached without a wait")
)]

use std::time::Duration;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use super::SettingsError;
use crate::units;

/// How long a provider may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// For one request, from the first byte sent to the last received (`timeout`).
    pub(crate) request: Duration,
    /// To connect, TLS included (`connect_timeout`).
    pub(crate) connect: Duration,
}

/// Longest answer in bytes: the longest value that most providers keep (1 MiB), base64 and JSON around it.
pub(crate) const ANSWER_LIMIT: usize = 2 << 20;

impl Bounds {
    /// From the settings, or the usual: 5 s for a request, 2 s to connect.
    ///
    /// # Errors
    /// When one is out of its range.
    pub(crate) fn new(timeout: Option<Wait>, connect: Option<Wait>) -> Result<Self, SettingsError> {
        let of = |key: &str, wait: Option<Wait>, usual: u64| {
            let wait = wait.map_or(Duration::from_secs(usual), |wait| wait.0);
            let range = Duration::from_millis(100)..=Duration::from_secs(60);
            if range.contains(&wait) {
                return Ok(wait);
            }
            Err(wrong(key, format!("`{key}` is out of range"), "choose from \"100ms\" to \"60s\""))
        };
        Ok(Self { request: of("timeout", timeout, 5)?, connect: of("connect_timeout", connect, 2)? })
    }
}

/// A duration as the rest of the configuration writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        units::duration(Some(&text)).map(Wait).map_err(D::Error::custom)
    }
}

/// Reads the settings of a provider of kind `kind`. An error names the key at fault.
///
/// # Errors
/// An unknown key, a missing one, a value of the wrong kind.
pub(crate) fn read<T: DeserializeOwned>(table: toml::Table, kind: &str) -> Result<T, SettingsError> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let path = error.path().to_string();
        let key = path.split('.').next().filter(|key| !matches!(*key, "" | "?"));
        let hint = format!("docs/{kind}.md has every key");
        SettingsError {
            key: key.map(str::to_owned),
            message: told(error.inner(), key.map(|_| path.as_str())),
            hint: Some(hint),
        }
    })
}

/// The error without what was written, which may be a secret, and with where it is inside of a table.
fn told(error: &toml::de::Error, path: Option<&str>) -> String {
    let message = error.message().lines().next().unwrap_or_default();
    let quotes = message.starts_with("invalid ") || message.starts_with("unknown variant");
    let message = match message.rfind("expected ") {
        Some(at) if quotes => message.get(at..).unwrap_or_default(),
        _ => message,
    };
    match path.filter(|path| path.contains('.')) {
        Some(path) => format!("`{path}`: {message}"),
        None => message.to_owned(),
    }
}

/// An error about one key.
pub(crate) fn wrong(key: &str, message: impl Into<String>, hint: impl Into<String>) -> SettingsError {
    SettingsError { key: Some(key.to_owned()), message: message.into(), hint: Some(hint.into()) }
}
