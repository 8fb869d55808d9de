//! Everything about a process that the rules could ask for.

use std::sync::Arc;

use super::view::View;
use crate::config::checked::Scope;
use crate::identity::{Attestor, Evidence, Facts, Found, Inspected, Refusal, Subject, Tid, Verdict};
use crate::policy::{self, Decision, Purpose, Rules};

/// How often a process that changes while it is looked at is looked at again.
const ROUNDS: usize = 4;

/// Looks at a process, and establishes what the rules of `scope` that are shown ask for.
pub(super) async fn look(
    attestor: &Arc<Attestor>,
    tid: Tid,
    scope: Option<(&Arc<Scope>, View)>,
) -> Found<(Inspected, Evidence)> {
    for _ in 0..ROUNDS {
        let seen = attestor.inspect(tid).await?;
        let Ok(who) = &seen.who else { return Ok((seen, Evidence::default())) };
        let mut evidence = Evidence::default();
        let (mut wanted, mut had) = (Facts::CHEAP, Facts::NONE);
        while !wanted.is_empty() {
            attestor.establish(seen.caller, who, wanted, &mut evidence).await;
            had = had.union(wanted);
            let of = Subject { who, evidence: &evidence };
            wanted = scope.map_or(Facts::NONE, |(scope, view)| asked(&scope.rules, &of, view)).minus(had);
        }
        // Nobody holds it: what was found is about it only if it is still the same.
        if attestor.inspect(tid).await? == seen {
            return Ok((seen, evidence));
        }
    }
    Err(Refusal::Changing.to_string().into())
}

/// What the rules that are shown ask for, and what the decision does.
fn asked(rules: &Rules, of: &Subject<'_>, view: View) -> Facts {
    let decision = match policy::decide(rules, of, Purpose::Read) {
        Decision::Ask(facts) => facts,
        Decision::Allow(_) | Decision::Deny(_) => Facts::NONE,
    };
    let shown = rules.iter().filter(|rule| view.shows(rule, of));
    shown.flat_map(|rule| rule.tried(of)).fold(decision, |facts, (_, verdict)| match verdict {
        Verdict::Ask(fact) => facts.with(fact),
        Verdict::Yes | Verdict::No | Verdict::Unproven => facts,
    })
}
