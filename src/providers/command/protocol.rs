//! Question and answer in JSON. docs/command.md describes both for whoever writes a program.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::store::{Hidden, Wiping};
use super::{Lease, ProviderError};
use crate::reference::Reference;
use crate::secret::SecretBytes;
use crate::sys::stack;
use crate::words::is_plain;

/// The version of this protocol.
const PROTOCOL: u32 = 1;

/// What a program is asked.
#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    path: &'a str,
    secret_version: Option<&'a str>,
}

/// What it is asked about a lease that it told of.
#[derive(Serialize)]
struct Afterwards<'a> {
    version: u32,
    operation: Operation,
    lease: &'a str,
}

/// What it is asked about a path that secrets are below.
#[derive(Serialize)]
struct Below<'a> {
    version: u32,
    operation: Operation,
    path: &'a str,
    depth: u32,
}

/// What is asked, where that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Renew,
    Revoke,
    List,
}

/// What it answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    value: Option<Hidden>,
    value_base64: Option<Hidden>,
    values: Option<BTreeMap<String, Hidden>>,
    version: Option<String>,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    #[serde(default)]
    notes: BTreeMap<String, String>,
    lease: Option<Lent>,
    error: Option<Failure>,
}

/// The terms of what it made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lent {
    handle: String,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    revocable: bool,
}

/// What it answers to a renewal, or a revocation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAfterwards {
    expires: Option<Timestamp>,
    renewable: Option<bool>,
    error: Option<Failure>,
}

/// What it answers to a listing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNames {
    names: Option<Vec<String>>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    kind: FailureKind,
    /// Seconds.
    retry_after: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FailureKind {
    NotFound,
    Refused,
    Unavailable,
    Misconfigured,
}

/// A value with what is known of it.
pub(super) struct Answer {
    pub(super) bytes: SecretBytes,
    pub(super) version: Option<String>,
    pub(super) created: Option<SystemTime>,
    pub(super) expires: Option<SystemTime>,
    pub(super) notes: BTreeMap<String, String>,
    pub(super) lease: Option<Lease>,
}

/// The question for a reference, on one line.
pub(super) fn question(reference: &Reference) -> Result<Vec<u8>, ProviderError> {
    let (path, secret_version) = (reference.path(), reference.version());
    let question = Question { version: PROTOCOL, path, secret_version };
    line(&question, path)
}

/// The question for what is below a path, on one line.
pub(super) fn question_below(path: &str, depth: u32) -> Result<Vec<u8>, ProviderError> {
    line(&Below { version: PROTOCOL, operation: Operation::List, path, depth }, path)
}

/// The question about a lease, on one line.
pub(super) fn question_about(operation: Operation, lease: &str) -> Result<Vec<u8>, ProviderError> {
    line(&Afterwards { version: PROTOCOL, operation, lease }, lease)
}

/// A question on one line. `what` is what it is about.
fn line(question: &impl Serialize, what: &str) -> Result<Vec<u8>, ProviderError> {
    let mut line = serde_json::to_vec(question)
        .map_err(|_| ProviderError::Misconfigured(format!("`{what}` cannot be asked for in JSON")))?;
    line.push(b'\n');
    Ok(line)
}

/// Reads the answer to a listing. What is no such answer may be a value, from a program that does not know the question.
pub(super) fn names(output: &[u8], path: &str) -> Result<Vec<String>, ProviderError> {
    let unknown = || {
        malformed(
            path,
            "the program's answer to a listing is not one JSON object with `names` as docs/command.md describes it: does it know that operation?",
        )
    };
    let written: WrittenNames =
        stack::wiped_after(|| serde_json::from_slice(output)).map_err(|_| unknown())?;
    match written {
        WrittenNames { error: Some(failure), .. } => Err(told(failure, path, None)),
        WrittenNames { names, .. } => names.ok_or_else(unknown),
    }
}

/// Reads the answer to a renewal.
pub(super) fn renewed(output: &[u8], lease: &Lease) -> Result<Lease, ProviderError> {
    let written = afterwards(output, &lease.handle)?;
    let expires = written.expires.and_then(|expires| SystemTime::try_from(expires).ok());
    let expires = expires.ok_or_else(|| malformed(&lease.handle, "a renewal is answered with `expires`"))?;
    let renewable = written.renewable.unwrap_or(lease.renewable);
    Ok(Lease { lasts: from_now(expires), renewable, ..lease.clone() })
}

/// Reads the answer to a revocation.
pub(super) fn revoked(output: &[u8], lease: &str) -> Result<(), ProviderError> {
    afterwards(output, lease).map(|_| ())
}

fn afterwards(output: &[u8], lease: &str) -> Result<WrittenAfterwards, ProviderError> {
    let written: WrittenAfterwards = stack::wiped_after(|| serde_json::from_slice(output)).map_err(|_| {
        malformed(lease, "the program's answer is not one JSON object as docs/command.md describes it")
    })?;
    match written.error {
        Some(failure) => Err(told(failure, lease, None)),
        None => Ok(written),
    }
}

fn malformed(what: &str, why: &str) -> ProviderError {
    ProviderError::Malformed(format!("`{what}`: {why}"))
}

fn from_now(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Reads an answer. The parser's own messages may quote it, so they are dropped.
pub(super) fn answer(output: &[u8], reference: &Reference) -> Result<Answer, ProviderError> {
    let path = reference.path();
    let malformed = |what: &str| malformed(path, what);
    if output.iter().all(u8::is_ascii_whitespace) {
        return Err(malformed("the program answered nothing"));
    }
    // Where the parser finds a mistake it looks for its line, with a copy of the text around in its frames.
    let written: Written = stack::wiped_after(|| serde_json::from_slice(output)).map_err(|_| {
        malformed("the program's answer is not one JSON object as docs/command.md describes it")
    })?;
    if let Some(failure) = written.error {
        return Err(told(failure, path, reference.version()));
    }
    let bytes = match (written.value, written.value_base64, written.values) {
        (Some(text), None, None) => SecretBytes::copy_from(text.0.as_bytes()),
        (None, Some(text), None) => {
            // The decoder's message names the offending byte.
            let bytes = STANDARD.decode(text.0.as_bytes()).map(Zeroizing::new);
            SecretBytes::copy_from(&bytes.map_err(|_| malformed("`value_base64` is not base64"))?)
        }
        (None, None, Some(values)) => {
            let mut json = Wiping::default();
            serde_json::to_writer(&mut json, &values)
                .map_err(|_| malformed("`values` cannot be written as JSON"))?;
            json.flush().map_err(|_| malformed("`values` cannot be written as JSON"))?;
            SecretBytes::copy_from(&json.into_inner())
        }
        (None, None, None) => return Err(malformed("the program's answer has neither a value nor an error")),
        _ => {
            return Err(malformed(
                "the program's answer has several of `value`, `value_base64` and `values`",
            ));
        }
    };
    let version = match (reference.version(), written.version) {
        (Some(asked), Some(answered)) if asked != answered => {
            return Err(malformed("the program answered another version than it was asked for"));
        }
        // One that does not know versions answers what it has: not what was asked for.
        (Some(_), None) => {
            return Err(malformed(
                "the program was asked for one version and does not say which it answered",
            ));
        }
        (_, answered) => answered,
    };
    if version.as_deref().is_some_and(|version| version.is_empty() || version.len() > 256) {
        return Err(malformed("the program's `version` is empty, or longer than 256 bytes"));
    }
    let time = |time: Option<Timestamp>| time.and_then(|time| SystemTime::try_from(time).ok());
    let (created, expires) = (time(written.created), time(written.expires));
    let lease = match (written.lease, expires) {
        (None, _) => None,
        (Some(_), None) => return Err(malformed("the program's `lease` needs `expires` beside it")),
        (Some(lent), Some(expires)) => Some(lease(lent, from_now(expires), path)?),
    };
    Ok(Answer { bytes, version, created, expires, notes: written.notes, lease })
}

fn lease(lent: Lent, lasts: Duration, path: &str) -> Result<Lease, ProviderError> {
    let Lent { handle, renewable, revocable } = lent;
    if handle.is_empty() || handle.len() > 1024 || !is_plain(&handle) {
        let why = "the program's `handle` is empty, longer than 1024 bytes, or has control characters";
        return Err(malformed(path, why));
    }
    Ok(Lease { handle, lasts, term: lasts, renewable, revocable, under: None })
}

fn told(failure: Failure, path: &str, version: Option<&str>) -> ProviderError {
    match failure.kind {
        FailureKind::NotFound => {
            ProviderError::NotFound(format!("the program has no secret `{path}`, or not in that version"))
        }
        FailureKind::Refused => ProviderError::Refused(format!("the program is refused `{path}`")),
        FailureKind::Unavailable => ProviderError::Unavailable {
            message: format!("the program cannot get `{path}` now"),
            retry_after: failure.retry_after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
        FailureKind::Misconfigured => {
            let version = version.map(|version| format!(" in one version (`{version}`)"));
            let version = version.unwrap_or_default();
            ProviderError::Misconfigured(format!("the program is not set up for `{path}`{version}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-81c2";

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn a_question_is_one_line() {
        let asked = |text| String::from_utf8(question(&reference(text)).unwrap()).unwrap();
        assert_eq!(asked("p:a/b"), "{\"version\":1,\"path\":\"a/b\",\"secret_version\":null}\n");
        assert_eq!(asked("p:a/b#k?version=7"), "{\"version\":1,\"path\":\"a/b\",\"secret_version\":\"7\"}\n");
    }

    #[test]
    fn a_listing_is_asked_for_on_one_line_and_answered_with_names_alone() {
        let asked = String::from_utf8(question_below("a/b", 2).unwrap()).unwrap();
        assert_eq!(asked, "{\"version\":1,\"operation\":\"list\",\"path\":\"a/b\",\"depth\":2}\n");
        assert_eq!(names(b"{\"names\": [\"x\", \"y/z\"]}", "a").unwrap(), ["x", "y/z"]);
        for text in [
            format!("{{\"value\": \"{CANARY}\"}}"),
            format!("{{\"names\": [\"x\"], \"value\": \"{CANARY}\"}}"),
            format!("{{\"names\": [{{\"{CANARY}\": 1}}]}}"),
            "{}".to_owned(),
            String::new(),
        ] {
            let error = names(text.as_bytes(), "a").unwrap_err();
            assert!(matches!(error, ProviderError::Malformed(_)), "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
        }
        let refused = names(b"{\"error\": {\"kind\": \"refused\"}}", "a").unwrap_err();
        assert!(matches!(refused, ProviderError::Refused(_)), "{refused}");
    }

    #[test]
    fn no_byte_of_a_bad_answer_reaches_the_error() {
        for text in [
            CANARY.to_owned(),
            format!("\"{CANARY}\""),
            format!("{{\"value\": \"x\", \"{CANARY}\": 1}}"),
            format!("{{\"value\": [\"{CANARY}\"]}}"),
            format!("{{\"values\": {{\"a\": 1, \"b\": \"{CANARY}\"}}}}"),
            format!("{{\"value_base64\": \"{CANARY}!\"}}"),
            format!("{{\"value\": \"x\", \"value_base64\": \"{CANARY}\"}}"),
            format!("{{\"value\": \"x\", \"created\": \"{CANARY}\"}}"),
            format!("{{\"value\": \"x\"}} {CANARY}"),
            format!("{{\"error\": {{\"kind\": \"{CANARY}\"}}}}"),
            format!("{{\"error\": {{\"kind\": \"refused\", \"message\": \"{CANARY}\"}}}}"),
            format!("{{\"version\": \"{CANARY}\"}}"),
            "  \n".to_owned(),
        ] {
            let error = answer(text.as_bytes(), &reference("p:a")).err().unwrap();
            assert!(matches!(error, ProviderError::Malformed(_)), "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
        }
        let other =
            answer(b"{\"value\": \"x\", \"version\": \"8\"}", &reference("p:a?version=7")).err().unwrap();
        assert!(matches!(other, ProviderError::Malformed(_)), "{other}");
    }

    #[test]
    fn each_kind_of_error_is_passed_on() {
        let of = |kind: &str| {
            let text = format!("{{\"error\": {{\"kind\": \"{kind}\", \"retry_after\": 1.5}}}}");
            answer(text.as_bytes(), &reference("p:a")).err().unwrap()
        };
        assert!(matches!(of("not_found"), ProviderError::NotFound(_)));
        assert!(matches!(of("refused"), ProviderError::Refused(_)));
        assert!(matches!(of("misconfigured"), ProviderError::Misconfigured(_)));
        let wait = Some(Duration::from_millis(1500));
        assert!(
            matches!(of("unavailable"), ProviderError::Unavailable { retry_after, .. } if retry_after == wait)
        );
    }
}
