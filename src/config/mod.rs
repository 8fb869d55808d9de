//! The configuration: raw -> checked.
//!
//! This folder owns reading TOML, reporting every mistake with its place, and handing out what can no longer be wrong.
//! It opens no provider and mounts nothing. The way of one file: `source` reads it, `merge` puts the files together,
//! `settings`, `providers` and `scopes` check their tables, and [`checked`] is what comes out. Each step reports to one
//! `Report` and goes on, so that all mistakes of all files are shown at once.

use std::path::Path;

mod bundles;
mod cache;
pub mod checked;
mod diff;
mod dirs;
mod doubts;
mod draw;
mod fetcher;
mod file_shows;
mod files;
mod inherited;
mod learning;
mod merge;
mod metrics;
mod names;
mod on_change;
mod owners;
mod print;
mod problems;
mod providers;
mod reach;
mod report;
mod rules;
mod runtimes;
mod scope_files;
mod scopes;
mod scripts;
mod settings;
mod shows;
mod slips;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod trust;
mod users;
mod walk;
mod workloads;

pub use checked::Config;
pub use diff::{Changes, diff, keep_unchanged};
pub use draw::{Look, draw};
pub(crate) use files::normal;
pub(crate) use owners::dir_mode;
pub use print::Print;
pub use problems::{Problem, Problems};
pub(crate) use reach::is_member;
pub(crate) use trust::{quoted, replaceable};

use report::Report;
use source::Text;

/// Reads and checks the configuration at `path` and the `conf.d/*.toml` beside it. Opens no provider.
///
/// # Errors
/// Everything that is wrong, in the order of the files and of the lines in them.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let mut report = Report::default();
    let texts = source::read(path, &mut report);
    check(path, &texts, report)
}

/// Checks what was read.
fn check(path: &Path, texts: &[Text], mut report: Report) -> Result<Config, Problems> {
    let path = source::absolute(path);
    let sources: Vec<_> = texts.iter().map(|text| source::parse(text, &mut report)).collect();
    let sources = sources.as_slice();
    let merged = merge::merge(sources, &mut report);
    let settings = settings::settings(&path, &merged, sources, &mut report);
    let providers = providers::providers(&merged, sources, &settings.trust, &mut report);
    let runtimes = runtimes::runtimes(&merged, &settings.trust, sources, &mut report);
    let fetcher = fetcher::account(&merged, &mut report);
    let metrics = metrics::metrics(&merged, &settings.trust, &settings.control, sources, &mut report);
    let cache = cache::top(&merged, &mut report);
    let scopes = scopes::scopes(&merged, &settings.trust, sources, cache, &mut report);
    if report.has_errors() {
        return Err(report.into_problems());
    }
    let files = scopes.iter().flat_map(|scope| &scope.files);
    let templates = files.filter_map(|file| file.shows.as_template());
    Ok(Config {
        path,
        mount: settings.mount,
        control: settings.control,
        namespaces: settings.namespaces,
        providers,
        runtimes,
        fetcher,
        print: Print::of(texts, templates),
        scopes,
        audit: settings.audit,
        metrics,
        limits: settings.limits,
        warnings: report.into_warnings(),
    })
}
