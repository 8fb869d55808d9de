//! A token of the server's, and how long it is good.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::ProviderError;
use super::answers::{Data, malformed, other, parse, seconds};
use super::cluster::Cluster;
use super::exchange::{Answer, Request};

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

/// The token that a login gives, or a renewal.
pub(super) fn token(path: &str, answer: &Answer) -> Result<Token, ProviderError> {
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
            Err(ProviderError::Refused(format!("`{path}`: the token is not accepted (HTTP {status})")))
        }
        _ => Err(other(path, answer)),
    }
}

#[derive(Deserialize)]
struct Looked {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
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
