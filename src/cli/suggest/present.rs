//! What the configuration has for a caller already, as far as a record tells.

use std::path::Path;

use super::attempts::{Attempts, Caller};
use super::choose::Rule as Proposed;
use crate::config;
use crate::config::checked::{File, Scope};
use crate::identity::{
    Cgroup, Evidence, Gids, Identity, Pid, PinnedId, ProcessId, Says, Selector, Subject, UserNamespace,
    Verdict, kind,
};
use crate::policy::Rule;

/// How the rules of a scope stand to a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// This rule is for it by now.
    Matches {
        rule: String,
        names_program: bool,
    },
    /// This one is for it, and demands what did not hold: what is proposed would do without.
    Undone(Undone),
    /// This one is for it but for what is proposed in the place of one of its selectors.
    Nearly(Nearly),
    /// None of them could be for a caller of that uid.
    Stranger,
    None,
}

/// A rule that a proposal would undo.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undone {
    pub(super) rule: String,
    /// What of it did not hold, or cannot be told from a record: keys, and selectors as messages name them.
    pub(super) lacks: Vec<(&'static str, String)>,
}

/// A rule of which one selector does not match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nearly {
    pub(super) rule: String,
    /// The selector, as messages name it.
    pub(super) lacks: String,
    /// What to write in its place.
    pub(super) write: String,
    /// What else the rule demands of which a record says nothing.
    pub(super) keeps: Vec<String>,
}

/// What a record tells of a selector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Holds,
    DoesNot,
    Nothing,
}

/// Looks for a rule of `scope` that is for `caller`, wholly or nearly.
pub(super) fn find(
    scope: &Scope,
    caller: &Caller,
    attempts: &Attempts,
    proposed: Option<&Proposed>,
) -> Present {
    let seen: Vec<_> = attempts.cgroups.iter().map(|path| somebody(caller, path)).collect();
    let (mut undone, mut nearly) = (None, None);
    let elsewhere = |rule: &&Rule| !attempts.foreign || rule.holds_in(UserNamespace::Other);
    for rule in scope.rules.iter().filter(elsewhere) {
        let all = rule.selectors().iter().map(|one| (&**one, told(&**one, caller, attempts, &seen)));
        let (holding, lacking): (Vec<_>, Vec<_>) = all.partition(|(_, told)| *told == Told::Holds);
        if lacking.is_empty() {
            let names_program = rule.selectors().iter().any(|one| one.executable().is_some());
            return Present::Matches { rule: rule.name().to_owned(), names_program };
        }
        // For whom a rule is is not for an attempt to say.
        if lacking.iter().any(|(one, _)| says_for_whom(*one, rule)) {
            continue;
        }
        let (replaced, kept): (Vec<_>, Vec<_>) =
            lacking.into_iter().partition(|(one, told)| is_replaced(*one, *told, rule, proposed));
        let is_known = holding.iter().any(|(one, _)| kind(*one).is_some_and(|kind| kind.says == Says::Who));
        match replaced.as_slice() {
            [] if is_known => undone = undone.or_else(|| Some(undo(rule, &kept))),
            [(one, _)] if kept.iter().all(|(_, told)| *told == Told::Nothing) => {
                let write = key(*one).and_then(|key| proposed?.part(key));
                nearly = nearly.or_else(|| {
                    Some(Nearly {
                        rule: rule.name().to_owned(),
                        lacks: one.describe(),
                        write: write?,
                        keeps: kept.iter().map(|(one, _)| one.describe()).collect(),
                    })
                });
            }
            _ => {}
        }
    }
    let for_others = |rule: &Rule| rule.selectors().iter().any(|one| is_for_another(&**one, caller));
    match (undone, nearly) {
        (Some(undone), _) => Present::Undone(undone),
        (None, Some(nearly)) => Present::Nearly(nearly),
        (None, None) if scope.rules.iter().all(for_others) => Present::Stranger,
        (None, None) => Present::None,
    }
}

fn undo(rule: &Rule, lacking: &[(&dyn Selector, Told)]) -> Undone {
    // What surely did not hold says enough.
    let surely = |(_, told): &&(&dyn Selector, Told)| *told == Told::DoesNot;
    let all = lacking.iter().any(|one| surely(&one));
    let lacks = lacking.iter().filter(|one| !all || surely(one));
    let named = |(one, _): &(&dyn Selector, Told)| (key(*one).unwrap_or_default(), one.describe());
    Undone { rule: rule.name().to_owned(), lacks: lacks.map(named).collect() }
}

fn key(one: &dyn Selector) -> Option<&'static str> {
    kind(one).map(|kind| kind.key)
}

/// The caller, as far as a record tells and no selector of ids or programs is asked.
fn somebody(caller: &Caller, cgroup: &str) -> Identity {
    Identity {
        process: ProcessId { pid: Pid(0), start: 0 },
        uid: caller.uid,
        gid: 0,
        gids: Gids { real: 0, effective: 0, saved: 0 },
        groups: Vec::new(),
        exe: None,
        cgroup: Cgroup::at(cgroup),
        user_namespace: UserNamespace::Ours,
    }
}

/// What the records tell of a selector.
fn told(one: &dyn Selector, caller: &Caller, attempts: &Attempts, seen: &[Identity]) -> Told {
    let of = |holds| if holds { Told::Holds } else { Told::DoesNot };
    match (one.pins(), one.executable()) {
        (Some(PinnedId::Uid(uid)), _) => of(uid == caller.uid),
        (Some(PinnedId::Gid(gid)), _) => of(in_group(caller, attempts, gid)),
        // A record has the gid for file access, which is one of those that a setgid program changes.
        (Some(PinnedId::Egid(gid)), _) => of(attempts.gids.contains(&gid)),
        (None, Some(_)) if attempts.programs.contains("") => Told::Nothing,
        (None, Some(reference)) => of(attempts.programs.iter().all(|seen| is_same(reference.path(), seen))),
        (None, None) => {
            let evidence = Evidence::default();
            let verdicts = seen.iter().map(|who| one.check(&Subject { who, evidence: &evidence }));
            verdicts.fold(Told::Holds, |so_far, verdict| match (so_far, verdict) {
                (Told::DoesNot, _) | (_, Verdict::No) => Told::DoesNot,
                (Told::Nothing, _) | (_, Verdict::Ask(_) | Verdict::Unproven) => Told::Nothing,
                (Told::Holds, Verdict::Yes) => Told::Holds,
            })
        }
    }
}

/// Whether a selector that does not hold says whom the rule is for, and not what protects it: the user or, where the rule names
/// none, the group.
fn says_for_whom(one: &dyn Selector, rule: &Rule) -> bool {
    let names_user = || rule.selectors().iter().any(|one| matches!(one.pins(), Some(PinnedId::Uid(_))));
    match one.pins() {
        Some(PinnedId::Uid(_)) => true,
        Some(PinnedId::Gid(_)) => !names_user(),
        Some(PinnedId::Egid(_)) | None => false,
    }
}

/// Whether a proposal demands something else in the place of a selector: another program or, of what root decides, another
/// place, which is good for a program too where the rule names none. Not where only a container's runtime could say that the
/// selector does not hold.
fn is_replaced(one: &dyn Selector, told: Told, rule: &Rule, proposed: Option<&Proposed>) -> bool {
    const PLACES: [&str; 3] = ["container", "unit", "slice"];
    let has = |key| proposed.is_some_and(|proposed| proposed.part(key).is_some());
    let has_place = has("unit") || has("container");
    let rule_has_place =
        || rule.selectors().iter().any(|one| key(&**one).is_some_and(|key| PLACES.contains(&key)));
    match key(one) {
        Some(key) if PLACES.contains(&key) => told == Told::DoesNot && has_place,
        Some("exe") => has("exe") || (has_place && !rule_has_place()),
        Some(key) => has(key),
        None => false,
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

/// The files among those tried that owner, group and mode keep the caller from, whatever the rules say.
pub(super) fn shut_out<'s>(scope: &'s Scope, caller: &Caller, attempts: &Attempts) -> Vec<&'s File> {
    if caller.uid == 0 {
        // Root passes by CAP_DAC_READ_SEARCH.
        return Vec::new();
    }
    let passes = |file: &File| match caller.uid {
        uid if uid == file.uid => file.mode & 0o400 != 0,
        _ if in_group(caller, attempts, file.gid) => file.mode & 0o040 != 0,
        _ => file.mode & 0o004 != 0,
    };
    let tried = scope.files.iter().map(|file| &**file).filter(|file| attempts.files.contains(&file.name));
    tried.filter(|file| !passes(file)).collect()
}
