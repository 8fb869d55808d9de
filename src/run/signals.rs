//! SIGTERM and SIGINT end, SIGHUP reloads.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(super) enum Event {
    /// To end, by which signal.
    End(&'static str),
    /// To read the configuration again.
    Reload,
}

/// The signals that mean something to the daemon.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::End("SIGTERM"),
            _ = self.interrupt.recv() => Event::End("SIGINT"),
            _ = self.hang_up.recv() => Event::Reload,
        }
    }
}
