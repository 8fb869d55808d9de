//! What is held is bounded by `cache_max`, and what does not fit is served all the same.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::daemon::{Daemon, status_kib};
use crate::support::Host;

const COUNT: usize = 200;
const SIZE: usize = 100 << 10;

fn value(n: usize, size: usize) -> Vec<u8> {
    format!("value {n} ").into_bytes().into_iter().cycle().take(size).collect()
}

/// Puts all values into the store at once, by the layout that its documentation names: two hundred `set` would write it
/// two hundred times.
fn fill(host: &Host, values: &BTreeMap<String, Vec<u8>>) {
    let key = std::fs::read_to_string(host.path("store.key")).unwrap();
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let key: age::x25519::Identity = key.parse().unwrap();
    let secret = |value: &Vec<u8>| {
        let value = serde_json::json!({ "bytes": STANDARD.encode(value) });
        let version =
            serde_json::json!({ "version": "1", "created": "2024-01-01T00:00:00Z", "value": value });
        serde_json::json!({ "last": 1, "versions": [version] })
    };
    let secrets: serde_json::Map<_, _> =
        values.iter().map(|(name, value)| (name.clone(), secret(value))).collect();
    let recipients = [key.to_public().to_string()];
    let document =
        serde_json::json!({ "layout": 1, "keep": 10, "recipients": recipients, "secrets": secrets });
    let sealed = age::encrypt(&key.to_public(), document.to_string().as_bytes()).unwrap();
    host.write("store.age", &sealed, 0o600);
}

#[test]
fn twenty_megabytes_are_read_twice_through_a_cache_of_one() {
    let mut values: BTreeMap<String, Vec<u8>> =
        (0..COUNT).map(|n| (format!("v{n:03}"), value(n, SIZE))).collect();
    values.insert("small".into(), b"small".to_vec());
    let host = Host::new();
    fill(&host, &values);
    let files: String = values.keys().map(|name| format!("file.{name} = \"local:{name}\"\n")).collect();
    let limits = "[limits]\ncache_max = \"1MiB\"\nsize_max = \"1MiB\"";
    host.configure(limits, &format!("[scope.a]\nallow = {{ uid = 0 }}\n{files}"));
    let daemon = Daemon::start(&host, &[], &[]);
    let read = |name: &str| std::fs::read(host.file(&format!("a/{name}"))).unwrap();
    // The first read decrypts the store, and starts what is started late.
    assert_eq!(read("small"), b"small");
    assert!(read("v000") == values["v000"]);
    let before = status_kib(daemon.front(), "VmRSS");
    let fetcher_before = status_kib(daemon.fetcher(), "VmRSS");
    for round in 1..=2 {
        for (name, value) in &values {
            assert!(read(name) == *value, "{name}, round {round}");
        }
        let growth = status_kib(daemon.front(), "VmRSS").saturating_sub(before);
        assert!(growth < 8 << 10, "after round {round} the front has grown by {growth} KiB");
        // It holds the decrypted store from the first read on.
        let growth = status_kib(daemon.fetcher(), "VmRSS").saturating_sub(fetcher_before);
        assert!(growth < 8 << 10, "after round {round} the fetcher has grown by {growth} KiB");
    }
}

#[test]
fn what_open_files_hold_is_given_back_when_they_are_closed() {
    let values: BTreeMap<String, Vec<u8>> =
        (0..COUNT).map(|n| (format!("v{n:03}"), value(n, SIZE))).collect();
    let host = Host::new();
    fill(&host, &values);
    let files: String = values.keys().map(|name| format!("file.{name} = \"local:{name}\"\n")).collect();
    host.configure("[limits]\ncache_max = \"1MiB\"", &format!("[scope.a]\nallow = {{ uid = 0 }}\n{files}"));
    let daemon = Daemon::start(&host, &[], &[]);
    let open = |name: &String| std::fs::File::open(host.file(&format!("a/{name}"))).unwrap();
    drop(open(values.keys().next().unwrap()));
    let rss = || status_kib(daemon.front(), "VmRSS");
    let before = rss();
    let all: Vec<_> = values.keys().map(open).collect();
    assert!(rss() > before + (15 << 10), "each open file keeps its bytes");
    for (mut file, value) in all.iter().zip(values.values()) {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes == *value);
    }
    drop(all);
    host.eventually("the bytes of closed files are given back", || rss() < before + (8 << 10));
}

#[test]
fn a_value_larger_than_the_cache_is_served_whole_and_with_its_size() {
    let large = value(7, 1 << 20);
    let host = Host::new();
    fill(&host, &BTreeMap::from([("large".to_owned(), large.clone())]));
    host.configure(
        "[limits]\ncache_max = \"1MiB\"\nsize_max = \"1MiB\"",
        "[scope.a]\nallow = { uid = 0 }\nfile.large = \"local:large\"\n",
    );
    let _daemon = Daemon::start(&host, &[], &[]);
    for _ in 0..3 {
        assert_eq!(std::fs::metadata(host.file("a/large")).unwrap().size(), 1 << 20);
        assert!(std::fs::read(host.file("a/large")).unwrap() == large);
    }
}
