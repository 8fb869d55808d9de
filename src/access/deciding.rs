//! Who is asking, and may they: asks the rules, and gathers the evidence that they turn on.

use std::sync::Arc;

use super::{Access, Answer, Target};
use crate::failure::Failure;
use crate::identity::{Caller, Evidence, Fact, Facts, Identity, Refusal, Subject};
use crate::policy::{self, Decision, Denial, Grant, Purpose};

/// Who is let in, and the rule that does.
pub(super) type Admitted = (Arc<Identity>, Grant);

/// Why not and, where it could be told, who was not.
pub(super) type Rejected = (Failure, Option<Arc<Identity>>);

/// How somebody stands before anything was waited for.
pub(super) enum Standing {
    Admitted(Admitted),
    Rejected(Rejected),
    /// It turns on facts that take waiting.
    Unsure(Arc<Identity>, Facts),
}

/// How often a caller that changes while it is looked into is looked into again.
const ROUNDS: usize = 8;

impl Access {
    /// Who is asking, and may they.
    pub(super) fn decide(
        self: &Arc<Self>,
        caller: Caller,
        target: &Arc<Target>,
        purpose: Purpose,
    ) -> Answer<Admitted, Rejected> {
        match self.standing(caller, target, purpose, &mut Evidence::default()) {
            Standing::Admitted(admitted) => Answer::Now(Ok(admitted)),
            Standing::Rejected(rejected) => Answer::Now(Err(rejected)),
            Standing::Unsure(who, _) => {
                let place = match self.waiting.enter(&who) {
                    Ok(place) => place,
                    Err(full) => return Answer::Now(Err((full, Some(who)))),
                };
                let (access, target) = (Arc::clone(self), Arc::clone(target));
                Answer::Later(Box::pin(async move {
                    let _place = place;
                    access.settle(caller, &target, purpose).await
                }))
            }
        }
    }

    /// As [`Access::decide`], waiting for what takes waiting. What is found out is good for this one decision.
    pub(super) async fn settle(
        &self,
        caller: Caller,
        target: &Target,
        purpose: Purpose,
    ) -> Result<Admitted, Rejected> {
        let mut evidence = Evidence::default();
        let mut about: Option<Arc<Identity>> = None;
        for _ in 0..ROUNDS {
            match self.standing(caller, target, purpose, &mut evidence) {
                Standing::Admitted((who, _)) | Standing::Unsure(who, _)
                    if about.as_ref().is_some_and(|before| *before != who) =>
                {
                    // It became somebody else while it was looked into: what was found is not about this one.
                    evidence = Evidence::default();
                    about = None;
                }
                Standing::Admitted(admitted) => return Ok(admitted),
                Standing::Rejected(rejected) => return Err(rejected),
                Standing::Unsure(who, facts) => {
                    self.attestor.look_into(caller, &who, facts, &mut evidence).await;
                    about = Some(who);
                }
            }
        }
        Err((Refusal::Changing.into(), about))
    }

    /// Who is asking, and may they, as far as that can be told at once and with the evidence there is.
    pub(super) fn standing(
        &self,
        caller: Caller,
        target: &Target,
        purpose: Purpose,
        evidence: &mut Evidence,
    ) -> Standing {
        let unidentified = |refusal: Refusal| Standing::Rejected((refusal.into(), None));
        let who = match self.identify(caller, target) {
            Ok(who) => who,
            Err(refusal) => return unidentified(refusal),
        };
        match self.weigh(caller, target, &who, purpose, evidence) {
            Decision::Allow(grant) => return Standing::Admitted((who, grant)),
            Decision::Ask(facts) => return Standing::Unsure(who, facts),
            Decision::Deny(_) => {}
        }
        // Before somebody is turned away: an executable may have been replaced since, and a caller that had no groups may
        // have some now.
        let rules = &target.scope.rules;
        rules.look_again();
        let who = match rules.ask_for_groups().then(|| self.attestor.identify_anew(caller)) {
            None => who,
            Some(Ok(who)) => who,
            Some(Err(refusal)) => return unidentified(refusal),
        };
        match self.weigh(caller, target, &who, purpose, evidence) {
            Decision::Allow(grant) => Standing::Admitted((who, grant)),
            Decision::Ask(facts) => Standing::Unsure(who, facts),
            Decision::Deny(denial) => match learn(target, &Subject { who: &who, evidence }, purpose, &denial)
            {
                Some(grant) => Standing::Admitted((who, grant)),
                None => Standing::Rejected((Failure::Denied(denial), Some(who))),
            },
        }
    }

    /// Who is asking, as far as the rules of `target` turn on it.
    pub(super) fn identify(&self, caller: Caller, target: &Target) -> Result<Arc<Identity>, Refusal> {
        match target.scope.rules.ask_for_groups() {
            true => self.attestor.identify(caller),
            false => self.attestor.identify_but_for_groups(caller),
        }
    }

    /// Asks the rules, and gathers what they ask for in turn as far as that can be had at once.
    pub(super) fn weigh(
        &self,
        caller: Caller,
        target: &Target,
        who: &Identity,
        purpose: Purpose,
        evidence: &mut Evidence,
    ) -> Decision {
        loop {
            let decision = policy::decide(&target.scope.rules, &Subject { who, evidence }, purpose);
            let Decision::Ask(asked) = decision else { return decision };
            if asked.contains(Fact::Reads) {
                evidence.reads = Some(self.reads(who.process, &target.path));
            }
            let left = self.attestor.gather(caller, who, asked.without(Fact::Reads), evidence);
            if left == asked {
                return Decision::Ask(left);
            }
        }
    }
}

/// What learning allows to somebody who is denied, while it lasts. The clock is looked at for nobody else.
fn learn(target: &Target, of: &Subject<'_>, purpose: Purpose, denial: &Denial) -> Option<Grant> {
    target.scope.learns_until(jiff::Timestamp::now())?;
    policy::learn(&target.scope.rules, of, purpose, denial)
}
