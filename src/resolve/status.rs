//! What operators are told of what is remembered. Never a value, nor how long it is.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Resolver;
use super::entry::{Duty, State};
use super::slot::Slot;
use super::upstream::Upstream;
use crate::clock::Moment;
use crate::reference::{self, Reference};

/// Secrets that are told of without letting readers in between.
const AT_ONCE: usize = 256;

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Providers that were asked, by name.
    pub providers: Vec<ProviderStatus>,
    /// Secrets that were asked for, by reference.
    pub secrets: Vec<SecretStatus>,
    /// Bytes that the cache holds, bookkeeping counted, and that it may hold.
    pub cache_used: u64,
    /// The same.
    pub cache_max: u64,
    /// Reads that were answered from memory since the start, and reads and stats that waited for a fetch.
    pub hits: u64,
    /// The same.
    pub misses: u64,
}

/// One provider, as far as fetches told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// `None` where it answers, else why it does not: its last question failed.
    pub down: Option<String>,
    /// When it is asked again, where it is left alone for that.
    pub asked_again: Option<Timestamp>,
    /// Questions since hushfs started.
    pub asked: u64,
    /// How many of them failed because it could not be reached, or had too much to do.
    pub failed: u64,
    /// How long its last answer took, in microseconds.
    pub took_micros: Option<u64>,
    /// When it last answered.
    pub answered: Option<Timestamp>,
}

/// Where a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// It is about to be fetched for the first time, or was forgotten.
    Unknown,
    /// It is served.
    Fresh,
    /// It is older than `fresh_for`; the next reader has it fetched.
    Aged,
    /// It is served beyond its time because its provider fails.
    Stale,
    /// There is none.
    Failed,
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretStatus {
    /// Its reference, whole.
    pub reference: String,
    /// For which workload it is made (`scope/workload`), where each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
    /// Where it stands.
    pub kept: Kept,
    /// The provider's name for its version.
    pub version: Option<String>,
    /// When the provider made it.
    pub created: Option<Timestamp>,
    /// When that was fetched.
    pub fetched: Option<Timestamp>,
    /// Until when it is served without a question.
    pub fresh_until: Option<Timestamp>,
    /// Until when it is served if its provider fails.
    pub usable_until: Option<Timestamp>,
    /// Whether it was made for us and is lent.
    pub leased: bool,
    /// When it is fetched again though nobody asks; `None` where nobody wants it.
    pub next_refresh: Option<Timestamp>,
    /// Why it could not be fetched the last time.
    pub error: Option<String>,
    /// When a failure is tried again.
    pub retried: Option<Timestamp>,
    /// Opens that it answered since it is remembered.
    pub reads: u64,
    /// How many of them it answered from memory; one whose value a `stat` before it had fetched is one of these.
    pub hits: u64,
}

impl SecretStatus {
    /// Its reference, and for whom it is made.
    pub fn named(&self) -> String {
        reference::named(&self.reference, self.made_for.as_deref())
    }

    /// Whether it is served beyond its time, or there is none.
    pub fn is_in_trouble(&self) -> bool {
        matches!(self.kept, Kept::Stale | Kept::Failed)
    }
}

impl Resolver {
    /// What is remembered of one secret; `None` where nothing is.
    pub fn status_of(&self, reference: &Reference) -> Option<SecretStatus> {
        let memory = self.memory.lock();
        memory.slots.peek(reference).map(|slot| of_secret(reference, slot, Moment::now()))
    }

    /// What is remembered now.
    pub fn status(&self) -> Status {
        let now = Moment::now();
        let references = self.references();
        let mut secrets = Vec::with_capacity(references.len());
        for some in references.chunks(AT_ONCE) {
            let memory = self.memory.lock();
            let known = some.iter().filter_map(|of| Some(of_secret(of, memory.slots.peek(of)?, now)));
            secrets.extend(known);
        }
        let memory = self.memory.lock();
        let mut providers: Vec<_> =
            memory.upstreams.iter().map(|(name, upstream)| of_provider(name, upstream)).collect();
        let (cache_used, cache_max) = (memory.slots.used(), memory.slots.max());
        let (hits, misses) = (memory.hits, memory.misses);
        drop(memory);
        providers.sort_by(|a, b| a.name.cmp(&b.name));
        secrets.sort_by(|a, b| (&a.reference, &a.made_for).cmp(&(&b.reference, &b.made_for)));
        Status { providers, secrets, cache_used, cache_max, hits, misses }
    }
}

fn of_provider(name: &str, upstream: &Upstream) -> ProviderStatus {
    ProviderStatus {
        name: name.to_owned(),
        down: upstream.circuit.trouble().map(ToString::to_string),
        asked_again: upstream.circuit.until().and_then(time),
        asked: upstream.asked,
        failed: upstream.failed,
        took_micros: upstream.took.map(micros),
        answered: upstream.answered.and_then(time),
    }
}

fn of_secret(reference: &Reference, slot: &Slot, now: Moment) -> SecretStatus {
    let (held, trouble) = match &slot.entry.state {
        State::Unknown => (None, None),
        State::Held(held) => (Some(held), held.trouble.as_ref()),
        State::Failed(trouble) => (None, Some(trouble)),
    };
    let kept = match (&slot.entry.state, held) {
        (State::Failed(_), _) => Kept::Failed,
        (_, None) => Kept::Unknown,
        (_, Some(held)) if now < held.span.fresh => Kept::Fresh,
        (_, Some(held)) if now < held.span.usable && held.trouble.is_some() => Kept::Stale,
        (_, Some(_)) => Kept::Aged,
    };
    let refresh = slot.due.filter(|(_, duty)| *duty == Duty::Refresh);
    SecretStatus {
        reference: reference.to_string(),
        made_for: reference.whom().map(str::to_owned),
        kept,
        version: held.map(|held| held.value.version.clone()),
        created: held.and_then(|held| held.value.created.try_into().ok()),
        fetched: held.and_then(|held| held.value.fetched.try_into().ok()),
        fresh_until: held.and_then(|held| time(held.span.fresh)),
        usable_until: held.and_then(|held| time(held.span.usable)),
        leased: held.is_some_and(|held| held.value.lease.is_some()),
        next_refresh: refresh.and_then(|(at, _)| time(at)),
        error: trouble.map(|trouble| trouble.why.to_string()),
        retried: trouble.and_then(|trouble| time(trouble.again)),
        reads: slot.reads,
        hits: slot.hits,
    }
}

fn time(moment: Moment) -> Option<Timestamp> {
    moment.wall().try_into().ok()
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
