//! The control socket: how the command line speaks to the daemon.
//!
//! One JSON object on one line each way. Everybody on the host can connect. Each verb declares who may use it, and who a peer
//! is the kernel says ([`Peer`]), not the peer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::explain::{Explained, Seen, Whom};

mod listener;
mod peer;
mod places;

pub use listener::Listener;
pub use peer::Peer;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verb")]
pub enum Ask {
    /// Read the configuration again.
    Reload {
        /// The file that is meant: a daemon that serves another refuses.
        config: PathBuf,
    },
    /// What is seen of the process that asks?
    Whoami,
    /// What would become of an open, and why?
    Explain {
        /// `scope/name`, or the absolute path below the mount.
        path: String,
        /// By whom.
        whom: Whom,
    },
}

/// Whose business a verb is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Root's, and that of the user the daemon runs as.
    Operators,
    /// Everybody's: it tells only of the process that asks, or of processes of its uid.
    Everybody,
}

impl Ask {
    fn whose(&self) -> Whose {
        match self {
            Self::Whoami | Self::Explain { whom: Whom::Itself | Whom::Pid(_), .. } => Whose::Everybody,
            Self::Reload { .. } => Whose::Operators,
            Self::Explain { whom: Whom::Unit(_) | Whom::Container(_), .. } => Whose::Operators,
        }
    }
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
    /// Who asks.
    Seen {
        /// What is seen of it.
        caller: Box<Seen>,
    },
    /// Why.
    Explained(Explained),
}

/// Does what is asked.
#[async_trait::async_trait]
pub trait Operator: Send + Sync {
    /// Reads the configuration again, if it is the one that is meant.
    async fn reload(&self, meant: Option<&Path>) -> Answer;
    /// Tells a peer what is seen of it.
    async fn whoami(&self, peer: &Peer) -> Answer;
    /// Explains what would become of an open of `path`; to who is no operator, only of his own processes.
    async fn explain(&self, peer: &Peer, path: &str, whom: &Whom) -> Answer;
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
    match stream.write_all(&line) {
        // Turned away before it was heard: why is there to be read.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}
