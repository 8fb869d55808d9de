//! Locked memory for values.
/// A block of bytes.
pub struct Block(Box<[u8]>);
impl Block {
    /// Copies `bytes` into a new block.
    pub fn copy_from(bytes: &[u8]) -> Self { Self(bytes.into()) }
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] { &self.0 }
}
