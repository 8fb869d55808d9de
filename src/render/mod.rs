//! From secrets to the bytes of a file.
//!
//! This folder owns what was rendered. How values are written is in `format/` and `template/`; it does not know who reads.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::bounded::Bounded;
use crate::config::checked::{How, Shows};
use crate::format::{self, FormatError};
use crate::reference::Reference;
use crate::resolve::Secret;
use crate::secret::SecretBytes;
use crate::template::{Show, TemplateError};

/// The secrets that a file takes, one for each of [`Shows::secrets`]. Nearly all files take one.
pub type Secrets = SmallVec<[Arc<Secret>; 1]>;

/// The bytes that a file shows, of one version.
pub struct Content {
    shows: Arc<Shows>,
    secrets: Secrets,
    /// Where it is not that of the one secret: of a template.
    version: Option<String>,
    bytes: Bytes,
}

enum Bytes {
    /// The file shows the secret as it is.
    AsItIs(Arc<Secret>),
    Rendered(SecretBytes),
}

/// Why secrets cannot be shown as the file wants them. Never carries a byte of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The secret cannot be written so.
    #[error("{0}")]
    Format(#[from] FormatError),
    /// The template cannot be rendered with these values.
    #[error("{0}")]
    Template(#[from] TemplateError),
    /// More bytes than a file may have.
    #[error("the file would have more than {max} bytes (`size_max`)")]
    TooLarge {
        /// The limit.
        max: u64,
    },
}

impl Content {
    /// The version of what is shown.
    pub fn version(&self) -> &str {
        match (&self.version, self.secrets.first()) {
            (Some(version), _) => version,
            (None, secret) => secret.map_or("", |secret| &secret.version),
        }
    }

    /// When that version was made: with the last of its secrets.
    pub fn created(&self) -> SystemTime {
        self.secrets.iter().map(|secret| secret.created).max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The secrets that it was made of, whole, and the version of each.
    pub fn parts(&self) -> impl Iterator<Item = (&Reference, &str)> {
        self.shows.secrets().iter().zip(self.secrets.iter().map(|secret| secret.version.as_str()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &SecretBytes {
        match &self.bytes {
            Bytes::AsItIs(secret) => &secret.bytes,
            Bytes::Rendered(bytes) => bytes,
        }
    }

    /// The true size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes().len() as u64
    }
}

/// Renders, and remembers what it rendered as long as the secrets are the same.
pub struct Renderer {
    rendered: Mutex<Bounded<Arc<Shows>, Arc<Content>>>,
    size_max: u64,
}

impl Renderer {
    /// One that makes files of at most `size_max` bytes and remembers at most `cache_max` bytes of them.
    pub fn new(size_max: u64, cache_max: u64) -> Self {
        Self { rendered: Mutex::new(Bounded::new(cache_max)), size_max }
    }
    /// The bytes of a file that `shows` so, from the secrets that it takes.
    ///
    /// # Errors
    /// When a secret does not have what the file wants, or there is too much of it.
    pub fn render(&self, shows: &Arc<Shows>, secrets: Secrets) -> Result<Arc<Content>, RenderError> {
        if let How::Secret { from, form } = shows.how()
            && form.is_as_it_is(from.key())
            && let Some(secret) = secrets.first()
        {
            let bytes = Bytes::AsItIs(Arc::clone(secret));
            return self.sized(Content { shows: Arc::clone(shows), secrets, version: None, bytes });
        }
        if let Some(content) = self.rendered.lock().get(shows)
            && content.secrets.iter().map(Arc::as_ptr).eq(secrets.iter().map(Arc::as_ptr))
        {
            return Ok(Arc::clone(content));
        }
        let (bytes, version) = {
            let values: SmallVec<[&SecretBytes; 1]> = secrets.iter().map(|secret| &secret.bytes).collect();
            let bytes = Bytes::Rendered(write(shows, &values, Show::Values, self.size_max)?);
            match shows.version(secrets.iter().map(|secret| secret.version.as_str())) {
                Cow::Borrowed(_) => (bytes, None),
                Cow::Owned(derived) => (bytes, Some(derived)),
            }
        };
        let held: u64 = secrets.iter().map(|secret| secret.bytes.len() as u64).sum();
        let content = self.sized(Content { shows: Arc::clone(shows), secrets, version, bytes })?;
        // The secrets stay as long as what was rendered from them, so both count.
        let weight = content.size() + held;
        self.rendered.lock().put(Arc::clone(shows), Arc::clone(&content), weight);
        Ok(content)
    }

    /// Forgets what it rendered from these secrets, named whole, whatever their version.
    pub fn forget(&self, secrets: &BTreeSet<Reference>) {
        let secrets: BTreeSet<_> = secrets.iter().map(Reference::unpinned).collect();
        let mut rendered = self.rendered.lock();
        let of = |shows: &&Arc<Shows>| shows.secrets().iter().any(|of| secrets.contains(&of.unpinned()));
        let of: Vec<_> = rendered.iter().map(|(shows, _)| shows).filter(of).cloned().collect();
        of.iter().for_each(|shows| drop(rendered.remove(shows)));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.rendered.lock().clear();
    }

    fn sized(&self, content: Content) -> Result<Arc<Content>, RenderError> {
        if content.size() > self.size_max {
            Err(RenderError::TooLarge { max: self.size_max })
        } else {
            Ok(Arc::new(content))
        }
    }
}

/// What a file shows with these values, one for each of [`Shows::secrets`], written anew; or with marks in their places.
///
/// # Errors
/// As [`Renderer::render`].
pub fn write(
    shows: &Shows,
    values: &[&SecretBytes],
    show: Show,
    max: u64,
) -> Result<SecretBytes, RenderError> {
    match (shows.how(), values) {
        (How::Secret { from, form }, [value, ..]) => Ok(match show {
            Show::Values => form.write(value, from.key())?,
            Show::Marks => form.write_marked(value, from.key())?,
        }),
        (How::Template(template), values) => match show {
            Show::Values => Ok(template.render(values, show, max)?),
            Show::Marks => {
                let marked: Vec<_> = values.iter().map(|value| format::marked(value)).collect();
                Ok(template.render(&marked.iter().collect::<Vec<_>>(), show, max)?)
            }
        },
        (How::Secret { .. }, []) => Err(FormatError::NotNamed.into()),
    }
}
