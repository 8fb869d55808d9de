//! What stands at the top: mount, control socket, audit, limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checked::{Audit, AuditSink, Limits, OnFailure};
use super::files::resolve;
use super::merge::Merged;
use super::report::{Found, Report};
use super::source::Source;
use super::table::{Entry, one_of};
use super::trust::{Trust, Untrusted, Want, quoted};
use crate::identity::Namespaces;
use crate::units;
use crate::words::nearest;

/// Used where the file says nothing.
const DEFAULT: Limits = Limits::DEFAULT;

/// The largest bound that can be written: whoever wants none writes this.
const MOST: u32 = 1_000_000;

/// What stands at the top, checked.
pub(super) struct Settings {
    pub(super) mount: PathBuf,
    pub(super) control: PathBuf,
    pub(super) namespaces: Namespaces,
    pub(super) audit: Audit,
    pub(super) limits: Limits,
    /// Whom files may belong to, and where none may lie.
    pub(super) trust: Trust,
}

/// Checks what stands at the top of the configuration at `path`.
pub(super) fn settings(
    path: &Path,
    merged: &Merged<'_>,
    sources: &[Source<'_>],
    report: &mut Report,
) -> Settings {
    let mount = mount(path, merged, sources, report);
    let trust = Trust { us: rustix::process::geteuid().as_raw(), mounts: names_of(&mount) };
    for source in sources {
        if trust.is_below_mount(&source.path) {
            let message = format!("`{}` lies below the mount", source.path.display());
            report.error(
                Found::file(&source.path, message)
                    .hint("mount elsewhere, or keep the configuration elsewhere"),
            );
        }
    }
    // The lock and the mount point are made there, by root maybe.
    if let Some(entry) = merged.values.get("mount")
        && let Some(parent) = mount.parent()
    {
        trust.to_be_made(&parent.join("lock"), &entry.at, report);
    }
    let control = control(&mount, &trust, merged, sources, report);
    let namespaces = merged.values.get("namespaces").and_then(|entry| namespaces(entry, report));
    let namespaces = namespaces.unwrap_or(Namespaces::Host);
    let audit = audit(&trust, merged, sources, report);
    let limits = limits(merged, report);
    Settings { mount, control, namespaces, audit, limits, trust }
}

fn mount(path: &Path, merged: &Merged<'_>, sources: &[Source<'_>], report: &mut Report) -> PathBuf {
    let fallback = PathBuf::from("/run/hushfs");
    let Some(entry) = merged.values.get("mount") else {
        if report.is_complete() {
            let found =
                Found::file(path, "there is no `mount`, the directory where the secrets are to appear");
            report.error(found.hint("write `mount = \"/run/hushfs\"` at the top of the file"));
        }
        return fallback;
    };
    let Some(text) = entry.text(report) else { return fallback };
    let mount = resolve(text, &entry.at, sources);
    if text.is_empty() || mount.parent().is_none() {
        let found = Found::at(&entry.at, "`mount` takes a directory of its own");
        report.error(found.hint("write `mount = \"/run/hushfs\"`"));
        return fallback;
    }
    mount
}

/// The mount point as it is written, and as it is named when links are followed.
fn names_of(mount: &Path) -> Vec<PathBuf> {
    // The mount itself is only asked whether it is a link: it may be our own, and waiting for us.
    let real = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    let mut names = vec![mount.to_owned()];
    names.extend(real(mount));
    let target = mount.read_link().ok().and_then(|target| real(&mount.parent()?.join(target)));
    names.extend(target);
    names.dedup();
    names
}

fn control(
    mount: &Path,
    trust: &Trust,
    merged: &Merged<'_>,
    sources: &[Source<'_>],
    report: &mut Report,
) -> PathBuf {
    let entry = merged.values.get("control");
    let written = entry.and_then(|entry| Some((entry, entry.text(report)?)));
    if let Some((entry, "")) = written {
        report.error(Found::at(&entry.at, "`control` takes the path of a socket"));
    }
    let path = match written {
        Some((entry, text)) => resolve(text, &entry.at, sources),
        None => {
            let mut name = mount.as_os_str().to_owned();
            name.push(".sock");
            PathBuf::from(name)
        }
    };
    if let Some(entry) = entry.or(merged.values.get("mount")) {
        trust.to_be_made(&path, &entry.at, report);
    }
    path
}

fn audit(trust: &Trust, merged: &Merged<'_>, sources: &[Source<'_>], report: &mut Report) -> Audit {
    let to = merged.values.get("audit.to").and_then(|entry| sink(entry, trust, sources, report));
    let on_failure = merged.values.get("audit.on_failure").and_then(|entry| on_failure(entry, report));
    Audit { to: to.unwrap_or(AuditSink::Stderr), on_failure: on_failure.unwrap_or(OnFailure::Deny) }
}

fn sink(entry: &Entry<'_>, trust: &Trust, sources: &[Source<'_>], report: &mut Report) -> Option<AuditSink> {
    match entry.text(report)? {
        "stderr" => Some(AuditSink::Stderr),
        "journal" => Some(AuditSink::Journal),
        text if text.contains('/') => {
            let path = resolve(text, &entry.at, sources);
            if let Err(error) = audit_file(trust, &path) {
                let make = |error: &Untrusted| match error {
                    Untrusted::Missing(missing) => Some(format!("mkdir -p -m 0700 {}", quoted(missing))),
                    error => error.hint(),
                };
                report.error(Found::at(&entry.at, error.to_string()).maybe_hint(make(&error)));
            }
            Some(AuditSink::File(path))
        }
        text => {
            let near = nearest(text, &["stderr", "journal"]).map(|near| format!("did you mean \"{near}\"?"));
            let found = Found::at(&entry.at, "`to` takes \"stderr\", \"journal\" or the path of a file");
            report.error(
                found.hint("a path has a `/`: \"./audit.log\" lies beside this file").maybe_hint(near),
            );
            None
        }
    }
}

/// An audit file need not exist yet, but its directory must.
fn audit_file(trust: &Trust, path: &Path) -> Result<(), Untrusted> {
    if trust.is_below_mount(path) {
        return Err(Untrusted::BelowMount(path.to_owned()));
    }
    match (trust.check(path, Want::Private), path.parent()) {
        (Err(Untrusted::Missing(_)), Some(parent)) => trust.check(parent, Want::Directory),
        (checked, _) => checked,
    }
}

fn on_failure(entry: &Entry<'_>, report: &mut Report) -> Option<OnFailure> {
    one_of(entry, &[("deny", OnFailure::Deny), ("serve", OnFailure::Serve)], report)
}

fn namespaces(entry: &Entry<'_>, report: &mut Report) -> Option<Namespaces> {
    one_of(entry, &[("host", Namespaces::Host), ("own", Namespaces::Own)], report)
}

fn limits(merged: &Merged<'_>, report: &mut Report) -> Limits {
    let mut read = Reader { merged, report };
    let limits = Limits {
        cache_max: read.size("cache_max", DEFAULT.cache_max),
        size_max: read.size("size_max", DEFAULT.size_max),
        deadline: read.duration("deadline", DEFAULT.deadline),
        stat_wait: read.duration("stat_wait", DEFAULT.stat_wait),
        waiting_per_uid: read.count("waiting_per_uid", DEFAULT.waiting_per_uid),
        waiting_per_process: read.count("waiting_per_process", DEFAULT.waiting_per_process),
        misses_per_uid: read.count("misses_per_uid", DEFAULT.misses_per_uid),
        misses_per_process: read.count("misses_per_process", DEFAULT.misses_per_process),
    };
    if limits.size_max > limits.cache_max {
        let message = "`size_max` is larger than `cache_max`: such a file could not be held";
        read.refuse(&["size_max", "cache_max"], message);
    }
    if limits.deadline.is_zero() {
        read.refuse(&["deadline"], "a `deadline` of nothing fails every read");
    } else if limits.stat_wait > limits.deadline {
        read.refuse(&["stat_wait", "deadline"], "`stat_wait` is longer than `deadline`");
    }
    limits
}

struct Reader<'r, 's> {
    merged: &'r Merged<'s>,
    report: &'r mut Report,
}

impl Reader<'_, '_> {
    fn size(&mut self, key: &str, default: u64) -> u64 {
        let Some(entry) = self.merged.values.get(&format!("limits.{key}")) else { return default };
        match units::size(entry.value) {
            Ok(0) => {
                self.report.error(Found::at(&entry.at, format!("`{key}` cannot be 0")));
                default
            }
            Ok(size) => size,
            Err(hint) => {
                self.report.error(Found::at(&entry.at, format!("`{key}` takes a size")).hint(hint));
                default
            }
        }
    }

    fn count(&mut self, key: &str, default: u32) -> u32 {
        let Some(entry) = self.merged.values.get(&format!("limits.{key}")) else { return default };
        let written = units::whole(entry.value).and_then(|number| u32::try_from(number).ok());
        written.filter(|number| (1..=MOST).contains(number)).unwrap_or_else(|| {
            let message = format!("`{key}` takes a whole number from 1 to {MOST}");
            self.report.error(Found::at(&entry.at, message).hint(format!("write `{key} = {default}`")));
            default
        })
    }

    fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(entry) = self.merged.values.get(&format!("limits.{key}")) else { return default };
        units::duration(entry.value.as_str()).unwrap_or_else(|hint| {
            self.report.error(Found::at(&entry.at, format!("`{key}` takes a duration")).hint(hint));
            default
        })
    }

    /// Reports at the first of `keys` that is written.
    fn refuse(&mut self, keys: &[&str], message: &str) {
        let written = keys.iter().find_map(|key| self.merged.values.get(&format!("limits.{key}")));
        if let Some(entry) = written {
            self.report.error(Found::at(&entry.at, message));
        }
    }
}
