//! A growing buffer that leaves no copy of what it held behind.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// Collects plaintext. A `Vec` that grows frees its old block as it is; this one wipes it first.
#[derive(Default)]
pub(crate) struct Wiping(Zeroizing<Vec<u8>>);

impl Wiping {
    /// Reads to the end, or to one byte more than `limit`, so that the caller can tell a value that is too long.
    pub(crate) fn read_from(mut from: impl Read, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut all = Self::default();
        let mut chunk = Zeroizing::new([0_u8; 16 * 1024]);
        loop {
            let count = match from.read(chunk.as_mut_slice()) {
                Ok(0) => return Ok(all.into_inner()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let room = limit.saturating_add(1).saturating_sub(all.0.len());
            all.write_all(chunk.get(..count.min(room)).unwrap_or_default())?;
            if all.0.len() > limit {
                return Ok(all.into_inner());
            }
        }
    }

    /// What was collected; still wiped when dropped.
    pub(crate) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl Write for Wiping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2).max(256)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_exact_and_one_byte_past_the_limit_shows() {
        let all: Vec<u8> = (0..=255).cycle().take(40_000).collect();
        assert_eq!(*Wiping::read_from(all.as_slice(), 40_000).unwrap(), all);
        assert_eq!(Wiping::read_from(all.as_slice(), 39_999).unwrap().len(), 40_000);
        assert_eq!(Wiping::read_from(all.as_slice(), 10).unwrap().len(), 11);
    }
}
