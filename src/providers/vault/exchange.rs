//! One request to one server, bounded in time and in length.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Url};
use zeroize::Zeroizing;

use super::super::answers::{Cut, body, retry_after_in};
use super::super::settings::ANSWER_LIMIT;
use super::ProviderError;
use super::client::Server;
use super::trouble::{Sent, Trouble, Who};

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// Below `/v1/`.
    pub(super) path: &'a str,
    pub(super) query: Option<(&'a str, &'a str)>,
    /// JSON to write; without it the path is read.
    pub(super) body: Option<&'a [u8]>,
    pub(super) token: Option<&'a HeaderValue>,
    /// Whether asking again does no more than asking once.
    pub(super) repeat: Repeat,
}

/// Whether a request that may have been carried out may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Harmless,
    /// Each makes something: a credential, a certificate.
    MakesAnother,
}

/// What came back. No `Debug`: it may hold a secret.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) retry_after: Option<Duration>,
    /// Where it sends us instead.
    pub(super) location: Option<Url>,
}

impl<'a> Request<'a> {
    /// To read.
    pub(super) fn read(path: &'a str, token: Option<&'a HeaderValue>) -> Self {
        Self { path, query: None, body: None, token, repeat: Repeat::Harmless }
    }

    /// To write.
    pub(super) fn write(path: &'a str, body: &'a [u8], token: Option<&'a HeaderValue>) -> Self {
        Self { path, query: None, body: Some(body), token, repeat: Repeat::Harmless }
    }
}

/// Sends a request and reads the answer.
pub(super) async fn exchange(
    server: &Server,
    request: &Request<'_>,
    namespace: Option<&str>,
    within: Duration,
) -> Result<Answer, Trouble> {
    let url = server.address.of(request.path, request.query);
    let method = if request.body.is_some() { Method::POST } else { Method::GET };
    let mut builder = server.client.request(method, url.clone()).timeout(within);
    // Agents and proxies of Vault can be told to want it, for what a browser sends has it not.
    builder = builder.header("X-Vault-Request", "true");
    if let Some(token) = request.token {
        builder = builder.header("X-Vault-Token", token);
    }
    if let Some(namespace) = namespace {
        builder = builder.header("X-Vault-Namespace", namespace);
    }
    if let Some(body) = request.body {
        builder = builder.header("Content-Type", "application/json").body(body.to_vec());
    }
    let mut response = builder.send().await.map_err(|error| from_network(&error))?;
    let status = response.status().as_u16();
    let (retry_after, location) = (retry_after_in(response.headers()), location(response.headers(), &url));
    // The body of an error is not looked at, but for that of a secret's version that was deleted.
    if response.status().is_server_error() || response.status().is_redirection() {
        return Ok(Answer { status, body: Zeroizing::default(), retry_after, location });
    }
    let body = body(&mut response).await.map_err(|cut| match cut {
        Cut::TooLong => Trouble::Final(ProviderError::Malformed(format!(
            "`{}`: the answer is longer than {ANSWER_LIMIT} bytes",
            request.path
        ))),
        Cut::Broken(error) => from_network(&error),
    })?;
    Ok(Answer { status, body, retry_after, location })
}

fn location(headers: &HeaderMap, from: &Url) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// The innermost cause, for the outer ones name the whole address or say nothing. None quotes an answer.
fn from_network(error: &reqwest::Error) -> Trouble {
    let mut cause: &(dyn Error + 'static) = error;
    let (mut cut, mut foreign) = (is_cut(cause), is_foreign(cause));
    while let Some(inner) = cause.source() {
        cause = inner;
        cut |= is_cut(cause);
        foreign |= is_foreign(cause);
    }
    let mut message = cause.to_string();
    let mut who = Who::Nobody;
    if error.is_timeout() {
        message = if error.is_connect() { "no connection in time" } else { "no answer in time" }.to_owned();
    } else if message.contains("certificate") {
        who = Who::Operator;
        if message.contains("UnknownIssuer") {
            message = "its certificate is of an authority that is not known here; name that one as `ca_file`"
                .to_owned();
        } else if message.contains("CaUsedAsEndEntity") {
            message = "its certificate is that of an authority (self-signed with `CA:TRUE`), which no server may have; make one without that, or have that authority issue one"
                .to_owned();
        } else if message.contains("not valid for name") {
            message.push_str("; `server_name` says which name to expect");
        }
    } else if foreign && error.url().is_some_and(|url| url.scheme() == "http") {
        who = Who::Operator;
        message = "the server there does not speak HTTP: is it `https://`?".to_owned();
    } else if message.contains("InvalidContentType") || message.contains("corrupt message") {
        who = Who::Operator;
        message = "the server does not speak TLS at this port: is it `http://`?".to_owned();
    } else if ["CertificateRequired", "BadCertificate", "UnknownCA"]
        .iter()
        .any(|alert| message.contains(alert))
    {
        who = Who::Operator;
        message.push_str(": it wants another certificate of ours; see `client_certificate` and `client_key`");
    }
    let sent = match () {
        () if error.is_connect() || error.is_builder() => Sent::No,
        () if cut => Sent::Cut,
        () => Sent::Maybe,
    };
    Trouble::Away { message, who, retry_after: None, sent }
}

/// Whether what answered is no HTTP.
fn is_foreign(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

fn is_cut(cause: &(dyn Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(io, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
        || cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_incomplete_message() || error.is_closed())
}
