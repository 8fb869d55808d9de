//! A Docker Engine for tests, with one image: busybox.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::image::{IMAGE, import, is_read, unmount_below};
use crate::support::{Host, ends_within, signal};

/// An engine with its containers. All of it goes when dropped, also by a test that fails.
pub(crate) struct Docker {
    daemon: Option<Child>,
    options: Vec<String>,
    ranges: Option<PathBuf>,
    /// The id of [`IMAGE`].
    pub(crate) image_id: String,
    dir: tempfile::TempDir,
}

impl Docker {
    /// The engine that tests share, ended by the last of them.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Docker>> = Mutex::new(Weak::new());
        // A test that fails while it has this must not fail the others.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let docker = Arc::new(Self::new(&[]));
            *shared = Arc::downgrade(&docker);
            docker
        })
    }

    /// An engine of its own, started with these options.
    pub(crate) fn new(options: &[&str]) -> Self {
        Self::made(options, None)
    }

    /// An engine whose containers have ids of their own (`--userns-remap`), from this file instead of /etc/subuid and
    /// /etc/subgid, where user and group are `www-data`.
    pub(crate) fn with_ranges(ranges: &Path) -> Self {
        Self::made(&["--userns-remap=www-data"], Some(ranges.to_owned()))
    }

    fn made(options: &[&str], ranges: Option<PathBuf>) -> Self {
        let dir = tempfile::Builder::new().prefix("hushfs-docker-").tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut docker = Self { daemon: None, options, ranges, image_id: String::new(), dir };
        docker.start();
        let output = import(docker.dir.path(), docker.docker(&["import", "-", IMAGE]));
        assert!(output.status.success(), "{output:?}\n{}", docker.log());
        docker.image_id = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
        docker
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = match &self.ranges {
            None => Command::new("/usr/sbin/dockerd"),
            // In a mount namespace of its own, where the file lies over the host's.
            Some(ranges) => {
                let script = "for f in /etc/subuid /etc/subgid; do mount --bind \"$0\" $f; done; exec /usr/sbin/dockerd \"$@\"";
                let mut command = Command::new("/usr/bin/unshare");
                command.args(["--mount", "--propagation=slave", "/bin/sh", "-ec", script]).arg(ranges);
                command
            }
        };
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(option).arg(self.path(name));
        }
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        command.arg("--host").arg(format!("unix://{}", self.socket().display())).args(&self.options);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(command.spawn().expect("apt-get install docker.io"));
        let since = Instant::now();
        while !self.answers() {
            assert!(since.elapsed() < Duration::from_secs(60), "dockerd does not start\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the engine; containers go on where it was started with `--live-restore`.
    pub(crate) fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        signal(daemon.id(), Signal::TERM);
        if ends_within(&mut daemon, Duration::from_secs(30)).is_none() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("docker.sock")
    }

    /// The lines of a configuration that name this engine.
    pub(crate) fn configuration(&self) -> String {
        format!("[runtime.docker]\nsocket = \"{}\"\n", self.socket().display())
    }

    /// Starts a container of [`IMAGE`] that does nothing, with the mount at `/m` and uid 1000, and gives its id.
    pub(crate) fn idle(&self, host: &Host, options: &[&str]) -> String {
        let args = [&["--detach"], options, &[IMAGE, "/bin/sleep", "600"]].concat();
        self.says(&mut self.run(host, &args))
    }

    /// `docker run` with the mount at `/m`, uid 1000, and these further arguments.
    pub(crate) fn run(&self, host: &Host, args: &[&str]) -> Command {
        let mut command = self.docker(&["run", "--network=none", "--user=1000:1000", "--volume"]);
        command.arg(format!("{}:/m:ro", host.path("m").display())).args(args);
        command
    }

    /// What `cat` of a file of the mount gives in this container.
    pub(crate) fn cat(&self, container: &str, file: &str) -> Output {
        self.docker(&["exec", container, "/bin/cat", &format!("/m/{file}")]).output().unwrap()
    }

    /// Whether a process in this container may read a file of the mount.
    pub(crate) fn reads(&self, container: &str, file: &str) -> bool {
        is_read(&self.cat(container, file))
    }

    /// The command line of this engine, with a minute to live.
    pub(crate) fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60", "/usr/bin/docker"]).args(args).stdin(Stdio::null());
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("HOME", self.dir.path());
        command
    }

    /// What a command prints that must succeed, without the line's end.
    pub(crate) fn says(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its errors.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        // Of what it says all day, what matters.
        let lines = log.lines().filter(|line| {
            line.contains("level=error") || line.contains("level=fatal") || !line.contains("level=")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(self.socket()) else { return false };
        let mut said = String::new();
        stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n").is_ok()
            && stream.read_to_string(&mut said).is_ok()
            && said.contains("200 OK")
    }

    /// Nothing here may panic: it runs while a test fails.
    fn remove_containers(&self) {
        let listed = self.docker(&["ps", "--all", "--quiet"]).output();
        let listed =
            listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let ids: Vec<_> = listed.split_whitespace().collect();
        if !ids.is_empty() {
            let _ = self.docker(&[&["rm", "--force"], ids.as_slice()].concat()).output();
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.remove_containers();
        self.stop();
        // Its containerd ends with it, unless it was killed.
        if let Some(pid) = left_behind(&self.path("exec/containerd/containerd.pid")) {
            signal(pid, Signal::KILL);
        }
        unmount_below(self.dir.path());
    }
}

/// The containerd whose pid stands in this file, if it still runs.
fn left_behind(file: &Path) -> Option<u32> {
    let pid = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (name.trim() == "containerd").then_some(pid)
}
