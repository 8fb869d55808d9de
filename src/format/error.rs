//! Why a secret cannot be written.

use super::decode::Decode;

/// Why the parts of a form do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// `decode` with a format that writes named values.
    #[error("`decode` is for one value, and `{0}` writes named values")]
    DecodesNamed(&'static str),
}

/// Why a secret cannot be written so. Never carries a byte of a value.
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
    /// A name, or a value, that the readers of the format would read as another.
    #[error("{what} cannot be written as `{format}`: {why}")]
    Unwritable {
        /// Of which key.
        what: String,
        /// The name of the format.
        format: &'static str,
        /// What it has that cannot be written.
        why: &'static str,
    },
    /// Not what it was to be decoded from.
    #[error("the value is not {0}")]
    Undecodable(Decode),
    /// Lists in lists without end.
    #[error("the secret has objects and lists in each other more than {0} deep")]
    TooDeep(usize),
    /// A JSON string with half of a surrogate pair.
    #[error("the value of `{0}` is not text: it has half of a surrogate pair")]
    NotText(String),
}

/// What a value has that the format cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) format: &'static str,
    pub(super) why: &'static str,
}

impl Unfit {
    /// As an error of the value with this name.
    pub(super) fn of_value(self, name: &str) -> FormatError {
        self.of(format!("the value of `{name}`"))
    }

    pub(super) fn of(self, what: String) -> FormatError {
        FormatError::Unwritable { what, format: self.format, why: self.why }
    }
}
