//! `hushfs store` and the provider of kind `store`, through the real binary and the public interface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "these are tests")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hushfs::providers::{self, Fetched, Provider, ProviderError};

mod crash;
mod edit;
mod keys;
mod provider;
mod terminal;
mod verbs;

/// A value that no message may hold.
const CANARY: &str = "canary-8d1f4e";

/// A directory with a store in it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn new() -> Self {
        let place = Self::empty();
        place.ok(&["init"], b"");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
        command
            .arg("store")
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HUSHFS_CONFIG", self.path("none.toml"))
            .current_dir(self.dir.path());
        if !args.contains(&"--store") {
            command.arg("--store").arg(self.path("store.age"));
        }
        command
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _it_may_not_read = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn ok(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let out = self.run(args, input);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(!String::from_utf8_lossy(&out.stderr).contains(CANARY), "{args:?} tells the value");
        out.stdout
    }

    /// Runs what must fail with exit code 1, and gives its message.
    fn fails(&self, args: &[&str], input: &[u8]) -> String {
        let out = self.run(args, input);
        let text = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
        assert!(out.stdout.is_empty(), "{args:?} printed something");
        assert!(!text.contains(CANARY), "{args:?} tells the value: {text}");
        text
    }

    fn list(&self) -> serde_json::Value {
        serde_json::from_slice(&self.ok(&["list", "--json"], b"")).unwrap()
    }

    fn provider(&self, settings: &str) -> Box<dyn Provider> {
        open(settings, self.dir.path())
    }
}

fn open(settings: &str, base: &Path) -> Box<dyn Provider> {
    let kind = providers::kind("store").unwrap();
    (kind.open)(settings.parse().unwrap(), base).unwrap()
}

fn fetch(provider: &dyn Provider, reference: &str) -> Result<Fetched, ProviderError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(provider.fetch(&reference.parse().unwrap(), providers::Mint::Allowed))
}

#[expect(clippy::disallowed_methods, reason = "a test's own value")]
fn bytes(fetched: &Fetched) -> Vec<u8> {
    fetched.bytes.expose_secret().to_vec()
}

/// The error of a fetch that must fail: `Fetched` has no `Debug` on purpose.
fn failure(provider: &dyn Provider, reference: &str) -> ProviderError {
    fetch(provider, reference).err().unwrap()
}
