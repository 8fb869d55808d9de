//! What all answers have in common.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ProviderError;
use super::exchange::Answer;

/// What is around all that is not a secret.
#[derive(Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
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

/// Whether an error is told as a Vault tells it. Nothing of it is looked at.
pub(super) fn is_api(answer: &Answer) -> bool {
    serde_json::from_slice::<Errors>(&answer.body).is_ok()
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "errors")]
    _errors: IgnoredAny,
}

/// What an answer that cannot be understood comes to. Nothing of it is told.
pub(super) fn malformed(path: &str) -> ProviderError {
    ProviderError::Malformed(format!("`{path}`: the answer is not what a Vault answers"))
}

/// An answer's JSON. What the parser says is dropped, since it quotes.
pub(super) fn parse<'a, T: Deserialize<'a>>(path: &str, answer: &'a Answer) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|_| malformed(path))
}

/// A time that a server names, short enough to be counted with.
pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(Duration::from_hours(10 * 365 * 24))
}
