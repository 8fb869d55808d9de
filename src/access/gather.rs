//! The secrets that a file takes: all that are known, or all that have to be asked for, at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join_all;
use smallvec::{SmallVec, smallvec};

use super::{Access, Target};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::policy::Grant;
use crate::reference::Reference;
use crate::render::{Content, RenderError};
use crate::resolve::{Found, ResolveError};

/// What was found for a file: one for each of its secrets, in their order. Nearly all files take one.
pub(super) type Gathered = SmallVec<[Found; 1]>;

impl Access {
    /// What is known of these secrets, without asking anybody; `None` where one of them has to be asked for.
    pub(super) fn cached(
        &self,
        grant: &Grant,
        secrets: &[Reference],
    ) -> Option<Result<Gathered, ResolveError>> {
        let mut found = Gathered::new();
        for secret in secrets {
            match self.resolver.cached(grant, secret)? {
                Ok(one) => found.push(one),
                Err(why) => return Some(Err(why)),
            }
        }
        Some(Ok(found))
    }

    /// These secrets of `target`, fetched if need be: all at once. It counts as one miss of who asks.
    pub(super) async fn fetch(
        &self,
        who: &Identity,
        grant: &Grant,
        secrets: &[Reference],
    ) -> Result<Gathered, Failure> {
        let counted = AtomicBool::new(false);
        let may_ask = |of: &Reference| {
            if !counted.swap(true, Ordering::Relaxed) {
                self.misses.count(who)?;
            }
            Ok::<_, Failure>(self.turns.of(who.uid, of.provider()))
        };
        let fetch = |of| self.resolver.fetch(grant, of, move || may_ask(of));
        match secrets {
            [one] => Ok(smallvec![fetch(one).await?]),
            several => Ok(try_join_all(several.iter().map(fetch)).await?.into()),
        }
    }

    /// The bytes of `target` from what was found for it.
    pub(super) fn rendered(&self, target: &Target, found: Gathered) -> Result<Arc<Content>, RenderError> {
        self.renderer.render(&target.file.shows, found.into_iter().map(|one| one.secret).collect())
    }
}
