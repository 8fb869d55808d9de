//! One process, as the front keeps it: started, asked, and started again when it dies.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::ended::Endings;
use super::lends::{Desk, Named};
use super::question::Question;
use super::wire::{self, Answer, Ask, Given, Said, Settings};
use crate::providers::ProviderError;
use crate::sys::arena;

/// Answers waiting to be handed on.
const WAITING: usize = 4096;
/// How often a question is asked again when the fetcher dies over it.
const ATTEMPTS: u32 = 3;
/// The longest pause between two starts of a fetcher that keeps dying.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a fetcher that owes answers is asked whether it is there. One that does not say so before the next time is
/// taken for dead: a process that was killed while its disk does not answer keeps its socket open for as long.
const PULSE: Duration = Duration::from_secs(2);

/// How long a fetcher that is to end may take for revocations that it was asked for.
const PARTING: Duration = Duration::from_secs(5);

/// Makes the command that starts a fetcher.
pub(super) type Start = Box<dyn Fn() -> std::process::Command + Send>;

/// From the front's other parts.
pub(super) enum Message {
    Configure(Vec<Settings>),
    Ask(Question),
    Close(oneshot::Sender<()>),
}

struct Pending {
    question: Question,
    attempts: u32,
}

/// What it takes to keep a process.
pub(super) struct Process {
    pub(super) start: Start,
    /// The files that it is lent.
    pub(super) named: Named,
    pub(super) endings: Endings,
    /// Its providers.
    pub(super) settings: Vec<Settings>,
}

impl Process {
    /// Starts it, and does in a task what `inbox` says, until that or its other end closes.
    pub(super) fn run(self, inbox: mpsc::Receiver<Message>) -> io::Result<()> {
        let Self { start, named, endings, settings } = self;
        let pending = HashMap::new();
        let actor = Actor { start, named, endings, settings, inbox, pending, next: 0, closing: None };
        let first = actor.spawn()?;
        tokio::spawn(actor.run(first));
        Ok(())
    }
}

struct Actor {
    start: Start,
    named: Named,
    endings: Endings,
    settings: Vec<Settings>,
    inbox: mpsc::Receiver<Message>,
    pending: HashMap<u64, Pending>,
    next: u64,
    /// It is to end by then, and who waits for that.
    closing: Option<(tokio::time::Instant, oneshot::Sender<()>)>,
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
            if matches!(end, End::Closed) || self.closing.is_some() {
                let _ = child.start_kill();
                if let Some((_, done)) = self.closing.take() {
                    let _ = done.send(());
                }
                return;
            }
            // Nobody renews its tokens any more.
            self.endings.tell_all(self.settings.iter());
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
                        pinged = false;
                        if let Some(question) = self.answered(*answer)
                            && self.send(to, question).await.is_err()
                        {
                            return End::Died;
                        }
                        if self.may_close() {
                            return End::Closed;
                        }
                    }
                    Some(Said::Ended { provider, before }) => {
                        if self.settings.iter().any(|one| one.name == provider) {
                            self.endings.tell(&provider, before);
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
                () = by(self.closing.as_ref().map(|(by, _)| *by)) => {
                    let lost = self.pending.values().filter(|pending| pending.question.is_revocation()).count();
                    tracing::warn!(lost, "leases could not be revoked in time, and last until their time");
                    return End::Closed;
                }
                message = self.inbox.recv() => {
                    let sent = match message {
                        None => return End::Closed,
                        Some(Message::Close(done)) => {
                            self.closing = Some((tokio::time::Instant::now() + PARTING, done));
                            if self.may_close() {
                                return End::Closed;
                            }
                            Ok(())
                        }
                        Some(Message::Configure(settings)) => {
                            // One that is set differently is opened anew, and its login is lost.
                            self.endings.tell_all(self.settings.iter().filter(|one| !settings.contains(one)));
                            self.settings = settings;
                            wire::send(to, &Ask::Configure(self.settings.clone())).await
                        }
                        Some(Message::Ask(question)) => self.send(to, question).await,
                    };
                    if sent.is_err() {
                        return End::Died;
                    }
                }
            }
        }
    }

    async fn send(
        &mut self,
        to: &mut tokio::net::unix::OwnedWriteHalf,
        question: Question,
    ) -> io::Result<()> {
        self.pending.retain(|_, pending| !pending.question.is_closed());
        let id = self.next;
        self.next += 1;
        let ask = question.ask(id);
        self.pending.insert(id, Pending { question, attempts: 1 });
        wire::send(to, &ask).await
    }

    /// Hands on an answer. What was made for somebody who has given up is nobody's, and to be ended.
    fn answered(&mut self, answer: Answer) -> Option<Question> {
        let Answer { id, provider, result, unlocked } = answer;
        if let Some(errno) = unlocked {
            arena::warn_of_unlocked(errno);
        }
        let nobodys = match (self.pending.remove(&id), result) {
            (Some(pending), result) => pending.question.answer(result),
            (None, Ok(Given::Value(value))) => Some(value.0),
            (None, _) => None,
        };
        let lease = nobodys?.lease.filter(|lease| lease.revocable)?;
        Some(Question::Revoke(provider, lease.handle, None))
    }

    /// Whether it is to end, and nothing is to be done before.
    fn may_close(&self) -> bool {
        self.closing.is_some() && !self.pending.values().any(|pending| pending.question.is_revocation())
    }
}

/// Waits until then, or for ever.
async fn by(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
