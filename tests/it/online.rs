//! `hushfs check --online` and `hushfs get`: with a store, and with a provider that nobody answers for.

use std::fs::{Permissions, set_permissions, write};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A value that only `get` may print, and only when it is to.
const CANARY: &str = "canary-3b7a90";

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// A store with a plain secret and one of named values, and the files that these lines configure.
    fn new(lines: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        let text = format!(
            "mount = 'mnt'\naudit = {{ to = './audit.log' }}\n[provider.local]\nkind = 'store'\npath = 'store.age'\n{lines}\n"
        );
        write(place.config(), text).unwrap();
        set_permissions(place.config(), Permissions::from_mode(0o600)).unwrap();
        place.store(&["init"], "");
        place.store(&["set", "plain"], CANARY);
        place.store(&["set", "db#password"], CANARY);
        place
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("hushfs.toml")
    }

    fn store(&self, args: &[&str], input: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
        command
            .arg("store")
            .args(args)
            .stderr(Stdio::null())
            .arg("--store")
            .arg(self.dir.path().join("store.age"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{args:?}");
    }

    fn hushfs(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
        command.args(args).arg("--config").arg(self.config()).output().unwrap()
    }

    /// What it says, with that exit code, and never the value.
    fn says(&self, args: &[&str], code: i32) -> String {
        let output = self.hushfs(args);
        let told =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(!told.contains(CANARY), "{args:?} tells the value: {told}");
        told
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        let told = self.says(args, code);
        // What the fetcher has to say of this kernel goes to standard error.
        let told = told.get(..=told.rfind("}\n").unwrap_or_default()).unwrap_or_default();
        serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {told}"))
    }

    fn records(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.dir.path().join("audit.log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const FILES: &str = "
[scope.app]
allow = { user = 'daemon' }
file.token = 'local:plain'
file.again = 'local:plain'
file.password = 'local:db#password'
file.env = { from = 'local:db', format = 'dotenv' }
file.pinned = 'local:plain?version=1'
";

#[test]
fn check_says_what_files_would_show() {
    let place = Place::new(FILES);
    assert!(!place.says(&["check"], 0).contains("logged in"), "only when it is told to");
    let told = place.says(&["check", "--online"], 0);
    for line in [
        "local (store)",
        "logged in",
        "local:db#password",
        "version 1",
        "everything that the files refer to is there",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains(" ms"), "{told}");
    assert_eq!(told.matches("local:plain ").count(), 1, "one row for the files that show the same: {told}");

    let report = place.json(&["check", "--online", "--json"], 0);
    assert_eq!((&report["ok"], &report["online"]["ok"]), (&true.into(), &true.into()));
    assert_eq!(report["online"]["providers"][0]["name"], "local");
    let rows = report["online"]["references"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{rows:?}");
    let plain = rows.iter().find(|row| row["reference"] == "local:plain").unwrap();
    assert_eq!(plain["files"], serde_json::json!(["app/again", "app/token"]));
    assert!(plain["version"] == "1" && plain["millis"].is_u64() && plain["error"].is_null(), "{plain}");
    assert!(place.json(&["check", "--json"], 0).get("online").is_none());
}

#[test]
fn check_makes_no_credential_and_get_makes_one_and_says_how_long_it_lasts() {
    let script = r#"echo made >> made.log; echo '{"value": "key-5", "expires": "2099-01-01T00:00:00Z", "lease": {"handle": "key/5"}}'"#;
    let place = Place::new("");
    let lines = format!(
        "[provider.maker]\nkind = 'command'\nprogram = '/bin/sh'\nargs = ['-c', \"\"\"{script}\"\"\"]\nuser = 'root'\nmints = true\ndirectory = '{}'\n[scope.app]\nallow = {{ user = 'daemon' }}\nfile.key = 'maker:key'\nfile.token = 'local:plain'\n",
        place.dir.path().display()
    );
    let text = std::fs::read_to_string(place.config()).unwrap();
    write(place.config(), text + &lines).unwrap();
    let told = place.says(&["check", "--online"], 0);
    assert!(told.contains("not tried: it would make a credential"), "{told}");
    assert!(
        told.contains("everything else that the files refer to is there; 1 reference not tried"),
        "{told}"
    );
    let report = place.json(&["check", "--online", "--json"], 0);
    let rows = report["online"]["references"].as_array().unwrap();
    let row = rows.iter().find(|row| row["reference"] == "maker:key").unwrap();
    assert!(row["ok"] == true && row["error"]["kind"] == "would-mint" && row["version"].is_null(), "{row}");
    let made = place.dir.path().join("made.log");
    assert!(!made.exists(), "check made one");
    let got = place.hushfs(&["get", "maker:key"]);
    assert_eq!(String::from_utf8_lossy(&got.stdout), "key-5");
    let said = String::from_utf8_lossy(&got.stderr).into_owned();
    assert!(said.contains("made for this, and lasts") && said.contains("key/5"), "{said}");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "made\n");
    let known = place.json(&["get", "--json", "maker:key"], 0);
    let lease = &known["lease"];
    assert!(lease["id"] == "key/5" && lease["renewable"] == false && lease["revocable"] == false, "{known}");
}

#[test]
fn check_groups_failures_by_who_must_act() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new(&format!(
        "[provider.cloud]\nkind = 'gcp-secret-manager'\nproject = 'p'\nendpoint = 'http://{nobody}'\n\
         metadata_server = '{nobody}'\nconnect_timeout = '500ms'\n\
         [provider.other]\nkind = 'store'\npath = 'store.age'\nkey = 'other.key'\n\
         [scope.app]\nallow = {{ user = 'daemon' }}\nfile.token = 'local:plain'\nfile.gone = 'local:gone'\n\
         file.old = 'local:plain?version=7'\nfile.user = 'local:db#user'\nfile.env = {{ from = 'local:plain', format = 'dotenv' }}\n\
         file.cloud = 'cloud:db'\nfile.other = 'other:plain'"
    ));
    let another = tempfile::tempdir().unwrap();
    let mut init = Command::new(env!("CARGO_BIN_EXE_hushfs"));
    init.args(["store", "init", "--store"]).arg(another.path().join("s.age")).arg("--key");
    assert!(init.arg(place.dir.path().join("other.key")).output().unwrap().status.success());

    let since = Instant::now();
    let told = place.says(&["check", "--online"], 1);
    assert!(since.elapsed() < Duration::from_secs(10), "{told}");
    for line in [
        "not found, for whoever owns the secret, or wrote the reference:\n  local:plain (app/env): the secret is one plain value",
        "  local:gone (app/gone): the store has no secret `gone`",
        "  local:db#user (app/user): the secret has no key `user`\n",
        "refused, for whoever gives hushfs its rights at the provider:\n  other: ",
        "unavailable, for nobody, if it passes; else for whoever runs the provider, or the network to it:\n  cloud: ",
        "6 failures",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(
        told.matches("not tried").count(),
        2,
        "what could not be asked for is no failure of its own: {told}"
    );

    let report = place.json(&["check", "--online", "--json"], 1);
    assert_eq!(
        (&report["ok"], &report["online"]["ok"]),
        (&true.into(), &false.into()),
        "the configuration is right"
    );
    let kinds: Vec<_> = report["online"]["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["error"]["kind"].clone())
        .collect();
    assert_eq!(kinds, ["unavailable".into(), Value::Null, "refused".into()]);
    let rows = report["online"]["references"].as_array().unwrap();
    let of = |reference: &str| rows.iter().find(|row| row["reference"] == reference).unwrap();
    assert_eq!(of("local:gone")["error"]["kind"], "not-found");
    assert_eq!(of("cloud:db")["error"]["kind"], "not-tried");
    assert!(of("cloud:db")["millis"].is_null());
}

#[test]
fn check_of_a_wrong_configuration_asks_nobody() {
    let place = Place::new("mont = 'x'");
    let told = place.says(&["check", "--online"], 78);
    assert!(!told.contains("logged in"), "{told}");
    assert!(place.json(&["check", "--online", "--json"], 78).get("online").is_none());
}

#[test]
fn get_prints_exact_bytes_of_a_secret_a_key_and_a_version() {
    let place = Place::new("");
    place.store(&["set", "plain"], "the second\n");
    for (reference, value) in [
        ("local:plain", "the second\n"),
        ("local:plain?version=1", CANARY),
        ("local:db#password", CANARY),
        ("local:db", &format!("{{\"password\":\"{CANARY}\"}}")),
    ] {
        let output = place.hushfs(&["get", reference]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !error.contains(CANARY), "{reference}: {error}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).replace(": ", ":"), value, "{reference}");
    }
    let records = place.records();
    assert_eq!(records.len(), 4);
    let last = &records[2];
    assert_eq!((&last["op"], &last["outcome"]), (&"operator".into(), &"allowed".into()), "{last}");
    assert_eq!((&last["path"], &last["version"]), (&"local:db#password".into(), &"1".into()), "{last}");
    assert!(last["reason"].as_str().unwrap().starts_with("get; "), "{last}");
}

#[test]
fn get_tells_what_is_known_without_the_value() {
    let place = Place::new("");
    let known = place.json(&["get", "--json", "local:db#password"], 0);
    assert_eq!((&known["reference"], &known["version"]), (&"local:db#password".into(), &"1".into()));
    let created: jiff::Timestamp = known["created"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(created).as_secs() < 120, "{known}");
    assert!(
        known["expires"].is_null() && known["lease"].is_null() && known["notes"] == serde_json::json!({})
    );
    assert!(place.records()[0]["reason"].as_str().unwrap().starts_with("get --json; "));
}

#[test]
fn get_says_why_there_is_no_value_and_records_it() {
    let place = Place::new("");
    for (reference, told) in [
        ("local:gone", "not found: "),
        ("local:plain?version=9", "not found: "),
        ("local:db#user", "the secret has no key `user`"),
        ("local:plain#key", "one plain value"),
    ] {
        let said = place.says(&["get", reference], 1);
        assert!(said.contains(told), "{reference}: {said}");
        let record = place.records().pop().unwrap();
        assert_eq!((&record["path"], &record["outcome"]), (&reference.into(), &"failed".into()));
    }
    let recorded = place.records().len();
    assert!(place.says(&["get", "lokal:plain"], 1).contains("did you mean `local`?"));
    assert!(place.says(&["get", "plain"], 2).contains("there is no `:` in this one"));
    std::fs::write(place.config(), "mont = 'x'").unwrap();
    place.says(&["get", "local:plain"], 78);
    assert_eq!(place.records().len(), recorded, "nothing was asked for");
}

#[test]
fn get_shows_nothing_that_cannot_be_recorded() {
    let place = Place::new("");
    let directory = place.dir.path().to_str().unwrap();
    assert!(place.says(&["get", "local:plain", "--audit", directory], 1).contains("cannot record this"));
}

#[test]
fn get_is_for_root() {
    let place = Place::new("");
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        env!("CARGO_BIN_EXE_hushfs"),
        "get",
    ]);
    let output = command.args(["local:plain", "--config"]).arg(place.config()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("only root may have a value") && told.contains("sudo"), "{told}");
}

#[test]
fn get_prints_to_a_terminal_only_when_it_is_told_to() {
    let place = Place::new("");
    let on_terminal = |more: &str| {
        let hushfs = env!("CARGO_BIN_EXE_hushfs");
        let get = format!("{hushfs} get local:plain {more} --config {}", place.config().display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command"]).arg(get).arg("/dev/null");
        let output = script.stdin(Stdio::null()).output().expect("`script` of util-linux makes the terminal");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (done, told) = on_terminal("");
    assert!(!done && !told.contains(CANARY) && told.contains("--to-terminal"), "{told}");
    assert!(place.records().is_empty(), "nothing was fetched");
    let (done, told) = on_terminal("--to-terminal");
    assert!(done && told.trim_end() == CANARY, "{told}");
    let (done, told) = on_terminal("--json");
    assert!(done && !told.contains(CANARY) && told.contains("\"version\""), "{told}");
}
