//! `hushfs store` and the provider of kind `store`, through the real binary and the public interface.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hushfs::providers::{self, Fetched, Provider, ProviderError};

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
        command.arg("store").args(args).env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.dir.path());
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
    runtime.block_on(provider.fetch(&reference.parse().unwrap()))
}

#[expect(clippy::disallowed_methods, reason = "a test's own value")]
fn bytes(fetched: &Fetched) -> Vec<u8> {
    fetched.bytes.expose_secret().to_vec()
}

/// The error of a fetch that must fail: `Fetched` has no `Debug` on purpose.
fn failure(provider: &dyn Provider, reference: &str) -> ProviderError {
    fetch(provider, reference).err().unwrap()
}

#[test]
fn init_is_private_says_where_and_never_overwrites() {
    let place = Place::empty();
    let store = place.path("new/dir/store.age");
    let args = ["init", "--store", store.to_str().unwrap()];
    let told = String::from_utf8(place.ok(&args, b"")).unwrap();
    let key = store.with_extension("key");
    assert!(told.contains(&format!("cp --preserve {} {}", store.display(), key.display())), "{told}");
    assert!(told.contains("recipients add --new"), "{told}");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(store.parent().unwrap()), mode(&store), mode(&key)), (0o700, 0o600, 0o600));
    let before = (fs::read(&store).unwrap(), fs::read(&key).unwrap());
    assert!(place.fails(&args, b"").contains("already there"));
    fs::remove_file(&store).unwrap();
    assert!(place.fails(&args, b"").contains("store.key is already there"));
    assert!(!store.exists());
    assert_eq!(before.1, fs::read(&key).unwrap());
}

#[test]
fn a_binary_value_comes_back_byte_for_byte() {
    let place = Place::new();
    let all: Vec<u8> = (0..=255).collect();
    place.ok(&["set", "app/raw"], &all);
    assert_eq!(place.ok(&["show", "app/raw"], b""), all);
    place.ok(&["set", "line"], b"x\n");
    assert_eq!(place.ok(&["show", "line"], b""), b"x\n");
    place.ok(&["set", "line", "--trim"], b"x\r\n");
    assert_eq!(place.ok(&["show", "line"], b""), b"x");
    assert!(place.fails(&["set", "line"], b"").contains("is empty"));
    place.ok(&["set", "line", "--allow-empty"], b"");
    assert_eq!(place.ok(&["show", "line"], b""), b"");
}

#[test]
fn named_values_are_set_shown_and_removed_one_by_one() {
    let place = Place::new();
    place.ok(&["set", "db#user"], b"app");
    place.ok(&["set", "db#password"], CANARY.as_bytes());
    assert_eq!(place.ok(&["show", "db#password"], b""), CANARY.as_bytes());
    assert_eq!(
        place.ok(&["show", "db"], b""),
        format!(r#"{{"password":"{CANARY}","user":"app"}}"#).into_bytes()
    );
    assert!(place.fails(&["set", "db"], CANARY.as_bytes()).contains("--replace"));
    assert!(place.fails(&["set", "db#bytes"], &[0xff]).contains("not text"));
    place.ok(&["rm", "db#user"], b"");
    assert!(place.fails(&["show", "db#user"], b"").contains("no value named `user`"));
    assert_eq!(place.ok(&["show", "db#user", "--version", "2"], b""), b"app");
    assert!(place.fails(&["rm", "db#password"], b"").contains("last value"));
    place.ok(&["set", "db", "--replace"], b"raw");
    assert!(place.fails(&["set", "db#user"], b"x").contains("--replace"));
    place.ok(&["rm", "db"], b"");
    assert!(place.fails(&["show", "db"], b"").contains("no secret `db`"));
    assert_eq!(place.list(), serde_json::json!([]));
}

#[test]
fn list_shows_names_and_versions_and_no_value() {
    let place = Place::new();
    for _ in 0..2 {
        place.ok(&["set", "a"], CANARY.as_bytes());
    }
    assert_eq!(place.list()[0]["version"], "1", "the same value again is no new version");
    for n in 0..11 {
        place.ok(&["set", "a"], format!("{CANARY}{n}").as_bytes());
    }
    place.ok(&["set", "b#k"], CANARY.as_bytes());
    let text = [place.ok(&["list"], b""), place.ok(&["list", "--history", "a"], b"")].concat();
    assert!(!String::from_utf8(text).unwrap().contains(CANARY));
    let list = place.list();
    assert_eq!((&list[0]["name"], &list[0]["version"]), (&"a".into(), &"12".into()));
    assert_eq!(list[1]["keys"], serde_json::json!(["k"]));
    let history = place.ok(&["list", "--json", "--history", "a"], b"");
    let history: serde_json::Value = serde_json::from_slice(&history).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 10);
    assert!(place.fails(&["show", "a", "--version", "2"], b"").contains("no version `2`"));
}

#[test]
fn a_value_over_the_limit_is_refused() {
    let place = Place::new();
    place.ok(&["set", "a"], &vec![b'x'; 1 << 20]);
    assert!(place.fails(&["set", "a"], &vec![b'x'; (1 << 20) + 1]).contains("larger than 1048576 bytes"));
    assert_eq!(place.ok(&["show", "a"], b"").len(), 1 << 20);
}

#[test]
fn kill_at_any_moment_leaves_a_whole_store() {
    let place = Place::new();
    place.ok(&["set", "a"], b"value 0");
    let started = Instant::now();
    place.ok(&["set", "a"], b"value 1");
    let usual = started.elapsed();
    let provider = place.provider("path = 'store.age'");
    let (mut newest, mut old, mut new) = (1, 0, 0);
    // Moments spread over the whole run of a `set`, with a step that repeats none of them.
    for round in 0..240_u32 {
        let candidate = newest + 1;
        let mut child =
            place.command(&["set", "a"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        child.stdin.take().unwrap().write_all(format!("value {candidate}").as_bytes()).unwrap();
        let moment = usual.mul_f64(f64::from(round * 37 % 240) / 200.0);
        std::thread::sleep(moment.saturating_sub(started.elapsed()));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = String::from_utf8(bytes(&fetch(provider.as_ref(), "local:a").unwrap())).unwrap();
        if found == format!("value {candidate}") {
            (newest, new) = (candidate, new + 1);
        } else {
            assert_eq!(found, format!("value {newest}"), "round {round}");
            old += 1;
        }
    }
    assert!(old > 20 && new > 20, "the moments did not cover the write: {old} before it, {new} after it");
    place.ok(&["set", "a"], b"afterwards");
    assert_eq!(place.ok(&["show", "a"], b""), b"afterwards");
    let mut left: Vec<_> = fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["store.age", "store.age.lock", "store.key"]);
}

#[test]
fn kill_during_a_key_rotation_leaves_a_key_that_opens_the_store() {
    let place = Place::new();
    place.ok(&["set", "a"], b"x");
    let started = Instant::now();
    place.ok(&["rotate-key"], b"");
    let usual = started.elapsed();
    let mut keys = std::collections::HashSet::new();
    for round in 0..40_u32 {
        let mut child = place.command(&["rotate-key"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(usual.mul_f64(f64::from(round * 7 % 40) / 35.0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.ok(&["show", "a"], b""), b"x", "round {round}");
        keys.insert(fs::read(place.path("store.key")).unwrap());
    }
    assert!(keys.len() > 1, "no rotation got through");
    place.ok(&["rotate-key"], b"");
    let key = fs::read_to_string(place.path("store.key")).unwrap();
    assert_eq!(key.matches("AGE-SECRET-KEY-1").count(), 1);
    let recipients = String::from_utf8(place.ok(&["recipients"], b"")).unwrap();
    assert_eq!(recipients.lines().count(), 1, "{recipients}");
}

#[test]
fn many_writers_lose_nothing_and_readers_never_wait() {
    let place = Place::new();
    place.ok(&["set", "k#0"], b"0");
    let names: Vec<_> = (1..=8).map(|n| format!("k#{n}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let mut child = place.command(&["set", name]).stdin(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"v").unwrap();
            child
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(place.list()[0]["keys"].as_array().unwrap().len(), 9);
    let lock = fs::File::options().write(true).open(place.path("store.age.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let started = Instant::now();
    assert_eq!(place.ok(&["show", "k#0"], b""), b"0");
    assert_eq!(bytes(&fetch(place.provider("path = 'store.age'").as_ref(), "l:k").unwrap()).len(), 73);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn show_asks_before_it_prints_to_a_terminal() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    let command = format!(
        "{} store show a --store {} --audit {}",
        env!("CARGO_BIN_EXE_hushfs"),
        place.path("store.age").display(),
        place.path("audit").display()
    );
    let on_terminal = |answer: &[u8]| {
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--echo", "never", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` of util-linux makes the terminal for this test");
        script.stdin.take().unwrap().write_all(answer).unwrap();
        let out = script.wait_with_output().unwrap();
        (out.status.success(), String::from_utf8(out.stdout).unwrap())
    };
    let (done, told) = on_terminal(b"n\n");
    assert!(
        !done && told.contains("Print the value of a to this terminal?") && !told.contains(CANARY),
        "{told}"
    );
    let (done, told) = on_terminal(b"y\n");
    assert!(done && told.contains(CANARY), "{told}");
    let audit = fs::read_to_string(place.path("audit")).unwrap();
    let outcomes: Vec<_> = audit
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["denied", "allowed"]);
    assert!(!audit.contains(CANARY));
}

#[test]
fn a_look_that_cannot_be_recorded_does_not_happen() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    assert!(place.fails(&["show", "a", "--audit", "/proc/nowhere"], b"").contains("cannot record"));
    place.fails(&["show", "b", "--audit", "audit"], b"");
    place.ok(&["show", "a", "--audit", "audit"], b"");
    let audit = fs::read_to_string(place.path("audit")).unwrap();
    let records: Vec<hushfs::audit::record::Record> =
        audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = records.iter().map(|r| (r.path.as_str(), r.version.as_str(), r.outcome)).collect();
    use hushfs::audit::record::Outcome::{Allowed, Failed};
    assert_eq!(told, [("store:b", "", Failed), ("store:a", "1", Allowed)]);
    assert!(
        records
            .iter()
            .all(|r| r.uid == rustix::process::getuid().as_raw() && r.reason.starts_with("store show"))
    );
}

fn editor(place: &Place, script: &str) -> PathBuf {
    let path = place.path("editor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn edit(place: &Place, name: &str, script: &str) -> Output {
    let path = editor(place, script);
    place.command(&["edit", name, "--allow-swap"]).env("EDITOR", path).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn edit_works_in_memory_and_leaves_nothing() {
    let place = Place::new();
    place.ok(&["set", "a#k"], CANARY.as_bytes());
    // What editors do: a new file in the old one's place, a backup beside it.
    let script = r#"stat -f -c %T "$1" > fs; stat -c %a "$1" > mode; echo "$1" > where; cp "$1" "$1~"
        sed 's/canary/changed/' "$1~" > "$1.new"; mv "$1.new" "$1""#;
    let out = edit(&place, "a", script);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap().trim().to_owned();
    assert_eq!((read("fs").as_str(), read("mode").as_str()), ("tmpfs", "600"));
    assert!(!Path::new(&read("where")).parent().unwrap().exists());
    assert_eq!(place.ok(&["show", "a#k"], b""), CANARY.replace("canary", "changed").into_bytes());
}

#[test]
fn edit_that_fails_or_changes_nothing_writes_nothing() {
    let place = Place::new();
    place.ok(&["set", "a"], b"text");
    place.ok(&["set", "n#k"], CANARY.as_bytes());
    place.ok(&["set", "bytes"], &[0xff]);
    let before = fs::read(place.path("store.age")).unwrap();
    for (name, script, told) in [
        ("a", "true", "unchanged"),
        ("a", "echo more >> $1; exit 3", "the editor failed"),
        ("a", ": > $1", "empty"),
        ("a", "rm $1", "cannot read what was edited"),
        ("n", "echo '{\"k\":[\"canary-8d1f4e\"]}' > $1", "a list"),
        ("n", "echo canary-8d1f4e > $1", "line 1: not a JSON object"),
        ("bytes", "true", "not text"),
        ("none", "true", "no secret"),
    ] {
        let out = edit(&place, name, script);
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(text.contains(told) && !text.contains(CANARY), "{name} {script}: {text}");
        assert_eq!(out.status.success(), told == "unchanged");
        assert_eq!(fs::read(place.path("store.age")).unwrap(), before, "{script}");
    }
    let meanwhile = format!(
        "echo other | {} store set a --store store.age; echo mine > $1",
        env!("CARGO_BIN_EXE_hushfs")
    );
    let out = edit(&place, "a", &meanwhile);
    assert!(String::from_utf8(out.stderr).unwrap().contains("somebody else"));
    assert_eq!(place.ok(&["show", "a"], b""), b"other\n");
}

#[test]
fn import_makes_one_secret_of_a_file() {
    let place = Place::new();
    fs::write(place.path("app.env"), format!("export A='{CANARY}'\n# c\nB=\"x\ny\"\n")).unwrap();
    place.ok(&["import", "app.env"], b"");
    assert_eq!(place.ok(&["show", "app#A"], b""), CANARY.as_bytes());
    assert_eq!(place.ok(&["show", "app#B"], b""), b"x\ny");
    fs::write(place.path("db.json"), r#"{"port":5432,"tls":true,"host":"h"}"#).unwrap();
    place.ok(&["import", "db.json", "--as", "app/db"], b"");
    assert_eq!(place.ok(&["show", "app/db"], b""), br#"{"host":"h","port":"5432","tls":"true"}"#);
    place.ok(&["import", "-", "--as", "piped"], b"K=v");
    assert_eq!(place.ok(&["show", "piped#K"], b""), b"v");
    fs::write(place.path("bad.env"), format!("A=b\n{CANARY}\n")).unwrap();
    assert!(place.fails(&["import", "bad.env"], b"").contains("bad.env: line 2: there is no `=`"));
    fs::write(place.path("bad.json"), format!(r#"{{"a":{{"b":"{CANARY}"}}}}"#)).unwrap();
    assert!(place.fails(&["import", "bad.json"], b"").contains("`a` is an object"));
    fs::write(place.path(".env"), "A=b").unwrap();
    assert!(place.fails(&["import", ".env"], b"").contains("--as NAME"));
}

#[test]
fn rotate_key_keeps_recovery_keys_and_old_copies_open_with_the_old_key() {
    let place = Place::empty();
    place.ok(&["init", "--recovery", "recovery.key"], b"");
    place.ok(&["set", "a"], b"x");
    for name in ["store.age", "store.key"] {
        fs::copy(place.path(name), place.path(&format!("old-{name}"))).unwrap();
    }
    let provider = place.provider("path = 'store.age'");
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"x");
    let told = String::from_utf8(place.ok(&["rotate-key"], b"")).unwrap();
    assert!(told.contains("still open with the old key"), "{told}");
    assert_eq!(place.ok(&["show", "a"], b""), b"x");
    assert_eq!(place.ok(&["show", "a", "--key", "recovery.key"], b""), b"x");
    assert!(place.fails(&["show", "a", "--key", "old-store.key"], b"").contains("does not open the store"));
    assert_eq!(place.ok(&["show", "a", "--store", "old-store.age", "--key", "old-store.key"], b""), b"x");
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"x", "the daemon follows the rotation");
    let old = place.provider("path = 'store.age'\nkey = 'old-store.key'");
    assert!(matches!(failure(old.as_ref(), "l:a"), ProviderError::Refused(_)));
}

#[test]
fn a_backup_opens_elsewhere_with_its_key_or_the_recovery_key_alone() {
    let place = Place::empty();
    place.ok(&["init", "--recovery", "recovery.key"], b"");
    place.ok(&["set", "a"], b"x");
    let elsewhere = Place::empty();
    for name in ["store.age", "store.key"] {
        fs::copy(place.path(name), elsewhere.path(name)).unwrap();
    }
    assert_eq!(elsewhere.ok(&["show", "a"], b""), b"x");
    let alone = Place::empty();
    fs::copy(place.path("store.age"), alone.path("store.age")).unwrap();
    fs::copy(place.path("recovery.key"), alone.path("recovery.key")).unwrap();
    assert_eq!(alone.ok(&["show", "a", "--key", "recovery.key"], b""), b"x");
    assert!(alone.fails(&["show", "a"], b"").contains("there is no key at"));
    // Every write goes to all recipients.
    alone.ok(&["set", "b", "--key", "recovery.key"], b"y");
    fs::copy(place.path("store.key"), alone.path("store.key")).unwrap();
    assert_eq!(alone.ok(&["show", "b"], b""), b"y");
}

#[test]
fn recipients_are_added_and_removed_but_never_the_last_own_one() {
    let place = Place::new();
    place.ok(&["set", "a"], b"x");
    place.ok(&["recipients", "add", "--new", "second.key"], b"");
    assert_eq!(place.ok(&["show", "a", "--key", "second.key"], b""), b"x");
    let list = String::from_utf8(place.ok(&["recipients"], b"")).unwrap();
    let own = list.lines().find(|line| line.ends_with("(in the key file)")).unwrap();
    let own = own.split_whitespace().next().unwrap();
    let second = list.lines().find(|line| !line.contains(own)).unwrap();
    assert!(place.fails(&["recipients", "remove", own], b"").contains("rotate-key"));
    place.ok(&["recipients", "remove", second], b"");
    assert!(place.fails(&["show", "a", "--key", "second.key"], b"").contains("does not open"));
    assert!(place.fails(&["recipients", "add", "age1nonsense"], b"").contains("not a public key"));
}

#[test]
fn a_key_under_a_passphrase_serves_daemon_and_operator() {
    let place = Place::empty();
    fs::write(place.path("pass"), format!("{CANARY}\n")).unwrap();
    fs::write(place.path("wrong"), "other").unwrap();
    let with = ["--passphrase-file", "pass"];
    place.ok(&[&["init", "--passphrase", "--recovery", "recovery.key"], &with[..]].concat(), b"");
    place.ok(&[&["set", "a"], &with[..]].concat(), b"x");
    assert!(fs::read(place.path("store.key")).unwrap().starts_with(b"age-encryption.org/"));
    place.ok(&[&["rotate-key"], &with[..]].concat(), b"");
    assert!(fs::read(place.path("store.key")).unwrap().starts_with(b"age-encryption.org/"));
    assert_eq!(place.ok(&["show", "a", "--key", "recovery.key"], b""), b"x");
    let fetched = |settings: &str| fetch(place.provider(settings).as_ref(), "l:a");
    assert_eq!(bytes(&fetched("path = 'store.age'\npassphrase_file = 'pass'").unwrap()), b"x");
    let wrong = fetched("path = 'store.age'\npassphrase_file = 'wrong'").err().unwrap();
    assert!(matches!(wrong, ProviderError::Refused(_)), "{wrong}");
    let none = fetched("path = 'store.age'").err().unwrap();
    assert!(
        matches!(&none, ProviderError::Misconfigured(text) if text.contains("passphrase_file")),
        "{none}"
    );
}

#[test]
fn the_provider_serves_versions_and_the_state_of_the_file() {
    let place = Place::new();
    place.ok(&["set", "a"], b"one");
    place.ok(&["set", "a"], b"two");
    let provider = place.provider("path = 'store.age'");
    let newest = fetch(provider.as_ref(), "l:a#ignored").unwrap();
    assert_eq!((bytes(&newest), newest.version.as_str()), (b"two".to_vec(), "2"));
    assert!(newest.created.elapsed().unwrap() < Duration::from_secs(60));
    let meta = fs::metadata(place.path("store.age")).unwrap();
    let stamp = newest.stamp.unwrap();
    assert_eq!(stamp.path, place.path("store.age"));
    assert_eq!(stamp.state, (meta.ino(), meta.size(), meta.mtime() * 1_000_000_000 + meta.mtime_nsec()));
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a?version=1").unwrap()), b"one");
    for (reference, name) in [("l:none", "`none`"), ("l:a?version=9", "version `9`")] {
        let error = failure(provider.as_ref(), reference);
        assert!(matches!(&error, ProviderError::NotFound(text) if text.contains(name)), "{error}");
    }
    place.ok(&["set", "a"], b"three");
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"three");
    // Nothing changed: no decryption, so the key is not missed.
    fs::remove_file(place.path("store.key")).unwrap();
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"three");
}

#[test]
fn each_way_a_store_can_be_unusable_has_its_error() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    let provider = place.provider("path = 'store.age'");
    let (store, whole) = (place.path("store.age"), fs::read(place.path("store.age")).unwrap());
    for damaged in [&b""[..], b"garbage", &whole[..whole.len() - 1], &whole[..whole.len() / 2]] {
        fs::write(&store, damaged).unwrap();
        let error = failure(provider.as_ref(), "l:a");
        assert!(matches!(&error, ProviderError::Malformed(text) if text.contains("backup")), "{error}");
    }
    fs::remove_file(&store).unwrap();
    let error = failure(provider.as_ref(), "l:a");
    assert!(matches!(&error, ProviderError::Misconfigured(text) if text.contains("store init")), "{error}");
    fs::write(&store, &whole).unwrap();
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), CANARY.as_bytes(), "and it recovers");
    fs::rename(place.path("store.key"), place.path("kept.key")).unwrap();
    fs::write(&store, &whole).unwrap();
    let error = failure(provider.as_ref(), "l:a");
    assert!(matches!(&error, ProviderError::Misconfigured(text) if text.contains("no key at")), "{error}");
}

#[test]
fn no_value_is_in_any_file_beside_the_import() {
    let place = Place::new();
    for n in 0..3 {
        place.ok(&["set", "a#k"], format!("{CANARY}{n}").as_bytes());
    }
    place.ok(&["rotate-key"], b"");
    for entry in fs::read_dir(place.dir.path()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
}
