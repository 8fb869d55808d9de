//! A process with bounds: user, environment, time, output.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::super::store::Wiping;
use super::ProviderError;
use crate::sandbox::Account;
use crate::sys::program;

/// How long standard output is read after the program's end, where something that it left behind holds it open.
const AFTER: Duration = Duration::from_millis(200);

/// A program and how it is run.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<String>,
    /// Whom it is to be; `None` is who we are.
    pub(super) account: Option<Account>,
    pub(super) directory: PathBuf,
    /// All of its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) timeout: Duration,
    /// The longest output in bytes.
    pub(super) output_max: usize,
}

/// What came of running it.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) output: Zeroizing<Vec<u8>>,
    /// Bytes of standard error.
    pub(super) complained: u64,
}

/// A program that runs. What is dropped before it has ended is killed, with all that it started in its process group.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // None once it has been waited for: its number may be somebody else's by then.
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Program {
    /// Runs it with this input. `path` is the secret asked for, for messages.
    pub(super) async fn run(&self, input: &[u8], path: &str) -> Result<Ended, ProviderError> {
        let mut running = Running(self.command().spawn().map_err(|error| self.cannot_start(&error))?);
        let lost = || ProviderError::unavailable("a pipe to the program is missing");
        let mut stdin = running.0.stdin.take().ok_or_else(lost)?;
        let mut stdout = running.0.stdout.take().ok_or_else(lost)?;
        let mut stderr = running.0.stderr.take().ok_or_else(lost)?;
        let (told, ended) = watch::channel(false);
        let beside = async {
            // Whoever does not read what it is asked may still answer.
            let _ = stdin.write_all(input).await;
            drop(stdin);
            std::future::pending::<Infallible>().await
        };
        let (mut all, mut complained) = (Wiping::default(), 0_u64);
        let answer = read(&mut stdout, ended.clone(), |bytes, len| {
            if len > self.output_max {
                return Err(Stop::TooLong);
            }
            all.write_all(bytes).map_err(Stop::Io)
        });
        // Nothing is kept of it but its length.
        let complaint = read(&mut stderr, ended, |bytes, _| {
            complained = complained.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            Ok(())
        });
        let end = async {
            let status = running.0.wait().await.map_err(Stop::Io);
            let _ = told.send(true);
            status
        };
        let work = async { tokio::try_join!(answer, complaint, end).map(|((), (), status)| status) };
        let done = tokio::time::timeout(self.timeout, async {
            tokio::select! {
                done = work => done,
                never = beside => match never {},
            }
        })
        .await;
        let status = match done {
            Ok(Ok(status)) => status,
            Ok(Err(Stop::TooLong)) => {
                return Err(ProviderError::Malformed(format!(
                    "`{path}`: the program's answer is longer than {} bytes (`output_max`)",
                    self.output_max
                )));
            }
            Ok(Err(Stop::Io(error))) => {
                return Err(ProviderError::unavailable(format!(
                    "`{path}`: the program cannot be heard: {error}"
                )));
            }
            Err(_) => {
                return Err(ProviderError::unavailable(format!(
                    "the program did not answer for `{path}` within {:?} (`timeout`), and was killed",
                    self.timeout
                )));
            }
        };
        if !status.success() || complained > 0 {
            tracing::warn!(program = %self.path.display(), %status, stderr_bytes = complained, "a program complained");
        }
        Ok(Ended { status, output: all.into_inner(), complained })
    }

    /// Why it could not be started.
    pub(super) fn cannot_start(&self, error: &io::Error) -> ProviderError {
        let program = self.path.display();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
                ProviderError::unavailable(format!("the program {program} cannot be started now: {error}"))
            }
            _ => ProviderError::Misconfigured(format!(
                "the program {program} cannot be started: {error}; hint: its user must be able to execute it, and to enter `directory`"
            )),
        }
    }

    fn command(&self) -> Command {
        let mut command = std::process::Command::new(&self.path);
        command.args(&self.args).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.directory).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(Account { uid, gid }) = self.account {
            // In no other group: that much comes with a uid.
            command.gid(gid).uid(uid);
        }
        program::end_with_parent(&mut command);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }
}

/// Why reading stops.
enum Stop {
    TooLong,
    Io(io::Error),
}

/// Reads to the end, or to a moment after the program's end. `take` gets what was read, and how much it is so far.
async fn read(
    from: &mut (impl AsyncRead + Unpin),
    mut ended: watch::Receiver<bool>,
    mut take: impl FnMut(&[u8], usize) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut chunk = Zeroizing::new([0; 16 * 1024]);
    let mut len = 0_usize;
    let late = async {
        // An error is an end as well.
        let _ = ended.wait_for(|ended| *ended).await;
        tokio::time::sleep(AFTER).await;
    };
    tokio::pin!(late);
    loop {
        let count = tokio::select! {
            count = from.read(chunk.as_mut_slice()) => count.map_err(Stop::Io)?,
            () = &mut late => 0,
        };
        if count == 0 {
            return Ok(());
        }
        len = len.saturating_add(count);
        take(chunk.get(..count).unwrap_or_default(), len)?;
    }
}
