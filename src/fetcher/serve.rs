//! What runs in the fetcher process.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, Semaphore, watch};

use super::borrows::borrow_from;
use super::wire::{self, Answer, Ask, Given, Said, Settings, What};
use crate::providers::{self, Fetched, LoginTime, Provider, ProviderError};
use crate::reference::Reference;
use crate::sys::arena;

/// Fetches and listings under way at one provider. More wait; a provider that hangs so holds up its own only.
const AT_ONCE: usize = 16;

/// An open provider, or why it could not be opened: its files then fail with that, and nobody else's.
struct Open {
    settings: Settings,
    provider: Result<Box<dyn Provider>, ProviderError>,
    room: Semaphore,
    /// Apart, so that fetches that hang keep no lease from being renewed.
    room_for_leases: Semaphore,
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
            Ask::Configure(settings) => {
                open = settings.into_iter().map(|one| kept(&open, one, &to)).collect()
            }
            Ask::Ping => {
                let to = Arc::clone(&to);
                tokio::spawn(async move { say(&to, &Said::Alive).await });
            }
            Ask::Provider { what: What::Fetch { .. } | What::List { .. } | What::LogIn, .. }
                if outdated() =>
            {
                tracing::info!("files of the resolver were replaced");
                return Ok(());
            }
            Ask::Provider { id, provider, what } => {
                let (to, asked) = (Arc::clone(&to), open.get(&provider).map(Arc::clone));
                tokio::spawn(async move {
                    let result = match asked {
                        Some(asked) => asked.answer(what).await,
                        None => Err(ProviderError::Misconfigured("no such provider".into())),
                    };
                    let unlocked = arena::unlocked();
                    say(&to, &Said::Answer(Box::new(Answer { id, provider, result, unlocked }))).await;
                });
            }
        }
    }
    Ok(())
}

fn arrived(reference: &str) -> Result<Reference, ProviderError> {
    reference.parse().map_err(|_| ProviderError::Misconfigured("the reference did not arrive".into()))
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

/// The provider as it is open, if it is set as it was, with its login and what hangs on that; else opened anew.
fn kept(
    open: &HashMap<String, Arc<Open>>,
    settings: Settings,
    to: &Arc<Mutex<OwnedWriteHalf>>,
) -> (String, Arc<Open>) {
    let name = settings.name.clone();
    match open.get(&name).filter(|open| open.settings == settings && open.provider.is_ok()) {
        Some(open) => (name, Arc::clone(open)),
        None => (name, Arc::new(Open::new(settings, to))),
    }
}

/// Tells the front of logins that end, for as long as the provider is open.
async fn tell_of_endings(
    provider: String,
    mut ended: watch::Receiver<LoginTime>,
    to: Arc<Mutex<OwnedWriteHalf>>,
) {
    while ended.changed().await.is_ok() {
        let before = *ended.borrow_and_update();
        say(&to, &Said::Ended { provider: provider.clone(), before }).await;
    }
}

impl Open {
    fn new(settings: Settings, to: &Arc<Mutex<OwnedWriteHalf>>) -> Self {
        let provider = serde_json::from_str(&settings.table)
            .map_err(|_| ProviderError::Misconfigured("its settings did not arrive".into()))
            .and_then(|table| {
                let kind = providers::kind(&settings.kind)
                    .ok_or_else(|| ProviderError::Misconfigured("no such kind of provider".into()))?;
                (kind.open)(table, &settings.base)
                    .map_err(|error| ProviderError::Misconfigured(error.to_string()))
            });
        match &provider {
            Ok(provider) => {
                if let Some(ended) = provider.ended_logins() {
                    tokio::spawn(tell_of_endings(settings.name.clone(), ended, Arc::clone(to)));
                }
            }
            Err(error) => tracing::error!(provider = settings.name, "cannot be opened: {error}"),
        }
        Self { settings, provider, room: Semaphore::new(AT_ONCE), room_for_leases: Semaphore::new(AT_ONCE) }
    }

    async fn answer(&self, what: What) -> Result<Given, ProviderError> {
        let provider = self.provider.as_ref().map_err(Clone::clone)?;
        let room = match what {
            What::Renew(_) | What::Revoke(_) => &self.room_for_leases,
            What::Fetch { .. } | What::List { .. } | What::LogIn => &self.room,
            What::LoginState => return Ok(Given::LoginState(provider.login_state().await)),
        };
        let _room = room.acquire().await.map_err(|_| ProviderError::unavailable("closing"))?;
        match what {
            What::Fetch { reference, mint } => {
                let fetched = provider.fetch(&arrived(&reference)?, mint).await?;
                Ok(Given::Value(wire::Value(since_1970(fetched))))
            }
            What::List { reference, depth } => {
                provider.list(&arrived(&reference)?, depth).await.map(Given::List)
            }
            What::LogIn => provider.log_in().await.map(|()| Given::Done),
            What::LoginState => Ok(Given::LoginState(provider.login_state().await)),
            What::Renew(lease) => provider.renew(&lease).await.map(Given::Renewed),
            What::Revoke(handle) => provider.revoke(&handle).await.map(|()| Given::Done),
        }
    }
}
