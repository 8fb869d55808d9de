//! A server that is killed, and comes back with what it had.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::server::{Bao, directory, run, unique};
use crate::process::free_port;
use crate::support::signal;

/// One that keeps what it has in files.
pub(super) struct Mortal {
    pub(super) bao: Bao,
    /// What opens it.
    key: Value,
    config: String,
    address: SocketAddr,
    pid: u32,
}

impl Mortal {
    pub(super) fn start() -> Self {
        let address = free_port();
        let storage = directory().join(unique("storage"));
        std::fs::create_dir(&storage).unwrap();
        let config = format!(
            "storage \"raft\" {{\n path = \"{}\"\n node_id = \"one\"\n}}\nlistener \"tcp\" {{\n address = \"{address}\"\n \
             cluster_address = \"{cluster}\"\n tls_disable = true\n}}\napi_addr = \"http://{address}\"\n\
             cluster_addr = \"http://{cluster}\"\n",
            storage.display(),
            cluster = free_port()
        );
        let pid = run("bao-mortal", &config, address);
        let (bao, key) = Bao::opened(Bao::connect(address, None));
        Self { bao, key, config, address, pid }
    }

    /// Kills it.
    pub(super) fn dies(&self) {
        signal(self.pid, Signal::KILL);
        let since = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(since.elapsed() < Duration::from_secs(10), "it was killed");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts it again where it was, and opens it.
    pub(super) fn comes_back(&mut self) {
        self.pid = run("bao-mortal", &self.config, self.address);
        self.bao.write("sys/unseal", &self.key);
        // It is open before it takes the lead, of itself alone.
        let since = Instant::now();
        while self.bao.ask("GET", "sys/health", &Value::Null).0 != 200 {
            assert!(since.elapsed() < Duration::from_secs(30), "it does not become active");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.bao.is_ready();
    }
}
