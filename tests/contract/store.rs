//! The embedded store.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use hushfs::providers::{Fetched, ProviderError};

use crate::listing::list;
use crate::upstream::{At, Upstream};

crate::contract!(store, Store, local);

struct Store(tempfile::TempDir);

impl Store {
    fn hushfs(&self, args: &[&str], input: &[u8]) {
        let store = self.0.path().join("store.age");
        let mut child = Command::new(env!("CARGO_BIN_EXE_hushfs"))
            .args(["store", args[0], "--store"])
            .arg(store)
            .args(&args[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait().unwrap().success(), "{args:?}");
    }

    fn settings_at(&self, key: &str) -> String {
        let at = self.0.path().display();
        format!("path = '{at}/store.age'\nkey = '{at}/{key}'")
    }
}

impl Upstream for Store {
    const KIND: &'static str = "store";
    const BINARY: bool = true;
    const VERSIONS: bool = true;

    fn start() -> Self {
        let store = Self(tempfile::tempdir().unwrap());
        store.hushfs(&["init"], b"");
        store
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    fn settings(&self, _: &At) -> String {
        self.settings_at("store.key")
    }

    fn settings_without_rights(&self, _: &At) -> Option<String> {
        None
    }

    fn settings_with_wrong_credentials(&self, _: &At) -> Option<String> {
        let other = Self::start();
        std::fs::copy(other.0.path().join("store.key"), self.0.path().join("other.key")).unwrap();
        Some(self.settings_at("other.key"))
    }

    fn revoke(&self, _: &str) -> bool {
        let rotate = Self::start();
        std::fs::copy(rotate.0.path().join("store.age"), self.0.path().join("store.age")).unwrap();
        true
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        self.hushfs(&["set", name], value);
        name.to_owned()
    }

    fn nowhere(&self) -> String {
        "nothing-of-that-name".to_owned()
    }

    fn no_version(&self) -> String {
        "01J00000000000000000000000".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        crate::upstream::bytes(fetched)
    }
}

#[test]
fn what_was_removed_is_not_listed() {
    let store = Store::start();
    for name in ["app/db", "app/mail", "apple"] {
        store.put(name, b"a value");
    }
    store.hushfs(&["rm", "app/mail"], b"");
    let provider = Store::open(&store.settings(&store.direct())).unwrap();
    assert_eq!(list(&*provider, "app", 1).unwrap(), ["db"]);
    store.hushfs(&["rm", "app/db"], b"");
    let error = list(&*provider, "app", 1).unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
}
