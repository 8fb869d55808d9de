//! The checked configuration: what the rest of the program works with. Nothing here can be wrong any more.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::print::Print;
pub use super::shows::{How, Shows};
use crate::change::OnChange;
use crate::identity::{Namespaces, Runtimes};
use crate::policy::Rules;
use crate::providers::{Asks, Kind};
use crate::reference::Reference;
use crate::sandbox::Account;

/// A whole configuration, checked.
pub struct Config {
    /// The main file, absolute.
    pub path: PathBuf,
    /// The mount point, absolute.
    pub mount: PathBuf,
    /// The control socket; default `<mount>.sock`.
    pub control: PathBuf,
    /// Whose callers are served.
    pub namespaces: Namespaces,
    /// Providers by name, in the order of their names.
    pub providers: Vec<Provider>,
    /// Where the container runtimes listen.
    pub runtimes: Runtimes,
    /// Whom the fetcher is to be; only root can make it somebody else.
    pub fetcher: Option<Account>,
    /// Scopes, in the order of their names.
    pub scopes: Vec<Arc<Scope>>,
    /// Where audit records go.
    pub audit: Audit,
    /// Where metrics are told, if anywhere.
    pub metrics: Option<Metrics>,
    /// How the cache and the waits are bounded.
    pub limits: Limits,
    /// What stood in its files.
    pub print: Print,
    /// What is allowed but should be looked at: one line each, with its place.
    pub warnings: Vec<String>,
}

impl Config {
    /// How long each secret is kept that a file shows.
    pub fn cache_rules(&self) -> HashMap<Reference, CacheRules> {
        let mut rules = HashMap::<Reference, CacheRules>::new();
        // What the names of a directory follow from is fetched before any file is known.
        let dirs = self.scopes.iter().flat_map(|scope| &scope.dirs).filter(|dir| dir.of == DirOf::Keys);
        let files = self.scopes.iter().flat_map(|scope| &scope.files);
        for file in files.chain(dirs.map(|dir| &dir.like)) {
            for (whole, own) in file.shows.secrets().iter().zip(&file.cache) {
                let strictest = |all: &mut CacheRules| *all = all.strictest(*own);
                rules.entry(whole.clone()).and_modify(strictest).or_insert(*own);
            }
        }
        rules
    }
}

/// One provider, not yet opened.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in references.
    pub name: String,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its settings without `kind`.
    pub settings: toml::Table,
    /// What relative paths in the settings start from.
    pub base: PathBuf,
}

/// A directory of files with its rules.
#[derive(Clone)]
pub struct Scope {
    /// The directory's path below the mount: the name of the scope, or of a scope and one of its workloads (`scope/workload`).
    pub name: String,
    /// Where its rules are written, `file:line:column`, for messages.
    pub rules_at: String,
    /// Owner of directory and files.
    pub uid: u32,
    /// Group of directory and files.
    pub gid: u32,
    /// Permission bits of the directory.
    pub dir_mode: u16,
    /// Who may read.
    pub rules: Arc<Rules>,
    /// Until when a caller whom a rule names by uid may read with any program, and is put on record with it.
    pub learn_until: Option<jiff::Timestamp>,
    /// Files of which a process sees one generation, by the bundle's name.
    pub bundles: BTreeMap<String, Vec<String>>,
    /// The files, in the order of their names: those that are written, and those that its directories are known to have.
    pub files: Vec<Arc<File>>,
    /// Directories of which the files are found out at the provider.
    pub dirs: Vec<Arc<Dir>>,
}

/// A directory in a scope: its files are what the provider has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dir {
    /// What each of its files is like. Its name is that of the directory; what it shows is the whole secret of which each key is a
    /// file, or what there are secrets below.
    pub like: Arc<File>,
    /// What its files are.
    pub of: DirOf,
}

/// What the files of a directory are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirOf {
    /// Each key of one secret.
    Keys,
    /// Each secret below a path, of at most so many segments.
    Secrets {
        /// How many.
        depth: u32,
    },
}

/// Whether `name` is the scope `asked`, or one of its workloads (`scope/workload`).
pub fn is_of_scope(name: &str, asked: &str) -> bool {
    name.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Scope {
    /// The bundle that a file is in: its name, and the whole secrets that its files show, each once.
    pub fn bundle_of(&self, file: &str) -> Option<(&str, Vec<Reference>)> {
        let (name, of) = self.bundles.iter().find(|(_, of)| of.iter().any(|name| name == file))?;
        let shown = |name: &String| self.files.iter().find(|file| file.name == *name);
        let mut members: Vec<_> =
            of.iter().filter_map(shown).flat_map(|file| file.shows.secrets()).cloned().collect();
        members.sort();
        members.dedup();
        Some((name, members))
    }

    /// Until when the scope is learning, if it is `now`.
    pub fn learns_until(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.learn_until.filter(|until| now < *until)
    }
}

/// One file of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File {
    /// Its name; in a directory of its scope its path from there.
    pub name: String,
    /// What it shows.
    pub shows: Arc<Shows>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u16,
    /// How long its secrets are kept, one for each. Where files show the same one, the strictest of each holds.
    pub cache: Vec<CacheRules>,
    /// What is done when its content has changed.
    pub on_change: Vec<OnChange>,
}

/// How long a secret is kept, and what is done to have it at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheRules {
    /// How long a value is served before it is fetched again (`fresh_for`). What is made for each fetch, as a leased credential
    /// is, is kept for as long as it holds instead.
    pub fresh_for: Duration,
    /// How much longer it is served while its provider fails (`stale_for`).
    pub stale_for: Duration,
    /// How long it is remembered that a secret does not exist (`missing_for`).
    pub missing_for: Duration,
    /// How long it is remembered that the provider refuses it (`refused_for`).
    pub refused_for: Duration,
    /// How long after the last read it is still fetched ahead (`idle_after`), where no process lives that read it.
    pub idle_after: Duration,
    /// Whether it is fetched before anybody reads it, and kept fresh (`prefetch`).
    pub prefetch: bool,
    /// When what was made for us is ended before its time (`revoke`).
    pub revoke: Revoke,
    /// Whom its provider asks.
    pub asks: Asks,
}

/// When a credential that was made for us is ended before its time; the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revoke {
    /// When the last process that read it has ended; at the latest when hushfs is stopped.
    OnExit,
    /// When it was replaced and nobody who read it lives any more, and when hushfs is stopped.
    OnShutdown,
    /// Never: it lapses by itself.
    Never,
}

impl CacheRules {
    /// Those that hold where the configuration says nothing.
    pub const DEFAULT: Self = Self {
        fresh_for: Duration::from_mins(5),
        stale_for: Duration::from_hours(1),
        missing_for: Duration::from_secs(5),
        refused_for: Duration::from_secs(30),
        idle_after: Duration::from_hours(1),
        prefetch: false,
        revoke: Revoke::OnShutdown,
        asks: Asks::Service,
    };

    /// What holds for a secret that is shown under both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            fresh_for: self.fresh_for.min(other.fresh_for),
            stale_for: self.stale_for.min(other.stale_for),
            missing_for: self.missing_for.min(other.missing_for),
            refused_for: self.refused_for.min(other.refused_for),
            idle_after: self.idle_after.max(other.idle_after),
            prefetch: self.prefetch || other.prefetch,
            revoke: self.revoke.min(other.revoke),
            asks: self.asks,
        }
    }
}

/// Where audit records go and what happens when they cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Where to.
    pub to: AuditSink,
    /// What a full ring or a failed sink does to the attempt.
    pub on_failure: OnFailure,
}

/// Where audit records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditSink {
    /// The standard error stream.
    Stderr,
    /// A file of mode 0600, opened again on SIGHUP.
    File(PathBuf),
    /// systemd's journal.
    Journal,
}

/// What a full ring or a failed sink does to the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing is served that is not on record: the caller gets `EIO`.
    Deny,
    /// It is served, and the loss is counted and logged.
    Serve,
}

/// Metrics, and where they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Where.
    pub listen: MetricsAt,
    /// Whether secrets are told of one by one, with their references (`secrets`).
    pub secrets: bool,
}

/// Where metrics are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAt {
    /// A unix socket.
    Socket {
        /// Its path, absolute.
        path: PathBuf,
        /// Whose processes may ask, beside root's and those of the user hushfs runs as.
        group: Option<u32>,
    },
    /// An address of this host that no other can reach.
    Loopback(SocketAddr),
}

/// Bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of secrets held at most (`cache_max`).
    pub cache_max: u64,
    /// The longest file, in bytes (`size_max`).
    pub size_max: u64,
    /// How long an open may wait for a provider (`deadline`).
    pub deadline: Duration,
    /// How long a stat may wait for a provider (`stat_wait`).
    pub stat_wait: Duration,
    /// Requests of one uid that may wait at once (`waiting_per_uid`).
    pub waiting_per_uid: u32,
    /// Requests of one process that may wait at once (`waiting_per_process`).
    pub waiting_per_process: u32,
    /// How often in a second the callers of one uid may make providers be asked (`misses_per_uid`).
    pub misses_per_uid: u32,
    /// How often in a second one process may make providers be asked (`misses_per_process`).
    pub misses_per_process: u32,
}

impl Limits {
    /// Those that hold where the configuration says nothing.
    pub const DEFAULT: Self = Self {
        cache_max: 32 << 20,
        size_max: 1 << 20,
        deadline: Duration::from_secs(10),
        stat_wait: Duration::from_secs(1),
        // A service that starts all its threads on one secret stays below these.
        waiting_per_uid: 4096,
        waiting_per_process: 2048,
        misses_per_uid: 200,
        misses_per_process: 100,
    };
}
