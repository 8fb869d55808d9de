//! The front's end of one process: starts it, asks it, and starts it again when it dies.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::arrived;
use super::lends::{Desk, Named};
use super::settings::ProviderSettings;
use super::wire::{self, Answer, Ask, Said, Settings};
use crate::providers::{Fetched, ProviderError};
use crate::reference::Reference;
use crate::sys::arena;

/// Questions waiting to be sent. Beyond that the asker is told that the provider is busy.
const WAITING: usize = 4096;
/// How often a question is asked again when the fetcher dies over it.
const ATTEMPTS: u32 = 3;
/// The longest pause between two starts of a fetcher that keeps dying.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a fetcher that owes answers is asked whether it is there. One that does not say so before the next time is
/// taken for dead: a process that was killed while its disk does not answer keeps its socket open for as long.
const PULSE: Duration = Duration::from_secs(2);

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

/// Makes the command that starts a fetcher.
type Start = Box<dyn Fn() -> std::process::Command + Send>;

enum Message {
    Configure(Vec<Settings>),
    Ask(Question),
    Close(oneshot::Sender<()>),
}

/// What is asked, and where the answer goes.
enum Question {
    Fetch(Reference, oneshot::Sender<Result<Fetched, ProviderError>>),
    LogIn(String, oneshot::Sender<Result<(), ProviderError>>),
}

struct Pending {
    question: Question,
    attempts: u32,
}

impl Question {
    fn ask(&self, id: u64) -> Ask {
        match self {
            Self::Fetch(reference, _) => Ask::fetch(id, reference),
            Self::LogIn(provider, _) => Ask::LogIn { id, provider: provider.clone() },
        }
    }

    fn fail(self, error: ProviderError) {
        match self {
            Self::Fetch(_, answer) => drop(answer.send(Err(error))),
            Self::LogIn(_, answer) => drop(answer.send(Err(error))),
        }
    }

    /// Whether nobody waits for the answer any more.
    fn is_closed(&self) -> bool {
        match self {
            Self::Fetch(_, answer) => answer.is_closed(),
            Self::LogIn(_, answer) => answer.is_closed(),
        }
    }
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
    ) -> io::Result<Self> {
        let settings = to_wire(&part.providers)?;
        let (asks, inbox) = mpsc::channel(WAITING);
        let named = Named::default();
        named.replace(part.files);
        let actor = Actor {
            start: Box::new(start),
            named: named.clone(),
            settings,
            inbox,
            pending: HashMap::new(),
            next: 0,
        };
        let first = actor.spawn()?;
        tokio::spawn(actor.run(first));
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
    pub(super) async fn fetch(&self, reference: &Reference) -> Result<Fetched, ProviderError> {
        let reference = reference.clone();
        let fetched = self.ask(|answer| Question::Fetch(reference, answer)).await?;
        Ok(arrived::fetched(fetched, &self.named))
    }

    /// Logs in at a provider. Not bounded in time: the caller bounds it.
    ///
    /// # Errors
    /// As [`Line::fetch`].
    pub(super) async fn log_in(&self, provider: &str) -> Result<(), ProviderError> {
        self.ask(|answer| Question::LogIn(provider.to_owned(), answer)).await
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, ProviderError>>) -> Question,
    ) -> Result<T, ProviderError> {
        let gone = |_| ProviderError::unavailable("the fetcher is closed");
        let (answer, answered) = oneshot::channel();
        self.asks
            .try_send(Message::Ask(question(answer)))
            .map_err(|_| ProviderError::unavailable("too many fetches are waiting"))?;
        answered.await.map_err(gone)?.map_err(arrived::error)
    }

    /// Ends the fetcher.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.asks.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

struct Actor {
    start: Start,
    named: Named,
    settings: Vec<Settings>,
    inbox: mpsc::Receiver<Message>,
    pending: HashMap<u64, Pending>,
    next: u64,
}

enum End {
    Closed,
    Died,
}

/// A fetcher that was started.
struct Started {
    child: Child,
    socket: UnixStream,
    /// Where it gets files.
    desk: Desk,
}

impl Actor {
    fn spawn(&self) -> io::Result<Started> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = UnixStream::from_std(ours)?;
        let (desk, files) = Desk::open(&self.named)?;
        let mut command = Command::from((self.start)());
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(files));
        Ok(Started { child: command.kill_on_drop(true).spawn()?, socket, desk })
    }

    async fn run(mut self, first: Started) {
        let Started { mut child, mut socket, mut desk } = first;
        let mut pause = Duration::from_millis(50);
        loop {
            let started = tokio::time::Instant::now();
            let end = self.talk(socket).await;
            if matches!(end, End::Closed) {
                let _ = child.start_kill();
                return;
            }
            let status = match tokio::time::timeout(Duration::from_millis(200), child.wait()).await {
                Ok(Ok(status)) => status.to_string(),
                _ => "no status yet".to_owned(),
            };
            let _ = child.start_kill();
            tracing::warn!(status, waiting = self.pending.len(), "the fetcher died and is started again");
            pause = if started.elapsed() > LONGEST_PAUSE {
                Duration::from_millis(50)
            } else {
                (pause * 2).min(LONGEST_PAUSE)
            };
            self.give_up_on_killers();
            drop(desk);
            Started { child, socket, desk } = loop {
                tokio::time::sleep(pause).await;
                match self.spawn() {
                    Ok(next) => break next,
                    Err(error) => tracing::error!(%error, "the fetcher cannot be started"),
                }
            };
        }
    }

    /// Questions that several fetchers died over are answered, so that one bad secret cannot take the others down with it.
    fn give_up_on_killers(&mut self) {
        let tired: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.attempts >= ATTEMPTS)
            .map(|(id, _)| *id)
            .collect();
        for pending in tired.into_iter().filter_map(|id| self.pending.remove(&id)) {
            pending.question.fail(ProviderError::unavailable("the fetcher died over it several times"));
        }
    }

    async fn talk(&mut self, socket: UnixStream) -> End {
        let (mut from, mut to) = socket.into_split();
        let (answers, mut answered) = mpsc::channel::<Said>(WAITING);
        // A task of its own, since a message that is half read must not be dropped by a select.
        let reader = tokio::spawn(async move {
            while let Ok(Some(answer)) = wire::receive(&mut from).await {
                if answers.send(answer).await.is_err() {
                    break;
                }
            }
        });
        let end = self.exchange(&mut to, &mut answered).await;
        reader.abort();
        end
    }

    async fn exchange(
        &mut self,
        to: &mut tokio::net::unix::OwnedWriteHalf,
        answered: &mut mpsc::Receiver<Said>,
    ) -> End {
        if wire::send(to, &Ask::Configure(self.settings.clone())).await.is_err() {
            return End::Died;
        }
        for (id, pending) in &mut self.pending {
            pending.attempts += 1;
            if wire::send(to, &pending.question.ask(*id)).await.is_err() {
                return End::Died;
            }
        }
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pinged = false;
        loop {
            tokio::select! {
                said = answered.recv() => match said {
                    Some(Said::Answer(answer)) => {
                        let Answer { id, result, unlocked } = *answer;
                        pinged = false;
                        if let Some(errno) = unlocked {
                            arena::warn_of_unlocked(errno);
                        }
                        if let Some(Pending { question: Question::Fetch(_, answer), .. }) = self.pending.remove(&id) {
                            let _ = answer.send(result.map(|value| value.0));
                        }
                    }
                    Some(Said::LoggedIn { id, result }) => {
                        pinged = false;
                        if let Some(Pending { question: Question::LogIn(_, answer), .. }) = self.pending.remove(&id) {
                            let _ = answer.send(result);
                        }
                    }
                    Some(Said::Alive) => pinged = false,
                    None => return End::Died,
                },
                _ = pulse.tick(), if pinged || !self.pending.is_empty() => {
                    if std::mem::replace(&mut pinged, true) {
                        tracing::warn!("the fetcher does not say that it is there");
                        return End::Died;
                    }
                    if wire::send(to, &Ask::Ping).await.is_err() {
                        return End::Died;
                    }
                }
                message = self.inbox.recv() => {
                    let sent = match message {
                        None => return End::Closed,
                        Some(Message::Close(done)) => {
                            let _ = done.send(());
                            return End::Closed;
                        }
                        Some(Message::Configure(settings)) => {
                            self.settings = settings;
                            wire::send(to, &Ask::Configure(self.settings.clone())).await
                        }
                        Some(Message::Ask(question)) => {
                            self.pending.retain(|_, pending| !pending.question.is_closed());
                            let id = self.next;
                            self.next += 1;
                            let ask = question.ask(id);
                            self.pending.insert(id, Pending { question, attempts: 1 });
                            wire::send(to, &ask).await
                        }
                    };
                    if sent.is_err() {
                        return End::Died;
                    }
                }
            }
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
