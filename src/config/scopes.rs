//! `[scope.NAME]`: a directory of files, or one for each workload; who owns it and who may read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::bundles;
use super::cache;
use super::checked::{CacheRules, Scope};
use super::dirs::{self, Written as WrittenDir};
use super::inherited::Inherited;
use super::learning;
use super::merge::Merged;
use super::names;
use super::on_change;
use super::owners::{self, Owners, scope_dir_mode};
use super::reach;
use super::report::{Found, Report};
use super::rules::{self, Checked};
use super::scope_files::{A_FILE, draft};
use super::source::Source;
use super::table::{Entry, find, unknown};
use super::trust::Trust;
use super::workloads::{self, Directory, EXAMPLE};
use crate::identity::selector;
use crate::policy::Rules;

const SCOPE: &[&str] = &["allow", "learn_until", "on_change", "bundle", "file", "dir", "workload"];

/// What the checks of all scopes turn on.
struct Context<'c, 's> {
    merged: &'c Merged<'s>,
    trust: &'c Trust,
    sources: &'c [Source<'s>],
    /// What each provider says of how long secrets are kept.
    providers: BTreeMap<&'s str, CacheRules>,
}

/// Checks all scopes; they come out in the order of their names.
pub(super) fn scopes(
    merged: &Merged<'_>,
    trust: &Trust,
    sources: &[Source<'_>],
    top: CacheRules,
    report: &mut Report,
) -> Vec<Arc<Scope>> {
    let mut used = BTreeSet::new();
    let of_provider =
        |entry: &Entry<'_>, report: &mut Report| cache::of_provider(merged, entry.key, top, report);
    let providers = merged.providers.values().map(|entry| (entry.key, of_provider(entry, report))).collect();
    let context = Context { merged, trust, sources, providers };
    let one = |entry| scope(entry, &context, &mut used, report);
    let mut scopes: Vec<_> = merged.scopes.values().flat_map(one).map(Arc::new).collect();
    scopes.sort_by(|a, b| a.name.cmp(&b.name));
    // A configuration without any scope is one that is only begun, and a file that was not read may use it.
    if !merged.scopes.is_empty() && report.is_complete() {
        for entry in merged.providers.values().filter(|entry| !used.contains(entry.key)) {
            report.warn(Found::at(&entry.key_at, format!("no file uses the provider `{}`", entry.key)));
        }
    }
    scopes
}

/// The scope, or one for each of its workloads.
fn scope(
    entry: &Entry<'_>,
    context: &Context<'_, '_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Vec<Scope> {
    if let Err(error) = names::check(entry.key) {
        report.error(Found::at(&entry.key_at, format!("scope: {error}")));
    }
    let Some(settings) = entry.table(report) else { return Vec::new() };
    let known: Vec<_> = owners::KEYS.iter().chain(SCOPE).chain(cache::KEYS).copied().collect();
    for setting in settings.iter().filter(|setting| !known.contains(&setting.key)) {
        let hint = match setting.key {
            "files" => Some("write `file.NAME = \"provider:path\"`".to_owned()),
            "rule" | "rules" => Some("write `allow = { user = \"app\" }`".to_owned()),
            "workloads" => Some(format!("the key is `workload`; {EXAMPLE}")),
            "per_caller" => {
                Some("it is said of a file: `file.NAME = { from = …, per_caller = true }`".to_owned())
            }
            key if selector(key).is_some() => {
                Some(format!("it belongs into a rule: `allow = {{ {key} = … }}`"))
            }
            _ => None,
        };
        unknown(report, setting, &known, "a scope", hint);
    }
    let allow = find(&settings, "allow");
    let directories = match find(&settings, "workload") {
        Some(table) => workloads::directories(entry, table, allow, context.trust, report),
        None => {
            let rules = rules::rules(entry, allow, context.trust, report);
            let (name, at) = (entry.key.to_owned(), allow.unwrap_or(entry).key_at.clone());
            vec![Directory { name, at, rules, is_of_workload: false }]
        }
    };
    let learn = find(&settings, "learn_until");
    let learn_until = learning::learn_until(entry.key, learn, Timestamp::now(), report);
    let each = |one| directory(one, entry, &settings, learn_until, context, used, report);
    directories.into_iter().filter_map(each).collect()
}

/// One directory of a scope with these settings.
#[expect(clippy::option_option, reason = "as of `learning::learn_until`")]
fn directory(
    directory: Directory,
    entry: &Entry<'_>,
    settings: &[Entry<'_>],
    learn_until: Option<Option<Timestamp>>,
    context: &Context<'_, '_>,
    used: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<Scope> {
    let Directory { name, at, rules, is_of_workload } = directory;
    let Context { merged, trust, sources, providers } = context;
    let written = owners::written(settings, report);
    let owners = Owners::new(written.unwrap_or_default(), one_uid(rules.as_deref().unwrap_or_default()));
    let on_change = on_change::OfScope::new(find(settings, "on_change"), trust);
    let list = find(settings, "file").and_then(|file| file.table(report)).unwrap_or_default();
    let dir_list = find(settings, "dir").and_then(|dir| dir.table(report)).unwrap_or_default();
    if list.is_empty() && dir_list.is_empty() {
        let found = Found::at(&entry.key_at, format!("scope `{}` has no files", entry.key));
        report.warn(found.hint("add one: `file.token = \"provider:path\"`"));
        // Each file reads it for its owner; here is none.
        on_change.of(&owners, report);
    }
    let tables: Vec<_> = list.iter().map(|file| (file, table(file, report))).collect();
    let dir_tables: Vec<_> = dir_list.iter().map(|dir| (dir, table(dir, report))).collect();
    dirs::clash(&list, &dir_list, report);
    // For what is wrong in them: what they come to turns on the provider of each file.
    cache::over(CacheRules::DEFAULT, settings, report);
    let workload = is_of_workload.then_some(name.as_str());
    let inherited = Inherited {
        owners: &owners,
        on_change: &on_change,
        trust,
        cache: settings,
        workload,
        providers,
        merged,
        sources,
        scope: &name,
    };
    let (mut files, mut listed, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for (file, table) in &tables {
        match draft(&A_FILE, file, table.as_deref(), &inherited, used, report) {
            Some(draft) => files.push(draft),
            None => unread.push(table.as_deref()),
        }
    }
    for (dir, table) in &dir_tables {
        match dirs::dir(dir, table.as_deref(), &inherited, used, report) {
            Some(WrittenDir::Named(named)) => files.extend(named),
            Some(WrittenDir::Listed(like, of)) => listed.push((like, of)),
            None => unread.push(table.as_deref()),
        }
    }
    files.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    let names: Vec<_> = list.iter().map(|file| file.key).collect();
    let bundles = bundles::bundles(settings, &names, report);
    // From here on each mistake would be a consequence of one above.
    let (rules, _, learn_until) = (rules?, written?, learn_until?);
    let all: Vec<_> = files.iter().chain(listed.iter().map(|(like, _)| like)).collect();
    reach::check(&rules, &owners, settings, &all, &unread, report);
    let dir_mode = scope_dir_mode(&owners, all.iter().map(|draft| &draft.owners));
    let rules = Rules::new(rules.into_iter().map(|checked| checked.rule).collect());
    learning::needs_uid(&rules, find(settings, "learn_until"), report);
    Some(Scope {
        rules_at: report.place(&at),
        uid: owners.uid,
        gid: owners.gid,
        dir_mode,
        rules: Arc::new(rules),
        learn_until,
        bundles,
        files: files.into_iter().map(|draft| Arc::new(draft.file)).collect(),
        dirs: listed.into_iter().map(|(like, of)| like.into_dir(of)).collect(),
        name,
    })
}

/// The entries of a file that is written as a table.
fn table<'s>(file: &Entry<'s>, report: &mut Report) -> Option<Vec<Entry<'s>>> {
    file.value.as_table().and_then(|_| file.table(report))
}

/// The uid that every rule demands, if it is the same in all.
fn one_uid(rules: &[Checked]) -> Option<u32> {
    let first = rules.first()?.uid?;
    rules.iter().all(|checked| checked.uid == Some(first)).then_some(first)
}
