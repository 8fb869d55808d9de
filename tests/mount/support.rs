//! A host with a mounted hushfs, for one test: the real binary, a real store, a real mount.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const HUSHFS: &str = env!("CARGO_BIN_EXE_hushfs");

/// A directory with a store, a configuration and, once mounted, a daemon. All of it goes when dropped.
pub(crate) struct Host {
    dir: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Host {
    /// A host with an empty store as provider `local` and no configuration yet.
    pub(crate) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "mount tests run as root: they mount for the whole host"
        );
        let dir = tempfile::Builder::new().prefix("hushfs-test-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let host = Self { dir, daemon: None };
        host.run_ok(&["store", "init", "--store", host.path("store.age").to_str().unwrap()], b"");
        host
    }

    /// A host that is mounted with these scopes (TOML) and these secrets (name and value).
    pub(crate) fn mounted(secrets: &[(&str, &[u8])], scopes: &str) -> Self {
        let mut host = Self::new();
        for (name, value) in secrets {
            host.set(name, value);
        }
        host.configure("", scopes);
        host.mount();
        host
    }

    /// A path in the host's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the mount.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path("m").join(name)
    }

    /// Stores a value.
    pub(crate) fn set(&self, name: &str, value: &[u8]) {
        let store = self.path("store.age");
        let args = ["store", "set", name, "--allow-empty", "--replace", "--store", store.to_str().unwrap()];
        self.run_ok(&args, value);
    }

    /// Writes the configuration: top-level keys, then scopes. The audit goes to `audit.log`.
    pub(crate) fn configure(&self, top: &str, scopes: &str) {
        let dir = self.dir.path().display();
        let text = format!(
            "mount = \"{dir}/m\"\n{top}\n[audit]\nto = \"{dir}/audit.log\"\n\
             [provider.local]\nkind = \"store\"\npath = \"store.age\"\n{scopes}\n"
        );
        self.write("hushfs.toml", text.as_bytes(), 0o600);
    }

    /// Writes a file with a mode.
    pub(crate) fn write(&self, name: &str, bytes: &[u8], mode: u32) {
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(mode).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Starts the daemon and waits until it is mounted.
    pub(crate) fn mount(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = Command::new(HUSHFS)
            .args(["mount", "-v", "--config"])
            .arg(self.path("hushfs.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        self.eventually("the daemon is mounted", || {
            let ended = self.daemon_status();
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
            self.log().contains("mounted")
        });
    }

    /// The daemon's process id.
    pub(crate) fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// The pid of the fetcher: the daemon's child.
    pub(crate) fn fetcher_pid(&self) -> Option<u32> {
        let pid = self.daemon_pid();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let listed = children.split_whitespace().find_map(|pid| pid.parse().ok());
        // A child belongs to the thread that started it, so all threads are looked at.
        listed.or_else(|| {
            std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().find_map(|task| {
                let text = std::fs::read_to_string(task.path().join("children")).ok()?;
                text.split_whitespace().find_map(|pid| pid.parse().ok())
            })
        })
    }

    fn daemon_status(&self) -> Option<String> {
        // Looked at without reaping, so that the child can still be waited for.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.daemon_pid())).ok()?;
        stat.contains(") Z ").then(|| "it is a zombie".to_owned())
    }

    /// Ends the daemon with SIGTERM; gives how long it took and its exit code.
    pub(crate) fn stop(&mut self) -> (Duration, Option<i32>) {
        let mut daemon = self.daemon.take().unwrap();
        let since = Instant::now();
        signal(daemon.id(), rustix::process::Signal::TERM);
        let status = daemon.wait().unwrap();
        (since.elapsed(), status.code())
    }

    /// What the daemon logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The audit records so far, oldest first. Waits a moment for the writer.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        std::thread::sleep(Duration::from_millis(120));
        let text = std::fs::read_to_string(self.path("audit.log")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs hushfs with this input.
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(HUSHFS)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// As `run`, and it must succeed.
    pub(crate) fn run_ok(&self, args: &[&str], input: &[u8]) -> Output {
        let output = self.run(args, input);
        assert!(output.status.success(), "hushfs {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// `hushfs reload`.
    pub(crate) fn reload(&self) -> Output {
        self.run(&["reload", "--config", self.path("hushfs.toml").to_str().unwrap()], b"")
    }

    /// Waits until `what` holds, for ten seconds at most.
    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let since = Instant::now();
        while !holds() {
            assert!(
                since.elapsed() < Duration::from_secs(10),
                "not within ten seconds: {what}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            signal(daemon.id(), rustix::process::Signal::TERM);
            let since = Instant::now();
            while daemon.try_wait().unwrap().is_none() {
                if since.elapsed() > Duration::from_secs(5) {
                    daemon.kill().unwrap();
                    daemon.wait().unwrap();
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = rustix::mount::unmount(self.path("m"), rustix::mount::UnmountFlags::DETACH);
    }
}

/// Sends a signal to a process by its pid.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

/// A command that runs as this uid and gid, in no other group, with ten seconds to live.
pub(crate) fn as_user(uid: u32, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "10", program]).uid(uid).gid(uid).stdin(Stdio::null());
    command
}

/// The errno that opening a file gives.
pub(crate) fn open_errno(path: &Path) -> Option<i32> {
    std::fs::File::open(path).err().and_then(|error| error.raw_os_error())
}
