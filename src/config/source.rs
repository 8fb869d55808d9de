//! Reads the files: the main one and `conf.d/*.toml` beside it.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::report::{At, Found, Report};
use super::trust::{Trust, Untrusted, Want};

/// The longest configuration file, in bytes: far above any real one, far below what hurts.
const MAX: u64 = 4 << 20;

/// One file, read.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// One file, parsed.
pub(super) struct Source<'t> {
    /// Its number in the report.
    pub(super) number: usize,
    /// The file, absolute.
    pub(super) path: PathBuf,
    /// What relative paths in it start from.
    pub(super) base: PathBuf,
    /// Its tables; empty when the text is no TOML.
    pub(super) table: DeTable<'t>,
}

/// Reads all files of the configuration at `path`.
pub(super) fn read(path: &Path, report: &mut Report) -> Vec<Text> {
    let trust = Trust { us: rustix::process::geteuid().as_raw(), mounts: Vec::new() };
    let path = absolute(path);
    let mut texts = Vec::new();
    texts.extend(read_one(&path, &trust, report));
    let fragments = path.parent().unwrap_or(Path::new("/")).join("conf.d");
    match trust.list(&fragments) {
        Ok(mut names) => {
            names.sort();
            for name in names {
                let visible = !name.as_encoded_bytes().starts_with(b".");
                if visible && name.as_encoded_bytes().ends_with(b".toml") {
                    texts.extend(read_one(&fragments.join(name), &trust, report));
                }
            }
        }
        Err(Untrusted::Missing(_)) => {}
        Err(error) => {
            report.set_incomplete();
            report.error(Found::file(&fragments, error.to_string()).maybe_hint(error.hint()));
        }
    }
    texts
}

/// The path from the root, without asking the file system.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn read_one(path: &Path, trust: &Trust, report: &mut Report) -> Option<Text> {
    let bytes = match trust.read(path, MAX, Want::Private) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.set_incomplete();
            let found = Found::file(path, error.to_string());
            report.error(match &error {
                Untrusted::Missing(_) => found.hint("`hushfs init` writes a configuration to start from"),
                Untrusted::Io { .. } => {
                    found.hint("run as root or as the file's owner, or name another file: --config FILE")
                }
                _ => found.maybe_hint(error.hint()),
            });
            return None;
        }
    };
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX) {
        report.set_incomplete();
        report.error(Found::file(path, "it is longer than 4 MiB, which no configuration is"));
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Text { path: path.to_owned(), text }),
        Err(error) => {
            report.set_incomplete();
            let good = error.utf8_error().valid_up_to();
            report.error(Found::file(path, format!("it is not UTF-8: see the byte at offset {good}")));
            None
        }
    }
}

/// Parses the text of one file. What is no TOML is reported, all of it.
pub(super) fn parse<'t>(file: &'t Text, report: &mut Report) -> Source<'t> {
    let Text { path, text } = file;
    let number = report.add_text(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut table = table.into_inner();
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        report.error(Found::at(&At { source: number, span }, error.message()));
    }
    if !errors.is_empty() {
        // What could be read of such a file would only yield errors that are none.
        report.set_incomplete();
        table = DeTable::new();
        hide_providers(number, text, report);
    }
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    Source { number, path: path.to_owned(), base, table }
}

/// Hides settings of providers in a text that has no tables yet.
fn hide_providers(source: usize, text: &str, report: &mut Report) {
    let mut start = 0_usize;
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let end = start.saturating_add(line.len());
        let written = line.trim_start();
        let header = written.starts_with('[');
        if header {
            inside = written.trim_start_matches('[').trim_start().starts_with("provider");
        }
        if (inside && !header && !written.starts_with('#')) || written.starts_with("provider") {
            let shown = line.find('=').map_or(0, |equals| equals.saturating_add(1));
            report.hide(&At { source, span: start.saturating_add(shown)..end });
        }
        start = end;
    }
}
