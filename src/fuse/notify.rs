//! Tells the kernel what to forget, from threads of its own: a notification may wait for a directory that is being read.

use std::sync::{Arc, mpsc};

use fuser::{INodeNo, Notifier};
use tokio::sync::oneshot;

use crate::fs::Renamed;

/// The queues to those threads.
///
/// Names have one of their own: to forget a name the kernel takes the directory for itself, and whoever reads the directory
/// into memory that does not answer (a mapping of a FUSE file of his own) so holds it up for as long as he likes. A stale
/// name does no harm, since what it leads to is asked for; an owner or mode that was taken back must get through.
pub struct Notifications {
    names: mpsc::Sender<Batch>,
    inodes: mpsc::Sender<Batch>,
}

/// What the kernel should forget. Who waits is told when nobody holds the sender any more.
type Batch = (Vec<Renamed>, Arc<oneshot::Sender<()>>);

impl Notifications {
    pub(super) fn start(notifier: Notifier) -> std::io::Result<Self> {
        let (names, inodes) = (start("notify-names", notifier.clone())?, start("notify", notifier)?);
        Ok(Self { names, inodes })
    }

    /// Has the kernel forget these. What is returned is ready (with an error, which means nothing) when it has.
    pub fn send(&self, changes: Vec<Renamed>) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let tell = Arc::new(tell);
        let (inodes, names) = changes.into_iter().partition(|change| matches!(change, Renamed::Inode(_)));
        let _ = self.inodes.send((inodes, Arc::clone(&tell)));
        let _ = self.names.send((names, tell));
        told
    }
}

fn start(name: &str, notifier: Notifier) -> std::io::Result<mpsc::Sender<Batch>> {
    let (queue, inbox) = mpsc::channel::<Batch>();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        for (changes, _told) in inbox {
            changes.iter().for_each(|change| tell(&notifier, change));
        }
    })?;
    Ok(queue)
}

fn tell(notifier: &Notifier, change: &Renamed) {
    let told = match change {
        Renamed::Entry { parent, name } => notifier.inval_entry(INodeNo(parent.0), name.as_ref()),
        // The attributes alone: pages may be waited for.
        Renamed::Inode(ino) => notifier.inval_inode(INodeNo(ino.0), -1, 0),
    };
    report(told);
}

/// Says in the log where the kernel would not take a notification.
pub(super) fn report(told: std::io::Result<()>) {
    // ENOENT: the kernel did not remember it.
    if let Err(error) = told
        && error.raw_os_error() != Some(libc::ENOENT)
    {
        tracing::debug!(%error, "the kernel was not told of a change");
    }
}
