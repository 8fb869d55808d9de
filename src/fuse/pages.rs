//! The pages of a file that the kernel keeps all the same.
//!
//! Direct I/O takes read(2) past the page cache, but not sendfile, splice and private mappings (`fuse_splice_read` and
//! `fuse_file_mmap` of Linux; measured on 6.18). The pages belong to the file, not to a handle: who holds a descriptor gets
//! from them what another was given, without a question; and no more than the size that the kernel was told last, by
//! whatever stat. So the kernel is told two things, from a thread of its own, since both wait for pages that are being read:
//! the size of what was opened, where it knows a smaller one, and to drop what was filled a moment ago.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};
use tokio::sync::oneshot;

use super::notify::report;

/// How long pages stay. Who maps a file has to find the page that was filled for him, and asks again until then: were it
/// dropped at once, it could be for ever.
const STAY: Duration = Duration::from_millis(10);
const PAGE: u64 = 4096;

/// The queue to that thread.
pub(super) struct Pages(Sender<Change>);

/// Its other end, until the kernel can be spoken to.
pub(super) struct Queue(Receiver<Change>);

enum Change {
    Size { ino: INodeNo, size: u64, _told: oneshot::Sender<()> },
    Filled(INodeNo),
}

pub(super) fn queue() -> (Pages, Queue) {
    let (queue, inbox) = mpsc::channel();
    (Pages(queue), Queue(inbox))
}

impl Pages {
    /// Has the kernel know that the file is no smaller than `size`. What is returned is ready (with an error, which means
    /// nothing) when it does.
    pub(super) fn grow(&self, ino: INodeNo, size: u64) -> oneshot::Receiver<()> {
        let (told, ready) = oneshot::channel();
        let _ = self.0.send(Change::Size { ino, size, _told: told });
        ready
    }

    /// Has the kernel drop the pages of the file soon: some are being filled.
    pub(super) fn filled(&self, ino: INodeNo) {
        let _ = self.0.send(Change::Filled(ino));
    }
}

impl Queue {
    pub(super) fn start(self, notifier: Notifier) -> std::io::Result<()> {
        std::thread::Builder::new().name("notify-pages".into()).spawn(move || self.serve(&notifier))?;
        Ok(())
    }

    fn serve(&self, notifier: &Notifier) {
        let mut filled: HashMap<INodeNo, Instant> = HashMap::new();
        loop {
            let next = filled.values().min().map(|due| due.saturating_duration_since(Instant::now()));
            match next.map_or_else(|| self.0.recv().map_err(Into::into), |wait| self.0.recv_timeout(wait)) {
                Ok(Change::Size { ino, size, _told }) => {
                    grow(notifier, ino, size);
                    filled.remove(&ino);
                }
                Ok(Change::Filled(ino)) => {
                    filled.entry(ino).or_insert_with(|| Instant::now() + STAY);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            filled.extract_if(|_, due| *due <= now).for_each(|(ino, _)| drop_pages(notifier, ino));
        }
    }
}

/// A byte that is stored behind the end moves the end, as a write would. It must not start a page: the kernel would take
/// that for the whole page and show it. One byte too much does no harm, the next read finds the end. The pages then go,
/// since what was an end with nothing behind it is one no more.
fn grow(notifier: &Notifier, ino: INodeNo, size: u64) {
    let last = size.saturating_sub(1);
    let at = if last.is_multiple_of(PAGE) { last + 1 } else { last };
    report(notifier.store(ino, at, &[0]));
    drop_pages(notifier, ino);
}

fn drop_pages(notifier: &Notifier, ino: INodeNo) {
    report(notifier.inval_inode(ino, 0, 0));
}
