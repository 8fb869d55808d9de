//! Servers that run beside the tests and end with them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A program of the Python environment that `scripts/test` makes.
pub(crate) fn python(program: &str) -> PathBuf {
    let at = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("python/bin").join(program);
    assert!(at.exists(), "{} is missing: scripts/python makes it", at.display());
    at
}

/// A port on 127.0.0.1 that is free now.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a server that ends when this process does, and waits until somebody listens at `address`. What it says goes to a
/// file beside the tests' own.
#[expect(clippy::zombie_processes, reason = "it ends with this process, and nobody can wait for it then")]
pub(crate) fn serve(name: &str, server: &Command, address: SocketAddr) -> u32 {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.log", address.port()));
    let to = std::fs::File::create(&log).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(server.get_program()).args(server.get_args());
    for (name, value) in server.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.stdin(Stdio::null()).stdout(to.try_clone().unwrap()).stderr(to);
    // A child is told of the end of the thread that started it, so that one must not end before the process.
    let (started, start) = mpsc::channel::<std::io::Result<Child>>();
    std::thread::spawn(move || {
        let _ = started.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    let mut child = start.recv().unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
    let since = Instant::now();
    while TcpStream::connect(address).is_err() {
        let ended = child.try_wait().unwrap();
        assert!(
            ended.is_none() && since.elapsed() < Duration::from_secs(30),
            "{name} does not listen at {address} ({ended:?}): {}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.id()
}

/// Writes a file that only we may read, as a credential is kept.
pub(crate) fn write_private(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}
