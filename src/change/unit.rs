//! `reload` and `restart`: systemd is asked over D-Bus, and waited for.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;

use zbus::export::futures_core::Stream;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const AT: &str = "/org/freedesktop/systemd1";

/// Jobs of which the end is not looked at yet: others on the host have some as well.
const JOBS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// What systemd is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// To have it read its files again.
    Reload,
    /// To end and start it; to start it where it does not run.
    Restart,
}

/// A unit and what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unit {
    /// What.
    pub verb: Verb,
    /// Its whole name.
    pub name: String,
    /// How long that may take.
    pub timeout: Duration,
}

impl Unit {
    /// Asks, and waits for the end of the job. As root the system's manager is asked, else the user's own.
    pub(super) async fn ask(&self) -> Result<String, String> {
        let (verb, done) = match self.verb {
            Verb::Reload => ("reload", "reloaded"),
            Verb::Restart => ("restart", "restarted"),
        };
        let cannot = |why: String| format!("systemd did not {verb} {}: {why}", self.name);
        let late = |_| cannot(format!("not within {:?} (`timeout`); it may yet", self.timeout));
        match tokio::time::timeout(self.timeout, self.job()).await.map_err(late)? {
            Ok(result) if result == "done" => Ok(format!("{} {done}", self.name)),
            Ok(result) => Err(cannot(format!("its job ended as `{result}`"))),
            Err(error) => Err(cannot(said(&error))),
        }
    }

    /// Starts the job, and gives its result in systemd's word.
    async fn job(&self) -> zbus::Result<String> {
        let bus = match rustix::process::geteuid().is_root() {
            true => Connection::system().await?,
            false => Connection::session().await?,
        };
        // Before the job is there, so that its end cannot be missed.
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(SYSTEMD)
            .path(AT)
            .interface(MANAGER)
            .member("JobRemoved")
            .build()?;
        let mut removed = MessageStream::for_match_rule(rule, &bus, Some(JOBS)).await?;
        bus.call_method(Some(SYSTEMD), AT, Some(MANAGER), "Subscribe", &()).await?;
        let method = match self.verb {
            Verb::Reload => "ReloadUnit",
            Verb::Restart => "RestartUnit",
        };
        let asked = (self.name.as_str(), "replace");
        let answer = bus.call_method(Some(SYSTEMD), AT, Some(MANAGER), method, &asked).await?;
        let job: OwnedObjectPath = answer.body().deserialize()?;
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut removed).poll_next(context)).await;
            let message =
                next.unwrap_or_else(|| Err(zbus::Error::Failure("the connection ended".to_owned())))?;
            let (_, path, _, result): (u32, OwnedObjectPath, String, String) =
                message.body().deserialize()?;
            if path == job {
                return Ok(result);
            }
        }
    }
}

/// What the other end said, else what went wrong.
fn said(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, detail, _) => detail.clone().unwrap_or_else(|| name.to_string()),
        error => error.to_string(),
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            Verb::Reload => "reload",
            Verb::Restart => "restart",
        };
        write!(f, "{verb} {}", self.name)
    }
}
