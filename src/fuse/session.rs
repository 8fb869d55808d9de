//! The event loop over a FUSE descriptor that somebody else mounted.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use fuser::{Config, SessionACL};
use tokio::runtime::Handle;

use super::adapter::Adapter;
use super::handshake::without_async_read;
use super::notify::Notifications;
use super::pages::Pages;
use crate::fs::Fs;
use crate::pokes::Poker;

/// A session that has shaken hands with the kernel and does not answer yet.
pub struct Session {
    inner: fuser::Session<Adapter>,
    notifications: Notifications,
}

/// The running event loop. It ends when the file system is unmounted or the process ends.
pub struct Workers {
    /// Where to say what the kernel should forget.
    pub notifications: Notifications,
    /// The thread that waits for the workers.
    pub thread: JoinHandle<io::Result<()>>,
}

impl Session {
    /// Answers the kernel's INIT on `fd`. Later answers run on `runtime`. What `poker` writes is taken, and thrown away.
    ///
    /// # Errors
    /// When the descriptor is no FUSE device or the kernel is too old.
    pub fn new(fs: Arc<Fs>, fd: OwnedFd, runtime: Handle, poker: Arc<Poker>) -> io::Result<Self> {
        let mut config = Config::default();
        // fuser's own check would look at the uid alone; who may ask is for the kernel's mode bits and the rules.
        config.acl = SessionACL::All;
        config.n_threads =
            Some(std::thread::available_parallelism().map_or(2, |cpus| cpus.get().clamp(2, 4)));
        let pages = Arc::<Pages>::default();
        let adapter = Adapter::new(fs, runtime, Arc::clone(&pages), poker);
        let inner =
            without_async_read(&fd, |fd| fuser::Session::from_fd(adapter, fd, SessionACL::All, config))?;
        pages.drop_by(inner.notifier())?;
        let notifications = Notifications::start(inner.notifier())?;
        Ok(Self { inner, notifications })
    }

    /// Starts answering.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn run(self) -> io::Result<Workers> {
        let Self { inner, notifications } = self;
        let thread = std::thread::Builder::new().name("fuse".into()).spawn(move || inner.run())?;
        Ok(Workers { notifications, thread })
    }
}
