//! Memory that grows to a limit, and is wiped.

use std::io;

use zeroize::Zeroizing;

use super::ledger::Failure;

/// Bytes, so many at most.
pub(super) struct Writer {
    bytes: Zeroizing<Vec<u8>>,
    max: usize,
    full: bool,
}

impl Writer {
    /// Takes `max` bytes. There is room for `expected`.
    pub(super) fn new(max: u64, expected: usize) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Self { bytes: Zeroizing::new(Vec::with_capacity(expected.min(max))), max, full: false }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it was given more than it takes.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn push(&mut self, more: &[u8]) -> Result<(), Failure> {
        let len = self.bytes.len().saturating_add(more.len());
        if len > self.max {
            self.full = true;
            return Err(Failure::TooLarge);
        }
        if len > self.bytes.capacity() {
            // What grows by itself leaves what it had behind.
            let room = len.saturating_mul(2).min(self.max);
            let mut grown = Zeroizing::new(Vec::with_capacity(room));
            grown.extend_from_slice(&self.bytes);
            self.bytes = grown;
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    pub(super) fn push_str(&mut self, more: &str) -> Result<(), Failure> {
        self.push(more.as_bytes())
    }

    pub(super) fn push_char(&mut self, c: char) -> Result<(), Failure> {
        self.push(c.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// Its text: what was written is text.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.bytes).map_err(|_| Failure::new("this is not text (UTF-8)"))
    }
}

impl io::Write for Writer {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        self.push(more).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
