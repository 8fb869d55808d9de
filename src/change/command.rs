//! `run`: runs a program, which is told what has changed and never a value.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Change;
use crate::program::{Program, Stop};
use crate::sandbox::Account;
use crate::words::printable;

/// Bytes of what a program says that go to the log.
const LOGGED: usize = 4096;

/// A program and how it is run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// Its file, absolute.
    pub path: PathBuf,
    /// What it is given.
    pub args: Vec<String>,
    /// Whom it is to be; `None` is who we are.
    pub account: Option<Account>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Command {
    /// Runs it for one change. What it says goes to the log, as far as that is not too long.
    pub(super) async fn run(&self, change: &Change) -> Result<String, String> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = self
            .program(change)
            .run(b"", |bytes, _| keep(&mut out, bytes), |bytes, _| keep(&mut err, bytes))
            .await;
        for (stream, text) in [("stdout", &out), ("stderr", &err)] {
            if !text.is_empty() {
                let text = printable(String::from_utf8_lossy(text).trim_end());
                tracing::info!(program = %self.path.display(), path = change.path, stream, "it said: {text}");
            }
        }
        let program = self.path.display();
        match ended {
            Ok(status) if status.success() => Ok(format!("{program} ran: exit code 0")),
            Ok(status) => Err(match status.code() {
                Some(code) => format!("{program} failed: exit code {code}"),
                None => format!("{program} failed: {status}"),
            }),
            Err(Stop::Start(error)) => Err(format!("{program} cannot be started: {error}")),
            Err(Stop::Late) => {
                Err(format!("{program} did not end within {:?} (`timeout`), and was killed", self.timeout))
            }
            Err(Stop::Io(error)) => Err(format!("{program} cannot be heard: {error}")),
            Err(Stop::TooLong) => Err(format!("{program} said too much")),
        }
    }

    fn program(&self, change: &Change) -> Program {
        let old = change.old.as_ref().map(|old| ("HUSHFS_OLD_VERSION", old));
        let new = (!change.new.is_empty()).then_some(("HUSHFS_VERSION", &change.new));
        let told = [Some(("HUSHFS_PATH", &change.path)), new, old];
        let variable = |(name, value): (&str, &String)| (OsString::from(name), OsString::from(value));
        Program {
            path: self.path.clone(),
            args: self.args.clone(),
            account: self.account,
            directory: PathBuf::from("/"),
            environment: told.into_iter().flatten().map(variable).collect(),
            timeout: self.timeout,
        }
    }
}

/// Keeps the beginning. The rest is read and dropped, so that whoever writes much does not wait for ever.
fn keep(all: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Stop> {
    let room = LOGGED.saturating_sub(all.len()).min(bytes.len());
    all.extend_from_slice(bytes.get(..room).unwrap_or_default());
    Ok(())
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", self.path.display())
    }
}
