//! Which logins of providers are over: what was lent to them ends with them, whatever its own time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::wire::Settings;
use crate::providers::{Lease, LoginTime};

/// Which leases are over because the login is that they hang on. Cheap to clone; what it says once it says for good.
#[derive(Debug, Clone, Default)]
pub struct Ended(Arc<BTreeMap<String, LoginTime>>);

impl Ended {
    /// Whether that login of the provider is over.
    pub fn has(&self, provider: &str, lease: &Lease) -> bool {
        lease.under.is_some_and(|login| self.0.get(provider).is_some_and(|before| login < *before))
    }
}

/// Where it is told.
#[derive(Clone, Default)]
pub(super) struct Endings(Arc<watch::Sender<Ended>>);

impl Endings {
    /// Logins of this provider from before this time are over.
    pub(super) fn tell(&self, provider: &str, before: LoginTime) {
        // A time that is still to come would end logins that nobody has made yet.
        let before = before.min(LoginTime::now());
        self.0.send_if_modified(|ended| {
            let later = ended.0.get(provider).is_none_or(|known| *known < before);
            if later {
                Arc::make_mut(&mut ended.0).insert(provider.to_owned(), before);
            }
            later
        });
    }

    /// So are all of these: whoever held them is gone, and renews nothing any more.
    pub(super) fn tell_all<'a>(&self, providers: impl Iterator<Item = &'a Settings>) {
        let now = LoginTime::now();
        for provider in providers {
            self.tell(&provider.name, now);
        }
    }

    pub(super) fn listen(&self) -> watch::Receiver<Ended> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lease_is_over_with_its_login_and_not_with_that_of_another_or_a_later_one() {
        let (endings, time) = (Endings::default(), Duration::from_secs(60));
        let lease = |under| Lease {
            handle: "a/1".into(),
            lasts: time,
            term: time,
            renewable: true,
            revocable: true,
            under,
        };
        let first = LoginTime::now();
        let told = endings.listen();
        endings.tell("p", first.just_after());
        let second = LoginTime::now();
        let ended = told.borrow().clone();
        assert!(ended.has("p", &lease(Some(first))));
        assert!(!ended.has("p", &lease(Some(second))) && !ended.has("q", &lease(Some(first))));
        assert!(!ended.has("p", &lease(None)), "it hangs on none");
        endings.tell("p", LoginTime::default());
        assert!(told.borrow().has("p", &lease(Some(first))), "it does not come back");
    }
}
