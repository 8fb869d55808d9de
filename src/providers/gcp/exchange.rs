//! Tokens for credentials. What is answered here is a credential itself: of a refusal the status is told, and the error's
//! code where it is one of OAuth's own.

use std::net::IpAddr;
use std::time::Duration;

use google_cloud_auth::credentials::{AccessTokenCredentials, external_account, service_account};
use google_cloud_auth::errors::CredentialsError;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::http::{Answer, Deadline, Http, Way, stays_here};
use super::source::{Credentials, External, Impersonated, Subject, User};
use super::{ProviderError, files};

/// For all of Google Cloud: what the account may do there is said by its roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Longest token of somebody else's in bytes.
const TOKEN_LIMIT: usize = 1 << 16;
/// How long a token lasts whose end is not told.
const USUAL: Duration = Duration::from_secs(600);

/// Codes of OAuth (RFC 6749, 8693) that may be repeated.
const CODES: [&str; 8] = [
    "invalid_grant",
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
];

/// A way to tokens.
pub(super) enum Session {
    /// One token, and when it ends.
    Token {
        /// The token.
        value: Zeroizing<String>,
        /// How long it lasts, all in all.
        lasts: Duration,
        /// When it ends.
        until: Instant,
    },
    /// Signs its own, for as long as the key is in its file.
    Signing(AccessTokenCredentials),
    /// Google's library exchanges them.
    Library(AccessTokenCredentials),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lent {
    access_token: String,
    expire_time: jiff::Timestamp,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// Logs in.
pub(super) async fn session(
    credentials: &Credentials,
    http: &Http,
    deadline: Deadline,
) -> Result<Session, ProviderError> {
    match credentials {
        Credentials::Impersonated(impersonated) => {
            let Impersonated { url, delegates, of } = &**impersonated;
            let session = plain(of, http, deadline).await?;
            let token = session.token(deadline).await?;
            impersonate(url, delegates, &token, http, deadline).await
        }
        credentials => plain(credentials, http, deadline).await,
    }
}

async fn plain(credentials: &Credentials, http: &Http, deadline: Deadline) -> Result<Session, ProviderError> {
    match credentials {
        Credentials::ServiceAccount(key) => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            let builder = service_account::Builder::new(key.clone()).with_access_specifier(scopes);
            let built = builder.build_access_token_credentials();
            built.map(Session::Signing).map_err(|_| not_whole("the key of a service account"))
        }
        Credentials::Aws(value) => {
            let builder = external_account::Builder::new(value.clone()).with_scopes([SCOPE]);
            let built = builder.build_access_token_credentials();
            built.map(Session::Library).map_err(|_| not_whole("the credentials of an external account"))
        }
        Credentials::User(user) => refresh(user, http, deadline).await,
        Credentials::External(external) => exchange(external, http, deadline).await,
        Credentials::Machine(url) => machine(url, http, deadline).await,
        Credentials::Impersonated(_) => Err(not_whole("an impersonation")),
    }
}

fn not_whole(what: &str) -> ProviderError {
    ProviderError::Misconfigured(format!("{what} is not whole; have it made again by gcloud"))
}

impl Session {
    fn granted(value: String, lasts: Option<u64>) -> Self {
        let lasts = lasts.map_or(USUAL, Duration::from_secs).min(Duration::from_secs(86_400));
        Self::Token { value: Zeroizing::new(value), lasts, until: Instant::now() + lasts }
    }

    /// The token as it is now.
    pub(super) async fn token(&self, deadline: Deadline) -> Result<Zeroizing<String>, ProviderError> {
        let library = match self {
            Self::Token { value, .. } => return Ok(value.clone()),
            Self::Signing(library) | Self::Library(library) => library,
        };
        let asked = async { library.access_token().await.map_err(|error| self.failed(&error)) };
        deadline.bound(asked).await.map(|token| Zeroizing::new(token.token))
    }

    /// The library's texts repeat what it was answered, so none is told.
    fn failed(&self, error: &CredentialsError) -> ProviderError {
        match self {
            Self::Signing(_) => not_whole("the key of a service account"),
            _ if error.is_transient() => {
                ProviderError::unavailable("a token cannot be had for the credentials of this machine at AWS")
            }
            _ => ProviderError::Refused(
                "the credentials of this machine at AWS are not exchanged for a token; does the pool trust its role?"
                    .into(),
            ),
        }
    }
}

/// For credentials that gcloud left.
async fn refresh(user: &User, http: &Http, deadline: Deadline) -> Result<Session, ProviderError> {
    let url = address(user.token_uri.as_deref().unwrap_or("https://oauth2.googleapis.com/token"))?;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &user.client_id),
        ("client_secret", &user.client_secret),
        ("refresh_token", &user.refresh_token),
    ];
    let remedy = "`gcloud auth application-default login` makes new ones";
    granted(http, deadline, &url, remedy, |client| client.post(url.clone()).form(&form)).await
}

/// For the token of somebody else (RFC 8693).
async fn exchange(external: &External, http: &Http, deadline: Deadline) -> Result<Session, ProviderError> {
    let url = address(&external.token_url)?;
    let token = subject(&external.credential_source, http, deadline).await?;
    let options = external.workforce_pool_user_project.as_ref();
    let options = options.map(|project| json!({ "userProject": project }).to_string());
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", &external.audience),
        ("scope", SCOPE),
        ("subject_token_type", &external.subject_token_type),
        ("subject_token", &token),
    ];
    form.extend(options.as_deref().map(|options| ("options", options)));
    let remedy = "is the token for this pool, and does the pool's condition let it in?";
    let session = granted(http, deadline, &url, remedy, |client| {
        let request = client.post(url.clone()).form(&form);
        match (&external.client_id, &external.client_secret) {
            (Some(id), secret) => request.basic_auth(id, secret.as_ref()),
            _ => request,
        }
    })
    .await?;
    let Some(url) = &external.service_account_impersonation_url else { return Ok(session) };
    let token = session.token(deadline).await?;
    impersonate(url, &[], &token, http, deadline).await
}

/// The token of somebody else, as it is now.
async fn subject(
    from: &Subject,
    http: &Http,
    deadline: Deadline,
) -> Result<Zeroizing<String>, ProviderError> {
    let misconfigured = |what: String| Err(ProviderError::Misconfigured(what));
    let (text, whose) = match (&from.file, &from.url) {
        (Some(path), None) => {
            let whose = format!("the token in {}", path.display());
            match files::read_line(path, TOKEN_LIMIT).await {
                Ok(text) => (text, whose),
                Err(error) => return misconfigured(format!("{whose} cannot be read: {error}")),
            }
        }
        (None, Some(url)) => {
            let url = address(url)?;
            let whom = whom(&url);
            let way = if url.scheme() == "http" { Way::Direct } else { Way::Usual };
            let get = |client: &Client| {
                from.headers
                    .iter()
                    .fold(client.get(url.clone()), |request, (name, value)| request.header(name, value))
            };
            let answer = http.send(way, deadline, &whom, get).await?;
            if answer.status != StatusCode::OK {
                return Err(denied(&answer, &whom, "it is to give this machine's token"));
            }
            let text = std::str::from_utf8(&answer.body).map(str::trim).unwrap_or_default();
            (Zeroizing::new(text.to_owned()), format!("the token of {whom}"))
        }
        _ => return misconfigured("`credential_source` has neither `file` nor `url`".into()),
    };
    let field = match &from.format {
        Some(format) if format.r#type == "json" => format.subject_token_field_name.as_deref(),
        _ => return Ok(text),
    };
    let Some(field) = field else {
        return misconfigured("`subject_token_field_name` is missing in the credentials".into());
    };
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    match value.get(field).and_then(Value::as_str) {
        Some(token) => Ok(Zeroizing::new(token.to_owned())),
        None => misconfigured(format!("{whose} is no JSON object with `{field}`")),
    }
}

/// In the name of another account.
async fn impersonate(
    url: &str,
    delegates: &[String],
    token: &str,
    http: &Http,
    deadline: Deadline,
) -> Result<Session, ProviderError> {
    let url = address(url)?;
    let whom = whom(&url);
    let body = json!({ "scope": [SCOPE], "delegates": delegates, "lifetime": "3600s" }).to_string();
    let post = |client: &Client| {
        let request = client.post(url.clone()).bearer_auth(token);
        request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body)
    };
    let answer = http.send(Way::Usual, deadline, &whom, post).await?;
    if answer.status != StatusCode::OK {
        return Err(denied(&answer, &whom, "give it roles/iam.serviceAccountTokenCreator on the account"));
    }
    let lent: Lent = answer.json().ok_or_else(|| without_token(&whom))?;
    let left = lent.expire_time.duration_since(jiff::Timestamp::now()).as_secs();
    Ok(Session::granted(lent.access_token, Some(u64::try_from(left).unwrap_or(0))))
}

/// Of this machine.
async fn machine(url: &str, http: &Http, deadline: Deadline) -> Result<Session, ProviderError> {
    let whom = format!("the metadata server at {url}");
    let get = |client: &Client| {
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        client.get(format!("{url}/{path}?scopes={SCOPE}")).header("Metadata-Flavor", "Google")
    };
    let answer = http.send(Way::Direct, deadline, &whom, get).await.map_err(|error| match error {
        ProviderError::Unavailable { message, retry_after } => {
            let hint = "outside of Google Cloud set `credentials_file`";
            ProviderError::Unavailable { message: format!("{message}; {hint}"), retry_after }
        }
        error => error,
    })?;
    if answer.status == StatusCode::NOT_FOUND {
        let told =
            format!("{whom} knows no service account of this machine; attach one, or set `credentials_file`");
        return Err(ProviderError::Misconfigured(told));
    }
    of(&answer, &whom, "may this machine have a token?")
}

async fn granted(
    http: &Http,
    deadline: Deadline,
    url: &Url,
    remedy: &str,
    post: impl FnOnce(&Client) -> RequestBuilder,
) -> Result<Session, ProviderError> {
    let whom = whom(url);
    of(&http.send(Way::Usual, deadline, &whom, post).await?, &whom, remedy)
}

fn of(answer: &Answer, whom: &str, remedy: &str) -> Result<Session, ProviderError> {
    if answer.status != StatusCode::OK {
        return Err(denied(answer, whom, remedy));
    }
    let granted: Granted = answer.json().ok_or_else(|| without_token(whom))?;
    Ok(Session::granted(granted.access_token, granted.expires_in))
}

fn without_token(whom: &str) -> ProviderError {
    ProviderError::Malformed(format!("{whom} answers without a token"))
}

fn denied(answer: &Answer, whom: &str, remedy: &str) -> ProviderError {
    if let Some(error) = answer.unavailable(whom) {
        return error;
    }
    let status = answer.status;
    let code = answer.json::<Denied>();
    let code = CODES.iter().find(|known| code.as_ref().is_some_and(|code| code.error == **known));
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ProviderError::Refused(format!("{whom} answers {status}{code} to the credentials; {remedy}"))
        }
        _ => ProviderError::Misconfigured(format!("{whom} answers {status}{code} to the credentials")),
    }
}

/// An address that credentials name, if what is sent there is not for all to read.
fn address(text: &str) -> Result<Url, ProviderError> {
    let url = Url::parse(text).ok().filter(|url| url.has_host());
    let url =
        url.ok_or_else(|| ProviderError::Misconfigured("an address in the credentials is none".into()))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if stays_here(&url) || is_link_local(&url) => Ok(url),
        _ => Err(ProviderError::Misconfigured(format!("{} in the credentials is not https", whom(&url)))),
    }
}

fn is_link_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    matches!(host.parse(), Ok(IpAddr::V4(address)) if address.is_link_local())
}

fn whom(url: &Url) -> String {
    url.origin().ascii_serialization()
}
