//! Templates: text with places for secrets.
//!
//! This folder owns the language of templates. One is compiled when the configuration is checked: which secrets it shows is known then. It
//! asks nobody for a value: it is given all of them. It knows no clock, no environment, no files and no chance: the same values give
//! the same bytes.
//!
//! The engine is the crate minijinja, whose syntax tree is walked (`walk.rs`, `check.rs`) before a template is taken; what a template
//! can name, call and apply is ours (`functions.rs`, `conditions.rs`, `filters/`), and no word of an error of the engine is passed on
//! (`ledger.rs`). What a rendering may take is bounded three times: by the engine's fuel, by the steps of the ledger and, for what is
//! made of itself over and over, by weights that are known before (`weight.rs`).

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};

use minijinja::syntax::SyntaxConfig;
use sha2::{Digest, Sha256};

use crate::reference::Reference;
use crate::secret::SecretBytes;
use crate::sys::stack;

mod check;
mod conditions;
mod filters;
mod functions;
mod json;
mod ledger;
mod program;
mod quoting;
mod render;
mod root;
mod tokens;
mod tree;
mod walk;
mod weight;
mod writer;

use program::Program;

/// A template, compiled.
pub struct Template {
    name: String,
    digest: String,
    references: Vec<Reference>,
    secrets: Vec<Reference>,
    program: Program,
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
        let (program, found) = Program::compile(text)?;
        let references: BTreeSet<_> = found.texts.values().chain(found.trees.values()).cloned().collect();
        let secrets: BTreeSet<_> = references.iter().map(Reference::whole).collect();
        Ok(Self {
            name: name.to_owned(),
            digest: Self::digest_of(text.as_bytes()),
            references: references.into_iter().collect(),
            secrets: secrets.into_iter().collect(),
            program,
        })
    }

    /// The digest of such a text.
    pub fn digest_of(text: &[u8]) -> String {
        hex(&Sha256::digest(text))
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
        values: &[&SecretBytes],
        show: Show,
        max: u64,
    ) -> Result<SecretBytes, TemplateError> {
        // Short texts live in the frames of the engine.
        stack::wiped_after(|| self.program.render(&self.name, &self.secrets, values, show, max))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, references, .. } = self;
        f.debug_struct("Template")
            .field("name", name)
            .field("digest", digest)
            .field("references", references)
            .finish_non_exhaustive()
    }
}

/// The syntax is Jinja's. A line that has only a statement leaves nothing, and the line end at the end of the text stays.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    syntax.build().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

#[cfg(test)]
mod tests;
