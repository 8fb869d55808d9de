//! How an HTTP answer is read, whoever gives it: bounded, and with what it says of coming again.
#![cfg_attr(
    not(any(feature = "vault", feature = "gcp")),
    allow(dead_code, reason = "the AWS SDK reads its answers itself")
)]

use std::time::{Duration, SystemTime};

/// The longest time that a server can tell us to stay away.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            SystemTime::try_from(at).ok()?.duration_since(SystemTime::now()).ok()?
        }
    };
    Some(wait.min(LONGEST_PAUSE))
}

#[cfg(any(feature = "vault", feature = "gcp"))]
pub(crate) use bounded::{Cut, body, retry_after_in};

#[cfg(any(feature = "vault", feature = "gcp"))]
mod bounded {
    use std::time::Duration;

    use reqwest::header::{HeaderMap, RETRY_AFTER};
    use zeroize::Zeroizing;

    use super::super::settings::ANSWER_LIMIT;

    /// Why there is no whole body.
    pub(crate) enum Cut {
        /// It is longer than [`ANSWER_LIMIT`].
        TooLong,
        /// The connection broke off, or it took too long.
        Broken(reqwest::Error),
    }

    /// The body of an answer, no more than [`ANSWER_LIMIT`] of which is ever held.
    pub(crate) async fn body(response: &mut reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Cut> {
        let announced = response.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
        if announced > ANSWER_LIMIT {
            return Err(Cut::TooLong);
        }
        let mut body = Zeroizing::new(Vec::with_capacity(announced.max(4096)));
        while let Some(part) = response.chunk().await.map_err(Cut::Broken)? {
            if body.len() + part.len() > ANSWER_LIMIT {
                return Err(Cut::TooLong);
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    /// What the headers say of coming again.
    pub(crate) fn retry_after_in(headers: &HeaderMap) -> Option<Duration> {
        super::retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_bounded() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&u64::MAX.to_string()), Some(LONGEST_PAUSE));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), None, "that is over");
        assert_eq!(retry_after("Fri, 06 Nov 2122 08:49:37 GMT"), Some(LONGEST_PAUSE));
        assert_eq!(retry_after("soon"), None);
    }
}
