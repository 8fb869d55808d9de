//! What a reload would change.

use std::sync::Arc;

use super::checked::{Config, Provider, Scope};
use crate::policy::Rule;

/// The difference between two configurations. Names are in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Scopes that are the same in everything.
    pub unchanged: Vec<String>,
    /// Scopes of which something is different: owner, mode, rules, learning or files.
    pub changed: Vec<String>,
    /// Scopes that are new.
    pub added: Vec<String>,
    /// Scopes that are gone.
    pub removed: Vec<String>,
    /// Providers that are new, gone or set differently: what was fetched from them is no longer good.
    pub providers: Vec<String>,
    /// Whether limits or the audit sink are different.
    pub settings: bool,
    /// What cannot be changed while mounted, one line each. Unless it is empty, nothing of the new file is applied.
    pub restart: Vec<String>,
}

impl Changes {
    /// Whether a reload would change nothing.
    pub fn is_empty(&self) -> bool {
        let Self { unchanged: _, changed, added, removed, providers, settings, restart } = self;
        let lists = [changed, added, removed, providers, restart];
        lists.into_iter().all(Vec::is_empty) && !settings
    }
}

/// What is different in `new`.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes =
        Changes { settings: old.limits != new.limits || old.audit != new.audit, ..Changes::default() };
    for scope in &new.scopes {
        let list = match find(old, &scope.name) {
            None => &mut changes.added,
            Some(before) if same(before, scope) => &mut changes.unchanged,
            Some(_) => &mut changes.changed,
        };
        list.push(scope.name.clone());
    }
    let gone = old.scopes.iter().filter(|scope| find(new, &scope.name).is_none());
    changes.removed = gone.map(|scope| scope.name.clone()).collect();
    changes.providers = providers(old, new);
    for (what, before, after) in [("mount", &old.mount, &new.mount), ("control", &old.control, &new.control)]
    {
        if before != after {
            let (before, after) = (before.display(), after.display());
            changes.restart.push(format!("`{what}` changes from {before} to {after}, which takes a restart"));
        }
    }
    if old.namespaces != new.namespaces {
        changes.restart.push("`namespaces` changes, which takes a restart".to_owned());
    }
    if old.metrics != new.metrics {
        changes.restart.push("`[metrics]` changes, which takes a restart".to_owned());
    }
    if old.fetcher != new.fetcher {
        changes.restart.push("the user of the fetcher changes, which takes a restart".to_owned());
    }
    changes
}

/// Takes over from `old` every scope and file that is the same in everything, so that whoever holds one holds the one that is in
/// force.
pub fn keep_unchanged(scopes: &mut [Arc<Scope>], old: &Config) {
    for scope in scopes {
        match find(old, &scope.name) {
            Some(before) if same(before, scope) => *scope = Arc::clone(before),
            Some(before) => keep_files(scope, before),
            None => {}
        }
    }
}

fn keep_files(scope: &mut Arc<Scope>, before: &Scope) {
    for file in &mut Arc::make_mut(scope).files {
        if let Some(before) = before.files.iter().find(|before| *before == file) {
            *file = Arc::clone(before);
        }
    }
}

fn find<'c>(config: &'c Config, name: &str) -> Option<&'c Arc<Scope>> {
    config.scopes.iter().find(|scope| scope.name == name)
}

fn same(a: &Scope, b: &Scope) -> bool {
    let Scope { name, rules_at: _, uid, gid, dir_mode, rules, learn_until, bundles, files, dirs } = a;
    let described = |rule: &Rule| rule.selectors().iter().map(|one| one.describe()).collect::<Vec<_>>();
    (name, uid, gid, dir_mode, learn_until, bundles, files, dirs)
        == (&b.name, &b.uid, &b.gid, &b.dir_mode, &b.learn_until, &b.bundles, &b.files, &b.dirs)
        && rules.iter().map(described).eq(b.rules.iter().map(described))
}

fn providers(old: &Config, new: &Config) -> Vec<String> {
    let find = |config: &'_ Config, name: &str| config.providers.iter().find(|one| one.name == name).cloned();
    let differs = |one: &&Provider| find(new, &one.name).is_none_or(|other| !same_provider(one, &other));
    let added = new.providers.iter().filter(|one| find(old, &one.name).is_none());
    let mut names: Vec<_> =
        old.providers.iter().filter(differs).chain(added).map(|one| one.name.clone()).collect();
    names.sort();
    names
}

fn same_provider(a: &Provider, b: &Provider) -> bool {
    a.kind.name == b.kind.name && a.settings == b.settings && a.base == b.base
}
