//! The HTTP client: bounded in time and length, with an authority of one's own, and it follows nobody elsewhere.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{ProviderError, Stamp, files};
use crate::providers::answers::{self, Cut};
use crate::providers::settings::{ANSWER_LIMIT, Bounds};

/// Longest file of authorities in bytes.
const CA_LIMIT: usize = 1 << 20;

/// So that a request that is late says so itself.
const GRACE: Duration = Duration::from_millis(20);

/// One client for all requests of a provider, and one that goes past all proxies.
pub(super) struct Http {
    bounds: Bounds,
    ca: Option<PathBuf>,
    made: Mutex<Option<Made>>,
}

#[derive(Clone)]
struct Made {
    client: Client,
    direct: Client,
    ca: Option<Stamp>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As the proxy variables of the environment say.
    Usual,
    /// Past all proxies, in plain text: the metadata server is this host's own, and its token nobody else's.
    Direct,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Until when a fetch may take, and how long that was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    of: Duration,
}

impl Deadline {
    pub(super) fn after(of: Duration) -> Self {
        Self { at: Instant::now() + of, of }
    }

    pub(super) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// One that leaves something of this.
    pub(super) fn half(self) -> Self {
        Self { at: Instant::now() + self.left() / 2, of: self.of }
    }

    /// Bounds `work`, which bounds its own requests and says more of them: what this ends is waiting for others.
    pub(super) async fn bound<T>(
        self,
        work: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let late = || ProviderError::unavailable(format!("no answer within {:?}", self.of));
        tokio::time::timeout_at(self.at + GRACE, work).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Http {
    /// One that trusts the authorities in `ca` beside the system's.
    pub(super) fn new(bounds: Bounds, ca: Option<PathBuf>) -> Self {
        Self { bounds, ca, made: Mutex::new(None) }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Sends what `build` makes and reads the answer. `whom` is for messages.
    pub(super) async fn send(
        &self,
        way: Way,
        deadline: Deadline,
        whom: &str,
        build: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        let made = self.made().await?;
        let client = if way == Way::Direct { &made.direct } else { &made.client };
        let failed = |error: reqwest::Error| self.failed(&error, whom, deadline);
        let mut response = build(client).timeout(deadline.left()).send().await.map_err(failed)?;
        let body = answers::body(&mut response).await.map_err(|cut| match cut {
            Cut::TooLong => ProviderError::Malformed(format!(
                "{whom} answers with a body longer than {ANSWER_LIMIT} bytes"
            )),
            Cut::Broken(error) => failed(error),
        })?;
        let status = response.status();
        if status.is_redirection() {
            let told = format!("{whom} sends elsewhere ({status}), and credentials do not follow");
            return Err(ProviderError::Misconfigured(told));
        }
        let retry_after = answers::retry_after_in(response.headers());
        Ok(Answer { status, retry_after, body })
    }

    /// The clients, made anew when the file of authorities has changed.
    async fn made(&self) -> Result<Made, ProviderError> {
        let mut kept = self.made.lock().await;
        if let Some(made) = &*kept {
            let current = match &made.ca {
                Some(ca) => files::still_holds(ca).await,
                None => true,
            };
            if current {
                return Ok(made.clone());
            }
        }
        let ca = match &self.ca {
            None => None,
            Some(path) => Some(files::read_stamped(path, CA_LIMIT).await.map_err(|error| {
                ProviderError::Misconfigured(format!("`ca_file` {} cannot be read: {error}", path.display()))
            })?),
        };
        let connect = self.bounds.connect;
        // Reads the system's authorities.
        let made = tokio::task::spawn_blocking(move || make(connect, ca)).await;
        let made = made.map_err(|_| ProviderError::unavailable("the client cannot be made"))??;
        *kept = Some(made.clone());
        Ok(made)
    }

    fn failed(&self, error: &reqwest::Error, whom: &str, deadline: Deadline) -> ProviderError {
        let mut deepest: &dyn std::error::Error = error;
        while let Some(next) = deepest.source() {
            deepest = next;
            // What rustls says of a certificate names what is wrong with it, and nothing that was answered.
            let told = deepest.to_string();
            if let Some(fault) = told.strip_prefix("invalid peer certificate: ") {
                let hint = "`ca_file` names authorities beside the system's";
                let told = format!("the certificate of {whom} is not accepted: {fault}; {hint}");
                return ProviderError::Misconfigured(told);
            }
        }
        ProviderError::unavailable(match (error.is_connect(), error.is_timeout()) {
            (true, true) => format!("{whom} cannot be reached within {:?}", self.bounds.connect),
            (true, false) => match deepest.downcast_ref::<std::io::Error>() {
                Some(error) => format!("{whom} cannot be reached: {error}"),
                None => format!("{whom} cannot be reached"),
            },
            (false, true) => format!("no answer from {whom} within {:?}", deadline.of),
            (false, false) => format!("the connection to {whom} broke off"),
        })
    }
}

impl Answer {
    /// What the body says. `None` where it is nothing of the kind; why is not told, since that would quote it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// For a status that says come again.
    pub(super) fn unavailable(&self, whom: &str) -> Option<ProviderError> {
        let passes = self.status.is_server_error()
            || matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        passes.then(|| ProviderError::Unavailable {
            message: format!("{whom} answers {}", self.status),
            retry_after: self.retry_after,
        })
    }
}

fn make(connect: Duration, ca: Option<(Zeroizing<Vec<u8>>, Stamp)>) -> Result<Made, ProviderError> {
    let wrong = |_| ProviderError::Misconfigured("`ca_file` holds no certificates in PEM".into());
    let (roots, ca) = match ca {
        None => (Vec::new(), None),
        Some((pem, stamp)) => {
            let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(wrong)?;
            if roots.is_empty() {
                return Err(ProviderError::Misconfigured("`ca_file` holds no certificates in PEM".into()));
            }
            (roots, Some(stamp))
        }
    };
    let builder = || {
        let builder = Client::builder().connect_timeout(connect).redirect(redirect::Policy::none());
        let builder = builder.retry(reqwest::retry::never()).referer(false);
        builder.user_agent(concat!("hushfs/", env!("CARGO_PKG_VERSION")))
    };
    let made = |builder: reqwest::ClientBuilder| {
        let failed = |_| ProviderError::Misconfigured("the TLS settings of this host cannot be used".into());
        builder.build().map_err(failed)
    };
    let usual = if roots.is_empty() { builder() } else { builder().tls_certs_merge(roots) };
    // Without authorities, which take a while to read.
    let direct = builder().no_proxy().tls_certs_only([]);
    Ok(Made { client: made(usual)?, direct: made(direct)?, ca })
}

/// Whether what is sent to that address stays on this host.
pub(super) fn stays_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
