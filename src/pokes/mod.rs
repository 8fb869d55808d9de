//! Tells who watches a file (inotify, fanotify) that its content changed, as a write does on a disk.
//!
//! The kernel makes such an event for what is done through a mount, and for nothing that a FUSE server tells it (measured on
//! Linux 6.18). So one byte is written through the private writable mount of the same file system, and thrown away. That is
//! done by a process of its own, which has no descriptor of the FUSE device: who waits for an answer that he has to give
//! himself cannot be killed.
//!
//! ```text
//!  mod.rs      what waits to be announced
//!  keeper.rs   the thread that starts the process, asks it, and starts it again
//!  process.rs  the process, as its parent sees it
//!  serve.rs    what runs in the process
//!  packet.rs   what they say to each other
//! ```

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

mod keeper;
mod packet;
mod process;
mod serve;

use keeper::Keeper;
pub use serve::serve;

/// The process that may write, by the id that the kernel gives with its requests. It is our child and not reaped while it
/// stands here, so that nobody else can have its id.
#[derive(Debug, Default)]
pub struct Poker {
    /// 0 while there is none.
    id: AtomicU32,
}

impl Poker {
    /// Whether a request of this thread is one of that process, which has but one.
    pub fn is(&self, tid: u32) -> bool {
        tid != 0 && tid == self.id.load(Ordering::Acquire)
    }

    fn set(&self, id: u32) {
        self.id.store(id, Ordering::Release);
    }
}

/// Announces changes. Never waits.
pub struct Pokes {
    queue: Arc<Queue>,
}

/// What waits to be announced: each file once, however often it changes meanwhile.
struct Queue {
    /// Paths, and how many processes failed over each.
    waiting: Mutex<HashMap<String, u32>>,
    /// Readable while something waits.
    wake: OwnedFd,
}

impl Pokes {
    /// Starts what announces through `private`, by processes that `start` makes. Who serves the file system must take the
    /// writes of `poker` and of nobody else.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        start: impl Fn() -> Command + Send + 'static,
        private: OwnedFd,
        poker: Arc<Poker>,
    ) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let queue = Arc::new(Queue { waiting: Mutex::default(), wake });
        let keeper = Keeper::new(Box::new(start), private, poker, Arc::clone(&queue));
        // A thread of its own, and of the standard library: its children end with it.
        std::thread::Builder::new().name("pokes".into()).spawn(move || keeper.run())?;
        Ok(Self { queue })
    }

    /// Announces that the file at `path` (scope and name, as below the mount) shows something else from now on.
    pub fn changed(&self, path: &str) {
        self.queue.put(path.to_owned(), 0);
    }
}

impl Queue {
    fn put(&self, path: String, failed: u32) {
        self.waiting.lock().entry(path).or_insert(failed);
        // Full means that it is readable.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// All that waits. From here on a change of the same files waits anew.
    fn take(&self) -> HashMap<String, u32> {
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        std::mem::take(&mut *self.waiting.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_there_is_no_process_nobody_is_it() {
        let poker = Poker::default();
        assert!(!poker.is(0) && !poker.is(7));
        poker.set(7);
        assert!(poker.is(7) && !poker.is(0));
    }

    #[test]
    fn a_file_that_changes_often_waits_once_and_anew_after_it_was_taken() {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let queue = Queue { waiting: Mutex::default(), wake };
        for _ in 0..3 {
            queue.put("a/token".into(), 0);
        }
        assert_eq!(queue.take().len(), 1);
        assert!(queue.take().is_empty());
        queue.put("a/token".into(), 0);
        assert_eq!(queue.take().len(), 1);
    }
}
