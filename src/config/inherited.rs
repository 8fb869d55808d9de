//! What a file takes from its scope and from the whole configuration, and what can be written of it.

use std::collections::BTreeMap;

use super::checked::CacheRules;
use super::merge::Merged;
use super::on_change;
use super::owners::Owners;
use super::source::Source;
use super::table::Entry;
use super::trust::Trust;

/// What holds for a file that says nothing else, and who is trusted.
pub(super) struct Inherited<'i, 's> {
    /// Owner, group and mode.
    pub(super) owners: &'i Owners,
    /// What is done on a change.
    pub(super) on_change: &'i on_change::OfScope<'i, 's>,
    /// Whom files may belong to.
    pub(super) trust: &'i Trust,
    /// What its scope says of how long secrets are kept.
    pub(super) cache: &'i [Entry<'s>],
    /// The workload that it is for (`scope/workload`), where the scope has some.
    pub(super) workload: Option<&'i str>,
    /// What is said of that for all, and by each provider.
    pub(super) providers: &'i BTreeMap<&'s str, CacheRules>,
    /// The providers that there are.
    pub(super) merged: &'i Merged<'s>,
    /// All files of the configuration.
    pub(super) sources: &'i [Source<'s>],
    /// The path of the directory that the file is in.
    pub(super) scope: &'i str,
}

/// What is read: a file, or what the files of a directory are like.
pub(super) struct What {
    /// The word for it.
    pub(super) word: &'static str,
    /// Its keys, beside those that files and directories have in common.
    pub(super) keys: &'static [&'static str],
    /// Of those, the ones that say where it comes from: it has one of them.
    pub(super) sources: &'static [&'static str],
    /// What to write where it has none of them.
    pub(super) remedy: &'static str,
}
