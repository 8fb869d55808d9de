//! The daemon's end of the socket.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::WriteHalf;

use super::places::{Place, Places};
use super::{Answer, Ask, Operator, Peer, Reply, Whose};
use crate::socket::{For, Socket};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 4096;
/// How long a peer may take to say what it wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The control socket. Dropping it removes it.
pub struct Listener {
    socket: Socket,
    places: Places,
    /// Of those whose answer has no end of its own.
    staying: Places,
}

impl Listener {
    /// Listens at `path`, in place of what an earlier daemon left there. The mount's lock must be held, so that no
    /// daemon that lives loses its socket.
    ///
    /// # Errors
    /// As bind(2).
    pub fn bind(path: &Path) -> io::Result<Self> {
        // Everybody may ask about himself; each verb checks who asks.
        let socket = Socket::bind(path, For::Everybody)?;
        Ok(Self { socket, places: Places::default(), staying: Places::default() })
    }

    /// Answers until dropped.
    pub async fn serve(&self, operator: Arc<dyn Operator>) {
        loop {
            match self.socket.accept().await {
                Ok(stream) => {
                    if let Err(error) = self.begin(stream, &operator) {
                        tracing::debug!(%error, "a peer of the control socket went away");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Has a connection answered, if there is a place for it.
    fn begin(&self, stream: UnixStream, operator: &Arc<dyn Operator>) -> io::Result<()> {
        let peer = Peer::of(&stream)?;
        let Some(place) = place(&self.places, &peer) else {
            stream.try_write(&line(&full())?)?;
            return Ok(());
        };
        tokio::spawn(answer(stream, peer, place, self.staying.clone(), Arc::clone(operator)));
        Ok(())
    }
}

fn place(places: &Places, peer: &Peer) -> Option<Place> {
    if peer.is_operator() { places.enter_operator() } else { places.enter(peer.uid()) }
}

fn full() -> Answer {
    Answer::Refused { message: "too many are asking at once: try again".into() }
}

async fn answer(
    mut stream: UnixStream,
    peer: Peer,
    mut place: Place,
    staying: Places,
    operator: Arc<dyn Operator>,
) {
    let (from, mut to) = stream.split();
    let mut from = BufReader::new(from);
    let done = async {
        let mut said = String::new();
        tokio::time::timeout(PATIENCE, (&mut from).take(LONGEST).read_line(&mut said)).await??;
        let reply = match serde_json::from_str::<Ask>(&said) {
            Err(_) => Reply::Once(Answer::Refused { message: "not understood".into() }),
            // What goes on for ever takes no place from what is answered at once.
            Ok(ask) if ask.stays() => match self::place(&staying, &peer) {
                Some(stays) => {
                    place = stays;
                    act(ask, peer, operator).await
                }
                None => Reply::Once(full()),
            },
            Ok(ask) => act(ask, peer, operator).await,
        };
        let mut lines = match reply {
            Reply::Once(answer) => return say(&mut to, &answer).await,
            Reply::Lines(lines) => lines,
        };
        loop {
            tokio::select! {
                answer = lines.recv() => match answer {
                    Some(answer) => say(&mut to, &answer).await?,
                    None => return Ok(()),
                },
                // The peer has nothing more to say: it went away.
                _ = from.read_u8() => return Ok(()),
            }
        }
    };
    let done: io::Result<()> = done.await;
    if let Err(error) = done {
        tracing::debug!(%error, "a peer of the control socket went away");
    }
    drop(place);
}

async fn say(to: &mut WriteHalf<'_>, answer: &Answer) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, to.write_all(&line(answer)?)).await?
}

/// Does what is asked, if the peer may.
async fn act(ask: Ask, peer: Peer, operator: Arc<dyn Operator>) -> Reply {
    if ask.whose() == Whose::Operators && !peer.is_operator() {
        let mut message = "only root may, and the user of the daemon".to_owned();
        if let Ask::Explain { .. } = ask {
            message += "; of a process of your own ask with --pid, of this command with --self";
        }
        return Reply::Once(Answer::Refused { message });
    }
    tracing::debug!(uid = peer.uid(), pid = peer.tid().0, ?ask, "asked on the control socket");
    Reply::Once(match ask {
        Ask::Reload { config } => operator.reload(Some(&config)).await,
        Ask::Whoami => operator.whoami(&peer).await,
        Ask::Explain { path, whom } => operator.explain(&peer, &path, &whom).await,
        Ask::Status => operator.status().await,
        Ask::Readers => operator.readers().await,
        Ask::Evict { which } => operator.evict(&peer, &which).await,
        Ask::Refresh { which } => return operator.refresh(Arc::new(peer), which).await,
        Ask::Watch { path } => return operator.watch(Arc::new(peer), path).await,
    })
}

fn line(answer: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}
