//! Where lines go: one file for each kind of sink, and a line in [`open`].
//!
//! A sink keeps what it could not hand over, so that trying again neither repeats nor tears a line. Only the writer
//! thread calls it; it may block.

use std::io;
use std::path::PathBuf;

use crate::config::checked::AuditSink;

use super::line::Line;

mod buffer;
mod file;
mod journal;
mod stderr;

#[cfg(test)]
pub(super) use journal::Journal;
#[cfg(test)]
pub(super) use stderr::Stream;

/// Something that takes lines.
pub(super) trait Sink: Send {
    /// Buffers a line.
    fn add(&mut self, line: Line);

    /// Hands over what is buffered. After an error, call it again: it goes on where it stopped.
    fn flush(&mut self) -> io::Result<()>;

    /// Opens what it writes to again; if that fails, the old one stays in use.
    fn reopen(&mut self) -> Result<(), StartError> {
        Ok(())
    }
}

/// Opens the sink that the configuration names.
pub(super) fn open(to: &AuditSink) -> Result<Box<dyn Sink>, StartError> {
    Ok(match to {
        AuditSink::Stderr => Box::new(stderr::Stream::stderr().map_err(StartError::Stderr)?),
        AuditSink::File(path) => Box::new(file::File::open(path)?),
        AuditSink::Journal => Box::new(journal::Journal::open(journal::SOCKET.as_ref())?),
    })
}

/// Why the log cannot be opened: for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Standard error is closed.
    #[error("audit records cannot go to standard error: {0}")]
    Stderr(#[source] io::Error),
    /// The file, or its directory, is missing or out of reach.
    #[error("cannot open the audit log {path}: {error}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is a directory, a device, a pipe or a symbolic link.
    #[error("the audit log {path} is not a regular file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else could rewrite it.
    #[error("the audit log {path} belongs to uid {uid}")]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Whose it should be.
        ours: u32,
    },
    /// Somebody else could read or write it.
    #[error("the audit log {path} has mode {mode:04o}: others than its owner may use it")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no journal.
    #[error("cannot reach the journal at {path}: {error}")]
    Journal {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The system has no thread left.
    #[error("cannot start the audit thread: {0}")]
    Thread(#[source] io::Error),
}

/// Whether this host keeps a journal, which takes records and what a unit writes to its standard error.
pub fn keeps_journal() -> bool {
    std::path::Path::new(journal::SOCKET).exists()
}

impl StartError {
    /// What to do about it, one line.
    pub fn hint(&self) -> String {
        match self {
            Self::Stderr(_) => {
                "start hushfs with standard error open, or set another sink in [audit]".to_owned()
            }
            Self::Open { path, .. } => format!(
                "create the directory with `install -d -m 0700 {}`, or name another file in [audit]",
                path.parent().unwrap_or(path).display()
            ),
            Self::NotAFile { path } => {
                format!("name a regular file in [audit], or remove {}", path.display())
            }
            Self::Owner { path, ours, .. } => format!("chown {ours} {}", path.display()),
            Self::Mode { path, .. } => format!("chmod 0600 {}", path.display()),
            Self::Journal { .. } => {
                "this sink needs systemd-journald; set another one in [audit] where there is none".to_owned()
            }
            Self::Thread(_) => "raise the limit on tasks of this service or user".to_owned(),
        }
    }
}
