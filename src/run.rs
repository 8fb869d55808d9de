//! The composition root: the only file that names every module. Puts the parts together, and takes them apart in order.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::access::Access;
use crate::audit::Audit;
use crate::change::Changes;
use crate::config;
use crate::config::checked::{Config, Scope};
use crate::control::{Listener, Operator};
use crate::fetcher::{self, Link, ProviderSettings};
use crate::fs::Fs;
use crate::fuse::{Notifications, Session};
use crate::identity::{Attestor, Misplaced, PinnedId};
use crate::listings::Listings;
use crate::metrics::{Metrics, Server};
use crate::mount::{Mount, MountError};
use crate::pokes::{self, Poker, Pokes};
use crate::providers::Runs;
use crate::readers::Readers;
use crate::resolve::{Resolver, Told};
use crate::sandbox::{self, Account, Cage};
use crate::sys::{arena, descriptor};

mod arrivals;
mod ask;
mod changed;
mod demand;
mod harden;
mod learning;
mod listed;
mod operator;
mod orders;
mod reload;
mod signals;
mod status;
mod watchers;

pub use ask::{Answered, Providers};
pub use harden::harden;
use signals::{Event, Signals};
use watchers::Watchers;

/// How long the end may take, once leases have been ended.
const FAREWELL: Duration = Duration::from_millis(800);

/// How often callers that have ended are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Why the daemon did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot be told from here who asks.
    #[error("{0}")]
    Misplaced(#[from] Misplaced),
    /// The mount cannot be made.
    #[error("{0}")]
    Mount(#[from] MountError),
    /// The audit sink cannot be opened.
    #[error("{0}")]
    Audit(#[from] crate::audit::StartError),
    /// The kernel refuses something else.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |error| RunError::System { what, error }
}

/// What `hushfs fetcher` does: serves the front on its standard input, and gets files from it on its standard output.
/// `log` starts its log, once it has no rights left: a thread keeps those it was started with.
///
/// # Errors
/// When it cannot give up its rights, or the front says what cannot be understood.
pub fn fetch<Log>(cage: Cage, log: impl FnOnce() -> Log) -> io::Result<()> {
    descriptor::close_inherited();
    harden()?;
    // The front ends us, in order or by dying: its terminal's Ctrl-C is not for us.
    rustix::process::setsid().ok();
    let (socket, files) = (taken(rustix::stdio::stdin())?, taken(rustix::stdio::stdout())?);
    let entered = sandbox::enter(cage)?;
    let _log = log();
    for lacking in entered.lacking {
        tracing::warn!("{lacking}");
    }
    arena::leave_warning_to_parent();
    // Several: one that is kept busy by what a server answers must not keep the others from their time.
    runtime(4)?.block_on(fetcher::serve(socket.into(), files, || entered.outdated.is_so()))
}

/// What `hushfs poker` does: writes to files of the mount that is its standard output, as the front says on its standard input.
///
/// # Errors
/// When it cannot give up its rights, or the front says what cannot be understood.
pub fn poke() -> io::Result<()> {
    descriptor::close_inherited();
    harden()?;
    rustix::process::setsid().ok();
    let (socket, private) = (taken(rustix::stdio::stdin())?, taken(rustix::stdio::stdout())?);
    let lacking = sandbox::enter_to_write_below(private.as_fd())?;
    pokes::serve(socket, private, &lacking)
}

/// What was at a standard descriptor, where nothing is from now on.
fn taken(standard: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(standard, 3)?;
    let nothing = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    descriptor::replace(standard, nothing.as_fd())?;
    Ok(taken)
}

/// Mounts and serves until a signal ends it.
///
/// # Errors
/// When something it needs cannot be had; then nothing stays mounted.
pub fn mount(config: Config) -> Result<(), RunError> {
    config.namespaces.check()?;
    harden().map_err(system("cannot make the process undumpable"))?;
    harden::open_many_files();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let runtime = runtime(2).map_err(system("cannot start threads"))?;
    let _inside = runtime.enter();
    let daemon = Daemon::start(config)?;
    // Before there is a mount to leave behind.
    let signals = Signals::new().map_err(system("cannot wait for signals"))?;
    let (mount, fuse) = Mount::make(&daemon.state.lock().config.mount)?;
    let served = daemon.serve(&mount, fuse, signals, &runtime);
    // Whatever happened, nothing stays mounted.
    let undone = mount.undo().map_err(system("cannot unmount"));
    let ended = runtime.block_on(async {
        daemon.access.close();
        // While there is somebody to end them. It takes as long as their provider does, and no longer than some seconds.
        daemon.resolver.end_leases().await;
        tokio::time::timeout(FAREWELL, daemon.end()).await
    });
    if ended.is_err() {
        tracing::warn!("not everything ended in time");
    }
    runtime.shutdown_background();
    served.and(undone)
}

fn runtime(workers: usize) -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// The parts of a running daemon.
struct Daemon {
    access: Arc<Access>,
    resolver: Arc<Resolver>,
    audit: Audit,
    fs: Arc<Fs>,
    listings: Arc<Listings>,
    readers: Arc<Readers>,
    changes: Changes,
    state: Mutex<State>,
    /// Who watches what.
    watchers: Arc<Watchers>,
    metrics: Arc<Metrics>,
    /// When it was mounted.
    since: Timestamp,
    /// What the resolver tells, until somebody listens.
    told: Mutex<Option<mpsc::UnboundedReceiver<Told>>>,
    /// Beside the state, so that whoever holds a lock may announce. There is none in a mount for one user.
    pokes: OnceLock<Pokes>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    /// Another configuration is in force.
    reloaded: tokio::sync::Notify,
}

struct State {
    /// What is in force: with the files that directories are known to have.
    config: Config,
    /// The scopes as they are written, without those.
    written: Vec<Arc<Scope>>,
    notifications: Option<Notifications>,
}

impl Daemon {
    fn start(config: Config) -> Result<Arc<Self>, RunError> {
        let audit = Audit::start(&config.audit)?;
        let limits = config.limits;
        let link = Link::start(fetcher_command(config.fetcher), &providers(&config))
            .map_err(system("cannot start the fetcher"))?;
        let (readers, watchers) = (Arc::<Readers>::default(), Arc::<Watchers>::default());
        let demand = demand::Alive { readers: Arc::clone(&readers), watchers: Arc::clone(&watchers) };
        let (resolver, told) = Resolver::new(link, limits.cache_max / 2, limits.deadline, demand);
        resolver.configure(config.cache_rules());
        let attestor = Attestor::new().map(Arc::new).map_err(system("cannot read /proc"))?;
        attestor.ask_runtimes_at(&config.runtimes);
        let metrics = Metrics::new();
        let access = Access::new(
            attestor,
            Arc::clone(&resolver),
            audit.clone(),
            Arc::clone(&metrics),
            Arc::clone(&readers),
            limits,
        );
        let listings = Listings::new(Arc::clone(&access), Arc::clone(&resolver));
        listings.configure(&config.scopes);
        let fs = Fs::new(&config, Arc::clone(&access), Arc::clone(&listings))
            .map_err(system("cannot make the handle table"))?;
        let changes = changed::changes(Arc::clone(&readers), &access, audit.clone());
        changes.watch(changed::watched(&config));
        let state = Mutex::new(State { written: config.scopes.clone(), config, notifications: None });
        let told = Mutex::new(Some(told));
        let (reloading, reloaded) = (tokio::sync::Mutex::new(()), tokio::sync::Notify::new());
        let (pokes, since) = (OnceLock::new(), Timestamp::now());
        Ok(Arc::new(Self {
            access,
            resolver,
            audit,
            fs,
            listings,
            readers,
            changes,
            state,
            watchers,
            metrics,
            since,
            told,
            pokes,
            reloading,
            reloaded,
        }))
    }

    /// Answers on `fuse` until a signal ends it.
    fn serve(
        self: &Arc<Self>,
        mount: &Mount,
        fuse: OwnedFd,
        mut signals: Signals,
        runtime: &Runtime,
    ) -> Result<(), RunError> {
        let poker = Arc::<Poker>::default();
        let session = Session::new(Arc::clone(&self.fs), fuse, runtime.handle().clone(), Arc::clone(&poker))
            .map_err(system("the kernel's FUSE handshake failed"))?;
        if let Some(pokes) = pokes(mount, poker).map_err(system("cannot start what announces changes"))? {
            // It is served once.
            let _ = self.pokes.set(pokes);
        }
        let workers = session.run().map_err(system("cannot start threads"))?;
        let (control, point, metrics) = {
            let mut state = self.state.lock();
            state.notifications = Some(workers.notifications);
            if mount.is_for_one_user() {
                warn_of_others(&state.config);
            }
            (state.config.control.clone(), state.config.mount.clone(), state.config.metrics.clone())
        };
        let scrapes = match &metrics {
            Some(metrics) => {
                Some(Server::bind(metrics).map_err(system("cannot listen where `[metrics]` says"))?)
            }
            None => None,
        };
        let daemon = Arc::downgrade(self);
        let told = self.metrics.told(move || daemon.upgrade().map(|daemon| daemon.sample()));
        let listener = Listener::bind(&control).map_err(system("cannot listen on the control socket"))?;
        tracing::info!(mount = %point.display(), control = %control.display(), "mounted");
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        runtime.spawn(sweep(Arc::clone(&self.access), Arc::clone(&self.watchers)));
        runtime.spawn(Arc::clone(&self.resolver).keep());
        runtime.spawn(Arc::clone(self).tell_of_arrivals());
        self.apply_lists();
        runtime.block_on(async {
            let operator: Arc<dyn Operator> = Arc::<Self>::clone(self);
            let until = async {
                loop {
                    match signals.next().await {
                        Event::End(name) => return name,
                        // By itself: a file on a disk that does not answer must not keep us from ending.
                        Event::Reload => {
                            let operator = Arc::clone(&operator);
                            tokio::spawn(async move { operator.reload(None).await });
                        }
                    }
                }
            };
            // The connection may end where the mount stays (by /sys/fs/fuse), and the other way round.
            let disconnected = async {
                while !workers.thread.is_finished() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            let unmounted = async {
                if let Err(error) = mount.gone().await {
                    tracing::warn!(%error, "it cannot be watched whether the mount stays");
                    std::future::pending::<()>().await;
                }
            };
            let scraped = async {
                match scrapes {
                    Some(scrapes) => scrapes.serve(told).await,
                    None => std::future::pending().await,
                }
            };
            let why = tokio::select! {
                why = until => why,
                () = unmounted => "unmounted by somebody else",
                never = self.tell_when_learned() => match never {},
                never = scraped => match never {},
                () = disconnected => "the connection to the kernel ended",
                () = listener.serve(Arc::clone(&operator)) => "the control socket closed",
            };
            tracing::info!(why, "ending");
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            Ok(())
        })
    }

    /// Tells who watches these files (scope and name, as below the mount) that they show something else from now on. Not to
    /// be called before they do. Does not wait.
    fn announce(&self, paths: &[String]) {
        if let Some(pokes) = self.pokes.get() {
            paths.iter().for_each(|path| pokes.changed(path));
        }
    }

    /// Ends the fetcher, and writes what is on record.
    async fn end(&self) {
        // Not waited for while it is being started again: it ends with us in any case, and records must be written.
        let _ = tokio::time::timeout(FAREWELL / 8, self.resolver.link().close()).await;
        // The replies of those who waited are on their way through the runtime.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let audit = self.audit.clone();
        let lost = tokio::task::spawn_blocking(move || audit.shutdown(FAREWELL / 2)).await.unwrap_or(0);
        if lost > 0 {
            tracing::error!(lost, "audit records could not be written");
        }
    }
}

/// What announces changes. A mount for one user has no way to.
fn pokes(mount: &Mount, poker: Arc<Poker>) -> io::Result<Option<Pokes>> {
    let Some(private) = mount.private() else { return Ok(None) };
    let start = || {
        let mut command = this_program();
        command.arg("poker");
        command
    };
    Pokes::start(start, private.try_clone_to_owned()?, poker).map(Some)
}

/// Lets go of what is held of callers and watchers that have ended.
async fn sweep(access: Arc<Access>, watchers: Arc<Watchers>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        access.forget_the_ended();
        watchers.forget_the_gone();
    }
}

fn providers(config: &Config) -> Vec<ProviderSettings> {
    let one = |provider: &config::checked::Provider| ProviderSettings {
        name: provider.name.clone(),
        kind: provider.kind.name,
        table: provider.settings.clone(),
        base: provider.base.clone(),
    };
    config.providers.iter().map(one).collect()
}

/// The same binary, by the kernel's own reference: it may have been replaced on disk since.
fn this_program() -> std::process::Command {
    std::process::Command::new(PathBuf::from("/proc/self/exe"))
}

fn fetcher_command(account: Option<Account>) -> impl Fn(Runs) -> std::process::Command {
    move |runs| {
        let mut command = this_program();
        command.arg("fetcher");
        match (runs, account) {
            (Runs::WithPrograms, _) => {
                command.arg("--programs");
            }
            (Runs::Confined, Some(Account { uid, gid })) => {
                command.arg(format!("--uid={uid}")).arg(format!("--gid={gid}"));
            }
            (Runs::Confined, None) => {}
        }
        command
    }
}

/// A mount made without root is for its own user: rules for others never get to be asked.
fn warn_of_others(config: &Config) {
    let me = rustix::process::geteuid().as_raw();
    for scope in &config.scopes {
        let pins =
            scope.rules.iter().flat_map(|rule| rule.selectors()).filter_map(|selector| selector.pins());
        for pinned in pins {
            if let PinnedId::Uid(uid) = pinned
                && uid != me
            {
                tracing::warn!(
                    scope = scope.name,
                    "a rule is for uid {uid}, but a mount without root is for uid {me} alone; hint: run hushfs as root"
                );
            }
        }
    }
}
