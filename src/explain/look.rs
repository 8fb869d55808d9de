//! Everything about a process that the rules could ask for.

use std::sync::Arc;

use super::asked::Asked;
use crate::identity::{Attestor, Evidence, Fact, Facts, Found, Inspected, Refusal, Subject, Tid, Verdict};
use crate::policy::{self, Decision, Purpose};

/// How often a process that changes while it is looked at is looked at again.
const ROUNDS: usize = 4;

/// Looks at a process, and establishes what the rules that are shown ask for or, where none are asked, by what a rule could
/// name its container.
pub(super) async fn look(
    attestor: &Arc<Attestor>,
    tid: Tid,
    asked: Option<&Asked<'_>>,
) -> Found<(Inspected, Evidence)> {
    for _ in 0..ROUNDS {
        let seen = attestor.inspect(tid).await?;
        let Ok(who) = &seen.who else { return Ok((seen, Evidence::default())) };
        let mut evidence = Evidence::default();
        let (mut wanted, mut had) = (Facts::CHEAP, Facts::NONE);
        let container = Facts::NONE.with(Fact::Container);
        if asked.is_none() && who.container().is_some() {
            wanted = wanted.union(container);
        }
        // Its name, where that is known already.
        let _ = attestor.gather(seen.caller, who, container, &mut evidence);
        while !wanted.is_empty() {
            if let Some(asked) = asked.filter(|_| wanted.contains(Fact::Reads)) {
                evidence.reads = Some(asked.reads(who.process));
            }
            attestor.establish(seen.caller, who, wanted.without(Fact::Reads), &mut evidence).await;
            had = had.union(wanted);
            let of = Subject { who, evidence: &evidence };
            wanted = asked.map_or(Facts::NONE, |asked| turned_on(asked, &of)).minus(had);
        }
        // Nobody holds it: what was found is about it only if it is still the same.
        if attestor.inspect(tid).await? == seen {
            return Ok((seen, evidence));
        }
    }
    Err(Refusal::Changing.to_string().into())
}

/// What the rules that are shown ask for, and what the decision does.
fn turned_on(asked: &Asked<'_>, of: &Subject<'_>) -> Facts {
    let rules = &asked.place.scope.rules;
    let decision = match policy::decide(rules, of, Purpose::Read) {
        Decision::Ask(facts) => facts,
        Decision::Allow(_) | Decision::Deny(_) => Facts::NONE,
    };
    let shown = rules.iter().filter(|rule| asked.view.shows(rule, of));
    shown.flat_map(|rule| rule.tried(of)).fold(decision, |facts, (_, verdict)| match verdict {
        Verdict::Ask(fact) => facts.with(fact),
        Verdict::Yes | Verdict::No | Verdict::Unproven => facts,
    })
}
