//! Whether the files of a configuration are still what they were when it was read.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::report::Report;
use super::source::{self, Text};

/// A digest of what stands in all files of a configuration, and of how they are called.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Print([u8; 32]);

impl Print {
    pub(super) fn of(texts: &[Text]) -> Self {
        let mut hash = Sha256::new();
        for Text { path, text } in texts {
            for part in [path.as_os_str().as_bytes(), text.as_bytes()] {
                // With the length in front no two lists of files are the same row of bytes.
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        Self(hash.finalize().into())
    }

    /// Whether the files at `path`, which it was taken of, have been changed since. Reads them.
    pub fn is_outdated(&self, path: &Path) -> bool {
        let mut report = Report::default();
        let texts = source::read(path, &mut report);
        // What cannot be read any more, or not be trusted, would not be applied either.
        report.has_errors() || Self::of(&texts) != *self
    }
}
