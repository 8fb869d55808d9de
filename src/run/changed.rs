//! From a change that was noticed to what is done about it, and to the record of that.

use std::collections::HashMap;
use std::sync::Arc;

use super::Daemon;
use crate::access::Access;
use crate::audit::Audit;
use crate::audit::record::{Op, Outcome, Record};
use crate::change::{Changes, Done, Watched};
use crate::config::checked::{Config, File};
use crate::readers::Readers;
use crate::reference::Reference;

impl Daemon {
    /// The secret `whole` has another version now: whoever watches a file that shows it is told, and what the file has as
    /// `on_change` is done. Returns at once.
    pub(super) fn changed(&self, whole: &Reference, old: Option<&str>, new: &str) {
        let paths = self.fs.showing(whole);
        self.announce(&paths);
        for path in paths {
            self.changes.noticed(&path, std::slice::from_ref(whole), old, new);
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
    let is_watched = |(_, file): &(String, &File)| !file.on_change.is_empty();
    let watched = |(path, file): (String, &File)| {
        let scope = path.strip_suffix(&file.name).unwrap_or_default().trim_end_matches('/').to_owned();
        (path, Watched { scope, on_change: file.on_change.clone() })
    };
    files(config).filter(is_watched).map(watched).collect()
}

/// A file that shows other secrets than before, or other pinned versions of them.
pub(super) struct ShownAnew {
    pub(super) path: String,
    pub(super) secrets: Vec<Reference>,
    /// The version, where one is pinned.
    pub(super) version: String,
}

/// The files of `new` of which that is so.
pub(super) fn shown_anew(old: &Config, new: &Config) -> Vec<ShownAnew> {
    let before: HashMap<_, _> = files(old).map(|(path, file)| (path, &file.shows)).collect();
    let differs = |(path, file): &(String, &File)| {
        before.get(path).is_some_and(|shows| shows.secrets() != file.shows.secrets())
    };
    let anew = |(path, file): (String, &File)| {
        let secrets = file.shows.secrets().to_vec();
        let version = match secrets.as_slice() {
            [one] if !file.shows.is_template() => one.version().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        ShownAnew { path, secrets, version }
    };
    files(new).filter(differs).map(anew).collect()
}

fn files(config: &Config) -> impl Iterator<Item = (String, &File)> {
    config
        .scopes
        .iter()
        .flat_map(|scope| scope.files.iter().map(|file| (format!("{}/{}", scope.name, file.name), &**file)))
}

fn record(done: Done, access: &Access, exe: String) -> Record {
    let Done { change, result, took } = done;
    let (outcome, reason) = match result {
        Ok(reason) => (Outcome::Allowed, reason),
        Err(reason) => (Outcome::Failed, reason),
    };
    Record {
        outcome,
        scope: change.scope,
        exe,
        version: change.new,
        reason,
        ..access.own_record(Op::Change, change.path, took)
    }
}
