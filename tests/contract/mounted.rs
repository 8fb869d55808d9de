//! The whole of it: the real program, mounted, that reads from a real server.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
#[cfg(feature = "vault")]
use serde_json::Value;

use crate::support::Host;
use crate::upstream::Upstream;

/// What the tests alone do: they read more at once than any process should.
const LIMITS: &str = "[limits]\nwaiting_per_uid = 5000\nwaiting_per_process = 5000\nmisses_per_uid = 100000\n\
    misses_per_process = 100000\n";

/// A host that is mounted with these rules and files of scope `a`, and with the provider `p` of that kind.
pub(crate) fn mounted(kind: &str, settings: &str, cache: &str, files: &str) -> Host {
    let mut host = Host::new();
    let scope = format!("[scope.a]\nallow = {{ uid = 0 }}\n{files}");
    let provider = format!("[provider.p]\nkind = '{kind}'\n{settings}");
    host.configure("", &format!("{LIMITS}[cache]\n{cache}\n{scope}\n{provider}"));
    host.mount();
    host
}

#[cfg(feature = "vault")]
/// How often the provider was asked, as `hushfs status` tells.
pub(crate) fn asked(host: &Host) -> u64 {
    told(host, "asked")
}

#[cfg(feature = "vault")]
/// How many of the questions it did not answer.
pub(crate) fn failed(host: &Host) -> u64 {
    told(host, "failed")
}

#[cfg(feature = "vault")]
fn told(host: &Host, what: &str) -> u64 {
    let status: Value = serde_json::from_slice(&host.run_ok(&["status", "--json"], b"").stdout).unwrap();
    let all = status["providers"].as_array().unwrap();
    all.iter().find(|provider| provider["name"] == "p").unwrap()[what].as_u64().unwrap()
}

#[cfg(feature = "vault")]
/// Waits until a read gives that; says how long that took.
pub(crate) fn until_it_reads(host: &Host, file: &Path, wanted: &[u8]) -> Duration {
    let since = Instant::now();
    host.eventually("the new value is read", || fs::read(file).unwrap() == wanted);
    since.elapsed()
}

fn watch(file: &Path) -> OwnedFd {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&fd, file, WatchFlags::CLOSE_WRITE).unwrap();
    fd
}

fn is_told(watch: &OwnedFd) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let event = Reader::new(watch, &mut buffer).next().map(|event| event.events());
    event.is_ok_and(|event| event.contains(ReadFlags::CLOSE_WRITE))
}

/// What is written at the server is announced to who watches the file, which a living process has read. `key` is of the value.
pub(crate) fn a_rotation_reaches_a_watcher<U: Upstream>(key: &str) {
    let upstream = U::start();
    let path = upstream.put("rotated", b"0");
    let file = format!("file.token = \"p:{path}{key}\"");
    let host = mounted(U::KIND, &upstream.settings(&upstream.direct()), "fresh_for = \"1s\"", &file);
    let file = host.file("a/token");
    assert_eq!(fs::read(&file).unwrap(), b"0");
    let watch = watch(&file);
    let took: Vec<_> = (1..=5)
        .map(|version| {
            let value = version.to_string();
            upstream.put("rotated", value.as_bytes());
            let since = Instant::now();
            host.eventually("the change is announced", || is_told(&watch));
            let took = since.elapsed();
            assert_eq!(fs::read_to_string(&file).unwrap(), value, "who is told reads the new one");
            took
        })
        .collect();
    println!("{}, fresh_for 1 s: from the write at the server to the event {took:?}", U::KIND);
    // One that a busy machine delayed says nothing; all of them do.
    let mut sorted = took;
    sorted.sort();
    assert!(sorted[3] <= Duration::from_secs(3), "{sorted:?}");
}

#[cfg(feature = "vault")]
#[test]
fn a_rotation_in_openbao_reaches_a_watcher() {
    a_rotation_reaches_a_watcher::<crate::vault::Vault>("#value");
}

#[cfg(feature = "aws")]
#[test]
fn a_rotation_in_aws_reaches_a_watcher() {
    a_rotation_reaches_a_watcher::<crate::aws::Secrets>("");
}
