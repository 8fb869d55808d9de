//! Whether the files of a configuration are still what they were when it was read.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::report::Report;
use super::source::{self, Text};
use crate::template::Template;

/// A digest of what stands in all files of a configuration, and of how they are called.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Print {
    own: [u8; 32],
    /// The files of templates, and the digest of each.
    templates: BTreeMap<PathBuf, String>,
}

impl Print {
    pub(super) fn of<'t>(texts: &[Text], templates: impl Iterator<Item = &'t Template>) -> Self {
        let one = |template: &Template| (PathBuf::from(template.name()), template.digest().to_owned());
        // One that is written in place is named by its file's path below the mount.
        let templates = templates.map(one).filter(|(path, _)| path.is_absolute()).collect();
        Self { own: Self::of_texts(texts), templates }
    }

    fn of_texts(texts: &[Text]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for Text { path, text } in texts {
            for part in [path.as_os_str().as_bytes(), text.as_bytes()] {
                // With the length in front no two lists of files are the same row of bytes.
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// Whether the files at `path`, which it was taken of, have been changed since. Reads them.
    pub fn is_outdated(&self, path: &Path) -> bool {
        let mut report = Report::default();
        let texts = source::read(path, &mut report);
        // What cannot be read any more, or not be trusted, would not be applied either.
        report.has_errors() || Self::of_texts(&texts) != self.own || self.templates.iter().any(is_another)
    }
}

fn is_another((path, digest): (&PathBuf, &String)) -> bool {
    std::fs::read(path).map_or(true, |text| Template::digest_of(&text) != *digest)
}
