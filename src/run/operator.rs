//! What the control socket can ask of the daemon.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use crate::control::{Answer, Operator, Peer, Reply, Which};
use crate::explain::{self, Asked, Explained, Explanation, JudgedBy, OUTDATED, Place, View, Whom};

/// What is said to a peer that ended or became somebody else while it was looked at.
const CHANGED: &str = "the process that asked is another one by now";

/// How long the files of the configuration are looked at.
const LOOKING: Duration = Duration::from_secs(2);

#[async_trait::async_trait]
impl Operator for Daemon {
    async fn reload(&self, meant: Option<&Path>) -> Answer {
        self.reload_meant(meant).await
    }

    async fn whoami(&self, peer: &Peer) -> Answer {
        match explain::whoami(self.access.attestor(), peer.tid()).await {
            Ok(seen) if is_about(peer, seen.uid) => Answer::Seen { caller: Box::new(seen) },
            Ok(_) => Answer::Refused { message: CHANGED.into() },
            Err(why) => Answer::Refused { message: why.to_string() },
        }
    }

    async fn explain(&self, peer: &Peer, path: &str, whom: &Whom) -> Answer {
        match self.explained(peer, path, whom).await {
            Ok(explained) => Answer::Explained(explained),
            Err(message) => Answer::Refused { message },
        }
    }

    async fn status(&self) -> Answer {
        Answer::Status(Box::new(self.report().await))
    }

    async fn readers(&self) -> Answer {
        Answer::Readers(self.who_reads())
    }

    async fn refresh(self: Arc<Self>, peer: Arc<Peer>, which: Which) -> Reply {
        self.refresh_all(peer, which)
    }

    async fn evict(&self, peer: &Peer, which: &Which) -> Answer {
        self.evict_all(peer, which)
    }

    async fn watch(self: Arc<Self>, peer: Arc<Peer>, path: String) -> Reply {
        self.watch_path(peer, path).await
    }
}

impl Daemon {
    pub(super) async fn explained(&self, peer: &Peer, path: &str, whom: &Whom) -> Result<Explained, String> {
        let outdated = match peer.is_operator() {
            true => self.is_outdated().await,
            false => None,
        };
        // The commonest reason why something is not there that stands in the file.
        let explain = |why: String| if outdated == Some(true) { format!("{why}; {OUTDATED}") } else { why };
        // The scope as it is in force, with the executables that its rules hold.
        let place =
            Place::find(&self.state.lock().config, path).map_err(|error| explain(error.to_string()))?;
        let counted = |process, path: &str| self.access.reads(process, path);
        let asked = Asked {
            place: &place,
            view: if peer.is_operator() { View::Whole } else { View::Own },
            only_of: (!peer.is_operator()).then(|| peer.uid()),
            judged_by: JudgedBy::Daemon,
            served_by: rustix::process::geteuid().as_raw(),
            outdated,
            now: jiff::Timestamp::now(),
            counted: Some(&counted),
        };
        let explained =
            explain::answer(self.access.attestor(), &asked, whom, peer.tid()).await.map_err(explain)?;
        let about_itself = |one: &Explanation| is_about(peer, one.caller.uid);
        match whom {
            Whom::Itself if !explained.explanations.iter().all(about_itself) => Err(CHANGED.to_owned()),
            _ => Ok(explained),
        }
    }
}

impl Daemon {
    /// Whether the files of the configuration in force have been changed since; `None` where a disk does not tell in time.
    async fn is_outdated(&self) -> Option<bool> {
        let (path, print) = {
            let state = self.state.lock();
            (state.config.path.clone(), state.config.print.clone())
        };
        let look = tokio::task::spawn_blocking(move || print.is_outdated(&path));
        tokio::time::timeout(LOOKING, look).await.ok()?.ok()
    }
}

/// Whether what was seen, of a process with that uid, is about the peer: it lives still, and did not become somebody else.
fn is_about(peer: &Peer, uid: u32) -> bool {
    peer.lives() && peer.uid() == uid
}
