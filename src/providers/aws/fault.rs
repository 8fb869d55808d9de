//! What went wrong with one request, and whose it is to act.
//!
//! What AWS writes beside its error codes is never repeated: it names accounts and users, and is not ours. It is looked
//! at for a few words that tell cases apart which have one code.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use http_body_util::LengthLimitError;
use rustls::CertificateError;

use super::super::answers;
use super::super::settings::ANSWER_LIMIT;
use super::ProviderError;

/// Why a request has no answer that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// AWS answers with an error.
    Answer(Answer),
    /// Nobody could be asked, or the answer broke off.
    Connection(String),
    /// There was no whole answer in time.
    TimedOut,
    /// The answer is longer than [`ANSWER_LIMIT`].
    TooLong,
    /// The answer is not one of this service.
    Garbled(u16),
    /// The request was not made.
    NotMade(&'static str),
}

/// An error that AWS answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// AWS's name for it; empty where there is none that looks like one.
    pub(super) code: String,
    hint: Hint,
    retry_after: Option<Duration>,
}

/// What a code alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    None,
    Deleted,
    Kms,
    Clock,
}

/// What an error means, whatever was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is no such thing.
    Missing,
    /// There was; it is marked for deletion.
    Deleted,
    /// We may not.
    Forbidden,
    /// The key that it is encrypted with is not ours to use.
    ForbiddenByKms,
    /// The key that it is encrypted with cannot be used by anybody.
    KmsState,
    /// Who we say we are is not accepted.
    Credentials,
    /// The same, since one of the clocks is wrong.
    Clock,
    /// Too often asked.
    Throttled,
    /// AWS has a fault.
    Theirs,
    /// The question is wrong.
    Question,
    /// It is no answer of AWS.
    Strange,
}

impl Fault {
    /// From what an operation of the SDK failed with.
    pub(super) fn of<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::TimeoutError(_) => Self::TimedOut,
            SdkError::DispatchFailure(failure) => failure
                .as_connector_error()
                .map_or(Self::NotMade("the request could not be sent"), Self::of_connector),
            SdkError::ResponseError(failure) => Self::of_body(failure.raw(), error),
            SdkError::ServiceError(failure) => {
                let (code, message) = (failure.err().code(), failure.err().message());
                Self::of_answer(failure.raw(), code, message)
            }
            _ => Self::NotMade("the request could not be built"),
        }
    }

    /// From an error code, wherever it stood.
    pub(super) fn answer(
        status: u16,
        code: Option<&str>,
        message: Option<&str>,
        retry_after: Option<Duration>,
    ) -> Self {
        let named = |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        let code = code.filter(named).unwrap_or_default().to_owned();
        let says = |words: &str| message.is_some_and(|text| text.contains(words));
        let hint = if says("marked for deletion") || says("marked deleted") {
            Hint::Deleted
        } else if says("Signature expired") || says("Signature not yet current") {
            Hint::Clock
        } else if says("KMS") || says("kms:") {
            Hint::Kms
        } else {
            Hint::None
        };
        Self::Answer(Answer { status, code, hint, retry_after })
    }

    /// From a connection that could not be made, or broke.
    pub(super) fn of_connector(error: &ConnectorError) -> Self {
        if error.is_timeout() {
            return Self::Connection("connecting took too long".into());
        }
        for cause in chain(error) {
            if let Some(rustls::Error::InvalidCertificate(wrong)) = cause.downcast_ref() {
                return Self::Connection(certificate(wrong).into());
            }
            if let Some(error) = cause.downcast_ref::<rustls::Error>() {
                return Self::Connection(format!("TLS fails: {error}"));
            }
            if let Some(error) = cause.downcast_ref::<std::io::Error>()
                && error.raw_os_error().is_some()
            {
                return Self::Connection(error.kind().to_string());
            }
        }
        Self::Connection("the connection cannot be made, or broke off".into())
    }

    /// From an answer that could not be read to its end, or not be understood.
    fn of_body(raw: &HttpResponse, error: &(dyn Error + 'static)) -> Self {
        for cause in chain(error) {
            if cause.is::<LengthLimitError>() {
                return Self::TooLong;
            }
            if cause.is::<hyper::Error>() || cause.is::<std::io::Error>() {
                return Self::Connection("the answer broke off".into());
            }
        }
        Self::of_answer(raw, None, None)
    }

    fn of_answer(raw: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Self {
        let status = raw.status().as_u16();
        if (200..300).contains(&status) {
            return Self::Garbled(status);
        }
        let retry_after = raw.headers().get("retry-after").and_then(answers::retry_after);
        Self::answer(status, code, message, retry_after)
    }

    /// What it means.
    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Answer(answer) => answer.meaning(),
            Self::Connection(_) | Self::TimedOut => Meaning::Theirs,
            Self::TooLong | Self::Garbled(_) => Meaning::Strange,
            Self::NotMade(_) => Meaning::Question,
        }
    }

    /// Whether it passes by asking somewhere else, or once more.
    pub(super) fn is_theirs(&self) -> bool {
        self.meaning() == Meaning::Theirs
    }

    /// What was seen, in a few words.
    pub(super) fn seen(&self) -> String {
        match self {
            Self::Answer(answer) if answer.code.is_empty() => format!("status {}", answer.status),
            Self::Answer(answer) => format!("{}, status {}", answer.code, answer.status),
            Self::Connection(what) => what.clone(),
            Self::TimedOut => "no answer in time".into(),
            Self::TooLong => format!("the answer is longer than {ANSWER_LIMIT} bytes"),
            Self::Garbled(status) => format!("status {status} with what is no answer of this service"),
            Self::NotMade(what) => (*what).into(),
        }
    }

    /// When to come again, where AWS says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(answer) => answer.retry_after,
            _ => None,
        }
    }
}

impl Answer {
    fn meaning(&self) -> Meaning {
        let by_code = match (self.code.as_str(), self.hint) {
            ("InvalidRequestException" | "InvalidRequest", Hint::Deleted) => Meaning::Deleted,
            ("ResourceNotFoundException" | "ParameterNotFound" | "ParameterVersionNotFound", _) => {
                Meaning::Missing
            }
            ("AccessDeniedException" | "AccessDenied", Hint::Kms) | ("DecryptionFailure", _) => {
                Meaning::ForbiddenByKms
            }
            ("AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired", _) => {
                Meaning::Forbidden
            }
            (
                "InvalidKeyId"
                | "KMSInvalidStateException"
                | "KMSDisabledException"
                | "KMSNotFoundException"
                | "KMSInvalidKeyUsageException"
                | "DisabledException"
                | "KMSKeyNotFound",
                _,
            ) => Meaning::KmsState,
            ("RequestExpired" | "RequestTimeTooSkewed", _)
            | ("InvalidSignatureException" | "SignatureDoesNotMatch", Hint::Clock) => Meaning::Clock,
            (
                "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "ExpiredTokenException"
                | "ExpiredToken"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "InvalidIdentityToken"
                | "InvalidAccessKeyId"
                | "IDPRejectedClaim"
                | "TokenRefreshRequired",
                _,
            ) => Meaning::Credentials,
            (
                "ThrottlingException"
                | "Throttling"
                | "ThrottledException"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "RequestThrottled"
                | "SlowDown",
                _,
            ) => Meaning::Throttled,
            (
                "InternalServiceError"
                | "InternalServerError"
                | "InternalFailure"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "IDPCommunicationError",
                _,
            ) => Meaning::Theirs,
            ("", _) => Meaning::Strange,
            _ => Meaning::Question,
        };
        match (self.status, by_code) {
            (429, _) => Meaning::Throttled,
            (500.., Meaning::Strange | Meaning::Question) => Meaning::Theirs,
            (401 | 403 | 407, Meaning::Strange | Meaning::Question) => Meaning::Forbidden,
            (300..=399, _) => Meaning::Strange,
            _ => by_code,
        }
    }
}

/// The error and what is behind it. An `io::Error` hides what it was made of from `source`.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn certificate(wrong: &CertificateError) -> &'static str {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is of an authority that is not trusted; `ca_file` names others"
        }
        _ => "its certificate is not accepted",
    }
}

/// Its group where nothing more is known than what was being done.
pub(super) fn grouped(fault: &Fault, text: String) -> ProviderError {
    match fault.meaning() {
        Meaning::Missing | Meaning::Deleted => ProviderError::NotFound(text),
        Meaning::Forbidden | Meaning::ForbiddenByKms | Meaning::Credentials | Meaning::Clock => {
            ProviderError::Refused(text)
        }
        Meaning::Throttled | Meaning::Theirs => {
            ProviderError::Unavailable { message: text, retry_after: fault.retry_after() }
        }
        Meaning::KmsState | Meaning::Question => ProviderError::Misconfigured(text),
        Meaning::Strange => ProviderError::Malformed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, code: &str, message: &str) -> Meaning {
        Fault::answer(status, Some(code), Some(message), None).meaning()
    }

    #[test]
    fn each_code_means_that_somebody_must_act() {
        for (status, code, message, wanted) in [
            (400, "ResourceNotFoundException", "", Meaning::Missing),
            (404, "ResourceNotFoundException", "", Meaning::Missing),
            (400, "ParameterVersionNotFound", "", Meaning::Missing),
            (400, "InvalidRequestException", "because it was marked for deletion.", Meaning::Deleted),
            (400, "InvalidRequestException", "", Meaning::Question),
            (400, "AccessDeniedException", "is not authorized", Meaning::Forbidden),
            (400, "AccessDeniedException", "Access to KMS is not allowed", Meaning::ForbiddenByKms),
            (400, "AccessDeniedException", "not authorized to perform: kms:Decrypt", Meaning::ForbiddenByKms),
            (400, "DecryptionFailure", "", Meaning::ForbiddenByKms),
            (400, "InvalidKeyId", "", Meaning::KmsState),
            (400, "ExpiredTokenException", "", Meaning::Credentials),
            (403, "ExpiredToken", "", Meaning::Credentials),
            (400, "UnrecognizedClientException", "", Meaning::Credentials),
            (400, "InvalidSignatureException", "does not match", Meaning::Credentials),
            (400, "InvalidSignatureException", "Signature expired: 2020 is now earlier", Meaning::Clock),
            (400, "ThrottlingException", "", Meaning::Throttled),
            (429, "", "", Meaning::Throttled),
            (400, "InternalServiceError", "", Meaning::Theirs),
            (502, "", "", Meaning::Theirs),
            (403, "", "", Meaning::Forbidden),
            (404, "", "", Meaning::Strange),
            (302, "", "", Meaning::Strange),
            (400, "ValidationException", "", Meaning::Question),
        ] {
            assert_eq!(meaning(status, code, message), wanted, "{status} {code} {message}");
        }
    }

    #[test]
    fn what_does_not_look_like_a_code_is_not_repeated() {
        for code in ["pass-word1", "a b", "0123", &"x".repeat(65)] {
            assert_eq!(Fault::answer(400, Some(code), Some("secret"), None).seen(), "status 400");
        }
    }
}
