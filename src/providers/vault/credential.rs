//! Credentials on their way from a file into a request.

use std::path::Path;

use reqwest::header::HeaderValue;
use serde::Serialize;
use zeroize::Zeroizing;

use super::super::files;
use super::{ProviderError, Stamp};

/// Longest credential in a file, in bytes.
const CREDENTIAL_LIMIT: usize = 64 << 10;

/// What a login used, so that it can be told whether to try again makes sense.
pub(super) type Used = Vec<Stamp>;

/// Reads one from its file, without the white space around it.
pub(super) async fn read(path: &Path, used: &mut Used) -> Result<Zeroizing<String>, ProviderError> {
    let wrong = |what: String| ProviderError::Misconfigured(format!("{}: {what}", path.display()));
    let (bytes, stamp) = files::read_stamped(path, CREDENTIAL_LIMIT).await.map_err(|error| {
        // The settings are not to blame for a disk that does not answer in time.
        match files::passes(&error) {
            true => ProviderError::unavailable(format!("{}: {error}", path.display())),
            false => wrong(error.to_string()),
        }
    })?;
    used.push(stamp);
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(wrong("it is empty, or not UTF-8".to_owned())),
    }
}

/// A token as the header that carries it, which is never printed.
pub(super) fn header(path: &Path, token: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(token)
        .map_err(|_| ProviderError::Misconfigured(format!("{}: it holds no token", path.display())))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The body of a request.
pub(super) fn json(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let mut out = Zeroizing::new(Vec::with_capacity(CREDENTIAL_LIMIT + 1024));
    serde_json::to_writer(&mut *out, body)
        .map_err(|_| ProviderError::Misconfigured("the credentials are no text".into()))?;
    Ok(out)
}
