//! `[runtime.docker]` and `[runtime.podman]`: where the container runtimes listen.

use std::path::PathBuf;

use super::files::resolve;
use super::merge::Merged;
use super::report::{Found, Report};
use super::source::Source;
use super::trust::Trust;
use crate::identity::Runtimes;

/// Checks where the runtimes listen. Whose the sockets are is looked at whenever one is asked: a runtime may be started, or
/// installed, later.
pub(super) fn runtimes(
    merged: &Merged<'_>,
    trust: &Trust,
    sources: &[Source<'_>],
    report: &mut Report,
) -> Runtimes {
    let mut socket = |engine: &str, fallback: PathBuf| -> PathBuf {
        let Some(entry) = merged.values.get(&format!("runtime.{engine}.socket")) else { return fallback };
        let Some(text) = entry.text(report) else { return fallback };
        let path = resolve(text, &entry.at, sources);
        if text.is_empty() || text.contains("://") {
            let found = Found::at(&entry.at, "`socket` takes the path of a socket");
            report.error(found.hint(format!("for example \"{}\"", fallback.display())));
        } else if trust.is_below_mount(&path) {
            report.error(Found::at(&entry.at, "`socket` lies below the mount"));
        }
        path
    };
    let Runtimes { docker, podman } = Runtimes::default();
    Runtimes { docker: socket("docker", docker), podman: socket("podman", podman) }
}
