//! The token in use: one login for all who wait, renewed at two thirds of its time, and failures that are not repeated at
//! once.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use tokio::sync::watch;

use super::super::files;
use super::cluster::Cluster;
use super::credential::Used;
use super::login::Login;
use super::tokens::{self, Terms};
use super::{LoginState, LoginTime, ProviderError, Stamp};

/// After a login that was refused nobody logs in for this long with the same credentials, and for twice as long after each
/// further one: a Vault locks a user out after a few.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A token in use.
pub(super) struct Session {
    pub(super) token: HeaderValue,
    terms: Mutex<(Instant, Terms)>,
    since: LoginTime,
    /// For a token from a file: what that was.
    file: Option<Stamp>,
}

/// What is true of everything that a session lends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lends {
    /// How long it lasts at most: with a token that cannot be renewed all ends that was lent to it.
    pub(super) at_most: Option<Duration>,
    /// What it hangs on.
    pub(super) under: LoginTime,
}

/// Where a session stands after a refusal.
pub(super) enum Standing {
    /// The server knows its token: what it refused is not allowed.
    Known,
    /// The server does not know its token, and there is no other.
    Gone,
    /// There is another one now.
    Replaced(Arc<Session>),
}

/// Who holds the token.
pub(super) struct Sessions {
    cluster: Arc<Cluster>,
    login: Login,
    current: Mutex<Option<Arc<Session>>>,
    /// Held while somebody logs in.
    turn: tokio::sync::Mutex<Turn>,
    /// Tokens from before this time are gone, or nobody renews them any more: what was lent to them ends with them.
    ended: watch::Sender<LoginTime>,
}

#[derive(Default)]
struct Turn {
    failure: Option<Failure>,
    /// When a login after a refusal did not help.
    in_vain: Option<Instant>,
}

struct Failure {
    error: ProviderError,
    at: Instant,
    pause: Duration,
    used: Used,
}

impl Session {
    /// Whether it is worth using.
    async fn holds(&self) -> bool {
        self.left().is_none_or(|left| left > Duration::from_millis(500))
            && files::all_hold(self.file.as_slice()).await
    }

    /// How long it is still good, if it ends.
    fn left(&self) -> Option<Duration> {
        let (since, terms) = *self.terms.lock();
        match terms {
            Terms::For { ttl, .. } => Some((since + ttl).saturating_duration_since(Instant::now())),
            Terms::Forever | Terms::Unknown => None,
        }
    }

    /// What is true of everything that it lends.
    pub(super) fn lends(&self) -> Lends {
        let renewable = matches!(self.terms.lock().1, Terms::For { renewable: true, .. });
        Lends { at_most: if renewable { None } else { self.left() }, under: self.since }
    }

    fn is_known(&self) -> bool {
        self.terms.lock().1 != Terms::Unknown
    }
}

impl Sessions {
    pub(super) fn new(cluster: Arc<Cluster>, login: Login) -> Arc<Self> {
        let (current, turn, ended) =
            (Mutex::new(None), tokio::sync::Mutex::default(), watch::Sender::default());
        Arc::new(Self { cluster, login, current, turn, ended })
    }

    /// Tells when logins end.
    pub(super) fn ended(&self) -> watch::Receiver<LoginTime> {
        self.ended.subscribe()
    }

    /// Where it stands, as far as is known here.
    pub(super) async fn state(&self) -> LoginState {
        match self.current() {
            Some(session) if session.since >= *self.ended.borrow() && session.holds().await => {
                let until = session.left().and_then(|left| SystemTime::now().checked_add(left));
                LoginState::LoggedIn { until }
            }
            _ => LoginState::LoggedOut,
        }
    }

    /// The token in use, or a new one.
    pub(super) async fn session(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Session>, ProviderError> {
        match self.current() {
            Some(session) if session.holds().await => Ok(session),
            old => self.instead_of(old, deadline).await,
        }
    }

    /// A session that the server is known to accept.
    pub(super) async fn proven(self: &Arc<Self>, deadline: Instant) -> Result<(), ProviderError> {
        let session = self.session(deadline).await?;
        if session.is_known()
            && tokens::terms(&self.cluster, &session.token, deadline).await? != Terms::Unknown
        {
            return Ok(());
        }
        match self.after_refusal(&session, deadline).await? {
            Standing::Known | Standing::Replaced(_) => Ok(()),
            Standing::Gone => Err(ProviderError::Refused(self.gone())),
        }
    }

    /// What becomes of a session after the server refused something.
    pub(super) async fn after_refusal(
        self: &Arc<Self>,
        old: &Arc<Session>,
        deadline: Instant,
    ) -> Result<Standing, ProviderError> {
        if self.current().is_some_and(|now| !Arc::ptr_eq(&now, old)) {
            return self.session(deadline).await.map(Standing::Replaced);
        }
        if old.is_known() && tokens::terms(&self.cluster, &old.token, deadline).await? != Terms::Unknown {
            return Ok(Standing::Known);
        }
        if old.is_known() {
            self.is_over(old);
        }
        if self.turn.lock().await.in_vain.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(Standing::Gone);
        }
        let new = self.instead_of(Some(Arc::clone(old)), deadline).await?;
        Ok(if new.token == old.token { Standing::Gone } else { Standing::Replaced(new) })
    }

    /// Remembers that a login after a refusal changed nothing.
    pub(super) async fn was_in_vain(&self) {
        self.turn.lock().await.in_vain = Some(Instant::now());
    }

    /// Why a token that the server does not know is refused.
    pub(super) fn gone(&self) -> String {
        let (source, place) = (self.login.source(), self.cluster.answering());
        if self.login.makes_tokens() {
            format!("the token from {source} is not known to the server at {place} any more")
        } else {
            format!(
                "the server at {place} does not know the token in {source}, or its policies allow it nothing: it has expired, was revoked, or is of another server or namespace"
            )
        }
    }

    /// Tells that a session's token is known to nobody any more.
    fn is_over(&self, session: &Session) {
        self.ends_before(session.since.just_after());
    }

    fn ends_before(&self, time: LoginTime) {
        self.ended.send_if_modified(|ended| {
            let later = time > *ended;
            *ended = time.max(*ended);
            later
        });
    }

    fn current(&self) -> Option<Arc<Session>> {
        self.current.lock().clone()
    }

    /// Logs in, unless somebody else has done it meanwhile.
    async fn instead_of(
        self: &Arc<Self>,
        old: Option<Arc<Session>>,
        deadline: Instant,
    ) -> Result<Arc<Session>, ProviderError> {
        // In a task of its own: what a login has used up must not be lost because somebody stopped waiting.
        let (this, asked) = (Arc::clone(self), Instant::now());
        let login = tokio::spawn(async move { this.log_in(old, asked).await });
        match tokio::time::timeout_at(deadline.into(), login).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ProviderError::unavailable("closing")),
            Err(_) => Err(ProviderError::unavailable(format!("{}: no login in time", self.login.source()))),
        }
    }

    async fn log_in(
        self: Arc<Self>,
        old: Option<Arc<Session>>,
        asked: Instant,
    ) -> Result<Arc<Session>, ProviderError> {
        let mut turn = self.turn.lock().await;
        if let Some(now) = self.current()
            && now.holds().await
            && old.is_none_or(|old| !Arc::ptr_eq(&old, &now))
        {
            return Ok(now);
        }
        if let Some(failure) = &turn.failure
            && failure.holds(asked).await
        {
            return Err(failure.error.clone());
        }
        let mut used = Used::new();
        match self.login.log_in(&self.cluster, &mut used, self.cluster.deadline()).await {
            Ok(token) => {
                turn.failure = None;
                let file = if self.login.makes_tokens() { None } else { used.pop() };
                let terms = Mutex::new((Instant::now(), token.terms));
                let before = self.current();
                // A file that was only touched holds the same token, and what was lent to it stays.
                let same = before.as_ref().filter(|before| before.token == token.value);
                let since = same.map_or_else(LoginTime::now, |before| before.since);
                let session = Arc::new(Session { token: token.value, terms, since, file });
                *self.current.lock() = Some(Arc::clone(&session));
                if before.is_some() {
                    self.ends_before(since);
                }
                tokio::spawn(keep(Arc::downgrade(&self), Arc::downgrade(&session)));
                Ok(session)
            }
            Err(error) => {
                let before = turn.failure.as_ref().map_or(Duration::ZERO, |failure| failure.pause);
                let pause = match error {
                    ProviderError::Refused(_) => (before * 2).clamp(PAUSE, LONGEST_PAUSE),
                    _ => Duration::ZERO,
                };
                turn.failure = Some(Failure { error: error.clone(), at: Instant::now(), pause, used });
                Err(error)
            }
        }
    }

    /// Renews the session, or logs in anew. Answers whether the session goes on.
    async fn renewed(
        self: &Arc<Self>,
        session: &Arc<Session>,
        first: Duration,
    ) -> Result<bool, ProviderError> {
        match tokens::renew(&self.cluster, &session.token).await {
            Ok(terms @ (Terms::Forever | Terms::Unknown)) => {
                *session.terms.lock() = (Instant::now(), terms);
                Ok(false)
            }
            // Near its longest life a token is granted less and less.
            Ok(Terms::For { ttl, .. }) if ttl < first / 2 && self.login.makes_tokens() => {
                self.instead_of(Some(Arc::clone(session)), self.cluster.deadline()).await.map(|_| false)
            }
            Ok(terms) => {
                *session.terms.lock() = (Instant::now(), terms);
                Ok(true)
            }
            Err(ProviderError::Refused(_)) if self.login.makes_tokens() => {
                self.instead_of(Some(Arc::clone(session)), self.cluster.deadline()).await.map(|_| false)
            }
            Err(error) => Err(error),
        }
    }
}

impl Failure {
    /// Whether to try again would be the same: it failed while somebody waited, or just now with the same credentials.
    async fn holds(&self, asked: Instant) -> bool {
        self.at >= asked || self.at.elapsed() < self.pause && files::all_hold(&self.used).await
    }
}

/// Renews a session as long as it is the one in use. What was lent to a token ends with it, so that it is renewed whether
/// or not anything is fetched.
fn keep(sessions: Weak<Sessions>, session: Weak<Session>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    // Boxed, since it may log in, which starts another of these.
    Box::pin(renewals(sessions, session))
}

async fn renewals(sessions: Weak<Sessions>, session: Weak<Session>) {
    let Some(Terms::For { ttl: first, renewable: true }) =
        session.upgrade().map(|session| session.terms.lock().1)
    else {
        return;
    };
    let mut wait = first * 2 / 3;
    loop {
        tokio::time::sleep(wait).await;
        let (Some(sessions), Some(session)) = (sessions.upgrade(), session.upgrade()) else { return };
        if sessions.current().is_none_or(|now| !Arc::ptr_eq(&now, &session)) {
            return;
        }
        wait = match sessions.renewed(&session, first).await {
            Ok(false) => return,
            Ok(true) => session.left().unwrap_or(first) * 2 / 3,
            Err(error) => {
                tracing::warn!("the token from {} cannot be renewed: {error}", sessions.login.source());
                let left = session.left().unwrap_or_default();
                if left.is_zero() || matches!(error, ProviderError::Refused(_)) {
                    // It may be refused the renewal alone.
                    let known = tokens::terms(&sessions.cluster, &session.token, sessions.cluster.deadline());
                    if left.is_zero() || matches!(known.await, Ok(Terms::Unknown)) {
                        sessions.is_over(&session);
                    }
                    return;
                }
                left / 3
            }
        }
        .max(Duration::from_millis(500));
    }
}
