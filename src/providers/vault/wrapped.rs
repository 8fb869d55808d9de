//! A secret id that is wrapped in a token.

use std::path::Path;
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::files;
use super::answers::{Data, other, parse};
use super::cluster::Cluster;
use super::credential::{Used, header, json, read};
use super::exchange::{Repeat, Request};
use super::{ProviderError, Stamp};

/// What was unwrapped, and the file that its wrapping token was in: a wrapping token is good once, a secret id for later
/// logins too.
#[derive(Default)]
pub(super) struct Unwrapped(Mutex<Option<(Zeroizing<String>, Stamp)>>);

impl Unwrapped {
    /// The secret id that the token in the file wraps, for the AppRole mounted at `mount`.
    pub(super) async fn secret_id(
        &self,
        cluster: &Cluster,
        mount: &str,
        path: &Path,
        used: &mut Used,
        deadline: Instant,
    ) -> Result<Zeroizing<String>, ProviderError> {
        let kept = self.0.lock().clone();
        if let Some((secret_id, stamp)) = kept
            && files::still_holds(&stamp).await
        {
            used.push(stamp);
            return Ok(secret_id);
        }
        let refused = || {
            ProviderError::Refused(format!(
                "the token in {} unwraps nothing at {}: it has expired or was used before, by a process of hushfs (also `check --online` and `get`) or by somebody else; have a new one made",
                path.display(),
                cluster.answering()
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
        let made = cluster.below_namespace(&made);
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
        let unwrapped: Data<Inside> = match answer.status {
            200 => parse("sys/wrapping/unwrap", &answer)?,
            400 | 403 | 404 => return Err(refused()),
            _ => return Err(other("sys/wrapping/unwrap", &answer)),
        };
        let secret_id = Zeroizing::new(unwrapped.data.secret_id);
        *self.0.lock() = stamp.map(|stamp| (secret_id.clone(), stamp));
        Ok(secret_id)
    }
}

#[derive(Serialize)]
struct WrappingLookup<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct Wrapped {
    creation_path: String,
}

#[derive(Deserialize)]
struct Inside {
    secret_id: String,
}
