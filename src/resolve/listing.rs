//! The names below a path. Asked as a value is: with a grant, bounded in time, and not of a provider that is down.

use super::{ResolveError, Resolver};
use crate::clock::Moment;
use crate::policy::Grant;
use crate::reference::Reference;

impl Resolver {
    /// The paths of the secrets below `under`, relative to it, of at most `depth` segments, as the provider has them.
    ///
    /// # Errors
    /// As the provider answers, or [`ResolveError::TimedOut`].
    pub async fn list(
        &self,
        grant: &Grant,
        under: &Reference,
        depth: u32,
    ) -> Result<Vec<String>, ResolveError> {
        let asked = Moment::now();
        {
            let mut memory = self.memory.lock();
            let upstream = memory.upstreams.get(under.provider());
            if let Some(why) = upstream.and_then(|upstream| upstream.circuit.blocks(asked)) {
                return Err(ResolveError::left_alone(why));
            }
            memory.upstream_asked(under, grant.purpose());
        }
        let listed = match tokio::time::timeout(self.deadline, self.link.list(under, depth)).await {
            Ok(listed) => listed.map_err(ResolveError::from),
            Err(_) => Err(ResolveError::TimedOut),
        };
        self.memory.lock().upstream_landed(under, listed.as_ref().err(), Some(asked), grant.purpose());
        listed
    }
}
