//! The size that stat tells.

use std::sync::Arc;

use super::deciding::Standing;
use super::{Access, Answer, Target};
use crate::audit::record::Op;
use crate::identity::{Caller, Evidence, Fact};
use crate::policy::{Decision, Grant, Purpose};
use crate::reference::Reference;
use crate::render::Content;

impl Access {
    /// What `target` shows, for the sake of its true size, for a `caller` that may read it; `None` where the caller may not,
    /// or it cannot be found out in the time that a stat may take. Asking for what is known is not an attempt and leaves no
    /// record.
    pub fn size(self: &Arc<Self>, caller: Caller, target: &Arc<Target>) -> Answer<Option<Arc<Content>>> {
        // The kernel asks this before each open. Only a size is told, so a caller that was let in before is not proven again.
        if !target.scope.rules.ask_for_groups()
            && let Some(who) = self.attestor.recall(caller)
            && let Decision::Allow(grant) =
                self.weigh(caller, target, &who, Purpose::Stat, &mut Evidence::default())
            && let Some(content) = self.shown(&grant, target)
        {
            return Answer::Now(Ok(content));
        }
        match self.standing(caller, target, Purpose::Stat, &mut Evidence::default()) {
            Standing::Rejected(_) => Answer::Now(Ok(None)),
            Standing::Admitted((_, grant)) => match self.shown(&grant, target) {
                Some(content) => Answer::Now(Ok(content)),
                None => self.fetch_for_size(caller, target),
            },
            // What sets a container up looks at the files to be bound in it, already in its group, while the runtime holds the
            // container and answers nobody: each would wait for the other. So it is the open that asks.
            Standing::Unsure(_, facts) if facts.contains(Fact::Container) => Answer::Now(Ok(None)),
            Standing::Unsure(who, _) => {
                let Ok(place) = self.waiting.enter(&who) else { return Answer::Now(Ok(None)) };
                let (access, target) = (Arc::clone(self), Arc::clone(target));
                Answer::Later(Box::pin(async move {
                    let _place = place;
                    let settled = access.settle(caller, &target, Purpose::Stat);
                    let Ok(Ok((_, grant))) = tokio::time::timeout(access.limits.stat_wait, settled).await
                    else {
                        return Ok(None);
                    };
                    match access.shown(&grant, &target) {
                        Some(content) => Ok(content),
                        None => match access.fetch_for_size(caller, &target) {
                            Answer::Now(content) => content,
                            Answer::Later(content) => content.await,
                        },
                    }
                }))
            }
        }
    }

    /// What `target` shows now, without asking its provider; the outer `None` is that it has to be asked.
    fn shown(&self, grant: &Grant, target: &Target) -> Option<Option<Arc<Content>>> {
        let found = self.cached(grant, &target.secrets)?;
        Some(found.ok().and_then(|found| self.rendered(target, found).ok()))
    }

    /// As [`Access::size`], where the provider has to be asked: an attempt.
    fn fetch_for_size(
        self: &Arc<Self>,
        caller: Caller,
        target: &Arc<Target>,
    ) -> Answer<Option<Arc<Content>>> {
        // Of a template the first of its providers stands for all.
        let provider = target.secrets.first().map_or("", Reference::provider);
        let Some(pass) = self.pauses.enter(provider, caller.uid) else {
            return Answer::Now(Ok(None));
        };
        let attempt = self.requests.begin(Op::Stat, caller, target);
        self.obtain(attempt, caller, target, Purpose::Stat, self.limits.stat_wait, Ok(())).then(|result| {
            pass.leave(result.as_ref().err());
            Ok(result.ok().map(|(content, _)| content))
        })
    }
}
