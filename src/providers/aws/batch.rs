//! Several secrets asked for at the same time are one question: `BatchGetSecretValue`.
//!
//! A fetch that is alone goes alone, at once. One that finds another under way waits a few milliseconds for company. Whoever
//! gets no answer of its own that way (the policy lacks the right, the answer is too long) asks alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{ApiErrorType, SecretValueEntry};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::arn::Id;
use super::fault::{Fault, Meaning};
use super::session::{Place, Refusal, Session, Unanswered};
use super::value::{READ, Value};
use super::{Fetched, ProviderError};

/// How long company is waited for.
const WINDOW: Duration = Duration::from_millis(3);
/// Most secrets in one question: AWS's limit.
const MOST: usize = 20;
/// After AWS did not let us, it is not tried again for so long.
const OFF: Duration = Duration::from_secs(600);

/// Where fetches meet.
#[derive(Default)]
pub(super) struct Batch(Mutex<State>);

#[derive(Default)]
struct State {
    under_way: usize,
    /// Who waits for company, by the region of their ARN; names wait under none.
    waiting: HashMap<Option<String>, Vec<Waiter>>,
    off: Option<Instant>,
}

struct Waiter {
    id: Id,
    what: String,
    answer: oneshot::Sender<Answer>,
}

/// What a fetch gets; `None` where it has to ask alone.
type Answer = Option<Result<Fetched, ProviderError>>;

/// How a fetch goes on.
pub(super) enum Turn {
    /// By itself; it is under way until this is dropped.
    Alone(UnderWay),
    /// With others.
    Together(oneshot::Receiver<Answer>),
}

/// Counts a question as being under way.
pub(super) struct UnderWay(Arc<Batch>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

/// What AWS answers to one question about many.
struct Answered {
    values: Vec<SecretValueEntry>,
    errors: Vec<ApiErrorType>,
    region: String,
    whence: Arc<str>,
}

impl Batch {
    /// Whether this fetch goes alone or waits for company. `what` is its name in messages.
    pub(super) fn turn(self: &Arc<Self>, session: &Arc<Session>, id: &Id, what: &str) -> Turn {
        let mut state = self.0.lock();
        if state.under_way == 0 || state.off.is_some_and(|since| since.elapsed() < OFF) {
            state.under_way += 1;
            return Turn::Alone(UnderWay(Arc::clone(self)));
        }
        let (answer, receiver) = oneshot::channel();
        let region = id.region().map(str::to_owned);
        let waiting = state.waiting.entry(region.clone()).or_default();
        waiting.push(Waiter { id: id.clone(), what: what.to_owned(), answer });
        if waiting.len() == 1 {
            // In a task of its own: others depend on it, whatever becomes of this fetch.
            let (batch, session) = (Arc::clone(self), Arc::clone(session));
            tokio::spawn(async move { batch.collect(&session, region).await });
        }
        Turn::Together(receiver)
    }

    /// Counts one more question, until the answer is dropped.
    pub(super) fn under_way(self: &Arc<Self>) -> UnderWay {
        self.0.lock().under_way += 1;
        UnderWay(Arc::clone(self))
    }

    async fn collect(self: Arc<Self>, session: &Session, region: Option<String>) {
        tokio::time::sleep(WINDOW).await;
        let _under_way = self.under_way();
        let waiters = self.0.lock().waiting.remove(&region).unwrap_or_default();
        if waiters.len() == 1 {
            // No company: its sender is dropped, and it asks alone.
            return;
        }
        let mut by_id = HashMap::<Id, Vec<Waiter>>::new();
        for waiter in waiters {
            by_id.entry(waiter.id.clone()).or_default().push(waiter);
        }
        let mut all: Vec<_> = by_id.into_iter().collect();
        while !all.is_empty() {
            let some = all.split_off(all.len().saturating_sub(MOST));
            self.ask(session, some).await;
        }
    }

    /// Asks for all of them, and answers who waits.
    async fn ask(&self, session: &Session, waiters: Vec<(Id, Vec<Waiter>)>) {
        let Some((first, _)) = waiters.first() else { return };
        let ids: Vec<_> = waiters.iter().map(|(id, _)| id.clone()).collect();
        let asked = session.ask(first, |place| together(place, &ids)).await;
        if asked.as_ref().err().and_then(Unanswered::meaning) == Some(Meaning::Forbidden) {
            self.0.lock().off = Some(Instant::now());
        }
        for (id, waiters) in waiters {
            for Waiter { what, answer, .. } in waiters {
                let given = match &asked {
                    Ok(answered) => answered.of(&id, &what),
                    Err(error) if error.is_for_all() => Some(Err(error.told(&what, READ))),
                    Err(_) => None,
                };
                // Whoever asked may have gone.
                let _ = answer.send(given);
            }
        }
    }
}

async fn together(place: Place, ids: &[Id]) -> Result<Answered, Fault> {
    let names = ids.iter().map(|id| id.in_region(&place.region)).collect();
    let asked = Client::new(&place.config).batch_get_secret_value().set_secret_id_list(Some(names)).send();
    let mut answer = asked.await.map_err(|error| Fault::of(&error))?;
    Ok(Answered {
        values: answer.secret_values.take().unwrap_or_default(),
        errors: answer.errors.take().unwrap_or_default(),
        region: place.region,
        whence: place.whence,
    })
}

impl Answered {
    fn of(&self, id: &Id, what: &str) -> Answer {
        let name = id.in_region(&self.region);
        if let Some(entry) = self.values.iter().find(|entry| is_of(&name, id, entry)) {
            let value = Value {
                text: entry.secret_string.clone().map(Zeroizing::new),
                binary: entry.secret_binary.clone(),
                version: entry.version_id.clone(),
                created: entry.created_date,
            };
            return Some(value.fetched(what));
        }
        let error = self.errors.iter().find(|error| error.secret_id.as_deref() == Some(&name))?;
        // The status is of the whole: that of an error within it is the one that it has alone.
        let fault = Fault::answer(400, error.error_code.as_deref(), error.message.as_deref(), None);
        match fault.meaning() {
            // Asked alone, it is told with its date.
            Meaning::Deleted => None,
            _ => {
                let (region, whence) = (self.region.clone(), Arc::clone(&self.whence));
                Some(Err(Refusal { fault, region, whence }.told(what, READ)))
            }
        }
    }
}

/// Whether the entry is what was asked for by `name`: its name, its ARN, or its ARN without the six random characters.
fn is_of(name: &str, id: &Id, entry: &SecretValueEntry) -> bool {
    if id.is_name() {
        return entry.name.as_deref() == Some(name);
    }
    entry.arn.as_deref().is_some_and(|arn| {
        let rest = arn.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.len() == 7 && rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_by_name_arn_and_partial_arn_and_not_by_a_part_of_a_name() {
        let arn = "arn:aws:secretsmanager:r:0:secret:app/db-AbCdEf";
        let entry = SecretValueEntry::builder().name("app/db").arn(arn).build();
        let found = |path: &str| is_of(path, &Id::new(path, ""), &entry);
        for path in ["app/db", arn, "arn:aws:secretsmanager:r:0:secret:app/db"] {
            assert!(found(path), "{path}");
        }
        for path in [
            "app",
            "app/d",
            "arn:aws:secretsmanager:r:0:secret:app",
            "arn:aws:secretsmanager:r:0:secret:app/db-AbC",
        ] {
            assert!(!found(path), "{path}");
        }
    }
}
