//! A daemon started in a way of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{HUSHFS, Host, signal};

/// A running `hushfs mount` of a host. Ended when dropped.
pub(crate) struct Daemon {
    child: Child,
    /// Its log.
    log: PathBuf,
}

impl Daemon {
    /// Starts it by `launcher` (a program and its arguments before hushfs's own; none for hushfs itself) with `options`, and
    /// waits until it is mounted.
    pub(crate) fn start(host: &Host, launcher: &[&str], options: &[&str]) -> Self {
        let log = host.path("log");
        let line =
            [launcher, if launcher.is_empty() { &[HUSHFS] } else { &[] }, &["mount"], options].concat();
        let child = Command::new(line[0])
            .args(&line[1..])
            .arg("--config")
            .arg(host.path("hushfs.toml"))
            .env("TMPDIR", host.path("tmp"))
            .current_dir(host.path(""))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, log };
        host.eventually("the daemon is mounted", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", daemon.log());
            daemon.log().contains(" mounted ") || daemon.log().contains("\"mounted\"")
        });
        daemon
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The process at the mount.
    pub(crate) fn front(&self) -> u32 {
        self.child.id()
    }

    /// The process with the providers.
    pub(crate) fn fetcher(&self) -> u32 {
        self.child_that(|command| command.contains("fetcher") && !command.contains("--programs"))
    }

    /// The process with the providers that start programs.
    pub(crate) fn programs(&self) -> u32 {
        self.child_that(|command| command.contains("--programs"))
    }

    fn child_that(&self, is: impl Fn(&str) -> bool) -> u32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.front())).unwrap();
        let children =
            tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        children
            .flat_map(|pids| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
            .find(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| is(&line)))
            .unwrap()
    }

    /// Sends the front a signal.
    pub(crate) fn signal(&self, name: rustix::process::Signal) {
        signal(self.front(), name);
    }

    /// Waits for the front to end, and ends it when it does not.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal(rustix::process::Signal::TERM);
            self.wait();
        }
    }
}

/// A number of kibibytes in `/proc/PID/status`.
pub(crate) fn status_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The core limit, soft and hard, as `/proc/PID/limits` shows it.
pub(crate) fn core_limit(pid: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Whether a program is there; else the test fails with the name of its package.
pub(crate) fn needs(program: &str, package: &str) {
    let is_there =
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    assert!(is_there, "{program} is missing: apt-get install {package}");
}
