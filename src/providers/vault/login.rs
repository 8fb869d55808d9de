//! What each way of logging in sends, and what comes back.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::files;
use super::auth::{Auth, By, SecretId, Text};
use super::cluster::Cluster;
use super::exchange::{Answer, Repeat, Request};
use super::{ProviderError, Stamp};

/// Longest credential in a file, in bytes.
const CREDENTIAL_LIMIT: usize = 64 << 10;

/// A token, and what the server says of it.
pub(super) struct Token {
    pub(super) value: HeaderValue,
    pub(super) terms: Terms,
}

/// How long a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// From now on.
    For { ttl: Duration, renewable: bool },
    /// It does not end.
    Forever,
    /// The server does not say: it does not know the token, or the token may not ask.
    Unknown,
}

/// Logs in.
pub(super) struct Login {
    auth: Auth,
    /// The secret id that was unwrapped, and the file that its wrapping token was in.
    unwrapped: Mutex<Option<(Zeroizing<String>, Stamp)>>,
}

/// What a login used, so that it can be told whether to try again makes sense.
pub(super) type Used = Vec<Stamp>;

impl Login {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, unwrapped: Mutex::new(None) }
    }

    /// Whether the token is made for us. Else it is found in a file, and another can only come from there.
    pub(super) fn makes_tokens(&self) -> bool {
        matches!(self.auth, Auth::Login { .. })
    }

    /// Where the token comes from, for messages.
    pub(super) fn source(&self) -> String {
        match &self.auth {
            Auth::Token(path) => path.display().to_string(),
            Auth::Login { mount, .. } => format!("auth/{mount}"),
        }
    }

    /// Gets a token. What was read for it is added to `used`, also where it fails.
    pub(super) async fn log_in(
        &self,
        cluster: &Cluster,
        used: &mut Used,
        deadline: Instant,
    ) -> Result<Token, ProviderError> {
        match &self.auth {
            Auth::Token(path) => {
                let value = header(path, &read(path, used).await?)?;
                let terms = terms(cluster, &value, deadline).await?;
                Ok(Token { value, terms })
            }
            Auth::Login { mount, by } => {
                let (path, body) = self.request(cluster, mount, by, used, deadline).await?;
                let answer = cluster.ask(&Request::write(&path, &body, None), deadline).await?;
                token(&path, &answer)
            }
        }
    }

    async fn request(
        &self,
        cluster: &Cluster,
        mount: &str,
        by: &By,
        used: &mut Used,
        deadline: Instant,
    ) -> Result<(String, Zeroizing<Vec<u8>>), ProviderError> {
        let path = format!("auth/{mount}/login");
        match by {
            By::AppRole { role, secret } => {
                let role_id = match role {
                    Text::Here(id) => Zeroizing::new(id.clone()),
                    Text::In(path) => read(path, used).await?,
                };
                let secret_id = match secret {
                    None => None,
                    Some(SecretId::In(path)) => Some(read(path, used).await?),
                    Some(SecretId::WrappedIn(path)) => {
                        Some(self.unwrap(cluster, mount, path, used, deadline).await?)
                    }
                };
                let secret_id = secret_id.as_ref().map(|id| id.as_str());
                Ok((path, json(&AppRoleLogin { role_id: &role_id, secret_id })?))
            }
            By::Jwt { role, token } => {
                let jwt = read(token, used).await?;
                Ok((path, json(&JwtLogin { role: role.as_deref(), jwt: &jwt })?))
            }
            By::Cert { role } => Ok((path, json(&CertLogin { name: role.as_deref() })?)),
            By::Userpass { username, password } => {
                let password = read(password, used).await?;
                Ok((format!("{path}/{username}"), json(&UserpassLogin { password: &password })?))
            }
        }
    }

    /// The secret id that the token in the file wraps. A wrapping token is good once, so what it wrapped is kept.
    async fn unwrap(
        &self,
        cluster: &Cluster,
        mount: &str,
        path: &Path,
        used: &mut Used,
        deadline: Instant,
    ) -> Result<Zeroizing<String>, ProviderError> {
        if let Some((secret_id, stamp)) = &*self.unwrapped.lock()
            && stamp.still_holds()
        {
            used.push(stamp.clone());
            return Ok(secret_id.clone());
        }
        let refused = || {
            ProviderError::Refused(format!(
                "the token in {} unwraps nothing: it has expired or was used before, maybe by somebody else; have a new one made",
                path.display()
            ))
        };
        let text = read(path, used).await?;
        let stamp = used.last().cloned();
        let wrapping = header(path, &text)?;
        // Whoever can write the file could have wrapped a secret id of theirs: where it was wrapped tells.
        let body = json(&WrappingLookup { token: &text })?;
        let answer = cluster.ask(&Request::write("sys/wrapping/lookup", &body, None), deadline).await?;
        let looked: Data<Wrapped> = match answer.status {
            200 => parse("sys/wrapping/lookup", &answer)?,
            400 | 403 | 404 => return Err(refused()),
            _ => return Err(other("sys/wrapping/lookup", &answer)),
        };
        let made = looked.data.creation_path;
        let (begins, ends) = (format!("auth/{mount}/role/"), "/secret-id");
        if !(made.starts_with(&begins) && made.ends_with(ends)) {
            return Err(ProviderError::Refused(format!(
                "what the token in {} wraps was not made at {begins}ROLE{ends}: it is no secret id of this AppRole",
                path.display()
            )));
        }
        let unwrap = Request {
            repeat: Repeat::MakesAnother,
            ..Request::write("sys/wrapping/unwrap", b"{}", Some(&wrapping))
        };
        let answer = cluster.ask(&unwrap, deadline).await?;
        let unwrapped: Data<Unwrapped> = match answer.status {
            200 => parse("sys/wrapping/unwrap", &answer)?,
            400 | 403 | 404 => return Err(refused()),
            _ => return Err(other("sys/wrapping/unwrap", &answer)),
        };
        let secret_id = Zeroizing::new(unwrapped.data.secret_id);
        *self.unwrapped.lock() = stamp.map(|stamp| (secret_id.clone(), stamp));
        Ok(secret_id)
    }
}

/// Renews the token itself.
pub(super) async fn renew(cluster: &Cluster, token: &HeaderValue) -> Result<Terms, ProviderError> {
    let path = "auth/token/renew-self";
    let answer = cluster.ask(&Request::write(path, b"{}", Some(token)), cluster.deadline()).await?;
    self::token(path, &answer).map(|token| token.terms)
}

/// What the server says of a token.
pub(super) async fn terms(
    cluster: &Cluster,
    token: &HeaderValue,
    deadline: Instant,
) -> Result<Terms, ProviderError> {
    let path = "auth/token/lookup-self";
    let answer = cluster.ask(&Request::read(path, Some(token)), deadline).await?;
    match answer.status {
        200 => {
            let looked: Data<Looked> = parse(path, &answer)?;
            Ok(of(looked.data.ttl, looked.data.renewable))
        }
        401 | 403 => Ok(Terms::Unknown),
        _ => Err(other(path, &answer)),
    }
}

fn of(ttl: u64, renewable: bool) -> Terms {
    if ttl == 0 { Terms::Forever } else { Terms::For { ttl: seconds(ttl), renewable } }
}

/// A time that a server names, short enough to be counted with.
pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(Duration::from_hours(10 * 365 * 24))
}

fn token(path: &str, answer: &Answer) -> Result<Token, ProviderError> {
    match answer.status {
        200 => {
            let made: Made<'_> = parse(path, answer)?;
            let auth = made.auth.ok_or_else(|| malformed(path))?;
            if auth.client_token.is_empty() {
                let message =
                    format!("`{path}`: the login needs a second factor, which hushfs does not have");
                return Err(ProviderError::Refused(message));
            }
            let mut value = HeaderValue::from_str(&auth.client_token).map_err(|_| malformed(path))?;
            value.set_sensitive(true);
            Ok(Token { value, terms: of(auth.lease_duration, auth.renewable) })
        }
        status @ (400 | 401 | 403) => {
            Err(ProviderError::Refused(format!("`{path}`: the credentials are not accepted (HTTP {status})")))
        }
        404 | 405 => Err(ProviderError::Misconfigured(format!(
            "`{path}`: nobody can log in there (HTTP {}); see `mount`, `namespace`",
            answer.status
        ))),
        _ => Err(other(path, answer)),
    }
}

/// What the server's own trouble, and a status that nothing is known of, come to.
pub(super) fn other(path: &str, answer: &Answer) -> ProviderError {
    let message = format!("`{path}`: HTTP {}", answer.status);
    match answer.status {
        429 | 500.. => ProviderError::Unavailable { message, retry_after: answer.retry_after },
        400 | 404 | 405 => ProviderError::Misconfigured(format!(
            "{message}: is there a Vault at that address, by `https` or `http`, and such a `namespace`?"
        )),
        _ => ProviderError::Malformed(message),
    }
}

/// What an answer that cannot be understood comes to. Nothing of it is told.
pub(super) fn malformed(path: &str) -> ProviderError {
    ProviderError::Malformed(format!("`{path}`: the answer is not what a Vault answers"))
}

/// An answer's JSON. What the parser says is dropped, since it quotes.
pub(super) fn parse<'a, T: Deserialize<'a>>(path: &str, answer: &'a Answer) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|_| malformed(path))
}

fn json(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let mut out = Zeroizing::new(Vec::with_capacity(CREDENTIAL_LIMIT + 1024));
    serde_json::to_writer(&mut *out, body)
        .map_err(|_| ProviderError::Misconfigured("the credentials are no text".into()))?;
    Ok(out)
}

async fn read(path: &Path, used: &mut Used) -> Result<Zeroizing<String>, ProviderError> {
    let wrong = |what: String| ProviderError::Misconfigured(format!("{}: {what}", path.display()));
    let (bytes, stamp) =
        files::read_stamped(path, CREDENTIAL_LIMIT).await.map_err(|error| wrong(error.to_string()))?;
    used.push(stamp);
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(wrong("it is empty, or not UTF-8".to_owned())),
    }
}

fn header(path: &Path, token: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(token)
        .map_err(|_| ProviderError::Misconfigured(format!("{}: it holds no token", path.display())))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Serialize)]
struct JwtLogin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: &'a str,
}

#[derive(Serialize)]
struct CertLogin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct UserpassLogin<'a> {
    password: &'a str,
}

#[derive(Serialize)]
struct WrappingLookup<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Looked {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct Wrapped {
    creation_path: String,
}

#[derive(Deserialize)]
struct Unwrapped {
    secret_id: String,
}

#[derive(Deserialize)]
struct Made<'a> {
    #[serde(borrow)]
    auth: Option<MadeAuth<'a>>,
}

#[derive(Deserialize)]
struct MadeAuth<'a> {
    #[serde(borrow, default)]
    client_token: Cow<'a, str>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}
