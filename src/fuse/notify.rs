//! Tells the kernel what to forget, from a thread of its own: a notification may wait for a directory that is being read.

use std::sync::mpsc;

use fuser::{INodeNo, Notifier};
use tokio::sync::oneshot;

use crate::fs::Renamed;

/// The queue to that thread.
pub struct Notifications(mpsc::Sender<Batch>);

/// What the kernel should forget, and whom to tell when it has.
type Batch = (Vec<Renamed>, oneshot::Sender<()>);

impl Notifications {
    pub(super) fn start(notifier: Notifier) -> std::io::Result<Self> {
        let (queue, inbox) = mpsc::channel::<Batch>();
        std::thread::Builder::new().name("notify".into()).spawn(move || {
            for (changes, told) in inbox {
                changes.iter().for_each(|change| tell(&notifier, change));
                let _ = told.send(());
            }
        })?;
        Ok(Self(queue))
    }

    /// Has the kernel forget these. What is returned is ready when it has.
    pub fn send(&self, changes: Vec<Renamed>) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let _ = self.0.send((changes, tell));
        told
    }
}

fn tell(notifier: &Notifier, change: &Renamed) {
    let told = match change {
        Renamed::Entry { parent, name } => notifier.inval_entry(INodeNo(parent.0), name.as_ref()),
        Renamed::Inode(ino) => notifier.inval_inode(INodeNo(ino.0), 0, 0),
    };
    // ENOENT: the kernel did not remember it.
    if let Err(error) = told
        && error.raw_os_error() != Some(libc::ENOENT)
    {
        tracing::debug!(%error, "the kernel was not told of a change");
    }
}
