//! Two processes for two sorts of provider: which one is asked, and whether the second is there at all.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::ended::{Ended, Endings};
use super::lends::files_of;
use super::link::{Line, Part};
use super::settings::ProviderSettings;
use crate::providers::{self, Fetched, Lease, LoginState, Mint, ProviderError, Runs};
use crate::reference::Reference;

/// How long a provider may take to say where it stands with its login, which reaches nobody.
const LOGIN_STATE_WAIT: Duration = Duration::from_secs(2);

/// A handle to the processes in which providers run. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    start: Arc<dyn Fn(Runs) -> Command + Send + Sync>,
    confined: Line,
    routes: Arc<Mutex<Routes>>,
    endings: Endings,
}

#[derive(Default)]
struct Routes {
    /// Where each provider runs, by its name.
    places: HashMap<String, Runs>,
    /// The process beside the sandbox: there only while a provider needs it.
    programs: Option<Line>,
}

impl Link {
    /// Starts what these providers need. `start` makes the command that runs [`super::serve()`] on its standard input, with
    /// files from its standard output.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub fn start(
        start: impl Fn(Runs) -> Command + Send + Sync + 'static,
        providers: &[ProviderSettings],
    ) -> io::Result<Self> {
        let start: Arc<dyn Fn(Runs) -> Command + Send + Sync> = Arc::new(start);
        let (confined, programs) = apart(providers);
        let endings = Endings::default();
        let line = |runs, part: Part| {
            let start = Arc::clone(&start);
            Line::start(move || start(runs), part, endings.clone())
        };
        let confined = line(Runs::Confined, confined)?;
        let programs = match programs.providers.is_empty() {
            true => None,
            false => Some(line(Runs::WithPrograms, programs)?),
        };
        let routes = Arc::new(Mutex::new(Routes { places: places(providers), programs }));
        Ok(Self { start, confined, routes, endings })
    }

    /// Replaces the providers.
    ///
    /// # Errors
    /// When settings cannot be written as JSON, as for dates; when a process cannot be started.
    pub async fn configure(&self, providers: &[ProviderSettings]) -> io::Result<()> {
        let all = providers.to_vec();
        let (confined, programs) = tokio::task::spawn_blocking(move || apart(&all)).await?;
        let line = self.routes.lock().programs.clone();
        let line = match (line, programs.providers.is_empty()) {
            (None, true) => None,
            (None, false) => {
                let start = Arc::clone(&self.start);
                // Not on a thread of those that block: the process ends with the thread that starts it.
                Some(Line::start(move || start(Runs::WithPrograms), programs, self.endings.clone())?)
            }
            (Some(line), true) => {
                line.close().await;
                None
            }
            (Some(line), false) => {
                line.configure(programs).await?;
                Some(line)
            }
        };
        self.confined.configure(confined).await?;
        *self.routes.lock() = Routes { places: places(providers), programs: line };
        Ok(())
    }

    /// Fetches the whole secret. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As the provider answers; [`ProviderError::Unavailable`] when the process keeps dying over it.
    pub async fn fetch(&self, reference: &Reference, mint: Mint) -> Result<Fetched, ProviderError> {
        self.line_of(reference.provider()).fetch(reference, mint).await
    }

    /// Lists what is below `under`: the paths of secrets relative to it, sorted, of at most `depth` segments; names as the
    /// provider has them, of which one may be no reference's. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`providers::Provider::list`]; [`ProviderError::Unavailable`] when the process keeps dying over it.
    pub async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        self.line_of(under.provider()).list(under, depth).await
    }

    /// Renews what the provider made. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`] when it is over; else as the provider answers.
    pub async fn renew(&self, provider: &str, lease: &Lease) -> Result<Lease, ProviderError> {
        self.line_of(provider).renew(provider, lease).await
    }

    /// Ends what the provider made, by the lease's handle. Not bounded in time: the caller bounds it. It is done also when
    /// nobody waits for it any more, and [`Link::close`] waits for it.
    ///
    /// # Errors
    /// As [`Link::renew`].
    pub async fn revoke(&self, provider: &str, handle: &str) -> Result<(), ProviderError> {
        self.line_of(provider).revoke(provider, handle).await
    }

    /// Tells when logins end, and with them the leases that hang on them: the provider logged in anew, was configured anew,
    /// or its process died and with it who renews the login. A lease that is over is not to be served any more, also where
    /// the server still knows it for a while.
    pub fn ended(&self) -> watch::Receiver<Ended> {
        self.endings.listen()
    }

    /// Where a provider stands with its login.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when it does not say so in time, as while it logs in.
    pub async fn login_state(&self, provider: &str) -> Result<LoginState, ProviderError> {
        let line = self.line_of(provider);
        match tokio::time::timeout(LOGIN_STATE_WAIT, line.login_state(provider)).await {
            Ok(state) => state,
            Err(_) => Err(ProviderError::unavailable("the fetcher does not say where the login stands")),
        }
    }

    /// Logs in at a provider. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`Link::fetch`].
    pub async fn log_in(&self, provider: &str) -> Result<(), ProviderError> {
        self.line_of(provider).log_in(provider).await
    }

    /// Ends the processes, once the revocations that they were asked for are done. Bounded in time.
    pub async fn close(&self) {
        let programs = self.routes.lock().programs.take();
        if let Some(programs) = programs {
            programs.close().await;
        }
        self.confined.close().await;
    }

    /// The process in which a provider runs. One that is not known is not known there either.
    fn line_of(&self, provider: &str) -> Line {
        let routes = self.routes.lock();
        match (routes.places.get(provider), &routes.programs) {
            (Some(Runs::WithPrograms), Some(programs)) => programs.clone(),
            _ => self.confined.clone(),
        }
    }
}

fn runs(provider: &ProviderSettings) -> Runs {
    providers::kind(provider.kind).map_or(Runs::Confined, |kind| kind.runs)
}

fn places(providers: &[ProviderSettings]) -> HashMap<String, Runs> {
    providers.iter().map(|provider| (provider.name.clone(), runs(provider))).collect()
}

/// Those of the sandbox, and those beside it. Blocks.
fn apart(providers: &[ProviderSettings]) -> (Part, Part) {
    let part = |wanted: Runs| {
        let providers: Vec<_> = providers.iter().filter(|one| runs(one) == wanted).cloned().collect();
        Part { files: files_of(&providers), providers }
    };
    (part(Runs::Confined), part(Runs::WithPrograms))
}
