//! Leases of values that nobody is given any more. Those who were given one may use it still.

use std::time::Duration;

use crate::clock::Moment;
use crate::providers::Lease;
use crate::reference::Reference;

/// A process that just got a value is among the readers a moment later.
pub(super) const MOMENT: Duration = Duration::from_secs(2);

/// How long a lease that could not be ended is left alone.
const AGAIN: Duration = Duration::from_secs(30);

/// All of them.
#[derive(Default)]
pub(super) struct Retired(Vec<Lent>);

/// One of them.
#[derive(Clone)]
pub(super) struct Lent {
    pub(super) reference: Reference,
    pub(super) version: String,
    pub(super) lease: Lease,
    /// When it lapses.
    until: Moment,
    /// When it may be ended.
    from: Moment,
}

impl Retired {
    /// Takes one in.
    pub(super) fn put(&mut self, reference: &Reference, version: &str, lease: Lease) {
        let now = Moment::now();
        let (until, from) = (now.after(lease.lasts), now.after(MOMENT));
        self.0.push(Lent { reference: reference.clone(), version: version.to_owned(), lease, until, from });
    }

    /// Takes one in again that could not be ended.
    pub(super) fn put_again(&mut self, one: Lent) {
        self.0.push(Lent { from: Moment::now().after(AGAIN), ..one });
    }

    /// Takes out those that no living process holds.
    pub(super) fn take_unused(&mut self, now: Moment, holds: impl Fn(&Reference, &str) -> bool) -> Vec<Lent> {
        self.0.retain(|one| now < one.until);
        self.0.extract_if(.., |one| now >= one.from && !holds(&one.reference, &one.version)).collect()
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Lent> {
        std::mem::take(&mut self.0)
    }

    /// Forgets those that ended with a login.
    pub(super) fn forget_ended(&mut self, is_over: impl Fn(&str, &Lease) -> bool) {
        self.0.retain(|one| !is_over(one.reference.provider(), &one.lease));
    }

    /// Forgets those of a provider that is configured anew: their logins end with that.
    pub(super) fn forget_provider(&mut self, name: &str) {
        self.0.retain(|one| one.reference.provider() != name);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(handle: &str, lasts: u64) -> Lease {
        let lasts = Duration::from_secs(lasts);
        let handle = handle.to_owned();
        Lease { handle, lasts, term: lasts, renewable: true, revocable: true, under: None }
    }

    #[test]
    fn one_is_ended_once_nobody_holds_it_and_never_after_it_lapsed() {
        let (mut retired, now) = (Retired::default(), Moment::now());
        let of: Reference = "p:db".parse().unwrap();
        retired.put(&of, "held", lease("a", 600));
        retired.put(&of, "free", lease("b", 600));
        retired.put(&of, "over", lease("c", 1));
        let holds = |_: &Reference, version: &str| version == "held";
        assert!(retired.take_unused(now, holds).is_empty(), "whoever was just given one is no reader yet");
        let later = now.after(MOMENT * 2);
        let taken: Vec<_> = retired.take_unused(later, holds).into_iter().map(|one| one.version).collect();
        assert_eq!((taken.as_slice(), retired.len()), (["free".to_owned()].as_slice(), 1));
        let taken = retired.take_unused(later, |_, _| false);
        assert_eq!(taken.len(), 1);
        retired.put_again(taken.into_iter().next().unwrap());
        assert!(retired.take_unused(later, |_, _| false).is_empty(), "not at once again");
        assert_eq!(retired.take_all().len(), 1);
    }
}
