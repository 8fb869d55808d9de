//! The control socket: how the command line speaks to the daemon.
//!
//! One JSON object on one line says what is asked; one line answers it, or several where the verb goes on. Everybody on the
//! host can connect. Each verb declares who may use it, and who a peer is the kernel says ([`Peer`]), not the peer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::explain::{Explained, Seen, Whom};

mod asking;
mod listener;
mod peer;
mod places;
mod report;

pub use asking::{Lines, ask};
pub use listener::Listener;
pub use peer::Peer;
pub use report::{
    Evicted, MemoryStatus, MountStatus, ProviderRow, ReaderRow, ReadersReport, Refreshed, Report, SecretRow,
    Trouble, VersionSeen,
};

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
    /// How does it go?
    Status,
    /// Who read which version of what, and still runs?
    Readers,
    /// Fetch these again now. Answered with many lines.
    Refresh {
        /// Which.
        which: Which,
    },
    /// Forget these now.
    Evict {
        /// Which.
        which: Which,
    },
    /// Tell of each version of a file as it comes. Answered with lines until the peer goes away.
    Watch {
        /// `scope/name`, or the absolute path below the mount.
        path: String,
    },
}

/// Which secrets are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// All of which anything is known.
    All,
    /// The one of a file (`scope/name`, or the absolute path below the mount), all of a scope, or one by its reference.
    Named(String),
}

impl Which {
    /// As it was typed.
    pub fn written(&self) -> &str {
        match self {
            Self::All => "--all",
            Self::Named(name) => name,
        }
    }
}

/// Whose business a verb is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Root's, and that of the user the daemon runs as.
    Operators,
    /// Everybody's: it tells only of the process that asks, of processes of its uid, or of what it may read.
    Everybody,
}

impl Ask {
    fn whose(&self) -> Whose {
        match self {
            Self::Whoami | Self::Explain { whom: Whom::Itself | Whom::Pid(_), .. } => Whose::Everybody,
            // Who is no operator may watch what the rules let him read.
            Self::Watch { .. } => Whose::Everybody,
            Self::Reload { .. }
            | Self::Status
            | Self::Readers
            | Self::Refresh { .. }
            | Self::Evict { .. } => Whose::Operators,
            Self::Explain { whom: Whom::Unit(_) | Whom::Container(_), .. } => Whose::Operators,
        }
    }

    /// Whether the answer has no end of its own.
    fn stays(&self) -> bool {
        matches!(self, Self::Watch { .. })
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
    /// How it goes.
    Status(Box<Report>),
    /// Who reads.
    Readers(ReadersReport),
    /// So many are being fetched again; a line for each follows, and then [`Answer::Done`].
    Refreshing {
        /// How many.
        secrets: usize,
        /// How long each may take, in milliseconds.
        deadline_millis: u64,
    },
    /// What came of one.
    Refreshed(Refreshed),
    /// What was forgotten.
    Evicted {
        /// Each that was meant.
        secrets: Vec<Evicted>,
    },
    /// A version of what is watched.
    Version(VersionSeen),
}

/// What is answered to one question.
pub enum Reply {
    /// One line.
    Once(Answer),
    /// Lines as they come. Whoever makes them is told that the peer went away by the channel's end.
    Lines(mpsc::Receiver<Answer>),
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
    /// Tells how it goes. From memory alone: whatever hangs does not hold it up.
    async fn status(&self) -> Answer;
    /// Tells who read which version, and still runs.
    async fn readers(&self) -> Answer;
    /// Has secrets fetched again, and tells of each.
    async fn refresh(self: Arc<Self>, peer: Arc<Peer>, which: Which) -> Reply;
    /// Forgets secrets.
    async fn evict(&self, peer: &Peer, which: &Which) -> Answer;
    /// Tells of each version of a file, whoever is no operator only while the rules let it open the file.
    async fn watch(self: Arc<Self>, peer: Arc<Peer>, path: String) -> Reply;
}
