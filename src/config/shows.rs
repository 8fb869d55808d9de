//! What a file shows: one secret in some form, or a template that takes several.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::format::Form;
use crate::reference::Reference;
use crate::template::Template;

/// What a file shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shows {
    how: How,
    /// Whole, each once; at least one.
    secrets: Vec<Reference>,
}

/// How it comes from secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum How {
    /// One secret, or one key of it.
    Secret {
        /// Which.
        from: Reference,
        /// How it is written.
        form: Form,
    },
    /// A template.
    Template(Arc<Template>),
}

impl Shows {
    /// One secret, or one key of it.
    pub fn secret(from: Reference, form: Form) -> Self {
        let secrets = vec![from.whole()];
        Self { how: How::Secret { from, form }, secrets }
    }

    /// A template. Its secrets are made for `whom` alone, where that is somebody.
    pub fn template(template: Arc<Template>, whom: Option<&str>) -> Self {
        let made = |of: &Reference| whom.map_or_else(|| of.clone(), |whom| of.made_for(whom));
        let secrets = template.secrets().iter().map(made).collect();
        Self { how: How::Template(template), secrets }
    }

    /// How it comes from secrets.
    pub fn how(&self) -> &How {
        &self.how
    }

    /// The whole secrets that it takes, each once. What is fetched and cached.
    pub fn secrets(&self) -> &[Reference] {
        &self.secrets
    }

    /// For which workload its secrets are made, where each has its own.
    pub fn whom(&self) -> Option<&str> {
        self.secrets.first().and_then(Reference::whom)
    }

    /// The template, where it is one.
    pub fn as_template(&self) -> Option<&Template> {
        match &self.how {
            How::Template(template) => Some(template),
            How::Secret { .. } => None,
        }
    }

    /// Whether it is a template.
    pub fn is_template(&self) -> bool {
        self.as_template().is_some()
    }

    /// The form in which one secret is written; nothing for a template.
    pub fn form(&self) -> Option<Form> {
        match self.how {
            How::Secret { form, .. } => Some(form),
            How::Template(_) => None,
        }
    }

    /// The version of the file with secrets of these versions, one for each of [`Shows::secrets`]: that of the one secret; of a template
    /// one that follows from its text and all of them.
    pub fn version<'v>(&self, mut versions: impl Iterator<Item = &'v str>) -> Cow<'v, str> {
        let How::Template(template) = &self.how else { return versions.next().unwrap_or_default().into() };
        let mut hash = Sha256::new();
        let mut put = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        put(template.digest());
        for (secret, version) in self.secrets.iter().zip(versions) {
            put(&secret.to_string());
            put(version);
        }
        hash.finalize().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }
}

/// Hexadecimal digits of a template's version: enough that no two of one file are the same.
const DIGITS: usize = 24;

impl fmt::Display for Shows {
    /// The reference, or the name of the template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Secret { from, .. } => from.fmt(f),
            How::Template(template) => write!(f, "template {}", template.name()),
        }
    }
}
