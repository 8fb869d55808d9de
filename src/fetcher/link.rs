//! The front's end of one process: what it can be asked.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use super::arrived;
use super::ended::Endings;
use super::lends::Named;
use super::process::{Message, Process};
use super::question::{Question, Reply};
use super::settings::ProviderSettings;
use super::wire::Settings;
use crate::providers::{Fetched, Lease, LoginState, Mint, ProviderError};
use crate::reference::Reference;

/// Questions waiting to be sent. Beyond that the asker is told that the provider is busy.
const WAITING: usize = 4096;

/// A handle to one process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Line {
    asks: mpsc::Sender<Message>,
    named: Named,
}

/// The providers of one process, and the files that their settings name.
#[derive(Default)]
pub(super) struct Part {
    pub(super) providers: Vec<ProviderSettings>,
    pub(super) files: HashSet<PathBuf>,
}

impl Line {
    /// Starts a fetcher with these providers. `start` makes the command that runs [`super::serve()`] on its standard input,
    /// with files from its standard output.
    ///
    /// # Errors
    /// When the first one cannot be started.
    pub(super) fn start(
        start: impl Fn() -> std::process::Command + Send + 'static,
        part: Part,
        endings: Endings,
    ) -> io::Result<Self> {
        let settings = to_wire(&part.providers)?;
        let (asks, inbox) = mpsc::channel(WAITING);
        let named = Named::default();
        named.replace(part.files);
        Process { start: Box::new(start), named: named.clone(), endings, settings }.run(inbox)?;
        Ok(Self { asks, named })
    }

    /// Replaces the providers.
    ///
    /// # Errors
    /// When settings cannot be written as JSON, as for dates.
    pub(super) async fn configure(&self, part: Part) -> io::Result<()> {
        let settings = to_wire(&part.providers)?;
        self.named.replace(part.files);
        self.asks.send(Message::Configure(settings)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Fetches the whole secret. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As the provider answers; [`ProviderError::Unavailable`] when the fetcher keeps dying over it.
    pub(super) async fn fetch(&self, reference: &Reference, mint: Mint) -> Result<Fetched, ProviderError> {
        let reference = reference.clone();
        let fetched = self.ask(|reply| Question::Fetch(reference, mint, reply)).await?;
        Ok(arrived::fetched(fetched, &self.named))
    }

    /// Lists what is below a path. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`Line::fetch`].
    pub(super) async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let names = self.ask(|reply| Question::List(under.clone(), depth, reply)).await?;
        arrived::names(names, under, depth)
    }

    /// Logs in at a provider. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`Line::fetch`].
    pub(super) async fn log_in(&self, provider: &str) -> Result<(), ProviderError> {
        self.ask(|reply| Question::LogIn(provider.to_owned(), reply)).await
    }

    /// Where a provider stands with its login. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`Line::fetch`].
    pub(super) async fn login_state(&self, provider: &str) -> Result<LoginState, ProviderError> {
        self.ask(|reply| Question::LoginState(provider.to_owned(), reply)).await
    }

    /// Renews what a provider made. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`Line::fetch`].
    pub(super) async fn renew(&self, provider: &str, lease: &Lease) -> Result<Lease, ProviderError> {
        let question = |reply| Question::Renew(provider.to_owned(), lease.clone(), reply);
        let renewed = self.ask(question).await?;
        Ok(arrived::renewed(renewed, lease))
    }

    /// Ends what a provider made. Not bounded in time: the caller bounds it. It is done also when nobody waits for it.
    ///
    /// # Errors
    /// As [`Line::fetch`].
    pub(super) async fn revoke(&self, provider: &str, handle: &str) -> Result<(), ProviderError> {
        self.ask(|reply| Question::Revoke(provider.to_owned(), handle.to_owned(), Some(reply))).await
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Question) -> Result<T, ProviderError> {
        let gone = |_| ProviderError::unavailable("the fetcher is closed");
        let (answer, answered) = oneshot::channel();
        self.asks
            .try_send(Message::Ask(question(answer)))
            .map_err(|_| ProviderError::unavailable("too many fetches are waiting"))?;
        answered.await.map_err(gone)?.map_err(arrived::error)
    }

    /// Ends the fetcher, once it has done the revocations that it was asked for, or has had the time to.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.asks.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

fn to_wire(providers: &[ProviderSettings]) -> io::Result<Vec<Settings>> {
    let one = |provider: &ProviderSettings| {
        Ok(Settings {
            name: provider.name.clone(),
            kind: provider.kind.to_owned(),
            table: serde_json::to_string(&provider.table).map_err(io::Error::other)?,
            base: provider.base.clone(),
        })
    };
    providers.iter().map(one).collect()
}
