//! The command's end of the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, Ask};

/// Asks the daemon whose socket is at `path`, and waits for its answer for at most `patience`.
///
/// # Errors
/// When nobody listens there, or what is said cannot be understood.
pub fn ask(path: &Path, ask: &Ask, patience: Duration) -> io::Result<Answer> {
    Lines::of(path, ask, patience)?.next()?.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// An answer of many lines.
pub struct Lines {
    from: BufReader<UnixStream>,
}

impl Lines {
    /// Asks as [`ask`] does. Each line is waited for for at most `patience`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn of(path: &Path, ask: &Ask, patience: Duration) -> io::Result<Self> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut line = serde_json::to_vec(ask).map_err(io::Error::other)?;
        line.push(b'\n');
        match stream.write_all(&line) {
            // Turned away before it was heard: why is there to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        Ok(Self { from: BufReader::new(stream) })
    }

    /// Waits so long for each line from now on; `None`: for ever.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn wait(&self, patience: Option<Duration>) -> io::Result<()> {
        self.from.get_ref().set_read_timeout(patience)
    }

    /// The next line; `None` once the daemon has no more to say.
    ///
    /// # Errors
    /// When it does not come in time, or cannot be understood.
    #[expect(clippy::should_implement_trait, reason = "a line may fail to come, and others come after it")]
    pub fn next(&mut self) -> io::Result<Option<Answer>> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}
