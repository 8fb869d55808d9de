//! A program with bounds: user, environment, time, output.
//!
//! For whatever starts a program that an operator named: no shell, nothing inherited, and never waited for without an end.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::sandbox::Account;
use crate::sys::program;

/// How long output is read after the program's end, where something that it left behind holds it open.
const AFTER: Duration = Duration::from_millis(200);

/// A program and how it is run.
#[derive(Debug)]
pub struct Program {
    /// Its file, absolute.
    pub path: PathBuf,
    /// What it is given.
    pub args: Vec<String>,
    /// Whom it is to be; `None` is who we are.
    pub account: Option<Account>,
    /// Where it starts.
    pub directory: PathBuf,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Why there is no exit status.
#[derive(Debug)]
pub enum Stop {
    /// It cannot be started.
    Start(io::Error),
    /// It said more than whoever reads takes.
    TooLong,
    /// It cannot be heard.
    Io(io::Error),
    /// It did not end in time, and was killed.
    Late,
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
    /// Runs it with this input. `said` gets each piece of its standard output, and how much that is so far; `complained` those of
    /// its standard error.
    ///
    /// # Errors
    /// A [`Stop`], also one that `said` or `complained` gives. Then it runs no more.
    pub async fn run(
        &self,
        input: &[u8],
        said: impl FnMut(&[u8], usize) -> Result<(), Stop>,
        complained: impl FnMut(&[u8], usize) -> Result<(), Stop>,
    ) -> Result<ExitStatus, Stop> {
        let mut running = Running(self.command().spawn().map_err(Stop::Start)?);
        let lost = || Stop::Io(io::Error::other("a pipe to the program is missing"));
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
        let answer = read(&mut stdout, ended.clone(), said);
        let complaint = read(&mut stderr, ended, complained);
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
        });
        done.await.unwrap_or(Err(Stop::Late))
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
        program::open_few_files(&mut command);
        program::inherit_nothing(&mut command);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }
}

/// Reads to the end, or to a moment after the program's end. `take` gets what was read, and how much it is so far.
async fn read(
    from: &mut (impl AsyncRead + Unpin),
    mut ended: watch::Receiver<bool>,
    mut take: impl FnMut(&[u8], usize) -> Result<(), Stop>,
) -> Result<(), Stop> {
    // Not in the future itself, which is moved from hand to hand.
    let mut chunk = Zeroizing::new(vec![0; 16 * 1024]);
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
