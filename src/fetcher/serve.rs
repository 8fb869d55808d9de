//! What runs in the fetcher process.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, Semaphore};

use super::borrows::borrow_from;
use super::wire::{self, Answer, Ask, Said, Settings};
use crate::providers::{self, Fetched, Provider, ProviderError};
use crate::reference::Reference;
use crate::sys::arena;

/// Fetches under way at one provider. More wait; a provider that hangs so holds up its own only.
const AT_ONCE: usize = 16;

/// An open provider, or why it could not be opened: its files then fail with that, and nobody else's.
struct Open {
    provider: Result<Box<dyn Provider>, ProviderError>,
    room: Semaphore,
}

/// Answers the front until it hangs up, or until `outdated` says that a process started anew could do what this one
/// cannot: the front then starts one, and asks it again. Files come from `files`.
///
/// # Errors
/// When the socket fails or the front says what cannot be understood.
pub async fn serve(socket: UnixStream, files: OwnedFd, outdated: impl Fn() -> bool) -> io::Result<()> {
    borrow_from(files)?;
    socket.set_nonblocking(true)?;
    let (mut from, to) = tokio::net::UnixStream::from_std(socket)?.into_split();
    let to = Arc::new(Mutex::new(to));
    let mut open = HashMap::<String, Arc<Open>>::new();
    while let Some(ask) = wire::receive(&mut from).await? {
        match ask {
            Ask::Configure(settings) => open = settings.into_iter().map(open_one).collect(),
            Ask::Ping => {
                let to = Arc::clone(&to);
                tokio::spawn(async move { say(&to, &Said::Alive).await });
            }
            Ask::Fetch { .. } | Ask::LogIn { .. } if outdated() => {
                tracing::info!("files of the resolver were replaced");
                return Ok(());
            }
            Ask::Fetch { id, reference } => {
                let reference: Result<Reference, _> = reference.parse();
                let provider = reference.as_ref().ok().and_then(|r| open.get(r.provider())).map(Arc::clone);
                let to = Arc::clone(&to);
                tokio::spawn(async move {
                    let result = match (reference, provider) {
                        (Ok(reference), Some(provider)) => {
                            provider.fetch(&reference).await.map(|fetched| wire::Value(since_1970(fetched)))
                        }
                        _ => Err(ProviderError::Misconfigured("no such provider".into())),
                    };
                    let unlocked = arena::unlocked();
                    say(&to, &Said::Answer(Box::new(Answer { id, result, unlocked }))).await;
                });
            }
            Ask::LogIn { id, provider } => {
                let provider = open.get(&provider).map(Arc::clone);
                let to = Arc::clone(&to);
                tokio::spawn(async move {
                    let result = match provider {
                        Some(provider) => provider.log_in().await,
                        None => Err(ProviderError::Misconfigured("no such provider".into())),
                    };
                    say(&to, &Said::LoggedIn { id, result }).await;
                });
            }
        }
    }
    Ok(())
}

/// With times that can be sent: Go's zero time, say, cannot.
fn since_1970(fetched: Fetched) -> Fetched {
    let epoch = SystemTime::UNIX_EPOCH;
    let expires = fetched.expires.map(|expires| expires.max(epoch));
    Fetched { created: fetched.created.max(epoch), expires, ..fetched }
}

async fn say(to: &Mutex<OwnedWriteHalf>, message: &Said) {
    if let Err(error) = wire::send(&mut *to.lock().await, message).await {
        tracing::debug!(%error, "the front has hung up");
    }
}

fn open_one(settings: Settings) -> (String, Arc<Open>) {
    let provider = serde_json::from_str(&settings.table)
        .map_err(|_| ProviderError::Misconfigured("its settings did not arrive".into()))
        .and_then(|table| {
            let kind = providers::kind(&settings.kind)
                .ok_or_else(|| ProviderError::Misconfigured("no such kind of provider".into()))?;
            (kind.open)(table, &settings.base)
                .map_err(|error| ProviderError::Misconfigured(error.to_string()))
        });
    if let Err(error) = &provider {
        tracing::error!(provider = settings.name, "cannot be opened: {error}");
    }
    (settings.name, Arc::new(Open { provider, room: Semaphore::new(AT_ONCE) }))
}

impl Open {
    async fn fetch(&self, reference: &Reference) -> Result<providers::Fetched, ProviderError> {
        let provider = self.provider.as_ref().map_err(Clone::clone)?;
        let _room = self.room.acquire().await.map_err(|_| ProviderError::unavailable("closing"))?;
        provider.fetch(reference).await
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        let provider = self.provider.as_ref().map_err(Clone::clone)?;
        let _room = self.room.acquire().await.map_err(|_| ProviderError::unavailable("closing"))?;
        provider.log_in().await
    }
}
