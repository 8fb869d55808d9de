//! The one type that holds a secret's bytes.

use crate::sys::arena;

/// A secret's bytes in locked, undumpable memory that is overwritten when the value is dropped.
///
/// There is on purpose no `Debug`, `Display`, `Clone` or `Serialize`: a value moves, or is shared by `Arc`.
pub struct SecretBytes {
    block: arena::Block,
}

impl SecretBytes {
    /// Copies `bytes` into locked memory. The caller's copy is the caller's to wipe.
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self { block: arena::Block::copy_from(bytes) }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.block.as_slice().len()
    }

    /// Whether the value is the true empty value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes themselves. Linted: every place that looks says why.
    pub fn expose_secret(&self) -> &[u8] {
        self.block.as_slice()
    }
}
