//! Finding the daemon and asking it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{ConfigArg, Failure, check};
use crate::config::{self, Config};
use crate::control::{self, Answer, Ask};
use crate::mount;
use crate::words::printable;

/// How long the daemon may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Which daemon.
#[derive(Debug, clap::Args)]
pub(super) struct SocketArg {
    #[command(flatten)]
    config: ConfigArg,
    /// Control socket of the daemon to ask
    ///
    /// Default: the one that the configuration names. For whoever may not read the configuration, the mount's path with
    /// .sock added.
    #[arg(long, value_name = "SOCKET", env = "HUSHFS_CONTROL")]
    control: Option<PathBuf>,
}

/// Which daemon, or none.
#[derive(Debug, clap::Args)]
pub(super) struct DaemonArg {
    #[command(flatten)]
    of: SocketArg,
    /// Go by the configuration file alone, whether a daemon runs or not
    #[arg(long)]
    offline: bool,
}

/// What came of asking.
pub(super) enum Asked {
    /// The daemon's answer.
    Answered(Answer),
    /// None is running, or none is to be asked; the configuration to go by.
    Alone(Box<Config>),
    /// The configuration is wrong, which is said already.
    Wrong(ExitCode),
}

impl DaemonArg {
    /// Asks the daemon that serves `path`, an absolute path or `scope/name`.
    pub(super) fn ask(&self, path: Option<&Path>, ask: &Ask) -> Result<Asked, Failure> {
        if let Some(control) = self.of.control.as_ref().filter(|_| !self.offline) {
            return answered(control, ask);
        }
        if !self.offline && !self.of.config.is_there() {
            return answered(&by_mount(path, &self.of.config.path())?, ask);
        }
        let config = match config::load(&self.of.config.path()) {
            Ok(config) => config,
            Err(problems) => return Ok(Asked::Wrong(check::refuse(&problems))),
        };
        if self.offline {
            return Ok(Asked::Alone(Box::new(config)));
        }
        match control::ask(&config.control, ask, PATIENCE) {
            Ok(answer) => Ok(Asked::Answered(answer)),
            Err(error) if nobody_listens(&error) => Ok(Asked::Alone(Box::new(config))),
            Err(error) => Err(does_not_answer(&config.control, &error)),
        }
    }
}

impl SocketArg {
    /// Where the daemon listens that serves `path`, an absolute path or `scope/name`; for what only a daemon can do. A
    /// configuration that is wrong by now does not hide a daemon that runs.
    pub(super) fn find(&self, path: Option<&Path>) -> Result<PathBuf, Failure> {
        if let Some(control) = &self.control {
            return Ok(control.clone());
        }
        if !self.config.is_there() {
            return by_mount(path, &self.config.path())
                .map_err(|none| none.hint("is it running? name its control socket with --control, or its configuration with --config"));
        }
        match config::load(&self.config.path()) {
            Ok(config) => Ok(config.control),
            Err(_) => by_mount(path, &self.config.path()).map_err(|_| {
                let config = self.config.path();
                Failure::new(format!(
                    "the configuration {} is wrong or not there, so it cannot tell where hushfs listens",
                    config.display()
                ))
                .hint("`hushfs check` says what is wrong; or name the daemon's socket with --control")
            }),
        }
    }
}

impl DaemonArg {
    /// Why a command goes by this configuration and not by a daemon's word.
    pub(super) fn why_alone(&self, config: &Config) -> String {
        let asked = match self.offline {
            true => "no daemon was asked (--offline)".to_owned(),
            false => format!("no daemon was asked: none listens at {}", config.control.display()),
        };
        format!("{asked}; judged by {}", config.path.display())
    }
}

fn answered(control: &Path, ask: &Ask) -> Result<Asked, Failure> {
    control::ask(control, ask, PATIENCE).map(Asked::Answered).map_err(|error| {
        does_not_answer(control, &error)
            .hint("is it running? `systemctl status hushfs`; who may read its configuration needs no daemon: --config FILE --offline")
    })
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The socket beside the mount that `path` lies below, or beside the only one there is.
fn by_mount(path: Option<&Path>, config: &Path) -> Result<PathBuf, Failure> {
    let hint = "name its control socket with --control, or its configuration with --config";
    let mut seen = mount::seen()
        .map_err(|error| Failure::new(format!("the list of mounts cannot be read: {error}")).hint(hint))?;
    seen.sort();
    seen.dedup();
    if let Some(path) = path.filter(|path| path.is_absolute()) {
        seen.retain(|mount| path.starts_with(mount));
    }
    match seen.as_slice() {
        [mount] => {
            let mut control = mount.as_os_str().to_owned();
            control.push(".sock");
            Ok(control.into())
        }
        [] => {
            let message = format!(
                "no mount of hushfs is seen, beside which its control socket would be, and the configuration {} cannot be read",
                config.display()
            );
            Err(Failure::new(message)
                .hint(format!("{hint}; with --config FILE it works without a daemon as well")))
        }
        several => {
            let names: Vec<_> = several.iter().map(|mount| printable(&mount.to_string_lossy())).collect();
            let message = format!("several mounts of hushfs are seen: {}", names.join(", "));
            Err(Failure::new(message).hint(hint))
        }
    }
}

/// Nobody listens at the socket, or what does is not understood.
pub(super) fn does_not_answer(control: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("no hushfs answers at `{}`: {error}", control.display()))
        .hint("is it running with this configuration? `systemctl status hushfs`, or start `hushfs mount`")
}

/// The failure that an answer is which is not the one hoped for.
pub(super) fn unexpected(answer: Answer) -> Failure {
    match answer {
        Answer::Refused { message } | Answer::Wrong { message } => Failure::new(message),
        _ => Failure::new("the daemon answers something else")
            .hint("is it of the same version as this command?"),
    }
}
