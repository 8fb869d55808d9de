//! Programs: one that keeps a store in files, and others that behave badly.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hushfs::providers::{Fetched, Mint, ProviderError};

use crate::listing::list;
use crate::network::CANARY;
use crate::upstream::{At, Upstream, bytes, fetch};

crate::contract!(command, Store, local);

/// Keeps each secret as lines of version, time and value. The second argument is a credential: a file that must be there.
const PROGRAM: &str = r#"
import base64, json, os, sys
directory, credential = sys.argv[1:]
asked = json.load(sys.stdin)
assert asked["version"] == 1
def end(answer): print(json.dumps(answer)); sys.exit()
def below(path):
    for at, _, files in os.walk(path):
        for name in files:
            if name.endswith(".secret"): yield os.path.relpath(os.path.join(at, name), path)[:-7]
if not os.path.exists(credential): end({"error": {"kind": "refused"}})
if asked.get("operation") == "list":
    names = list(below(os.path.join(directory, asked["path"])))
    end({"names": names} if names else {"error": {"kind": "not_found"}})
try: lines = [line.split() for line in open(os.path.join(directory, asked["path"] + ".secret"))]
except FileNotFoundError: end({"error": {"kind": "not_found"}})
wanted = asked["secret_version"]
found = [line for line in lines if wanted in (None, line[0])]
if not found: end({"error": {"kind": "not_found"}})
version, created, value = found[-1]
end({"value_base64": value, "version": version, "created": created})
"#;

struct Store(tempfile::TempDir);

impl Store {
    fn settings_with(&self, credential: &Path) -> String {
        let at = self.0.path().display();
        let args = format!("['-I', '{at}/program.py', '{at}', '{}']", credential.display());
        format!("program = '/usr/bin/python3'\nargs = {args}\nuser = 'root'\ntimeout = '3s'")
    }
}

impl Upstream for Store {
    const KIND: &'static str = "command";
    const BINARY: bool = true;
    const VERSIONS: bool = true;

    fn start() -> Self {
        let store = Self(tempfile::tempdir().unwrap());
        std::fs::write(store.0.path().join("program.py"), PROGRAM).unwrap();
        store
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    fn settings(&self, _: &At) -> String {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let credential = self.0.path().join(format!("credential-{}", LAST.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&credential, "").unwrap();
        self.settings_with(&credential)
    }

    fn settings_to_list(&self, at: &At) -> Option<String> {
        Some(format!("{}\nlists = true", self.settings(at)))
    }

    fn settings_without_rights(&self, _: &At) -> Option<String> {
        Some(format!("{}\nlists = true", self.settings_with(Path::new("/nonexistent"))))
    }

    fn settings_with_wrong_credentials(&self, _: &At) -> Option<String> {
        // What a program logs in with, if with anything, only a fetch shows.
        None
    }

    fn revoke(&self, settings: &str) -> bool {
        let credential = settings.split('\'').find(|part| part.contains("/credential-")).unwrap();
        std::fs::remove_file(credential).unwrap();
        true
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let path = self.0.path().join(format!("{name}.secret"));
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let (version, now) = (before.lines().count() + 1, jiff::Timestamp::now());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{before}{version} {now} {}\n", STANDARD.encode(value))).unwrap();
        name.to_owned()
    }

    fn nowhere(&self) -> String {
        "nothing-of-that-name".to_owned()
    }

    fn no_version(&self) -> String {
        "77".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        bytes(fetched)
    }
}

/// Fetches `a` from a program in that language.
fn run(program: &str, language: &str, more: &str) -> Result<Fetched, ProviderError> {
    let user = if more.contains("user") { "" } else { "user = 'root'\n" };
    let settings = format!("program = '{program}'\nargs = ['-c', '''{language}''']\n{user}{more}");
    fetch(&*Store::open(&settings).unwrap(), "a")
}

fn shell(script: &str, more: &str) -> Result<Fetched, ProviderError> {
    run("/bin/sh", script, more)
}

fn value(fetched: Result<Fetched, ProviderError>) -> String {
    String::from_utf8(bytes(&fetched.unwrap_or_else(|error| panic!("{error}")))).unwrap()
}

#[test]
fn one_that_does_not_read_what_it_is_asked_may_answer() {
    assert_eq!(value(shell("exec <&-; echo '{\"value\": \"x\"}'", "")), "x");
    assert_eq!(
        value(shell("echo '{\"values\": {\"b\": \"2\", \"a\": \"\\u00e9\"}}'", "")),
        "{\"a\":\"é\",\"b\":\"2\"}"
    );
}

#[test]
fn without_a_version_of_its_own_a_value_has_one_that_changes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("value");
    std::fs::write(&file, "one").unwrap();
    let script = format!("printf {{\\\"value\\\":\\\"%s\\\"}} $(cat {})", file.display());
    let settings = format!("program = '/bin/sh'\nargs = ['-c', '''{script}''']\nuser = 'root'");
    let provider = Store::open(&settings).unwrap();
    let fetch = || fetch(&*provider, "a").unwrap();
    let (first, again) = (fetch(), fetch());
    assert_eq!((&first.version, first.created), (&again.version, again.created));
    std::fs::write(&file, "two").unwrap();
    let second = fetch();
    assert_ne!(first.version, second.version);
    assert!(second.created > first.created);
}

#[test]
fn of_what_it_says_wrong_nothing_is_told() {
    let complains = format!("echo {CANARY} >&2; echo {CANARY}; exit 3");
    let error = shell(&complains, "").err().unwrap();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    let told = format!("{error} {error:?}");
    assert!(!told.contains(CANARY), "{told}");
    assert!(
        told.contains("exit status: 3") && told.contains(&format!("{} bytes", CANARY.len() + 1)),
        "{told}"
    );
    // A value is not one that a program takes back by failing.
    assert!(shell("echo '{\"value\": \"x\"}'; exit 1", "").is_err());
    let error = shell("echo '{\"error\": {\"kind\": \"refused\"}}'; exit 1", "").err().unwrap();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    let error = shell("kill -9 $$", "").err().unwrap();
    assert!(error.to_string().contains("signal: 9"), "{error}");
}

#[test]
fn one_that_is_too_slow_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let since = Instant::now();
    let script = format!("sleep 61 & echo $! > {at}/child; echo $$ > {at}/self; sleep 62");
    let error = shell(&script, "timeout = '500ms'").err().unwrap();
    assert!(
        matches!(error, ProviderError::Unavailable { .. }) && error.to_string().contains("was killed"),
        "{error}"
    );
    assert!(since.elapsed() < Duration::from_secs(5));
    for name in ["child", "self"] {
        let pid = std::fs::read_to_string(dir.path().join(name)).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(since.elapsed() < Duration::from_secs(10), "{name} lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn one_that_leaves_something_behind_is_not_waited_for() {
    let since = Instant::now();
    assert_eq!(value(shell("sleep 20 & echo '{\"value\": \"x\"}'", "")), "x");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[test]
fn one_that_talks_without_end_is_stopped() {
    let since = Instant::now();
    let error = shell("exec yes", "timeout = '30s'").err().unwrap();
    assert!(
        matches!(error, ProviderError::Malformed(_)) && error.to_string().contains("longer than"),
        "{error}"
    );
    assert!(shell("echo '{\"value\": \"xxxxxxxxxx\"}'", "output_max = '10B'").is_err());
    // On standard error it may talk as it likes: nobody listens, and nothing is held.
    assert_eq!(value(shell("yes | head -c 3000000 >&2; echo '{\"value\": \"x\"}'", "timeout = '30s'")), "x");
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[test]
fn environment_user_and_directory_are_what_is_set() {
    let program = "import json, os
environ = open('/proc/self/environ').read().rstrip('\\0').split('\\0')
print(json.dumps({'values': {'environ': ' '.join(sorted(environ)), 'cwd': os.getcwd(), 'ids': repr((os.getresuid(), os.getresgid(), os.getgroups())),
    'group': str(os.getpgid(0) == os.getpid())}}))";
    let more = "user = 'nobody'\ndirectory = '/usr'\nenvironment = ['PATH', 'NOT_SET_AT_ALL']\nset = { HOME = '/h', A = 'b c' }";
    let told: serde_json::Value =
        serde_json::from_str(&value(run("/usr/bin/python3", program, more))).unwrap();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(told["environ"], format!("A=b c HOME=/h PATH={path}"));
    assert_eq!(told["cwd"], "/usr");
    assert_eq!(told["ids"], "((65534, 65534, 65534), (65534, 65534, 65534), [])");
    assert_eq!(told["group"], "True", "a process group of its own");
}

#[test]
fn one_that_is_not_there_is_said_to_be_so() {
    for program in ["/usr/bin/there-is-no-such-program", "/etc/passwd"] {
        let provider = Store::open(&format!("program = '{program}'\nuser = 'root'")).unwrap();
        let error = fetch(&*provider, "a").err().unwrap();
        assert!(
            matches!(error, ProviderError::Misconfigured(_)) && error.to_string().contains(program),
            "{error}"
        );
        let error = crate::upstream::block_on(provider.log_in()).unwrap_err();
        assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
    }
}

#[test]
fn no_more_run_at_once_than_may() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {}; mkdir busy || exit 9; sleep 0.05; rmdir busy; echo '{{\"value\": \"x\"}}'",
        dir.path().display()
    );
    let settings = format!(
        "program = '/bin/sh'\nargs = ['-c', '''{script}''']\nuser = 'root'\nat_once = 1\nset = {{ PATH = '/usr/bin:/bin' }}"
    );
    let provider: std::sync::Arc<dyn hushfs::providers::Provider> = Store::open(&settings).unwrap().into();
    crate::upstream::block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let provider = std::sync::Arc::clone(&provider);
                tokio::spawn(async move {
                    provider.fetch(&crate::upstream::reference("a", None), Mint::Allowed).await.map(drop)
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
}

#[test]
fn one_that_knows_no_listing_is_told_apart_from_one_that_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let below = |answer: &str, more: &str| {
        let script = format!("touch {}/ran; echo '{answer}'", dir.path().display());
        let settings = format!(
            "program = '/bin/sh'\nargs = ['-c', '''{script}''']\nuser = 'root'\nset = {{ PATH = '/usr/bin:/bin' }}\n{more}"
        );
        list(&*Store::open(&settings).unwrap(), "a", 1)
    };
    let error = below(r#"{"names": ["x"]}"#, "mints = true").unwrap_err();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("lists = true")), "{error}");
    assert!(!dir.path().join("ran").exists(), "it could have made a credential");
    assert_eq!(below(r#"{"names": ["y", "x", "too/deep", "y"]}"#, "lists = true").unwrap(), ["x", "y"]);
    assert_eq!(below(r#"{"names": []}"#, "lists = true").unwrap(), [""; 0], "it knows");
    for answer in [format!("{{\"value\": \"{CANARY}\"}}"), CANARY.to_owned(), String::new()] {
        let error = below(&answer, "lists = true").unwrap_err();
        assert!(matches!(&error, ProviderError::Malformed(m) if m.contains("does it know")), "{error}");
        assert!(!error.to_string().contains(CANARY), "{error}");
    }
}

#[test]
fn ten_thousand_names_are_listed_and_not_one_more() {
    let below = |count: usize| {
        let script =
            format!(r#"{{ printf "{{\"names\":[\"x\""; seq -f ",\"%.0f\"" 2 {count}; echo "]}}"; }}"#);
        let settings = format!(
            "program = '/bin/sh'\nargs = ['-c', '''{script}''']\nuser = 'root'\nset = {{ PATH = '/usr/bin:/bin' }}\nlists = true"
        );
        list(&*Store::open(&settings).unwrap(), "a", 1)
    };
    assert_eq!(below(10_000).unwrap().len(), 10_000);
    let error = below(10_001).unwrap_err();
    assert!(
        matches!(&error, ProviderError::Misconfigured(m) if m.contains("a path further down")),
        "{error}"
    );
}

#[test]
fn one_that_makes_credentials_tells_their_terms_and_renews_and_revokes_them() {
    let dir = tempfile::tempdir().unwrap();
    let program = format!(
        "import datetime, json, sys
asked = json.load(sys.stdin)
with open('{}/asked', 'a') as log: log.write(json.dumps(asked) + chr(10))
def answer(**what): print(json.dumps(what)); sys.exit()
ends = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=90)).isoformat()
if asked.get('operation') == 'revoke': answer()
if asked.get('lease') == 'gone': answer(error=dict(kind='not_found'))
if asked.get('operation') == 'renew': answer(expires=ends, renewable=False)
answer(value='x', expires=ends, lease=dict(handle='lease 7', renewable=True, revocable=True))",
        dir.path().display()
    );
    let settings = |more: &str| {
        let settings = format!(
            "program = '/usr/bin/python3'\nargs = ['-c', \"\"\"{program}\"\"\"]\nuser = 'root'\n{more}"
        );
        Store::open(&settings).unwrap()
    };
    let provider = settings("mints = true");
    let asked = || std::fs::read_to_string(dir.path().join("asked")).unwrap_or_default();
    let a = crate::upstream::reference("a", None);
    let error = crate::upstream::block_on(provider.fetch(&a, Mint::Never)).err().expect("it was fetched");
    assert!(matches!(error, ProviderError::WouldMint(_)) && asked().is_empty(), "{error}");
    let lease = fetch(&*provider, "a").unwrap().lease.expect("a lease");
    assert_eq!((lease.handle.as_str(), lease.renewable, lease.revocable), ("lease 7", true, true));
    assert!((60..=90).contains(&lease.lasts.as_secs()));
    let renewed = crate::upstream::block_on(provider.renew(&lease)).unwrap();
    assert!((60..=90).contains(&renewed.lasts.as_secs()) && !renewed.renewable);
    crate::upstream::block_on(provider.revoke(&lease.handle)).unwrap();
    assert!(
        asked().ends_with("{\"version\": 1, \"operation\": \"revoke\", \"lease\": \"lease 7\"}\n"),
        "{}",
        asked()
    );
    let gone = hushfs::providers::Lease { handle: "gone".into(), ..lease };
    let error = crate::upstream::block_on(provider.renew(&gone)).unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    // Who does not say that it makes credentials would be asked by a stat.
    let error = fetch(&*settings(""), "a").err().expect("it was fetched");
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("mints = true")), "{error}");
}
