//! From a change that was noticed to what is done about it, and to the record of that.

use std::collections::HashMap;
use std::sync::Arc;

use super::Daemon;
use crate::access::Access;
use crate::audit::Audit;
use crate::audit::record::{Op, Outcome, Record};
use crate::change::{Changes, Done, Watched};
use crate::config::checked::Config;
use crate::readers::Readers;
use crate::reference::Reference;

impl Daemon {
    /// The secret `whole` has another version now: whoever watches a file that shows it is told, and what the file has as
    /// `on_change` is done. Returns at once.
    pub(super) fn changed(&self, whole: &Reference, old: Option<&str>, new: &str) {
        let paths = self.fs.showing(whole);
        self.announce(&paths);
        for path in paths {
            self.changes.noticed(&path, old, new);
        }
    }
}

/// One that puts on record what was done.
pub(super) fn changes(readers: Arc<Readers>, access: &Arc<Access>, audit: Audit) -> Changes {
    let access = Arc::clone(access);
    let exe = std::env::current_exe().map(|exe| exe.display().to_string()).unwrap_or_default();
    Changes::new(tokio::runtime::Handle::current(), readers, move |done| {
        // It serves nothing: one that is lost is counted by the log, and that is all.
        let _ = audit.record(record(done, &access, exe.clone()));
    })
}

/// The files of which changes are to be noticed.
pub(super) fn watched(config: &Config) -> HashMap<String, Watched> {
    files(config).filter(|(_, file)| !file.on_change.is_empty()).collect()
}

/// The files that show another secret, or another pinned version of one, in `new`: each with the version, where it is pinned.
pub(super) fn shown_anew(old: &Config, new: &Config) -> Vec<(String, Option<String>)> {
    let before: HashMap<_, _> = files(old).map(|(path, file)| (path, file.whole)).collect();
    let differs =
        |(path, file): &(String, Watched)| before.get(path).is_some_and(|whole| *whole != file.whole);
    let pinned = |(path, file): (String, Watched)| (path, file.whole.version().map(str::to_owned));
    files(new).filter(differs).map(pinned).collect()
}

fn files(config: &Config) -> impl Iterator<Item = (String, Watched)> {
    config.scopes.iter().flat_map(|scope| {
        scope.files.iter().map(|file| {
            let watched = Watched { whole: file.from.whole(), on_change: file.on_change.clone() };
            (format!("{}/{}", scope.name, file.name), watched)
        })
    })
}

fn record(done: Done, access: &Access, exe: String) -> Record {
    let Done { change, result, took } = done;
    let (outcome, reason) = match result {
        Ok(reason) => (Outcome::Allowed, reason),
        Err(reason) => (Outcome::Failed, reason),
    };
    Record {
        outcome,
        scope: change.scope().to_owned(),
        exe,
        version: change.new,
        reason,
        ..access.own_record(Op::Change, change.path, took)
    }
}
