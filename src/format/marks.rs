//! A secret that shows what is where, and no value: each is a mark that tells its length.

use super::json::Json;
use super::mark::mark;
use super::node::{DEPTH, Kind, Node};
use super::{Form, Format, FormatError, located};
use crate::secret::SecretBytes;
use crate::sys::stack;

/// The same secret with a mark in the place of each value: objects and lists stay, and names, and the order. What is neither
/// is one mark.
pub fn marked(secret: &SecretBytes) -> SecretBytes {
    let json = stack::wiped_after(|| {
        let node = Node::parse(secret).ok()?;
        if matches!(node.kind(), Kind::Object | Kind::List) { of(node).ok() } else { None }
    });
    json.unwrap_or_else(|| SecretBytes::copy_from(mark(secret.len()).as_bytes()))
}

/// As JSON. What stands too deep in others is one mark.
fn of(node: Node<'_>) -> Result<SecretBytes, FormatError> {
    let json = serde_json::to_vec(&Json { node, marks_below: Some(DEPTH) });
    json.map(|text| SecretBytes::copy_from(&text)).map_err(|_| FormatError::NotNamed)
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
        stack::wiped_after(|| {
            let (name, node) = located(secret, key)?;
            let marked = of(node)?;
            let mut bytes = self.format.encode(Node::parse(&marked)?, name.as_deref())?;
            self.newline.apply(&mut bytes);
            Ok(SecretBytes::copy_from(&bytes))
        })
    }
}
