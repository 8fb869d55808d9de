//! The standard error stream: under systemd that is the journal, in a container the container's log.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::Sink;
use super::buffer::Buffer;
use crate::audit::line::Line;

/// An open stream.
pub(in crate::audit) struct Stream {
    /// A descriptor of its own: the lock of `std::io::stderr` would make everybody who logs wait for a stuck reader.
    out: OwnedFd,
    buffer: Buffer,
}

impl Stream {
    /// The process's standard error.
    pub(super) fn stderr() -> io::Result<Self> {
        Ok(Self::new(io::stderr().as_fd().try_clone_to_owned()?))
    }

    /// Any stream.
    pub(in crate::audit) fn new(out: OwnedFd) -> Self {
        Self { out, buffer: Buffer::default() }
    }
}

impl Sink for Stream {
    fn add(&mut self, line: Line) {
        self.buffer.add(&line);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.write_pieces(&self.out, libc::PIPE_BUF)
    }
}
