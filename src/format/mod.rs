//! How a secret is written for the program that reads it.
//!
//! This folder owns formats and quoting: each is one file and a line in [`FORMATS`] and in `encode`. It knows neither files nor who
//! reads. A format gives back the exact value to the readers that it is for (`docs/configuration.md`, "Formats"), or it is refused: nothing
//! is written that would be read as something else.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::secret::SecretBytes;
use crate::sys::stack;

mod decode;
mod docker_env;
mod dotenv;
mod env;
mod error;
mod ini;
mod json;
mod mark;
mod marks;
mod named;
mod newline;
mod node;
mod node_env;
mod pointer;
mod properties;
mod python_env;
mod quote;
mod systemd_env;
mod toml;
mod yaml;

pub use decode::{DECODES, Decode};
pub use error::{FormError, FormatError};
pub use mark::mark;
pub use marks::marked;
pub use named::keys;
pub use newline::{NEWLINES, Newline};
pub use quote::Quote;

use named::Named;
use node::Node;

/// How a secret becomes a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// As it is: the whole value, or the value of the key that the reference names.
    Raw,
    /// As JSON, with structure and types.
    Json,
    /// As YAML, with structure and types.
    Yaml,
    /// As TOML, with structure and types.
    Toml,
    /// Named values as assignments that a shell reads.
    Dotenv,
    /// Named values for `docker run --env-file`.
    DockerEnv,
    /// Named values for `EnvironmentFile=` of systemd.
    SystemdEnv,
    /// Named values for the package dotenv of npm.
    NodeEnv,
    /// Named values for python-dotenv.
    PythonEnv,
    /// Named values for `java.util.Properties`.
    Properties,
    /// Named values in sections, for readers that know no quoting.
    Ini,
    /// Named values in sections, for git.
    GitConfig,
}

/// Every format by its name in the configuration.
pub const FORMATS: &[(&str, Format)] = &[
    ("raw", Format::Raw),
    ("json", Format::Json),
    ("yaml", Format::Yaml),
    ("toml", Format::Toml),
    ("dotenv", Format::Dotenv),
    ("docker-env", Format::DockerEnv),
    ("systemd-env", Format::SystemdEnv),
    ("node-env", Format::NodeEnv),
    ("python-env", Format::PythonEnv),
    ("properties", Format::Properties),
    ("ini", Format::Ini),
    ("git-config", Format::GitConfig),
];

/// How one secret, or one key of it, is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// How it is written.
    pub format: Format,
    /// What it is decoded from before, as a value of `raw`.
    pub decode: Option<Decode>,
    /// What becomes of the line end after it.
    pub newline: Newline,
}

impl Format {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        FORMATS.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }
}

impl Form {
    /// The value as it is.
    pub const RAW: Self = Self { format: Format::Raw, decode: None, newline: Newline::Keep };

    /// That its parts go together.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(self) -> Result<(), FormError> {
        match self.decode {
            Some(_) if self.format != Format::Raw => Err(FormError::DecodesNamed(self.format.name())),
            _ => Ok(()),
        }
    }

    /// Whether a secret, or the value of `key` in it, is shown without any change.
    pub fn is_as_it_is(self, key: Option<&str>) -> bool {
        self == Self::RAW && key.is_none()
    }

    /// What `secret`, or the value of `key` in it, is written as.
    ///
    /// # Errors
    /// When the secret does not have what is asked for, or it cannot be written so.
    pub fn write(self, secret: &SecretBytes, key: Option<&str>) -> Result<SecretBytes, FormatError> {
        // Parsers and writers of numbers work on copies in their frames.
        let written = stack::wiped_after(|| self.written(secret, key))?;
        Ok(SecretBytes::copy_from(&written))
    }

    fn written(self, secret: &SecretBytes, key: Option<&str>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let mut bytes = match (self.format, key) {
            (Format::Raw, None) => whole(secret),
            (Format::Raw, Some(key)) => {
                let (_, node) = located(secret, Some(key))?;
                Zeroizing::new(node.text(key)?.as_bytes().to_vec())
            }
            (format, key) => {
                let (name, node) = located(secret, key)?;
                format.encode(node, name.as_deref())?
            }
        };
        if let Some(decode) = self.decode {
            bytes = decode.decode(&bytes)?;
        }
        self.newline.apply(&mut bytes);
        Ok(bytes)
    }
}

#[expect(clippy::disallowed_methods, reason = "what is shown is the value")]
fn whole(secret: &SecretBytes) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(secret.expose_secret().to_vec())
}

/// What is asked for, and what it is called there.
fn located<'a>(
    secret: &'a SecretBytes,
    key: Option<&str>,
) -> Result<(Option<Cow<'a, str>>, Node<'a>), FormatError> {
    let root = Node::parse(secret)?;
    match key {
        None => Ok((None, root)),
        Some(key) => pointer::find(root, key).map(|(name, node)| (Some(name), node)),
    }
}

impl Format {
    /// What stands at `node`; where that is one value, it has the name that it was found by.
    fn encode(self, node: Node<'_>, name: Option<&str>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let named = |node| Named::of(node, name);
        let text = match self {
            Self::Raw => return Err(FormatError::NotNamed),
            Self::Json => json::encode(node, name)?,
            Self::Yaml => yaml::encode(node, name)?,
            Self::Toml => toml::encode(node, name)?,
            Self::Dotenv => env::encode(&named(node)?, dotenv::quote)?,
            Self::DockerEnv => env::encode(&named(node)?, docker_env::quote)?,
            Self::SystemdEnv => env::encode(&named(node)?, systemd_env::quote)?,
            Self::NodeEnv => env::encode(&named(node)?, node_env::quote)?,
            Self::PythonEnv => env::encode(&named(node)?, python_env::quote)?,
            Self::Properties => properties::encode(&named(node)?),
            Self::Ini => ini::encode(node, name, &ini::PLAIN)?,
            Self::GitConfig => ini::encode(node, name, &ini::GIT)?,
        };
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
