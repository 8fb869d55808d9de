//! Files that the configuration names: where they are and whether they may be used.

use std::path::{Component, Path, PathBuf};

use super::report::{At, Found, Report};
use super::source::Source;
use super::trust::{Trust, Untrusted, Want};

/// Whether there is such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is, trusted or not.
    There,
    /// There is none.
    Missing,
}

/// The path from the root. A relative one starts from the directory of the file that names it; `.` and `..` are resolved
/// by name.
pub(super) fn resolve(text: &str, at: &At, sources: &[Source<'_>]) -> PathBuf {
    let base = sources.iter().find(|source| source.number == at.source).map(|source| source.base.as_path());
    normal(&base.unwrap_or(Path::new("/")).join(text))
}

/// The path without `.` and `..`.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

impl Trust {
    /// Whether the path lies below the mount, by its name alone.
    pub(super) fn is_below_mount(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| path.starts_with(mount))
    }

    /// Reports a named file that is not there or not to be trusted; `remedy` is for one that is not there.
    pub(super) fn named(
        &self,
        path: &Path,
        want: Want,
        at: &At,
        remedy: &str,
        report: &mut Report,
    ) -> Presence {
        let outcome = match self.is_below_mount(path) {
            true => Err(Untrusted::BelowMount(path.to_owned())),
            false => self.check(path, want),
        };
        let Err(error) = outcome else { return Presence::There };
        let found = Found::at(at, error.to_string());
        if let Untrusted::Missing(_) = error {
            report.error(found.hint(remedy));
            return Presence::Missing;
        }
        report.error(found.maybe_hint(error.hint()));
        Presence::There
    }

    /// Reports a file to be made whose directory is not to be trusted.
    pub(super) fn to_be_made(&self, path: &Path, at: &At, report: &mut Report) {
        let outcome = match self.is_below_mount(path) {
            true => Err(Untrusted::BelowMount(path.to_owned())),
            false => match path.parent().map(|parent| self.check(parent, Want::Shared)) {
                None | Some(Ok(()) | Err(Untrusted::Missing(_))) => Ok(()),
                Some(Err(error)) => Err(error),
            },
        };
        if let Err(error) = outcome {
            report.error(Found::at(at, error.to_string()).maybe_hint(error.hint()));
        }
    }
}
