//! Tells the kernel what to forget, from threads of its own: a notification may wait for a directory that is being read.

use std::sync::mpsc;

use fuser::{INodeNo, Notifier};

use crate::fs::Renamed;

/// The queues to those threads.
///
/// Names have one of their own: to forget a name the kernel takes the directory for itself, and whoever reads the directory
/// into memory that does not answer (a mapping of a FUSE file of his own) so holds it up for as long as he likes. A stale
/// name does no harm, since what it leads to is asked for; an owner or mode that was taken back must get through.
pub struct Notifications {
    names: mpsc::Sender<Vec<Renamed>>,
    inodes: mpsc::Sender<Vec<Renamed>>,
}

impl Notifications {
    pub(super) fn start(notifier: Notifier) -> std::io::Result<Self> {
        let (names, inodes) = (start("notify-names", notifier.clone())?, start("notify", notifier)?);
        Ok(Self { names, inodes })
    }

    /// Has the kernel forget these.
    pub fn send(&self, changes: Vec<Renamed>) {
        let (inodes, names) = changes.into_iter().partition(|change| matches!(change, Renamed::Inode(_)));
        let _ = self.inodes.send(inodes);
        let _ = self.names.send(names);
    }
}

fn start(name: &str, notifier: Notifier) -> std::io::Result<mpsc::Sender<Vec<Renamed>>> {
    let (queue, inbox) = mpsc::channel::<Vec<Renamed>>();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        for change in inbox.into_iter().flatten() {
            let told = match &change {
                Renamed::Entry { parent, name } => notifier.inval_entry(INodeNo(parent.0), name.as_ref()),
                // The attributes alone: pages may be waited for.
                Renamed::Inode(ino) => notifier.inval_inode(INodeNo(ino.0), -1, 0),
            };
            // ENOENT: the kernel did not remember it.
            if let Err(error) = told
                && error.raw_os_error() != Some(libc::ENOENT)
            {
                tracing::debug!(%error, "the kernel was not told of a change");
            }
        }
    })?;
    Ok(queue)
}
