//! One request to whichever server answers it: the last that did, else the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::settings::Bounds;
use super::ProviderError;
use super::address::Address;
use super::answers::is_api;
use super::client::{Clients, Server, Tls};
use super::exchange::{Answer, Repeat, Request, exchange};
use super::trouble::{Sent, Trouble, Troubles, Who};

/// Longest wait for what a server says of its own state, which is asked only after it has failed.
const HEALTH_WAIT: Duration = Duration::from_secs(1);

/// The servers of one Vault.
pub(super) struct Cluster {
    clients: Clients,
    addresses: Vec<Address>,
    namespace: Option<String>,
    bounds: Bounds,
    /// The one that answered last.
    current: AtomicUsize,
}

impl Cluster {
    pub(super) fn new(addresses: Vec<Address>, tls: Tls, namespace: Option<String>, bounds: Bounds) -> Self {
        let clients = Clients::new(addresses.clone(), tls, bounds);
        Self { clients, addresses, namespace, bounds, current: AtomicUsize::new(0) }
    }

    /// Until when an operation that starts now may take.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.bounds.request
    }

    /// The address that answered last, for messages.
    pub(super) fn answering(&self) -> &str {
        self.addresses.get(self.current.load(Ordering::Relaxed)).map_or("", Address::shown)
    }

    /// A path without the namespace that all is in, which some answers name.
    pub(super) fn below_namespace<'p>(&self, path: &'p str) -> &'p str {
        let namespace = self.namespace.as_deref().and_then(|namespace| path.strip_prefix(namespace));
        namespace.and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
    }

    /// The answer of the first server that has one.
    pub(super) async fn ask(
        &self,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Answer, ProviderError> {
        let servers = self.clients.servers().await?;
        let (first, count) = (self.current.load(Ordering::Relaxed), servers.len());
        let mut troubles = Troubles::default();
        for step in 0..count {
            let at = (first + step) % count;
            let (Some(server), Some(address)) = (servers.get(at), self.addresses.get(at)) else { continue };
            // A server that hangs leaves time for the next.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = if step + 1 < count { left / 2 } else { left };
            match self.ask_one(&servers, server, request, Instant::now() + share).await {
                Ok((answer, by)) => {
                    self.current.store(by.unwrap_or(at), Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Away { message, who, retry_after, sent }) => {
                    troubles.add(address.shown(), &message, who, retry_after);
                    if sent != Sent::No {
                        // The next request begins elsewhere, whatever becomes of this one.
                        self.current.store((at + 1) % count, Ordering::Relaxed);
                        if request.repeat == Repeat::MakesAnother {
                            break;
                        }
                    }
                }
            }
        }
        Err(troubles.error())
    }

    /// The answer of one server, or of the one that it sends to, which is then named by its place in the list.
    async fn ask_one(
        &self,
        servers: &[Server],
        server: &Server,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<(Answer, Option<usize>), Trouble> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut answer = exchange(server, request, self.namespace.as_deref(), left()).await;
        if request.repeat == Repeat::Harmless && matches!(answer, Err(Trouble::Away { sent: Sent::Cut, .. }))
        {
            answer = exchange(server, request, self.namespace.as_deref(), left()).await;
        }
        let answer = answer?;
        if !(300..400).contains(&answer.status) {
            return self.usable(server, answer, left()).await.map(|answer| (answer, None));
        }
        // A standby sends to the active server. A token goes to nobody whom the operator has not named.
        let Some(to) = &answer.location else {
            return Err(Trouble::Final(ProviderError::Malformed(format!(
                "`{}`: it sends elsewhere (HTTP {}) and does not say where",
                request.path, answer.status
            ))));
        };
        let Some((at, active)) = self
            .addresses
            .iter()
            .zip(servers)
            .enumerate()
            .find_map(|(at, (address, server))| address.is_origin_of(to).then_some((at, server)))
        else {
            let origin = to.origin().ascii_serialization();
            let message = format!(
                "it sends to {origin}, which is none of the `addresses`; add it if that is the active server"
            );
            return Err(Trouble::Away { message, who: Who::Operator, retry_after: None, sent: Sent::No });
        };
        let answer = exchange(active, request, self.namespace.as_deref(), left()).await?;
        if (300..400).contains(&answer.status) {
            let message = "it is a standby, and where it sends to is one too".to_owned();
            return Err(Trouble::Away { message, who: Who::Nobody, retry_after: None, sent: Sent::No });
        }
        self.usable(active, answer, left()).await.map(|answer| (answer, Some(at)))
    }

    /// The answer, unless it says that this server can answer nothing.
    async fn usable(&self, server: &Server, answer: Answer, left: Duration) -> Result<Answer, Trouble> {
        let status = answer.status;
        let message = match status {
            500 | 503 => match health(server, left.min(HEALTH_WAIT)).await {
                Some(Health::Well) => return Ok(answer),
                Some(Health::Ill(message)) => message.to_owned(),
                None => format!("HTTP {status}"),
            },
            412 => "it has not yet seen what another server has written (HTTP 412)".to_owned(),
            502 | 504 => format!("HTTP {status}"),
            472 => DR_SECONDARY.to_owned(),
            400 if !is_api(&answer) => {
                return Err(Trouble::Away {
                    message: foreign(&server.address),
                    who: Who::Operator,
                    retry_after: None,
                    sent: Sent::No,
                });
            }
            _ => return Ok(answer),
        };
        // What stands between may have passed it on.
        let sent = if matches!(status, 502 | 504) { Sent::Maybe } else { Sent::No };
        Err(Trouble::Away { message, who: Who::Nobody, retry_after: answer.retry_after, sent })
    }
}

/// What answers a request that is none to it, such as one in plain text where it speaks TLS.
fn foreign(address: &Address) -> String {
    let hint = if address.is_plain() {
        "is it `https://`?"
    } else {
        "does something stand between, which wants `client_certificate`?"
    };
    format!("the server there does not speak Vault's API (HTTP 400): {hint}")
}

const DR_SECONDARY: &str = "it is a secondary for disaster recovery, which answers nobody (HTTP 472)";

/// What a server says of itself.
enum Health {
    Well,
    Ill(&'static str),
}

/// Asks a server for its state, which it tells everybody, by the status alone.
async fn health(server: &Server, within: Duration) -> Option<Health> {
    let answer = exchange(server, &Request::read("sys/health", None), None, within).await.ok()?;
    Some(match answer.status {
        200 | 473 => Health::Well,
        429 => Health::Ill("it is a standby, and no active server takes its requests"),
        472 => Health::Ill(DR_SECONDARY),
        501 => Health::Ill("it is not initialised: `vault operator init` does that once"),
        503 => Health::Ill("it is sealed: `vault operator unseal` opens it"),
        _ => return None,
    })
}
