//! Secret Manager of Google Cloud, at a server on Google's own package (`gcp.py`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hushfs::providers::{Fetched, Mint, Provider, ProviderError};
use serde_json::{Value, json};

use crate::listing::list;
use crate::network::{CANARY, Network, Weather};
use crate::upstream::{At, Upstream, block_on, bytes, fetch, reference};

crate::contract!(gcp, Gcp);

mod by_hand;
mod logging_in_to_it;

const PROJECT: &str = "shop-12";

struct Gcp {
    address: SocketAddr,
    files: &'static Path,
}

/// A service account's key, which takes a while to make.
fn key() -> &'static rcgen::KeyPair {
    static KEY: OnceLock<rcgen::KeyPair> = OnceLock::new();
    KEY.get_or_init(|| {
        rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
    })
}

impl Gcp {
    /// Asks the server something, or has it do what only tests can ask for.
    fn tell(&self, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let body = body.to_string();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: gcp\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// A name that nobody else uses.
    fn unused(&self, what: &str) -> String {
        static USED: AtomicUsize = AtomicUsize::new(0);
        format!("{what}-{}", USED.fetch_add(1, Ordering::Relaxed))
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.join(self.unused(name));
        crate::process::write_private(&path, content);
        path
    }

    fn json(&self, content: &Value) -> PathBuf {
        self.file("credentials", &content.to_string())
    }

    /// The file of a service account that the server knows nothing of.
    fn stranger(&self) -> (String, PathBuf) {
        let email = format!("{}@{PROJECT}.iam.gserviceaccount.com", self.unused("account"));
        let file = self.json(&json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "1",
            "private_key": key().serialize_pem(), "client_email": email,
            "token_uri": format!("http://{}/token", self.address),
        }));
        (email, file)
    }

    fn account(&self) -> (String, PathBuf) {
        let (email, file) = self.stranger();
        self.tell("/_account", &json!({"email": email, "key": key().public_key_pem()}));
        (email, file)
    }

    fn settings_of(&self, at: &At, more: &str) -> String {
        let ca = at.ca.as_ref().map(|ca| format!("ca_file = '{}'\n", ca.display())).unwrap_or_default();
        let waits = "timeout = '2s'\nconnect_timeout = '1s'";
        format!("endpoint = '{}'\n{ca}{waits}\n{more}\n", at.url)
    }

    fn settings_with(&self, file: &Path) -> String {
        self.settings_of(
            &self.direct(),
            &format!("project = '{PROJECT}'\ncredentials_file = '{}'", file.display()),
        )
    }

    fn open_with(&self, file: &Path) -> Box<dyn Provider> {
        Self::open(&self.settings_with(file)).unwrap()
    }

    fn store(&self, resource: &str, value: &[u8], more: Value) {
        let mut body = more;
        body["resource"] = resource.into();
        body["data"] = STANDARD.encode(value).into();
        self.tell("/_put", &body);
    }

    /// How often something was asked that has all of these in it.
    fn asked(&self, parts: &[&str]) -> usize {
        let asked = self.tell("/_asked", &Value::Null);
        let lines = asked.as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        lines.filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }
}

impl Upstream for Gcp {
    const KIND: &'static str = "gcp-secret-manager";
    const BINARY: bool = true;
    const VERSIONS: bool = true;
    const FOLDERS: bool = false;

    fn start() -> Self {
        static SERVER: OnceLock<(SocketAddr, tempfile::TempDir)> = OnceLock::new();
        let (address, files) = SERVER.get_or_init(|| {
            let address = crate::process::free_port();
            let mut server = Command::new(crate::process::python("python"));
            server
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/gcp.py"))
                .arg(address.port().to_string());
            crate::process::serve("gcp", &server, address);
            (address, tempfile::tempdir().unwrap())
        });
        Self { address: *address, files: files.path() }
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn settings(&self, at: &At) -> String {
        let (_, file) = self.account();
        self.settings_of(at, &format!("project = '{PROJECT}'\ncredentials_file = '{}'", file.display()))
    }

    fn settings_without_rights(&self, at: &At) -> Option<String> {
        let (email, file) = self.account();
        self.tell("/_without_rights", &json!({"who": email}));
        Some(self.settings_of(at, &format!("project = '{PROJECT}'\ncredentials_file = '{}'", file.display())))
    }

    fn settings_with_wrong_credentials(&self, at: &At) -> Option<String> {
        let (_, file) = self.stranger();
        Some(self.settings_of(at, &format!("project = '{PROJECT}'\ncredentials_file = '{}'", file.display())))
    }

    fn revoke(&self, settings: &str) -> bool {
        let settings: toml::Table = settings.parse().unwrap();
        let file = std::fs::read(settings["credentials_file"].as_str().unwrap()).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        self.tell("/_forget", &json!({"who": file["client_email"]}));
        true
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let (project, secret) = name.split_once('/').unwrap_or((PROJECT, name));
        let resource = format!("projects/{project}/secrets/{secret}");
        self.store(&resource, value, json!({}));
        if project == PROJECT { name.to_owned() } else { resource }
    }

    /// The name is a project's: there are no other folders.
    fn folder(&self, name: &str) -> String {
        format!("projects/{name}/secrets")
    }

    fn nowhere(&self) -> String {
        "nothing-of-that-name".to_owned()
    }

    fn no_version(&self) -> String {
        "999".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        bytes(fetched)
    }
}

fn fetch_version(provider: &dyn Provider, path: &str, version: &str) -> Result<Fetched, ProviderError> {
    block_on(provider.fetch(&reference(path, Some(version)), Mint::Allowed))
}

#[test]
fn a_version_is_asked_for_by_its_alias() {
    let server = Gcp::start();
    let resource = format!("projects/{PROJECT}/secrets/alias");
    server.store(&resource, b"blue", json!({"aliases": {"production": 1}}));
    server.store(&resource, b"green", json!({}));
    let provider = Gcp::open(&server.settings(&server.direct())).unwrap();
    for (version, value, number) in
        [("production", "blue", "1"), ("latest", "green", "2"), ("2", "green", "2")]
    {
        let fetched = fetch_version(&*provider, "alias", version).unwrap();
        assert_eq!((bytes(&fetched), fetched.version.as_str()), (value.into(), number), "{version}");
    }
}

#[test]
fn versions_that_are_disabled_and_destroyed_are_told_apart() {
    let server = Gcp::start();
    let provider = Gcp::open(&server.settings(&server.direct())).unwrap();
    server.put("states", b"old");
    server.put("states", b"new");
    let resource = format!("projects/{PROJECT}/secrets/states");
    for (state, told) in
        [("DISABLED", "is disabled; `gcloud secrets versions enable 2"), ("DESTROYED", "is destroyed")]
    {
        server.tell("/_state", &json!({"resource": resource, "version": "2", "state": state}));
        let error = fetch_version(&*provider, "states", "2").err().unwrap();
        assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        let latest = fetch(&*provider, "states").err().unwrap();
        assert!(
            latest.to_string().contains("version `latest` is"),
            "the newest, whatever its state: {latest}"
        );
    }
    assert_eq!(bytes(&fetch_version(&*provider, "states", "1").unwrap()), b"old");
}

#[test]
fn a_value_that_was_damaged_on_its_way_is_not_shown() {
    let server = Gcp::start();
    server.put("damaged", b"a value");
    server.tell("/_spoil", &json!({"resource": format!("projects/{PROJECT}/secrets/damaged")}));
    let provider = Gcp::open(&server.settings(&server.direct())).unwrap();
    let error = fetch(&*provider, "damaged").err().unwrap();
    assert!(matches!(error, ProviderError::Malformed(_)), "{error}");
    assert!(error.to_string().contains("CRC32C"), "{error}");
}

#[test]
fn an_answer_for_something_else_is_not_taken() {
    let server = Gcp::start();
    for name in ["projects/1/secrets/other/versions/1", "projects/1/secrets/mine/versions/2", "mine", ""] {
        let sum = 3_808_858_755_u32.to_string();
        let body =
            json!({"name": name, "payload": {"data": STANDARD.encode("123456789"), "dataCrc32c": sum}});
        let network = Network::of_its_own(Weather::Answers(200, "", body.to_string()));
        let provider = Gcp::open(&server.settings(&network.at())).unwrap();
        let error =
            fetch_version(&*provider, "mine", "1").err().unwrap_or_else(|| panic!("{name:?} is taken"));
        assert!(matches!(error, ProviderError::Malformed(_)), "{error}");
    }
}

#[test]
fn an_empty_value_is_one() {
    let server = Gcp::start();
    server.put("empty", b"");
    let provider = Gcp::open(&server.settings(&server.direct())).unwrap();
    assert_eq!(bytes(&fetch(&*provider, "empty").unwrap()), b"");
}

#[test]
fn a_secret_is_named_whole_in_another_project_and_at_a_location() {
    let server = Gcp::start();
    let (_, file) = server.account();
    let resources = ["projects/778899/secrets/whole", "projects/778899/locations/europe-west3/secrets/whole"];
    for resource in resources {
        server.store(resource, resource.as_bytes(), json!({}));
    }
    let file = format!("credentials_file = '{}'", file.display());
    let provider = Gcp::open(&server.settings_of(&server.direct(), &file)).unwrap();
    for resource in resources {
        assert_eq!(bytes(&fetch(&*provider, resource).unwrap()), resource.as_bytes());
    }
    block_on(provider.log_in()).unwrap();
    let error = fetch(&*provider, "whole").err().unwrap();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");

    let regional = format!("{file}\nproject = '778899'\nlocation = 'europe-west3'");
    let provider = Gcp::open(&server.settings_of(&server.direct(), &regional)).unwrap();
    assert_eq!(bytes(&fetch(&*provider, "whole").unwrap()), resources[1].as_bytes());
    block_on(provider.log_in()).unwrap();
}

#[test]
fn the_time_of_a_version_is_asked_for_once_and_not_needed() {
    let server = Gcp::start();
    server.put("time", b"a value");
    let (email, file) = server.account();
    let provider = server.open_with(&file);
    let first = fetch(&*provider, "time").unwrap();
    assert_eq!(fetch(&*provider, "time").unwrap().created, first.created);
    assert_eq!(server.asked(&[&email, "/time/versions/1"]), 1);
    assert_eq!(server.asked(&[&email, "/time/versions/latest:access"]), 2);

    let (email, file) = server.account();
    server.tell("/_blind", &json!({"who": email}));
    let provider = server.open_with(&file);
    let first = fetch(&*provider, "time").unwrap();
    assert!(SystemTime::now().duration_since(first.created).unwrap() < Duration::from_secs(60));
    assert_eq!(fetch(&*provider, "time").unwrap().created, first.created, "it stays what it was said to be");
    assert_eq!(server.asked(&[&email, "/time/versions/1"]), 1, "who may not know it does not ask again");
    block_on(provider.log_in()).unwrap();
}

#[test]
fn labels_annotations_and_the_end_are_told_where_they_are_asked_for() {
    let server = Gcp::start();
    let more =
        json!({"labels": {"team": "pay"}, "annotations": {"Owner": "a b"}, "expires": 4_000_000_000_u64});
    server.store(&format!("projects/{PROJECT}/secrets/noted"), b"a value", more);
    let (email, file) = server.account();
    let fetched = fetch(&*server.open_with(&file), "noted").unwrap();
    assert!(fetched.notes.is_empty() && fetched.expires.is_none(), "one call less");
    let settings = format!("{}notes = true\nquota_project = 'billed'", server.settings_with(&file));
    let provider = Gcp::open(&settings).unwrap();
    let fetched = fetch(&*provider, "noted").unwrap();
    let notes: Vec<_> = fetched.notes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(notes, [("Owner", "a b"), ("team", "pay")]);
    assert_eq!(fetched.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)));
    assert_eq!(server.asked(&[&email, "noted:", "billed"]), 0);
    assert!(server.asked(&[&email, "noted", "billed"]) >= 3);
    server.tell("/_blind", &json!({"who": email}));
    let error = fetch(&*provider, "noted").err().unwrap();
    assert!(
        matches!(error, ProviderError::Refused(_)) && error.to_string().contains("secretmanager.viewer"),
        "{error}"
    );
}

#[test]
fn a_list_has_all_pages_and_no_more_than_names_is_asked_for() {
    let server = Gcp::start();
    let places = ["projects/paged/secrets", "projects/paged/locations/europe-west3/secrets"];
    let wanted: Vec<_> = (0..11).map(|n| format!("secret_{n:02}")).collect();
    for place in places {
        wanted.iter().for_each(|name| server.store(&format!("{place}/{name}"), b"a value", json!({})));
    }
    let (email, file) = server.account();
    let provider = server.open_with(&file);
    for place in places {
        assert_eq!(list(&*provider, place, 1).unwrap(), wanted);
        assert_eq!(server.asked(&[&email, &format!("GET /v1/{place}")]), 4, "3 on a page");
    }
    assert_eq!(server.asked(&[&email, "/secrets/"]), 0, "none is asked about");
    let error = list(&*provider, "app", 1).unwrap_err();
    let told = "write `projects/P/secrets`";
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains(told)), "{error}");
    server.tell("/_blind", &json!({"who": email}));
    let error = list(&*provider, places[0], 1).unwrap_err();
    let told = "secretmanager.secrets.list";
    assert!(matches!(&error, ProviderError::Refused(m) if m.contains(told)), "{error}");
    for (project, told) in
        [("no-such-project", "correct `project`"), ("switched-off", "gcloud services enable")]
    {
        let error = list(&*provider, &format!("projects/{project}/secrets"), 1).unwrap_err();
        assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains(told)), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_project_is_told() {
    let server = Gcp::start();
    let (_, file) = server.account();
    for (project, told) in
        [("no-such-project", "correct `project`"), ("switched-off", "gcloud services enable")]
    {
        let more = format!("project = '{project}'\ncredentials_file = '{}'", file.display());
        let provider = Gcp::open(&server.settings_of(&server.direct(), &more)).unwrap();
        for error in [fetch(&*provider, "db").err().unwrap(), block_on(provider.log_in()).unwrap_err()] {
            assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}

#[test]
fn who_is_no_secret_manager_is_found_out() {
    let server = Gcp::start();
    let network = Network::of_its_own(Weather::Answers(404, "", format!("<h1>{CANARY}</h1>")));
    let provider = Gcp::open(&server.settings(&network.at())).unwrap();
    for error in [fetch(&*provider, "db").err().unwrap(), block_on(provider.log_in()).unwrap_err()] {
        assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
        assert!(!error.to_string().contains(CANARY));
    }
}

#[test]
fn a_server_in_trouble_is_asked_as_often_as_it_was_said() {
    let server = Gcp::start();
    for retries in [0, 2] {
        let network = Network::of_its_own(Weather::Answers(503, "", String::new()));
        let settings = format!("{}retries = {retries}", server.settings(&network.at()));
        fetch(&*Gcp::open(&settings).unwrap(), "db").err().unwrap();
        assert_eq!(network.requests(), retries + 1);
    }
}
