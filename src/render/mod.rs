//! From a secret to the bytes of a file.
//!
//! This folder owns what was rendered. How values are written is in `format/` and `template/`; it does not know who reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bounded::Bounded;
use crate::config::checked::File;
use crate::format::{Form, FormatError};
use crate::reference::Reference;
use crate::resolve::Secret;
use crate::secret::SecretBytes;
use crate::template::TemplateError;

/// The bytes that a file shows, of one version.
pub struct Content {
    secret: Arc<Secret>,
    /// `None` where the file shows the secret as it is.
    rendered: Option<SecretBytes>,
}

/// Why a secret cannot be shown as the file wants it. Never carries a byte of it.
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
    /// The secret it shows.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The bytes.
    pub fn bytes(&self) -> &SecretBytes {
        self.rendered.as_ref().unwrap_or(&self.secret.bytes)
    }

    /// The true size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes().len() as u64
    }
}

/// Renders, and remembers what it rendered as long as the secret is the same.
pub struct Renderer {
    rendered: Mutex<Bounded<File, Arc<Content>>>,
    size_max: u64,
}

impl Renderer {
    /// One that makes files of at most `size_max` bytes and remembers at most `cache_max` bytes of them.
    pub fn new(size_max: u64, cache_max: u64) -> Self {
        Self { rendered: Mutex::new(Bounded::new(cache_max)), size_max }
    }

    /// The bytes of `file` from the secret that it refers to.
    ///
    /// # Errors
    /// When the secret does not have what the file wants, or has too much of it.
    pub fn render(&self, file: &File, secret: Arc<Secret>) -> Result<Arc<Content>, RenderError> {
        if file.form == Form::RAW && file.from.key().is_none() {
            return self.sized(Content { secret, rendered: None });
        }
        if let Some(content) = self.rendered.lock().get(file)
            && Arc::ptr_eq(&content.secret, &secret)
        {
            return Ok(Arc::clone(content));
        }
        let rendered = file.form.write(&secret.bytes, file.from.key())?;
        let content = self.sized(Content { secret, rendered })?;
        // The secret stays as long as what was rendered from it, so both count.
        let weight = content.size() + content.secret.bytes.len() as u64;
        self.rendered.lock().put(file.clone(), Arc::clone(&content), weight);
        Ok(content)
    }

    /// Forgets what it rendered from these secrets, named whole, whatever their version.
    pub fn forget(&self, secrets: &BTreeSet<Reference>) {
        let secrets: BTreeSet<_> = secrets.iter().map(Reference::unpinned).collect();
        let mut rendered = self.rendered.lock();
        let of = |file: &&File| secrets.contains(&file.from.whole().unpinned());
        let of: Vec<_> = rendered.iter().map(|(file, _)| file).filter(of).cloned().collect();
        of.iter().for_each(|file| drop(rendered.remove(file)));
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
