//! From what is known of a process to an [`Explanation`]. Pure.

use super::asked::Asked;
use super::explanation::{
    Change, ContainerSeen, ExeSeen, Explanation, Kernel, Outcome, Permissions, RuleSeen, Seen, SelectorSeen,
    Told, Whose,
};
use super::kernel;
use super::view::{View, matches};
use crate::failure::Failure;
use crate::identity::{
    Evidence, Identity, Inspected, Says, Subject, UserNamespace, Verdict, selector, strength,
};
use crate::policy::{self, Decision, Denial, Purpose, Rule};

/// Explains what would become of an open by a process that was looked at, with the evidence about it.
///
/// # Errors
/// When there is no such file, and the asker may know.
pub fn explain(asked: &Asked<'_>, seen: &Inspected, evidence: &Evidence) -> Result<Explanation, String> {
    let Asked { place, view, judged_by, served_by, .. } = asked;
    let mut kernel = kernel::check(&place.scope, place.file.as_deref(), seen, *served_by);
    if kernel.directory.passes_as.is_none() && *view == View::Own {
        kernel.file = None;
    } else if place.file.is_none() {
        return Err(place.no_such_file(*view));
    }
    let mut explanation = Explanation {
        path: place.path(),
        judged_by: *judged_by,
        outdated: asked.outdated,
        outcome: Outcome::Denied,
        errno: None,
        reason: None,
        rule: None,
        learning_until: None,
        caller: of_process(seen, evidence),
        kernel,
        rules: Vec::new(),
        rules_not_shown: 0,
        to_change: None,
        beware: Vec::new(),
    };
    match &seen.who {
        Err(refusal) => {
            explanation.deny(&(*refusal).into());
            explanation.rules_not_shown = place.scope.rules.iter().count();
        }
        Ok(who) => explanation.weigh(asked, &Subject { who, evidence }),
    }
    if !explanation.kernel.passes {
        explanation.outcome = Outcome::Denied;
        (explanation.rule, explanation.learning_until) = (None, None);
        explanation.errno = Some("EACCES".into());
        if seen.who.is_ok() {
            explanation.reason = Some("the kernel turns it away before a rule is asked".into());
        }
    }
    if explanation.outcome != Outcome::Allowed || explanation.learning_until.is_some() {
        explanation.to_change = Some(change(&explanation));
    }
    if explanation.outcome == Outcome::Allowed {
        explanation.beware.extend(injection(&explanation.caller));
    }
    Ok(explanation)
}

/// That others of the caller's user may put code of theirs into it, where they may: nothing that is seen of it would tell.
fn injection(caller: &Seen) -> Option<String> {
    let open = caller.uid != 0 && caller.not_dumpable == Some(false);
    open.then(|| {
        format!(
            "whatever else runs as uid {} can put code into this process (it is dumpable) and read as it",
            caller.uid
        )
    })
}

/// What is seen of a process.
pub(super) fn of_process(seen: &Inspected, evidence: &Evidence) -> Seen {
    let who: Option<&Identity> = seen.who.as_deref().ok();
    let whose = |ours: bool| if ours { Whose::Ours } else { Whose::Other };
    let hardening = evidence.hardening.as_ref().and_then(|found| found.as_ref().ok());
    let tracer = evidence.tracer.as_ref().and_then(|found| found.as_ref().ok());
    let named = evidence.container.as_ref().and_then(|found| found.as_ref().ok());
    Seen {
        pid: who.map_or(seen.caller.tid.0, |who| who.process.pid.0),
        thread: seen.caller.tid.0,
        uid: seen.caller.uid,
        uids: seen.uids,
        gid: seen.caller.gid,
        gids: seen.gids,
        groups: who.map(|who| who.groups.clone()).unwrap_or_default(),
        exe: who.and_then(|who| who.exe.as_ref()).map(|exe| ExeSeen {
            path: exe.path.clone(),
            device: format!("{}:{}", rustix::fs::major(exe.dev), rustix::fs::minor(exe.dev)),
            inode: exe.ino,
        }),
        unit: who.and_then(Identity::unit).map(str::to_owned),
        container: who.and_then(Identity::container).map(|container| ContainerSeen {
            id: container.id.clone(),
            engine: container.engine.map(|engine| engine.to_string()),
            name: named.map(|named| named.name.clone()),
            pod_uid: container.pod_uid.clone(),
        }),
        cgroup: who.map(|who| who.cgroup.path().to_owned()),
        user_namespace: who.map(|who| whose(who.user_namespace == UserNamespace::Ours)),
        mount_namespace: seen.sees_our_mounts.map(whose),
        age_seconds: evidence.age.map(|age| age.as_secs()),
        no_new_privs: hardening.map(|found| found.no_new_privs),
        not_dumpable: hardening.and_then(|found| found.not_dumpable),
        traced: tracer.map(Option::is_some),
        refused: seen.who.as_ref().err().map(ToString::to_string),
    }
}

impl Explanation {
    fn deny(&mut self, failure: &Failure) {
        self.outcome = Outcome::Denied;
        self.errno = Some(failure.errno_name().to_owned());
        self.reason = Some(failure.to_string());
    }

    /// Whether a rule that is shown says so.
    fn says(&self, why: &str) -> bool {
        self.rules.iter().flat_map(|rule| &rule.selectors).any(|selector| selector.seen == why)
    }

    /// What the rules say: the decision, and what each selector found.
    fn weigh(&mut self, asked: &Asked<'_>, of: &Subject<'_>) {
        let (scope, view) = (&asked.place.scope, asked.view);
        let rules = &scope.rules;
        let (shown, hidden): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| view.shows(rule, of));
        self.rules = shown.into_iter().map(|rule| of_rule(rule, of)).collect();
        self.rules_not_shown = hidden.len();
        match policy::decide(rules, of, Purpose::Read) {
            Decision::Allow(grant) => {
                self.outcome = Outcome::Allowed;
                self.rule = Some(grant.rule().to_owned());
            }
            Decision::Deny(denial) => {
                // What a rule for others turned on, and could establish or not, is not told.
                let denial = match denial {
                    Denial::Unproven(why) | Denial::State(why) if view == View::Own && !self.says(&why) => {
                        Denial::NoRuleMatches
                    }
                    denial => denial,
                };
                let until = scope.learns_until(asked.now);
                match until.and_then(|_| policy::learn(rules, of, Purpose::Read, &denial)) {
                    None => self.deny(&Failure::Denied(denial)),
                    Some(grant) => {
                        self.outcome = Outcome::Allowed;
                        self.rule = Some(grant.rule().to_owned());
                        self.reason = grant.learned().map(str::to_owned);
                        self.learning_until = until;
                    }
                }
            }
            Decision::Ask(_) => {
                self.outcome = Outcome::Unknown;
                let unknown = self.rules.iter().flat_map(|rule| &rule.selectors);
                let why =
                    unknown.filter(|one| one.matched == Told::Unknown).map(|one| one.seen.clone()).next();
                self.reason = why.or_else(|| Some("it turns on what could not be found out".to_owned()));
            }
        }
    }
}

impl RuleSeen {
    fn missing(&self) -> impl Iterator<Item = &SelectorSeen> {
        self.selectors.iter().filter(|selector| selector.matched != Told::Yes)
    }

    /// How far the caller is from it. A rule for the caller's own ids goes before one that names none, and that before one for
    /// somebody else's: nobody is told to become another user where a rule for his own misses more. Then counts how much is
    /// missing, and last how much of it says who the caller is.
    fn distance(&self) -> (usize, usize, usize) {
        let ids = || self.selectors.iter().filter(|one| matches!(one.key(), "uid" | "gid"));
        let foreign = ids().filter(|one| one.matched != Told::Yes).count();
        let ids = if ids().next().is_none() {
            1
        } else if foreign == 0 {
            0
        } else {
            1 + foreign
        };
        let missing = self.missing().count() + usize::from(!self.holds_in_namespace);
        let says_who = |one: &&SelectorSeen| selector(one.key()).is_some_and(|kind| kind.says == Says::Who);
        (ids, missing, self.missing().filter(says_who).count())
    }
}

impl SelectorSeen {
    /// What kind of selector it is.
    fn key(&self) -> &str {
        self.selector.split(':').next().unwrap_or_default()
    }
}

fn of_rule(rule: &Rule, of: &Subject<'_>) -> RuleSeen {
    let selectors = rule.tried(of).map(|(selector, verdict)| SelectorSeen {
        selector: selector.describe(),
        strength: strength(selector).map(|strength| strength.to_string()).unwrap_or_default(),
        matched: match verdict {
            Verdict::Yes => Told::Yes,
            Verdict::No => Told::No,
            Verdict::Ask(_) | Verdict::Unproven => Told::Unknown,
        },
        seen: selector.seen(of),
    });
    RuleSeen {
        rule: rule.name().to_owned(),
        matches: matches(rule, of),
        holds_in_namespace: rule.holds_in(of.who.user_namespace),
        selectors: selectors.collect(),
    }
}

/// What is in the way: the kernel, and what the nearest rule misses.
fn change(explanation: &Explanation) -> Change {
    let mut missing = in_the_kernel(&explanation.kernel, &explanation.caller);
    if let Some(refused) = &explanation.caller.refused {
        missing.push(refused.clone());
        return Change { rule: None, missing };
    }
    let Some(rule) = explanation.rules.iter().min_by_key(|rule| rule.distance()) else {
        missing.push(match explanation.rules_not_shown {
            0 => "the scope has no rules".to_owned(),
            _ => format!("no rule is for uid {} or its groups", explanation.caller.uid),
        });
        return Change { rule: None, missing };
    };
    if !rule.holds_in_namespace {
        missing.push("the caller is in another user namespace".to_owned());
    }
    missing.extend(rule.missing().map(|one| format!("{} is demanded: {}", one.selector, one.seen)));
    Change { rule: (!rule.matches).then(|| rule.rule.clone()), missing }
}

fn in_the_kernel(kernel: &Kernel, caller: &Seen) -> Vec<String> {
    let mut missing = Vec::new();
    if let Some(user) = kernel.mount_only_for.filter(|user| caller.uids != [*user; 4]) {
        missing.push(format!("a mount made without root is for uid {user} alone"));
    }
    let mut closed = |what: &str, of: &Permissions| {
        if of.passes_as.is_none() {
            let Permissions { uid, gid, mode, .. } = of;
            missing.push(format!(
                "the {what} (owner {uid}, group {gid}, mode {mode}) is closed to uid {}",
                caller.uid
            ));
        }
    };
    closed("directory", &kernel.directory);
    if let Some(file) = &kernel.file {
        closed("file", file);
    }
    missing
}
