//! A secret that shows what is where, and no value: each is a mark that tells its length.

use zeroize::Zeroizing;

use super::json::Json;
use super::mark::mark;
use super::node::{Kind, Node};
use super::{Form, Format, FormatError};
use crate::secret::SecretBytes;
use crate::sys::stack;

/// The same secret with a mark in the place of each value: objects and lists stay, and names, and the order. What is neither
/// is one mark.
pub fn marked(secret: &SecretBytes) -> SecretBytes {
    let json = stack::wiped_after(|| {
        let node = Node::parse(secret).ok()?;
        let is_one = !matches!(node.kind(), Kind::Object | Kind::List) || node.check_depth().is_err();
        if is_one { None } else { serde_json::to_vec(&Json { node, marked: true }).ok() }
    });
    let text = json.unwrap_or_else(|| mark(secret.len()).into_bytes());
    SecretBytes::copy_from(&text)
}

impl Form {
    /// As [`Form::write`], with a mark in the place of each value.
    ///
    /// # Errors
    /// Those of [`Form::write`]: what cannot be written cannot be shown.
    pub fn write_marked(self, secret: &SecretBytes, key: Option<&str>) -> Result<SecretBytes, FormatError> {
        let written = self.write(secret, key)?;
        if self.format == Format::Raw {
            let len = written.len();
            return Ok(SecretBytes::copy_from(mark(len).as_bytes()));
        }
        let marked = marked(secret);
        let written = stack::wiped_after(|| self.written(&marked, key))?;
        Ok(SecretBytes::copy_from(&Zeroizing::new(written)))
    }
}
