//! systemd's journal, by its native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): one datagram for each line.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Sink, StartError};
use crate::audit::line::{self, Line};

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Marks an entry as an audit record for good (`journalctl MESSAGE_ID=...`).
const MESSAGE_ID: &str = "5b7f0e0c6a3d4d6f9a6c1e2b8d47f031";

/// The longest text in a field, in bytes. Escaped six-fold in JSON, all of them still fit one datagram (208 KiB by default).
const FIELD_MAX: usize = 1024;

/// How long a full socket is waited for before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket to the journal.
pub(in crate::audit) struct Journal {
    socket: UnixDatagram,
    /// Named with each datagram, so that a journal that was restarted is found again.
    path: PathBuf,
    waiting: VecDeque<Vec<u8>>,
}

impl Journal {
    /// Checks that somebody listens at `path`.
    pub(in crate::audit) fn open(path: &Path) -> Result<Self, StartError> {
        let open = || {
            UnixDatagram::unbound()?.connect(path)?;
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let socket = open().map_err(|error| StartError::Journal { path: path.to_owned(), error })?;
        Ok(Self { socket, path: path.to_owned(), waiting: VecDeque::new() })
    }
}

impl Sink for Journal {
    fn add(&mut self, mut line: Line) {
        line.shorten(FIELD_MAX);
        self.waiting.push_back(datagram(&line));
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(datagram) = self.waiting.front() {
            match self.socket.send_to(datagram, &self.path) {
                Ok(_) => drop(self.waiting.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One entry.
fn datagram(line: &Line) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut json = Vec::with_capacity(512);
    line.append_to(&mut json);
    json.pop_if(|last| *last == b'\n');
    field(&mut out, "MESSAGE", line.sentence().as_bytes());
    field(&mut out, "MESSAGE_ID", MESSAGE_ID.as_bytes());
    field(&mut out, "PRIORITY", line::level(line).to_string().as_bytes());
    field(&mut out, "SYSLOG_IDENTIFIER", b"hushfs");
    field(&mut out, "HUSHFS_RECORD", &json);
    if let Line::Record(record) = line {
        field(&mut out, "HUSHFS_OUTCOME", line::word(record.outcome).as_bytes());
        field(&mut out, "HUSHFS_OP", line::word(record.op).as_bytes());
        field(&mut out, "HUSHFS_UID", record.uid.to_string().as_bytes());
        field(&mut out, "HUSHFS_PID", record.pid.to_string().as_bytes());
        if record.learned {
            field(&mut out, "HUSHFS_LEARNED", b"true");
        }
        let texts = [
            ("HUSHFS_PATH", &record.path),
            ("HUSHFS_SCOPE", &record.scope),
            ("HUSHFS_EXE", &record.exe),
            ("HUSHFS_UNIT", &record.unit),
            ("HUSHFS_CONTAINER", &record.container),
            ("HUSHFS_RULE", &record.rule),
            ("HUSHFS_REASON", &record.reason),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            field(&mut out, name, text.as_bytes());
        }
    }
    out
}

/// `NAME=value`, or with the length in front where the value has line breaks: so no value can pass for another field.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}
