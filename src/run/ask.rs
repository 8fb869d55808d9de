//! Providers for who is no daemon: asked in the fetcher, as the daemon does, and as long as it would wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::{RunError, fetcher_command, harden, providers, runtime, system};
use crate::config::checked::Config;
use crate::fetcher::Link;
use crate::providers::{Fetched, Mint, ProviderError};
use crate::reference::Reference;

/// Questions under way: as many as the fetcher lets go to one provider, so that none waits for its turn there.
const AT_ONCE: usize = 16;

/// The configured providers, to be asked.
pub struct Providers {
    link: Link,
    deadline: Duration,
    runtime: Runtime,
}

/// What was answered, and how long that took.
pub struct Answered<T> {
    /// What was answered.
    pub result: Result<T, ProviderError>,
    /// How long it took.
    pub took: Duration,
}

impl Providers {
    /// Starts the fetcher. This process may see values from now on.
    ///
    /// # Errors
    /// When it cannot be started, or this process cannot be kept from being looked into.
    pub fn start(config: &Config) -> Result<Self, RunError> {
        harden().map_err(system("cannot make the process undumpable"))?;
        let runtime = runtime(1).map_err(system("cannot start threads"))?;
        let link = {
            let _inside = runtime.enter();
            Link::start(fetcher_command(config.fetcher), &providers(config))
                .map_err(system("cannot start the fetcher"))?
        };
        Ok(Self { link, deadline: config.limits.deadline, runtime })
    }

    /// Logs in at each of these.
    pub fn log_in(&self, providers: &[&str]) -> Vec<Answered<()>> {
        self.all(providers.iter().map(|provider| {
            let (link, provider) = (self.link.clone(), (*provider).to_owned());
            async move { link.log_in(&provider).await }
        }))
    }

    /// Fetches each of these, whole.
    pub fn fetch(&self, references: &[Reference], mint: Mint) -> Vec<Answered<Fetched>> {
        self.all(references.iter().map(|reference| {
            let (link, reference) = (self.link.clone(), reference.clone());
            async move { link.fetch(&reference, mint).await }
        }))
    }

    /// Some at once, each bounded from when it is asked. The answers come in the order of the questions.
    fn all<T: Send + 'static>(
        &self,
        asked: impl Iterator<Item = impl Future<Output = Result<T, ProviderError>> + Send + 'static>,
    ) -> Vec<Answered<T>> {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let tasks: Vec<_> = asked
            .map(|one| {
                let (turns, deadline) = (Arc::clone(&turns), self.deadline);
                self.runtime.spawn(async move {
                    // Never closed, so this always is a turn.
                    let _turn = turns.acquire().await;
                    bounded(deadline, one).await
                })
            })
            .collect();
        let broken =
            |_| Answered { result: Err(ProviderError::unavailable("it broke off")), took: Duration::ZERO };
        let all = async {
            let mut all = Vec::with_capacity(tasks.len());
            for task in tasks {
                all.push(task.await.unwrap_or_else(broken));
            }
            all
        };
        self.runtime.block_on(all)
    }
}

async fn bounded<T>(
    deadline: Duration,
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Answered<T> {
    let since = Instant::now();
    let late = || ProviderError::unavailable(format!("no answer within {deadline:?} (`deadline`)"));
    let result = tokio::time::timeout(deadline, asked).await.unwrap_or_else(|_| Err(late()));
    Answered { result, took: since.elapsed() }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(Duration::from_millis(100), self.link.close()).await;
        });
    }
}
