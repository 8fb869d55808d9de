//! The daemon's end of the socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::places::{Place, Places};
use super::{Answer, Ask, Operator, Peer, Whose};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 4096;
/// How long a peer may take to say what it wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket that is listened on. Dropping it removes it.
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    places: Places,
}

impl Listener {
    /// Listens at `path`, in place of what an earlier daemon left there. The mount's lock must be held, so that no
    /// daemon that lives loses its socket.
    ///
    /// # Errors
    /// As bind(2).
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) => {
                std::fs::remove_file(path)?
            }
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Everybody may ask about himself; each verb checks who asks.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self { listener, path: path.to_owned(), places: Places::default() })
    }

    /// Answers until dropped.
    pub async fn serve(&self, operator: Arc<dyn Operator>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
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
        let place = match peer.is_operator() {
            true => self.places.enter_operator(),
            false => self.places.enter(peer.uid()),
        };
        let Some(place) = place else {
            let message = "too many are asking at once: try again".into();
            stream.try_write(&line(&Answer::Refused { message })?)?;
            return Ok(());
        };
        tokio::spawn(answer(stream, peer, place, Arc::clone(operator)));
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(mut stream: UnixStream, peer: Peer, _place: Place, operator: Arc<dyn Operator>) {
    let (from, mut to) = stream.split();
    let said = async {
        let mut line = String::new();
        BufReader::new(from.take(LONGEST)).read_line(&mut line).await.map(|_| line)
    };
    let done = async {
        let said = tokio::time::timeout(PATIENCE, said).await??;
        let answer = line(&act(&said, &peer, &*operator).await)?;
        tokio::time::timeout(PATIENCE, to.write_all(&answer)).await?
    };
    if let Err(error) = done.await {
        tracing::debug!(%error, "a peer of the control socket went away");
    }
}

/// Does what is asked, if the peer may.
async fn act(said: &str, peer: &Peer, operator: &dyn Operator) -> Answer {
    let Ok(ask) = serde_json::from_str::<Ask>(said) else {
        return Answer::Refused { message: "not understood".into() };
    };
    if ask.whose() == Whose::Operators && !peer.is_operator() {
        let mut message = "only root may, and the user of the daemon".to_owned();
        if let Ask::Explain { .. } = ask {
            message += "; of a process of your own ask with --pid, of this command with --self";
        }
        return Answer::Refused { message };
    }
    tracing::debug!(uid = peer.uid(), pid = peer.tid().0, ?ask, "asked on the control socket");
    match ask {
        Ask::Reload { config } => operator.reload(Some(&config)).await,
        Ask::Whoami => operator.whoami(peer).await,
        Ask::Explain { path, whom } => operator.explain(peer, &path, &whom).await,
    }
}

fn line(answer: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}
