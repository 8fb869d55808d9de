//! The control socket: how `hushfs reload` speaks to the daemon.
//!
//! One JSON object on one line each way. Each verb declares who may use it, checked by the kernel's word on the peer, not by
//! what the peer says.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 4096;
/// How long a peer may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verb")]
pub enum Ask {
    /// Read the configuration again.
    Reload {
        /// The file that is meant: a daemon that serves another refuses.
        config: PathBuf,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Answer {
    /// Done.
    Done {
        /// What, in words.
        message: String,
    },
    /// Not done; everything is as before.
    Refused {
        /// Why, in words; may be several lines.
        message: String,
    },
    /// The configuration is wrong; everything is as before.
    Wrong {
        /// One line for each mistake.
        message: String,
    },
}

/// Does what is asked.
#[async_trait::async_trait]
pub trait Operator: Send + Sync {
    /// Reads the configuration again, if it is the one that is meant.
    async fn reload(&self, meant: Option<&Path>) -> Answer;
}

impl Ask {
    /// Whether a peer of that uid may: root, and whoever the daemon runs as.
    fn may(&self, uid: u32) -> bool {
        match self {
            Self::Reload { .. } => uid == 0 || uid == rustix::process::geteuid().as_raw(),
        }
    }
}

/// A socket that is listened on. Dropping it removes it.
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
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
        // Who connects in between is turned away by uid all the same.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers until dropped.
    pub async fn serve(&self, operator: Arc<dyn Operator>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let operator = Arc::clone(&operator);
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, operator).await {
                            tracing::debug!(%error, "a peer of the control socket went away");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(mut stream: UnixStream, operator: Arc<dyn Operator>) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (from, mut to) = stream.split();
    let mut line = String::new();
    let mut from = BufReader::new(from.take(LONGEST));
    tokio::time::timeout(PATIENCE, from.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Ask>(&line) {
        Err(_) => Answer::Refused { message: "not understood".into() },
        Ok(ask) if !ask.may(uid) => {
            Answer::Refused { message: "only root may, and the user of the daemon".into() }
        }
        Ok(Ask::Reload { config }) => operator.reload(Some(&config)).await,
    };
    let mut line = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// Asks the daemon whose socket is at `path`, and waits for its answer for at most `patience`.
///
/// # Errors
/// When nobody listens there, or what is said cannot be understood.
pub fn ask(path: &Path, ask: &Ask, patience: Duration) -> io::Result<Answer> {
    use std::io::{BufRead, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(ask).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}
