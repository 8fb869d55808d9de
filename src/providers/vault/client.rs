//! The HTTP client, with the certificates that files hold. It is made anew when one of them has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Identity, redirect};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::super::files;
use super::super::settings::Bounds;
use super::address::Address;
use super::{ProviderError, Stamp};

/// Longest file of certificates in bytes.
const CERTIFICATES_LIMIT: usize = 4 << 20;

/// How a server proves who it is, and we.
pub(super) struct Tls {
    pub(super) ca: Option<PathBuf>,
    /// Certificate and key.
    pub(super) own: Option<(PathBuf, PathBuf)>,
    pub(super) server_name: Option<String>,
}

/// A server, and the client that reaches it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    /// As it is asked for: with the name that `server_name` gives it.
    pub(super) address: Address,
}

/// Makes and keeps the clients.
pub(super) struct Clients {
    addresses: Vec<Address>,
    tls: Tls,
    bounds: Bounds,
    made: Mutex<Option<Made>>,
}

struct Made {
    servers: Arc<[Server]>,
    stamps: Vec<Stamp>,
}

impl Clients {
    pub(super) fn new(addresses: Vec<Address>, tls: Tls, bounds: Bounds) -> Self {
        Self { addresses, tls, bounds, made: Mutex::new(None) }
    }

    /// The servers in the order of the settings. One client serves all, so that it keeps connections.
    pub(super) async fn servers(&self) -> Result<Arc<[Server]>, ProviderError> {
        let mut made = self.made.lock().await;
        if let Some(made) = made.as_ref()
            && files::all_hold(&made.stamps).await
        {
            return Ok(Arc::clone(&made.servers));
        }
        let fresh = self.make().await?;
        let servers = Arc::clone(&fresh.servers);
        *made = Some(fresh);
        Ok(servers)
    }

    async fn make(&self) -> Result<Made, ProviderError> {
        let mut stamps = Vec::new();
        let ca = match &self.tls.ca {
            Some(path) => Some(authorities(path, &read(path, &mut stamps).await?)?),
            None => None,
        };
        let own = match &self.tls.own {
            Some((certificate, key)) => {
                let (first, second) = (read(certificate, &mut stamps).await?, read(key, &mut stamps).await?);
                Some(identity(certificate, key, &first, &second)?)
            }
            None => None,
        };
        // The system's authorities are read from files, and each address with a name of its own needs a client of its own.
        let (addresses, name, bounds) = (self.addresses.clone(), self.tls.server_name.clone(), self.bounds);
        let servers = tokio::task::spawn_blocking(move || match name {
            None => {
                let client = build(ca, own, None, bounds)?;
                Ok(addresses.into_iter().map(|address| Server { client: client.clone(), address }).collect())
            }
            Some(name) => addresses
                .into_iter()
                .map(|address| {
                    let named = address.named(&name).unwrap_or_else(|| address.clone());
                    let there = There { name: name.clone(), place: address.place() };
                    Ok(Server {
                        client: build(ca.clone(), own.clone(), Some(there), bounds)?,
                        address: named,
                    })
                })
                .collect(),
        });
        let servers: Result<_, ProviderError> =
            servers.await.map_err(|_| ProviderError::unavailable("closing"))?;
        Ok(Made { servers: servers?, stamps })
    }
}

fn build(
    ca: Option<Vec<Certificate>>,
    own: Option<Identity>,
    there: Option<There>,
    bounds: Bounds,
) -> Result<Client, ProviderError> {
    let mut builder = Client::builder()
        .user_agent(concat!("hushfs/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(bounds.connect);
    if let Some(ca) = ca {
        builder = builder.tls_certs_only(ca);
    }
    if let Some(own) = own {
        builder = builder.identity(own);
    }
    if let Some(there) = there {
        builder = builder.dns_resolver(there);
    }
    // What it says may quote what it read.
    builder.build().map_err(|_| {
        ProviderError::Misconfigured(
            "the certificates cannot be used: see `ca_file`, `client_certificate` and `client_key`, or the system's".into(),
        )
    })
}

async fn read(path: &Path, stamps: &mut Vec<Stamp>) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let (bytes, stamp) = files::read_stamped(path, CERTIFICATES_LIMIT)
        .await
        .map_err(|error| ProviderError::Misconfigured(format!("{}: {error}", path.display())))?;
    stamps.push(stamp);
    Ok(bytes)
}

fn authorities(path: &Path, pem: &[u8]) -> Result<Vec<Certificate>, ProviderError> {
    Certificate::from_pem_bundle(pem)
        .ok()
        .filter(|all| !all.is_empty())
        .ok_or_else(|| ProviderError::Misconfigured(format!("{} has no certificate in PEM", path.display())))
}

fn identity(certificate: &Path, key: &Path, first: &[u8], second: &[u8]) -> Result<Identity, ProviderError> {
    let mut both = Zeroizing::new(Vec::with_capacity(first.len() + second.len() + 1));
    both.extend_from_slice(first);
    both.push(b'\n');
    both.extend_from_slice(second);
    Identity::from_pem(&both).map_err(|_| {
        ProviderError::Misconfigured(format!(
            "{} and {} are not a certificate and its private key in PEM",
            certificate.display(),
            key.display()
        ))
    })
}

/// Finds a server that is called by the name on its certificate where it is; others, such as proxies, as usual.
struct There {
    name: String,
    place: (String, u16),
}

impl Resolve for There {
    fn resolve(&self, name: Name) -> Resolving {
        let place =
            if name.as_str() == self.name { self.place.clone() } else { (name.as_str().to_owned(), 0) };
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host(place).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
