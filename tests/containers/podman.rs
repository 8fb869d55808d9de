//! Podman as root, which has no daemon: containers go on without the service that is asked about them.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::image::{IMAGE, import, is_read, unmount_below};
use crate::support::{Host, ends_within, says, signal};

/// A Podman with storage of its own. All of it goes when dropped.
pub(crate) struct Podman {
    service: Option<Child>,
    dir: tempfile::TempDir,
}

impl Podman {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("hushfs-podman-").tempdir().unwrap();
        let podman = Self { service: None, dir };
        let output = import(podman.dir.path(), podman.podman(&["import", "-", IMAGE]));
        assert!(output.status.success(), "{output:?}");
        podman
    }

    /// Starts the service, and waits until it listens.
    fn serve(&mut self, host: &Host) {
        let mut command = self.podman(&["system", "service", "--time=0"]);
        command.arg(format!("unix://{}", self.socket().display()));
        self.service = Some(command.stderr(Stdio::null()).spawn().unwrap());
        host.eventually("the service listens", || UnixStream::connect(self.socket()).is_ok());
    }

    fn stop_serving(&mut self) {
        let Some(mut service) = self.service.take() else { return };
        signal(service.id(), Signal::TERM);
        if ends_within(&mut service, Duration::from_secs(10)).is_none() {
            let _ = service.kill();
            let _ = service.wait();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    pub(crate) fn podman(&self, args: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/podman");
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.dir.path().join(name));
        }
        // Without systemd, and without more descriptors and processes than a test may be given.
        command.args(["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"]).args(args);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, host: &Host, args: &[&str]) -> Command {
        let mut command = self.podman(&["run", "--network=none", "--user=1000:1000"]);
        command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--volume"]);
        command.arg(format!("{}:/m:ro", host.path("m").display())).args(args);
        command
    }

    /// Starts a container that does nothing; gives its id.
    fn idle(&self, host: &Host, name: &str) -> String {
        let name = format!("--name={name}");
        let label = format!("--label=role={name}");
        says(&mut self.run(host, &["--detach", &name, &label, IMAGE, "/bin/sleep", "600"])).trim().to_owned()
    }

    fn reads(&self, container: &str, scope: &str) -> bool {
        let file = format!("/m/{scope}/token");
        is_read(&self.podman(&["exec", container, "/bin/cat", &file]).output().unwrap())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.podman(&["rm", "--all", "--force", "--time=0"]).output();
        self.stop_serving();
        unmount_below(self.dir.path());
    }
}

#[test]
fn containers_of_podman_are_known_and_those_known_before_read_without_its_service() {
    let mut podman = Podman::new();
    let digests = says(&mut podman.podman(&["image", "inspect", "--format={{index .RepoDigests 0}}", IMAGE]));
    let (_, digest) = digests.trim().split_once('@').unwrap();
    let mut scopes = format!("[runtime.podman]\nsocket = \"{}\"\n", podman.socket().display());
    let digest = format!("name = \"web\", digest = \"{digest}\"");
    let demands = [
        ("name", "name = \"web\""),
        ("label", "label = { role = \"--name=web\" }"),
        ("image", "image = \"localhost/hushfs-test:1\", name = \"web\""),
        ("digest", &digest),
        ("any", "image = \"localhost/hushfs-test:1\""),
    ];
    for (scope, demands) in demands {
        scopes += &format!(
            "[scope.{scope}]\nmode = \"0444\"\nallow = {{ container = {{ {demands} }} }}\nfile.token = \"local:t\"\n"
        );
    }
    let host = Host::mounted(&[("t", b"a value")], &scopes);
    podman.serve(&host);
    let web = podman.idle(&host, "web");
    let other = podman.idle(&host, "other");
    for (scope, _) in demands {
        assert!(podman.reads("web", scope), "by {scope}: {:?}", host.audit().last());
        assert_eq!(podman.reads("other", scope), scope == "any", "by {scope}");
    }
    let explained = host.run_ok(&["explain", "name/token", "--container", "web"], b"");
    let page = String::from_utf8(explained.stdout).unwrap();
    assert!(page.contains(&format!("\n           container web {} (podman)\n", &web[..12])), "{page}");
    // One file, bound while the container is set up.
    let file = format!("--volume={}:/token:ro", host.file("any/token").display());
    assert_eq!(says(&mut podman.run(&host, &["--rm", &file, IMAGE, "/bin/cat", "/token"])), "a value");
    let of = |id: &str, outcome: &str| {
        host.recorded("the open", |record| record["container"] == id && record["outcome"] == outcome)
    };
    of(&web, "allowed");
    let reason = of(&other, "denied")["reason"].clone();
    let has = "no rule matches: the caller's container \"other\" ";
    assert!(reason.as_str().unwrap().starts_with(has), "{reason}");

    podman.stop_serving();
    let new = podman.idle(&host, "new");
    assert!(!podman.reads("new", "any"));
    assert!(podman.reads("web", "any") && podman.reads("other", "any"));
    let reason = of(&new, "denied")["reason"].clone();
    let wanted =
        format!("no rule matches: the container runtime at {} cannot be asked: ", podman.socket().display());
    assert!(reason.as_str().unwrap().starts_with(&wanted), "{reason}");
    podman.serve(&host);
    host.eventually("the new one is asked for again", || podman.reads("new", "any"));
}
