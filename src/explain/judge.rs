//! From what is known of a process to an [`Explanation`]. Pure.

use super::explanation::{
    Change, ExeSeen, Explanation, JudgedBy, Kernel, Outcome, Permissions, RuleSeen, Seen, SelectorSeen, Told,
    Whose,
};
use super::kernel;
use super::place::Place;
use super::view::{View, matches};
use crate::failure::Failure;
use crate::identity::{Evidence, Identity, Inspected, Subject, UserNamespace, Verdict, strength};
use crate::policy::{self, Decision, Denial, Purpose, Rule};

/// What is asked, and by whom.
pub struct Asked<'a> {
    /// Of which file.
    pub place: &'a Place,
    /// What the asker may see.
    pub view: View,
    /// Who answers.
    pub judged_by: JudgedBy,
    /// The uid that serves the mount.
    pub served_by: u32,
}

/// Explains what would become of an open by a process that was looked at, with the evidence about it.
///
/// # Errors
/// When there is no such file, and the asker may know.
pub fn explain(asked: &Asked<'_>, seen: &Inspected, evidence: &Evidence) -> Result<Explanation, String> {
    let Asked { place, view, judged_by, served_by } = asked;
    let mut kernel = kernel::check(&place.scope, place.file.as_deref(), seen, *served_by);
    if kernel.directory.passes_as.is_none() && *view == View::Own {
        kernel.file = None;
    } else if place.file.is_none() {
        return Err(place.no_such_file(*view));
    }
    let mut explanation = Explanation {
        path: place.path(),
        judged_by: *judged_by,
        outcome: Outcome::Denied,
        errno: None,
        reason: None,
        rule: None,
        caller: of_process(seen, evidence),
        kernel,
        rules: Vec::new(),
        rules_not_shown: 0,
        to_change: None,
    };
    match &seen.who {
        Err(refusal) => {
            explanation.deny(&(*refusal).into());
            explanation.rules_not_shown = place.scope.rules.iter().count();
        }
        Ok(who) => explanation.weigh(place, *view, &Subject { who, evidence }),
    }
    if !explanation.kernel.passes {
        explanation.outcome = Outcome::Denied;
        explanation.rule = None;
        explanation.errno = Some("EACCES".into());
        if seen.who.is_ok() {
            explanation.reason = Some("the kernel turns it away before a rule is asked".into());
        }
    }
    if explanation.outcome != Outcome::Allowed {
        explanation.to_change = Some(change(&explanation));
    }
    Ok(explanation)
}

/// What is seen of a process.
pub(super) fn of_process(seen: &Inspected, evidence: &Evidence) -> Seen {
    let who: Option<&Identity> = seen.who.as_deref().ok();
    let whose = |ours: bool| if ours { Whose::Ours } else { Whose::Other };
    let hardening = evidence.hardening.as_ref().and_then(|found| found.as_ref().ok());
    Seen {
        pid: who.map_or(seen.caller.tid.0, |who| who.process.pid.0),
        thread: seen.caller.tid.0,
        uid: seen.caller.uid,
        uids: seen.uids,
        gid: seen.caller.gid,
        groups: who.map(|who| who.groups.clone()).unwrap_or_default(),
        exe: who.and_then(|who| who.exe.as_ref()).map(|exe| ExeSeen {
            path: exe.path.clone(),
            device: format!("{}:{}", rustix::fs::major(exe.dev), rustix::fs::minor(exe.dev)),
            inode: exe.ino,
        }),
        unit: who.and_then(Identity::unit).map(str::to_owned),
        cgroup: who.map(|who| who.cgroup.path().to_owned()),
        user_namespace: who.map(|who| whose(who.user_namespace == UserNamespace::Ours)),
        mount_namespace: seen.sees_our_mounts.map(whose),
        age_seconds: evidence.age.map(|age| age.as_secs()),
        no_new_privs: hardening.map(|found| found.no_new_privs),
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
    fn weigh(&mut self, place: &Place, view: View, of: &Subject<'_>) {
        let rules = &place.scope.rules;
        let (shown, hidden): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| view.shows(rule, of));
        self.rules = shown.into_iter().map(|rule| of_rule(rule, of)).collect();
        self.rules_not_shown = hidden.len();
        match policy::decide(rules, of, Purpose::Read) {
            Decision::Allow(grant) => {
                self.outcome = Outcome::Allowed;
                self.rule = Some(grant.rule().to_owned());
            }
            Decision::Deny(denial) => {
                // What a rule that is not shown found out, or could not, would tell what it demands.
                let denial = match denial {
                    Denial::Unproven(why) | Denial::State(why) if view == View::Own && !self.says(&why) => {
                        Denial::NoRuleMatches
                    }
                    denial => denial,
                };
                self.deny(&Failure::Denied(denial));
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
    let distance = |rule: &&RuleSeen| rule.missing().count() + usize::from(!rule.holds_in_namespace);
    let Some(rule) = explanation.rules.iter().min_by_key(distance) else {
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
