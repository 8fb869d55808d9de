//! How a secret is written for the program that reads it.
//!
//! This folder owns formats and quoting: each is one file and a line in [`FORMATS`] and in `encode`. It knows neither files nor who reads.

use crate::secret::SecretBytes;

mod dotenv;
mod json;
mod named;

use named::Named;

/// How a secret becomes a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// As it is: the whole value, or the value of the key that the reference names.
    Raw,
    /// Named values as `NAME="value"` lines.
    Dotenv,
    /// Named values as one JSON object.
    Json,
}

/// Every format by its name in the configuration.
pub const FORMATS: &[(&str, Format)] =
    &[("raw", Format::Raw), ("dotenv", Format::Dotenv), ("json", Format::Json)];

/// How one secret, or one key of it, is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// How it is written.
    pub format: Format,
}

impl Format {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        FORMATS.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }
}

/// The names of the values of a secret, in its order.
///
/// # Errors
/// When it is one plain value.
pub fn keys(secret: &SecretBytes) -> Result<Vec<String>, FormatError> {
    Ok(Named::parse(secret)?.iter().map(|(name, _)| name.to_owned()).collect())
}

/// Why a secret cannot be written so. Never carries a byte of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The secret has no such key.
    #[error("the secret has no key `{0}`")]
    NoSuchKey(String),
    /// A key or a format for named values, but the secret is one plain value.
    #[error("the secret is one plain value, not a JSON object of named values")]
    NotNamed,
    /// A name that the format cannot write.
    #[error("the key `{0}` cannot be a variable's name")]
    BadName(String),
}

impl Form {
    /// The value as it is.
    pub const RAW: Self = Self { format: Format::Raw };

    /// Whether a secret, or the value of `key` in it, is shown without any change.
    pub fn is_as_it_is(self, key: Option<&str>) -> bool {
        self == Self::RAW && key.is_none()
    }

    /// What `secret`, or the value of `key` in it, is written as.
    ///
    /// # Errors
    /// When the secret does not have what is asked for.
    #[expect(clippy::disallowed_methods, reason = "the value is written for the file")]
    pub fn write(self, secret: &SecretBytes, key: Option<&str>) -> Result<SecretBytes, FormatError> {
        if self.is_as_it_is(key) {
            return Ok(SecretBytes::copy_from(secret.expose_secret()));
        }
        let named = Named::parse(secret)?;
        let named = match key {
            None => named,
            Some(key) if self.format == Format::Raw => return named.one(key),
            Some(key) => named.only(key)?,
        };
        match self.format {
            Format::Raw => return Err(FormatError::NotNamed),
            Format::Dotenv => dotenv::encode(&named),
            Format::Json => json::encode(&named),
        }
    }
}
