//! The pages of a file that the kernel keeps all the same.
//!
//! Direct I/O takes read(2) past the page cache, but a mapping reads by it, and so would sendfile and splice
//! (`fuse_splice_read` and `fuse_file_mmap` of Linux; measured on 6.18). The pages belong to the file, not to a handle: who holds
//! a descriptor gets from them what another was given, without a question, as long and no longer than the size that was last
//! told to whomever. Sendfile and splice are refused for that (`fs::ReadTo`): programs then read. A mapping cannot be refused, so
//! its pages are dropped a moment after they were filled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};
use parking_lot::{Condvar, Mutex};

use super::notify::report;

/// How long pages stay. Who maps a file has to find the page that was filled for him, and asks again until then: were it
/// dropped at once, it could be for ever.
const STAY: Duration = Duration::from_millis(10);

/// The files with pages, and when these are to go. At most as many as there are files, whatever is asked.
#[derive(Default)]
pub(super) struct Pages {
    filled: Mutex<HashMap<INodeNo, Instant>>,
    more: Condvar,
}

impl Pages {
    /// Has the kernel drop the pages of the file soon: some are being filled.
    pub(super) fn filled(&self, ino: INodeNo) {
        self.filled.lock().entry(ino).or_insert_with(|| Instant::now() + STAY);
        self.more.notify_one();
    }

    /// Starts the thread that drops them: one of its own, since it waits for pages that are being read.
    pub(super) fn drop_by(self: Arc<Self>, notifier: Notifier) -> std::io::Result<()> {
        let drops = move || {
            loop {
                for ino in self.due() {
                    report(notifier.inval_inode(ino, 0, 0));
                }
            }
        };
        std::thread::Builder::new().name("notify-pages".into()).spawn(drops)?;
        Ok(())
    }

    /// Waits for the next ones.
    fn due(&self) -> Vec<INodeNo> {
        let mut filled = self.filled.lock();
        loop {
            let now = Instant::now();
            let due: Vec<_> = filled.extract_if(|_, due| *due <= now).map(|(ino, _)| ino).collect();
            if !due.is_empty() {
                return due;
            }
            match filled.values().min().copied() {
                None => self.more.wait(&mut filled),
                Some(next) => drop(self.more.wait_until(&mut filled, next)),
            }
        }
    }
}
