//! From an answer to a secret: its values, its version, and how long it holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::answers::{malformed, parse, seconds};
use super::exchange::Answer;
use super::leases;
use super::session::Lends;
use super::values::Values;
use super::{Fetched, Lease, ProviderError};
use crate::secret::SecretBytes;

/// Answers read into secrets. Where a secret has no version of its own, it tells one content from another.
pub(super) struct Reader {
    /// Of no use to whoever sees a version: without it a version does not give away whether a guess at the value is right.
    key: [u8; 32],
    /// The version of each path, and when it was first seen.
    seen: Mutex<HashMap<String, (String, SystemTime)>>,
}

/// How what was read is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// What somebody stored: no member of it means anything, and there is no lease, whatever the server calls one.
    Stored,
    /// One of both: the server does not say what is mounted there.
    Unknown,
    /// What an engine made: members that say how long it lasts are known.
    Made,
}

impl Reader {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        let mut filled = 0;
        while let Some(rest) = key.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
        }
        Self { key, seen: Mutex::default() }
    }

    /// A version of a key/value secret with versions.
    pub(super) fn versioned(&self, path: &str, answer: &Answer) -> Result<Fetched, ProviderError> {
        let Envelope { data, .. } = parse(path, answer)?;
        let data = data.ok_or_else(|| malformed(path))?;
        let Versioned { data, metadata } = serde_json::from_str(data.get()).map_err(|_| malformed(path))?;
        let Some(data) = data.filter(|data| data.get() != "null") else { return Err(metadata.gone(path)) };
        let created = time(&metadata.created_time).ok_or_else(|| malformed(path))?;
        let mut fetched = Fetched::new(strings(path, data)?, metadata.version.to_string(), created);
        fetched.expires = time(&metadata.deletion_time);
        fetched.notes = metadata.custom_metadata.unwrap_or_default();
        Ok(fetched)
    }

    /// What is read as it is, or what writing to a path gave, by a session that lends so.
    pub(super) fn plain(
        &self,
        path: &str,
        answer: &Answer,
        sort: Sort,
        lends: Lends,
    ) -> Result<Fetched, ProviderError> {
        let envelope: Envelope<'_> = parse(path, answer)?;
        if let Some(auth) = envelope.auth.filter(|auth| auth.get() != "null") {
            return self.token(path, auth, lends);
        }
        let data = envelope.data.filter(|data| data.get() != "null").ok_or_else(|| malformed(path))?;
        let values = Values::parse(data).ok_or_else(|| malformed(path))?;
        let bytes = strings(path, data)?;
        let now = SystemTime::now();
        if let Some(id) = envelope.lease_id.filter(|id| !id.is_empty() && sort != Sort::Stored) {
            let term = seconds(envelope.lease_duration.unwrap_or_default());
            let lasts = lends.at_most.map_or(term, |most| term.min(most));
            let mut fetched = Fetched::new(bytes, id.clone(), now);
            fetched.expires = now.checked_add(lasts);
            if sort == Sort::Made {
                fetched.expires = earliest(fetched.expires, end(&values, now));
            }
            fetched.lease = Some(Lease {
                handle: id.into_owned(),
                lasts,
                term,
                renewable: envelope.renewable.unwrap_or_default(),
                revocable: true,
                under: Some(lends.under),
            });
            return Ok(fetched);
        }
        if sort != Sort::Made {
            let (version, since) = self.recognised(path, &bytes, now);
            return Ok(Fetched::new(bytes, version, since));
        }
        let expires = end(&values, now);
        // What the engine rotates is the same for all who ask.
        if let Some((since, version)) = rotation(&values) {
            return Ok(Fetched { expires, ..Fetched::new(bytes, version, since) });
        }
        let (version, since) = match values.get::<String>("serial_number") {
            Some(serial) => (serial, now),
            None => self.recognised(path, &bytes, now),
        };
        let lasts = expires.map(|expires| expires.duration_since(now).unwrap_or_default());
        // Of what has no end nobody knows how long it can be kept.
        let lease = lasts.map(|lasts| Lease {
            handle: version.clone(),
            lasts,
            term: lasts,
            renewable: false,
            revocable: false,
            under: None,
        });
        Ok(Fetched { expires, lease, ..Fetched::new(bytes, version, since) })
    }

    /// A token that was made.
    fn token(&self, path: &str, auth: &RawValue, lends: Lends) -> Result<Fetched, ProviderError> {
        let values = Values::parse(auth).ok_or_else(|| malformed(path))?;
        let now = SystemTime::now();
        let bytes = strings(path, auth)?;
        let accessor = values.get::<String>("accessor").filter(|accessor| !accessor.is_empty());
        let handle = accessor.as_deref().map(leases::of_token);
        let version = accessor.unwrap_or_else(|| self.digest(&bytes));
        // One that is no child of ours outlives us.
        let hangs = !values.get::<bool>("orphan").unwrap_or_default();
        let term = values.get("lease_duration").filter(|length| *length > 0).map(seconds);
        let lasts = term.into_iter().chain(lends.at_most.filter(|_| hangs)).min();
        let endless = seconds(u64::MAX);
        let lease = Lease {
            revocable: handle.is_some(),
            handle: handle.unwrap_or_else(|| version.clone()),
            lasts: lasts.unwrap_or(endless),
            term: term.unwrap_or(endless),
            renewable: false,
            under: hangs.then_some(lends.under),
        };
        let expires = lasts.and_then(|lasts| now.checked_add(lasts));
        Ok(Fetched { expires, lease: Some(lease), ..Fetched::new(bytes, version, now) })
    }

    /// A version for a content that has none, and since when it is that.
    fn recognised(&self, path: &str, bytes: &SecretBytes, now: SystemTime) -> (String, SystemTime) {
        let version = self.digest(bytes);
        let mut seen = self.seen.lock();
        match seen.get(path) {
            Some((known, since)) if *known == version => (version, *since),
            _ => {
                seen.insert(path.to_owned(), (version.clone(), now));
                (version, now)
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "what comes out tells nothing without the key")]
    fn digest(&self, bytes: &SecretBytes) -> String {
        let digest = Sha256::new().chain_update(self.key).chain_update(bytes.expose_secret()).finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What became of a version that there is no value of, if the answer says so.
pub(super) fn gone(path: &str, answer: &Answer) -> Option<ProviderError> {
    let Envelope { data, .. } = serde_json::from_slice(&answer.body).ok()?;
    let Versioned { metadata, .. } = serde_json::from_str(data?.get()).ok()?;
    Some(metadata.gone(path))
}

/// Whether the answer is that of a key/value engine with versions.
pub(super) fn is_versioned(answer: &Answer) -> bool {
    let envelope: Option<Envelope<'_>> = serde_json::from_slice(&answer.body).ok();
    let data = envelope.and_then(|envelope| envelope.data);
    data.is_some_and(|data| serde_json::from_str::<Versioned<'_>>(data.get()).is_ok())
}

fn strings(path: &str, data: &RawValue) -> Result<SecretBytes, ProviderError> {
    let strings =
        Values::parse(data).and_then(|values| values.to_strings()).ok_or_else(|| malformed(path))?;
    Ok(SecretBytes::copy_from(&strings))
}

/// When what an engine made ends, by its own members: a certificate by `expiration`, a credential that is rotated by `ttl`.
fn end(values: &Values<'_>, now: SystemTime) -> Option<SystemTime> {
    let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let certificate = values.get::<u64>("expiration").filter(|at| *at > 0).and_then(at);
    let ttl = values.get::<u64>("ttl").filter(|ttl| *ttl > 0).map(seconds);
    earliest(certificate, ttl.and_then(|ttl| now.checked_add(ttl)))
}

/// When an engine that rotates by itself did so last, and that as a version: what is left of its time is not part of it.
fn rotation(values: &Values<'_>) -> Option<(SystemTime, String)> {
    let text: String = values.get("last_vault_rotation")?;
    Some((time(&text)?, text))
}

fn earliest(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<SystemTime> {
    one.into_iter().chain(other).min()
}

fn time(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(text.parse::<Timestamp>().ok()?).ok()
}

/// What is around each answer.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    lease_id: Option<Cow<'a, str>>,
    lease_duration: Option<u64>,
    renewable: Option<bool>,
}

/// What is in the answer of a key/value engine with versions.
#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
    version: u64,
    custom_metadata: Option<BTreeMap<String, String>>,
}

impl Metadata {
    fn gone(&self, path: &str) -> ProviderError {
        let version = self.version;
        // Taken apart and put together, so that nothing is repeated that is no time.
        let what = match self.deletion_time.parse::<Timestamp>() {
            _ if self.destroyed => "was destroyed".to_owned(),
            Ok(at) => format!("was deleted at {at}; `vault kv undelete` brings it back"),
            Err(_) => "has no value".to_owned(),
        };
        ProviderError::NotFound(format!("`{path}`: its version {version} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::LoginTime;
    use super::*;
    use zeroize::Zeroizing;

    fn answer(body: &str) -> Answer {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        Answer { status: 200, body, retry_after: None, location: None }
    }

    fn lends(at_most: Option<Duration>) -> Lends {
        Lends { at_most, under: LoginTime::default() }
    }

    fn made(body: &str) -> Fetched {
        Reader::new().plain("p", &answer(body), Sort::Made, lends(None)).unwrap()
    }

    fn from_now(expires: Option<SystemTime>) -> u64 {
        (expires.unwrap().duration_since(SystemTime::now()).unwrap() + Duration::from_millis(500)).as_secs()
    }

    #[test]
    fn a_lease_is_kept_and_ends_with_a_token_that_cannot_be_renewed() {
        let body =
            r#"{"lease_id":"db/creds/r/1","lease_duration":3600,"renewable":true,"data":{"username":"u"}}"#;
        let fetched = made(body);
        assert_eq!(from_now(fetched.expires), 3600);
        let lease = fetched.lease.unwrap();
        assert_eq!(
            (lease.handle.as_str(), lease.lasts.as_secs(), lease.renewable),
            ("db/creds/r/1", 3600, true)
        );
        assert!(lease.revocable && lease.under.is_some());
        let shorter = lends(Some(Duration::from_secs(60)));
        let fetched = Reader::new().plain("p", &answer(body), Sort::Made, shorter).unwrap();
        let lease = fetched.lease.unwrap();
        assert_eq!((from_now(fetched.expires), lease.lasts.as_secs(), lease.term.as_secs()), (60, 60, 3600));
    }

    #[test]
    fn a_token_and_a_certificate_are_leased_without_a_lease_of_the_servers() {
        let token = |more: &str| {
            made(&format!(r#"{{"auth":{{"client_token":"s.x","lease_duration":60{more}}}}}"#)).lease.unwrap()
        };
        let child = token(r#","accessor":"a1","orphan":false,"renewable":true"#);
        assert_eq!((child.handle.as_str(), child.lasts.as_secs()), ("accessor:a1", 60));
        assert!(child.revocable && !child.renewable && child.under.is_some());
        assert!(token(r#","accessor":"a1","orphan":true"#).under.is_none());
        assert!(!token(r#","accessor":"""#).revocable, "a batch token has no accessor");
        let endless = made(r#"{"auth":{"client_token":"s.x","accessor":"a","lease_duration":0}}"#);
        assert!(endless.expires.is_none() && endless.lease.unwrap().lasts > Duration::from_hours(24 * 365));

        let ends = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 90;
        let issued = made(&format!(r#"{{"data":{{"serial_number":"0a:0b","expiration":{ends}}}}}"#));
        let lease = issued.lease.unwrap();
        assert_eq!(lease.handle, "0a:0b");
        assert!((85..=90).contains(&lease.lasts.as_secs()));
        assert!(!lease.revocable && !lease.renewable && lease.under.is_none());
        assert!(made(r#"{"data":{"certificate":"of the authority"}}"#).lease.is_none(), "that has no end");
    }

    #[test]
    fn what_an_engine_rotates_has_the_version_of_its_rotation_and_expires_with_it() {
        let body = |ttl| {
            format!(
                r#"{{"data":{{"password":"x","ttl":{ttl},"last_vault_rotation":"2026-01-02T03:04:05.6Z"}}}}"#
            )
        };
        let (first, second) = (made(&body(90)), made(&body(30)));
        assert_eq!(first.version, second.version, "the time that is left is no other version");
        assert_eq!(first.created, time("2026-01-02T03:04:05.6Z").unwrap());
        assert_eq!(from_now(second.expires), 30);
        assert!(first.lease.is_none(), "it is the same for all who ask");
    }

    #[test]
    fn members_of_what_somebody_stored_mean_nothing() {
        let body =
            r#"{"lease_id":"","lease_duration":60,"data":{"ttl":"60","expiration":5,"serial_number":"s"}}"#;
        let reader = Reader::new();
        let read = |body: &str| reader.plain("p", &answer(body), Sort::Stored, lends(None)).unwrap();
        let (first, again) = (read(body), read(body));
        assert_eq!((first.expires, first.lease.is_none()), (None, true));
        assert_eq!((&first.version, first.created), (&again.version, again.created));
        assert_ne!(first.version, read(r#"{"data":{"ttl":"61"}}"#).version);
        assert_ne!(first.version, Reader::new().digest(&first.bytes), "it tells nothing of the content");
    }

    #[test]
    fn a_deletion_time_that_is_no_time_is_not_repeated() {
        let body =
            r#"{"data":{"data":null,"metadata":{"created_time":"","deletion_time":"canary","version":3}}}"#;
        let error = gone("p", &answer(body)).unwrap().to_string();
        assert_eq!(error, "not found: `p`: its version 3 has no value");
    }
}
