//! What the configuration has for a caller already, as far as a record tells.

use std::path::Path;

use super::attempts::{Attempts, Caller};
use super::choose::Rule as Proposed;
use crate::config;
use crate::config::checked::Scope;
use crate::identity::{PinnedId, Selector};
use crate::policy::Rule;

/// How the rules of a scope stand to a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// This rule is for it by now.
    Matches(String),
    /// This one is for it but for one selector, which is no id.
    Nearly(Nearly),
    /// None of them could be for a caller of that uid.
    Stranger,
    None,
}

/// A rule of which one selector does not match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nearly {
    pub(super) rule: String,
    /// The selector, as messages name it.
    pub(super) lacks: String,
    /// What to write in its place.
    pub(super) write: Option<String>,
}

/// Looks for a rule of `scope` that is for `caller`, wholly or nearly.
pub(super) fn find(
    scope: &Scope,
    caller: &Caller,
    attempts: &Attempts,
    proposed: Option<&Proposed>,
) -> Present {
    let mut nearly = None;
    for rule in scope.rules.iter() {
        let lacking: Vec<_> = lacking(rule, caller, attempts, proposed).collect();
        match lacking.as_slice() {
            [] => return Present::Matches(rule.name().to_owned()),
            // Whom a rule is for is not for an attempt to say.
            [one] if one.pins().is_none() => {
                nearly = nearly.or_else(|| Some(nearly_by(rule, *one, proposed)));
            }
            _ => {}
        }
    }
    let for_others = |rule: &Rule| rule.selectors().iter().any(|one| is_for_another(&**one, caller));
    match nearly {
        Some(nearly) => Present::Nearly(nearly),
        None if scope.rules.iter().all(for_others) => Present::Stranger,
        None => Present::None,
    }
}

fn lacking<'r>(
    rule: &'r Rule,
    caller: &Caller,
    attempts: &Attempts,
    proposed: Option<&Proposed>,
) -> impl Iterator<Item = &'r dyn Selector> {
    rule.selectors().iter().map(|one| &**one).filter(move |one| !holds(*one, caller, attempts, proposed))
}

/// Whether a selector holds for the caller, as far as a record tells.
fn holds(one: &dyn Selector, caller: &Caller, attempts: &Attempts, proposed: Option<&Proposed>) -> bool {
    match (one.pins(), one.executable()) {
        (Some(PinnedId::Uid(uid)), _) => uid == caller.uid,
        (Some(PinnedId::Gid(gid)), _) => in_group(caller, attempts, gid),
        // A record has the gid for file access, which is one of those that a setgid program changes.
        (Some(PinnedId::Egid(gid)), _) => attempts.gids.contains(&gid),
        (None, Some(reference)) => attempts.programs.iter().all(|seen| is_same(reference.path(), seen)),
        (None, None) => {
            let description = one.describe();
            proposed.is_some_and(|rule| rule.described().any(|(described, _)| described == description))
        }
    }
}

fn is_for_another(one: &dyn Selector, caller: &Caller) -> bool {
    matches!(one.pins(), Some(PinnedId::Uid(uid)) if uid != caller.uid)
}

/// The path of a rule may be a link to what the kernel names.
fn is_same(path: &Path, seen: &str) -> bool {
    path == Path::new(seen) || path.canonicalize().is_ok_and(|path| path == Path::new(seen))
}

fn in_group(caller: &Caller, attempts: &Attempts, gid: u32) -> bool {
    attempts.gids.contains(&gid) || config::is_member(caller.uid, gid)
}

fn nearly_by(rule: &Rule, lacks: &dyn Selector, proposed: Option<&Proposed>) -> Nearly {
    let lacks = lacks.describe();
    let kind = |described: &str| described.split(':').next().map(str::to_owned);
    let write = proposed.and_then(|proposed| {
        proposed
            .described()
            .find(|(described, _)| kind(described) == kind(&lacks))
            .map(|(_, written)| written)
    });
    Nearly { rule: rule.name().to_owned(), lacks, write }
}

/// The files among those tried that owner, group and mode keep the caller from, whatever the rules say.
pub(super) fn shut_out<'s>(scope: &'s Scope, caller: &Caller, attempts: &Attempts) -> Vec<&'s str> {
    let class = match caller.uid {
        // Root passes by CAP_DAC_READ_SEARCH.
        0 => return Vec::new(),
        uid if uid == scope.uid => 0o400,
        _ if in_group(caller, attempts, scope.gid) => 0o040,
        _ => 0o004,
    };
    let tried = scope.files.iter().filter(|file| attempts.files.contains(&file.name));
    tried.filter(|file| file.mode & class == 0).map(|file| file.name.as_str()).collect()
}
