//! One token for all fetches: had by the first that needs it, while the others wait, and had again before it ends.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::exchange::{self, Session};
use super::http::{Deadline, Http};
use super::source::Place;
use super::{LoginState, ProviderError, Stamp, files};

/// A token is had again when this much of its time is left, or a tenth where that is less.
const AHEAD: Duration = Duration::from_secs(300);
/// How long nobody tries to renew a token that still holds, once that has failed.
const PAUSE: Duration = Duration::from_secs(10);

/// The way in.
pub(super) struct Login {
    place: Place,
    quota_project: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// When logging in last failed and why: those who waited for it need not fail by themselves.
    failed: Option<(Instant, ProviderError)>,
}

struct Held {
    session: Session,
    quota_project: Option<String>,
    /// The state of the credentials' file.
    stamp: Option<Stamp>,
    /// Not to be renewed before.
    patience: Instant,
}

/// What a request is sent with.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: Zeroizing<String>,
    /// The project that calls are counted to, where it is another.
    pub(super) quota_project: Option<String>,
}

impl Login {
    pub(super) fn new(place: Place, quota_project: Option<String>) -> Self {
        Self { place, quota_project, state: Mutex::default() }
    }

    /// A token that should be accepted.
    pub(super) async fn token(&self, http: &Http, deadline: Deadline) -> Result<Token, ProviderError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        state.token(self, asked, http, deadline).await
    }

    /// Another token than `refused`. `None` where there can be none but by other credentials.
    pub(super) async fn another(
        &self,
        refused: &Token,
        http: &Http,
        deadline: Deadline,
    ) -> Result<Option<Token>, ProviderError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let Some(held) = &state.held else { return state.token(self, asked, http, deadline).await.map(Some) };
        if held.session.token(deadline).await?.as_str() == refused.value.as_str() {
            if matches!(held.session, Session::Signing(_)) && held.is_of_the_file().await {
                return Ok(None);
            }
            state.held = None;
        }
        state.token(self, asked, http, deadline).await.map(Some)
    }

    /// Where it stands. Waits for a login that is under way.
    pub(super) async fn login_state(&self) -> LoginState {
        match &self.state.lock().await.held {
            Some(held) if held.holds() && held.is_of_the_file().await => {
                LoginState::LoggedIn { until: held.until() }
            }
            _ => LoginState::LoggedOut,
        }
    }
}

impl State {
    async fn token(
        &mut self,
        login: &Login,
        asked: Instant,
        http: &Http,
        deadline: Deadline,
    ) -> Result<Token, ProviderError> {
        if let Some(held) = &self.held
            && held.is_young()
            && held.is_of_the_file().await
        {
            return self.held(deadline).await;
        }
        if let Some((at, error)) = &self.failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        match login.log_in(http, deadline).await {
            Ok(held) => {
                self.held = Some(held);
                self.held(deadline).await
            }
            Err(error) => {
                self.failed = Some((Instant::now(), error.clone()));
                // It has some time left, in which whatever is wrong may pass.
                match &mut self.held {
                    Some(held) if held.holds() && held.is_of_the_file().await => {
                        tracing::warn!("the token cannot be renewed yet: {error}");
                        held.patience = Instant::now() + PAUSE;
                        self.held(deadline).await
                    }
                    _ => Err(error),
                }
            }
        }
    }

    async fn held(&mut self, deadline: Deadline) -> Result<Token, ProviderError> {
        let Some(held) = &self.held else { return Err(ProviderError::unavailable("not logged in")) };
        match held.session.token(deadline).await {
            Ok(value) => Ok(Token { value, quota_project: held.quota_project.clone() }),
            Err(error) => {
                // What the library could not do once it does not try again.
                self.held = None;
                self.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

impl Login {
    async fn log_in(&self, http: &Http, deadline: Deadline) -> Result<Held, ProviderError> {
        let read = self.place.read().await?;
        let session = exchange::session(&read.credentials, http, deadline).await?;
        let quota_project = self.quota_project.clone().or(read.quota_project);
        Ok(Held { session, quota_project, stamp: read.stamp, patience: Instant::now() })
    }
}

impl Held {
    async fn is_of_the_file(&self) -> bool {
        match &self.stamp {
            Some(stamp) => files::still_holds(stamp).await,
            None => true,
        }
    }

    /// Whether it is too early to renew it.
    fn is_young(&self) -> bool {
        let now = Instant::now();
        now < self.patience
            || match &self.session {
                Session::Token { lasts, until, .. } => now + AHEAD.min(*lasts / 10) < *until,
                Session::Signing(_) | Session::Library(_) => true,
            }
    }

    /// When it ends, where that is known here.
    fn until(&self) -> Option<SystemTime> {
        match &self.session {
            Session::Token { until, .. } => {
                SystemTime::now().checked_add(until.saturating_duration_since(Instant::now()))
            }
            Session::Signing(_) | Session::Library(_) => None,
        }
    }

    /// Whether it has not ended.
    fn holds(&self) -> bool {
        match &self.session {
            Session::Token { until, .. } => Instant::now() < *until,
            Session::Signing(_) | Session::Library(_) => true,
        }
    }
}
