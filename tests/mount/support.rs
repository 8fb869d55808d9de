//! A host with a mounted hushfs, for one test: the real binary, a real store, a real mount.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::Signal;

/// A line of the audit log.
pub(crate) type Record = serde_json::Value;

/// The binary under test.
pub(crate) const HUSHFS: &str = env!("CARGO_BIN_EXE_hushfs");

/// A directory with a store, a configuration and, once mounted, a daemon. All of it goes when dropped.
pub(crate) struct Host {
    daemon: Option<Child>,
    /// Dropped after the daemon, which may wait for it, and before the directory that it is mounted in.
    hang: Option<Hang>,
    /// Variables that the daemon is started with beside ours.
    variables: Vec<(&'static str, String)>,
    dir: tempfile::TempDir,
}

/// A FUSE whose file never answers a read: the disk under a provider that hangs.
pub(crate) struct Hang {
    at: PathBuf,
    serves: Child,
}

/// A directory of settings for a provider `hung`, to be written among the scopes.
pub(crate) const HUNG: &str =
    "\n[provider.hung]\nkind = \"store\"\npath = \"hang/demo/hang\"\nkey = \"store.key\"\n";

impl Host {
    /// A host with an empty store as provider `local` and no configuration yet.
    pub(crate) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "mount tests run as root: they mount for the whole host"
        );
        let dir = tempfile::Builder::new().prefix("hushfs-test-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let host = Self { daemon: None, hang: None, variables: Vec::new(), dir };
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
        let log = self.path("audit.log");
        self.configure_whole(top, log.to_str().unwrap(), scopes);
    }

    /// As `configure`, with the audit to somewhere else.
    pub(crate) fn configure_audited(&self, audit: &str, scopes: &str) {
        self.configure_whole("", audit, scopes);
    }

    fn configure_whole(&self, top: &str, audit: &str, scopes: &str) {
        let dir = self.dir.path().display();
        let namespaces = if top.contains("namespaces") { "" } else { namespaces() };
        let text = format!(
            "mount = \"{dir}/m\"\n{namespaces}{top}\n[audit]\nto = \"{audit}\"\n\
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

    /// Has the daemon be started with this variable.
    pub(crate) fn with_variable(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Starts the daemon and waits until it is mounted.
    pub(crate) fn mount(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        self.start(Stdio::from(log));
        self.eventually("the daemon is mounted", || {
            let ended = self.daemon_status();
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
            self.log().contains("mounted")
        });
    }

    /// As `mount`, with the log to somewhere else.
    pub(crate) fn mount_logging_to(&mut self, log: Stdio) {
        self.start(log);
        // The socket is there once all is.
        self.eventually("the daemon is mounted", || self.path("m.sock").exists());
    }

    fn start(&mut self, log: Stdio) {
        let child = Command::new(HUSHFS)
            .args(["mount", "-v", "--config"])
            .arg(self.path("hushfs.toml"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
    }

    /// The daemon's process id.
    pub(crate) fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// The pid of the fetcher.
    pub(crate) fn fetcher_pid(&self) -> Option<u32> {
        self.child_pid("fetcher")
    }

    /// The pid of what announces changes.
    pub(crate) fn poker_pid(&self) -> Option<u32> {
        self.child_pid("poker")
    }

    /// The pid of the daemon's child that was started with this verb.
    fn child_pid(&self, verb: &str) -> Option<u32> {
        let is = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0).nth(1).is_some_and(|word| word == verb.as_bytes())
            })
        };
        // A child belongs to the thread that started it, so all threads are looked at.
        let mut tasks = std::fs::read_dir(format!("/proc/{}/task", self.daemon_pid())).ok()?.flatten();
        tasks.find_map(|task| {
            let text = std::fs::read_to_string(task.path().join("children")).ok()?;
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is)
        })
    }

    fn daemon_status(&self) -> Option<String> {
        // Looked at without reaping, so that the child can still be waited for.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.daemon_pid())).ok()?;
        stat.contains(") Z ").then(|| "it is a zombie".to_owned())
    }

    /// Ends the daemon with SIGTERM; gives how long it took and its exit code.
    pub(crate) fn stop(&mut self) -> (Duration, Option<i32>) {
        self.signal(Signal::TERM);
        self.ends_within(Duration::from_secs(10))
    }

    /// What the daemon logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The audit records written so far, oldest first. The writer is a thread of its own, so the newest may be missing:
    /// wait for a record with [`Host::recorded`], or for all of them with [`Host::stop`].
    pub(crate) fn audit(&self) -> Vec<Record> {
        let text = std::fs::read_to_string(self.path("audit.log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for a record that `is` the one, and gives it.
    pub(crate) fn recorded(&self, what: &str, is: impl Fn(&Record) -> bool) -> Record {
        let mut found = None;
        self.eventually(&format!("a record of {what}"), || {
            found = self.audit().into_iter().find(|record| is(record));
            found.is_some()
        });
        found.unwrap()
    }

    /// Ends the daemon and gives all its records.
    pub(crate) fn all_records(&mut self) -> Vec<Record> {
        let (_, code) = self.stop();
        assert_eq!(code, Some(0), "{}", self.log());
        self.audit()
    }

    /// Puts a file system that never answers reads at `hang`, for the provider that [`HUNG`] describes.
    pub(crate) fn hang(&mut self) {
        self.hang_with(&[]);
    }

    /// As `hang`, with `demo/exec` as a copy of this program.
    pub(crate) fn hang_with_program(&mut self, program: &Path) {
        self.hang_with(&[Path::new("--exec"), program]);
    }

    fn hang_with(&mut self, more: &[&Path]) {
        let at = self.path("hang");
        std::fs::create_dir(&at).unwrap();
        let mut serves = Command::new(example("null"))
            .arg("--hang")
            .args(more)
            .arg(&at)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(serves.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        self.hang = Some(Hang { at, serves });
    }

    /// Ends the file system at `hang`: whoever waits for it gets an error.
    pub(crate) fn end_hang(&mut self) {
        self.hang = None;
    }

    /// Stops the file system at `hang`: now it does not answer `stat` either.
    pub(crate) fn stop_the_disk(&self) {
        self.stopped(self.hang.as_ref().unwrap().serves.id());
    }

    /// Stops a process, and waits until it has.
    pub(crate) fn stopped(&self, pid: u32) {
        signal(pid, Signal::STOP);
        // A thread that stops with a request in its hands makes its caller unkillable: all have stopped before anybody asks.
        let stopped = |task: std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))
        };
        self.eventually("it has stopped", || {
            std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().all(stopped)
        });
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, name: Signal) {
        signal(self.daemon_pid(), name);
    }

    /// Waits for the daemon to end by itself, for `limit` at most; gives how long it took and its exit code.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> (Duration, Option<i32>) {
        let mut daemon = self.daemon.take().unwrap();
        let status = ends_within(&mut daemon, limit);
        if status.is_none() {
            daemon.kill().unwrap();
            // Not for ever: it may wait for a file system that ends after it.
            ends_within(&mut daemon, limit);
        }
        let (took, status) = status.unwrap_or_else(|| panic!("the daemon does not end\n{}", self.log()));
        (took, status.code())
    }

    /// What is mounted at the mount point, by /proc/mounts: the lines, last mount last.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let point = self.path("m").display().to_string();
        let text = std::fs::read_to_string("/proc/mounts").unwrap();
        text.lines().filter(|line| line.split(' ').nth(1) == Some(&point)).map(str::to_owned).collect()
    }

    /// `hushfs mount` in the foreground, for where it is to fail.
    pub(crate) fn try_mount(&self) -> Output {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "10", HUSHFS, "mount", "--config"]).arg(self.path("hushfs.toml"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs hushfs with this input.
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(HUSHFS)
            .args(args)
            .env("HUSHFS_CONFIG", self.path("hushfs.toml"))
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

    /// Whether a process watches a file of the mount with inotify.
    pub(crate) fn is_watched(&self, name: &str) -> bool {
        let meta = std::fs::metadata(self.file(name)).unwrap();
        // As the kernel keeps it. A file system without a disk has major number 0.
        let device = rustix::fs::minor(meta.dev());
        let watch = format!(" ino:{:x} sdev:{device:x} ", meta.ino());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let fds = processes.filter_map(|process| std::fs::read_dir(process.path().join("fdinfo")).ok());
        fds.flatten().flatten().any(|fd| {
            std::fs::read_to_string(fd.path())
                .is_ok_and(|info| info.contains("inotify wd:") && info.contains(&watch))
        })
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
            signal(daemon.id(), Signal::TERM);
            if ends_within(&mut daemon, Duration::from_secs(5)).is_none() {
                daemon.kill().unwrap();
                ends_within(&mut daemon, Duration::from_secs(5));
            }
        }
        let _ = rustix::mount::unmount(self.path("m"), rustix::mount::UnmountFlags::DETACH);
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        signal(self.serves.id(), Signal::TERM);
        signal(self.serves.id(), Signal::CONT);
        if ends_within(&mut self.serves, Duration::from_secs(5)).is_none() {
            self.serves.kill().unwrap();
            self.serves.wait().unwrap();
        }
        let _ = rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH);
    }
}

/// An example, which `cargo test` builds, but not `cargo test --test mount`.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    let _one = BUILDING.lock();
    if !path.exists() {
        let cargo =
            Command::new(env!("CARGO")).args(["build", "--quiet", "--example", name]).status().unwrap();
        assert!(cargo.success() && path.exists(), "the example `{name}` cannot be built");
    }
    path
}

/// What the top of a configuration needs where the tests run in a container.
pub(crate) fn namespaces() -> &'static str {
    let host = std::fs::read_link("/proc/self/ns/pid").unwrap() == Path::new("pid:[4026531836]")
        && std::fs::read_link("/proc/self/ns/cgroup").unwrap() == Path::new("cgroup:[4026531835]")
        && std::fs::read_link("/proc/self/ns/user").unwrap() == Path::new("user:[4026531837]");
    if host { "" } else { "namespaces = \"own\"\n" }
}

/// Waits for a child to end, for `limit` at most.
pub(crate) fn ends_within(child: &mut Child, limit: Duration) -> Option<(Duration, ExitStatus)> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some((since.elapsed(), status));
        }
        if since.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process waits for the answer to a FUSE request.
pub(crate) fn waits_for_fuse(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|at| at == "request_wait_answer")
}

/// The shortest of five.
pub(crate) fn best_of_five(mut act: impl FnMut()) -> Duration {
    let one = |_| {
        let since = Instant::now();
        act();
        since.elapsed()
    };
    (0..5).map(one).min().unwrap()
}

/// A Python program with arguments, run as root, with twenty seconds to live.
pub(crate) fn python(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "20", "/usr/bin/python3", "-c", program]).stdin(Stdio::null());
    command
}

/// Runs a command that must succeed, and gives what it printed.
pub(crate) fn says(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Sends a signal to a process by its pid.
pub(crate) fn signal(pid: u32, signal: Signal) {
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
