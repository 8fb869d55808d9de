//! A fetch from top to bottom.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use lru::LruCache;
use parking_lot::Mutex;
use reqwest::StatusCode;

use super::answer::{self, About, Version};
use super::http::{Answer, Deadline, Http, Way};
use super::login::{Login, Token};
use super::name::{Collection, Name};
use super::{Fetched, Listing, LoginState, Mint, Provider, ProviderError};
use crate::reference::Reference;

/// Between a request that failed and the same again.
const PAUSE: Duration = Duration::from_millis(100);
/// Versions whose time is remembered: it does not change, so that it is asked for once.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Pages that are asked for at most, of one list: names enough, and some pages without any.
const PAGES: usize = 100;

/// What a provider asks for and where, once it is checked.
pub(super) struct Asked {
    pub(super) project: Option<String>,
    pub(super) location: Option<String>,
    /// Instead of Google's own, without a slash at the end.
    pub(super) endpoint: Option<String>,
    /// Whether labels and annotations are asked for.
    pub(super) notes: bool,
    pub(super) retries: u32,
}

/// The opened provider.
pub(super) struct SecretManager {
    asked: Asked,
    http: Http,
    login: Login,
    versions: Mutex<LruCache<String, Version>>,
}

impl SecretManager {
    pub(super) fn new(asked: Asked, http: Http, login: Login) -> Self {
        Self { asked, http, login, versions: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

#[async_trait::async_trait]
impl Provider for SecretManager {
    async fn fetch(&self, reference: &Reference, _: Mint) -> Result<Fetched, ProviderError> {
        let name = Name::of(reference, self.asked.project.as_deref(), self.asked.location.as_deref())?;
        let deadline = Deadline::after(self.http.bounds().request);
        deadline.bound(self.again(deadline, || self.fetch_once(&name, deadline))).await
    }

    async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let (listing, collection) = (Listing::new(under, depth)?, Collection::of(under)?);
        let deadline = Deadline::after(self.http.bounds().request);
        let list = || self.list_once(&collection, listing.clone(), deadline);
        deadline.bound(self.again(deadline, list)).await
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        let deadline = Deadline::after(self.http.bounds().request);
        deadline.bound(self.again(deadline, || self.log_in_once(deadline))).await
    }

    async fn login_state(&self) -> LoginState {
        self.login.login_state().await
    }
}

impl SecretManager {
    /// Tries again what may pass by itself, unless it was said when to come back.
    async fn again<T, F: Future<Output = Result<T, ProviderError>>>(
        &self,
        deadline: Deadline,
        attempt: impl Fn() -> F,
    ) -> Result<T, ProviderError> {
        let mut left = self.asked.retries;
        loop {
            match attempt().await {
                Err(ProviderError::Unavailable { retry_after: None, .. })
                    if left > 0 && deadline.left() > 2 * PAUSE =>
                {
                    left -= 1;
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn fetch_once(&self, name: &Name, deadline: Deadline) -> Result<Fetched, ProviderError> {
        let endpoint = self.endpoint(name.location.as_deref());
        let (resource, version) = (&name.resource, &name.version);
        let path = format!("{resource}/versions/{version}:access");
        let answer = self.ask(&endpoint, &path, deadline).await?;
        if answer.status != StatusCode::OK {
            return Err(answer::refusal(&answer, name, &endpoint).unwrap_or_else(|| not_accepted(&endpoint)));
        }
        let value = answer::value(&answer, name)?;
        let about = self.version(&endpoint, resource, &value.version, deadline).await;
        let mut fetched = Fetched::new(value.bytes, value.version, about.create_time);
        fetched.expires = about.scheduled_destroy_time;
        if self.asked.notes {
            let about = self.about(&endpoint, name, deadline).await?;
            fetched.notes = about.labels.into_iter().chain(about.annotations).collect::<BTreeMap<_, _>>();
            fetched.expires = fetched.expires.into_iter().chain(about.expire_time).min();
        }
        Ok(fetched)
    }

    /// All pages of names. Nothing else of a secret is asked for.
    async fn list_once(
        &self,
        collection: &Collection,
        mut listing: Listing,
        deadline: Deadline,
    ) -> Result<Vec<String>, ProviderError> {
        let endpoint = self.endpoint(collection.location.as_deref());
        let resource = &collection.resource;
        let mut next = String::new();
        for _ in 0..PAGES {
            let path = format!("{resource}?pageSize=1000&fields=secrets/name,nextPageToken{next}");
            let answer = self.ask(&endpoint, &path, deadline).await?;
            if answer.status != StatusCode::OK {
                return Err(
                    answer::unlisted(&answer, resource, &endpoint).unwrap_or_else(|| not_accepted(&endpoint))
                );
            }
            let page = answer::page(&answer, resource)?;
            page.names.iter().try_for_each(|name| listing.add(name))?;
            match page.next {
                None => return listing.found(),
                Some(token) => next = format!("&{token}"),
            }
        }
        Err(listing.too_many("pages"))
    }

    /// Any question will do that needs no right to be refused for: only a token that is not accepted is turned away by all.
    async fn log_in_once(&self, deadline: Deadline) -> Result<(), ProviderError> {
        let location = self.asked.location.as_deref();
        let endpoint = self.endpoint(location);
        let project = self.asked.project.as_deref().unwrap_or("-");
        let at = location.map(|location| format!("/locations/{location}")).unwrap_or_default();
        let path = format!("projects/{project}{at}/secrets?pageSize=1");
        let answer = self.ask(&endpoint, &path, deadline).await?;
        answer::welcome(&answer, &endpoint).unwrap_or_else(|| Err(not_accepted(&endpoint)))
    }

    /// When the version was made. Who may read a value need not be allowed to know that: then it is as old as our knowledge
    /// of it.
    async fn version(&self, endpoint: &str, resource: &str, version: &str, deadline: Deadline) -> Version {
        let path = format!("{resource}/versions/{version}");
        if let Some(known) = self.versions.lock().get(&path) {
            return *known;
        }
        let unknown = Version { create_time: SystemTime::now(), scheduled_destroy_time: None };
        // Not worth the fetch that it belongs to.
        let version = match self.ask(endpoint, &path, deadline.half()).await {
            Ok(answer) if answer.status == StatusCode::OK => answer.json().unwrap_or(unknown),
            Ok(answer)
                if answer.status.is_client_error() && answer.status != StatusCode::TOO_MANY_REQUESTS =>
            {
                tracing::debug!(status = %answer.status, "when a version was made is not told");
                unknown
            }
            Ok(_) | Err(_) => return unknown,
        };
        self.versions.lock().put(path, version);
        version
    }

    /// Labels and annotations.
    async fn about(&self, endpoint: &str, name: &Name, deadline: Deadline) -> Result<About, ProviderError> {
        let answer = self.ask(endpoint, &name.resource, deadline).await?;
        let secret = &name.secret;
        match answer.status {
            StatusCode::OK => answer.json().ok_or_else(|| {
                ProviderError::Malformed(format!("`{secret}`: the answer is not one of Secret Manager"))
            }),
            StatusCode::FORBIDDEN => Err(ProviderError::Refused(format!(
                "`{secret}`: the credentials may not read its labels; give them roles/secretmanager.viewer on it, or \
                 take `notes` out of the settings"
            ))),
            _ => Err(answer::refusal(&answer, name, endpoint).unwrap_or_else(|| not_accepted(endpoint))),
        }
    }

    /// Asks with our token, and where it is not accepted with another.
    async fn ask(&self, endpoint: &str, path: &str, deadline: Deadline) -> Result<Answer, ProviderError> {
        let token = self.login.token(&self.http, deadline).await?;
        let answer = self.ask_with(&token, endpoint, path, deadline).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        match self.login.another(&token, &self.http, deadline).await? {
            Some(token) => self.ask_with(&token, endpoint, path, deadline).await,
            None => Ok(answer),
        }
    }

    async fn ask_with(
        &self,
        token: &Token,
        endpoint: &str,
        path: &str,
        deadline: Deadline,
    ) -> Result<Answer, ProviderError> {
        let get = |client: &reqwest::Client| {
            let request = client.get(format!("{endpoint}/v1/{path}")).bearer_auth(token.value.as_str());
            match &token.quota_project {
                Some(project) => request.header("x-goog-user-project", project),
                None => request,
            }
        };
        self.http.send(Way::Usual, deadline, endpoint, get).await
    }

    fn endpoint(&self, location: Option<&str>) -> String {
        match (&self.asked.endpoint, location) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(location)) => format!("https://secretmanager.{location}.rep.googleapis.com"),
            (None, None) => "https://secretmanager.googleapis.com".to_owned(),
        }
    }
}

fn not_accepted(endpoint: &str) -> ProviderError {
    ProviderError::Refused(format!(
        "{endpoint} does not accept our token (401); was the key deleted, or the account disabled?"
    ))
}
