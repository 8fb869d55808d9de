//! The mount that all programs read, with the secrets made for it.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::support::Host;

/// Who reads: www-data, a user that every Debian has (some programs want a name for their uid). nginx and the like read as
/// root, from a scope of its own.
pub(crate) const USER: u32 = 33;

/// A program and the Debian package it comes in.
pub(crate) type Program = (&'static str, &'static str);

/// Where programs are looked for: those of the distribution before those of whoever runs the tests.
const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin:/usr/local/sbin";

/// What is stored. Made once in a run, of random parts.
pub(crate) struct Made {
    /// 200 KiB of lines.
    pub(crate) text: Vec<u8>,
    /// Every byte there is, and then some.
    pub(crate) binary: Vec<u8>,
    /// One line without an end.
    pub(crate) passphrase: String,
    /// A JSON document.
    pub(crate) json: Vec<u8>,
    /// A private key for TLS.
    pub(crate) tls_key: Vec<u8>,
    /// The certificate for it, for `localhost` and 127.0.0.1.
    pub(crate) tls_certificate: Vec<u8>,
    /// A private key for SSH.
    pub(crate) ssh_key: Vec<u8>,
    /// The public key of it.
    pub(crate) ssh_public: String,
    /// A private key for OpenPGP.
    pub(crate) pgp_key: Vec<u8>,
}

/// One mounted host, shared by the tests that run at the same time, and taken down by the last of them.
pub(crate) fn host() -> Arc<Host> {
    static SHARED: Mutex<Weak<Host>> = Mutex::new(Weak::new());
    // A test that fails while it has this must not fail the others.
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(host) = shared.upgrade() {
        return host;
    }
    let host = Arc::new(fresh());
    *shared = Arc::downgrade(&host);
    host
}

/// A mount that nobody has read from yet.
pub(crate) fn fresh() -> Host {
    let made = made();
    let both = [made.tls_certificate.as_slice(), made.tls_key.as_slice()].concat();
    let pass = &made.passphrase;
    let password_file = format!("localhost:*:*:*:{pass}\n127.0.0.1:*:*:*:{pass}\n");
    let redis = format!("bind 127.0.0.1\nprotected-mode yes\nsave \"\"\nrequirepass {pass}\n");
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("text", made.text.clone()),
        ("binary", made.binary.clone()),
        ("passphrase", pass.clone().into()),
        ("config.json", made.json.clone()),
        ("tls.key", made.tls_key.clone()),
        ("tls.crt", made.tls_certificate.clone()),
        ("tls.pem", both),
        ("id_ed25519", made.ssh_key.clone()),
        ("key.asc", made.pgp_key.clone()),
        ("pgpass", password_file.into()),
        ("redis.conf", redis.into()),
        ("my.cnf", format!("[client]\nuser=app\npassword=\"{pass}\"\nsocket=/nowhere/{pass}\n").into()),
        ("gitconfig", format!("[http]\n\textraHeader = \"Authorization: Bearer {pass}\"\n").into()),
        ("netrc", format!("machine 127.0.0.1 login app password {pass}\n").into()),
        ("curlrc", format!("header = \"X-Token: {pass}\"\n").into()),
        ("git-credentials", format!("https://app:{pass}@example.org\n").into()),
        ("settings.ini", format!("[api]\ntoken = {pass}\n").into()),
    ];
    let mut host = Host::new();
    for (name, value) in &secrets {
        host.set(name, value);
    }
    let store = host.path("store.age");
    let environment = format!("TOKEN={pass}\nGREETING='it is \"$HOME\"'\n");
    let import = ["store", "import", "-", "--as", "environment", "--store", store.to_str().unwrap()];
    host.run_ok(&import, environment.as_bytes());
    let mut files = String::new();
    for (name, _) in &secrets {
        files += &format!("file.\"{name}\" = \"local:{name}\"\n");
    }
    files += "file.\".env\" = { from = \"local:environment\", format = \"dotenv\" }\n";
    files += "file.absent = \"local:nothing-has-this-name\"\n";
    let scopes = format!(
        "[scope.app]\nallow = {{ uid = {USER} }}\n{files}\n[scope.root]\nallow = {{ uid = 0 }}\n{files}\n\
         [scope.denied]\nowner = {USER}\nallow = {{ uid = {USER}, exe = \"/usr/bin/true\" }}\n{files}"
    );
    host.configure("", &scopes);
    host.mount();
    host
}

/// What is stored.
pub(crate) fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let make = |needs: &[Program], script: &str| run(needs, script, dir.path(), "", None);
        let openssl: &[Program] = &[("openssl", "openssl")];
        let passphrase = String::from_utf8(make(openssl, "printf %s \"$(openssl rand -hex 24)\"")).unwrap();
        let mut text = make(openssl, "openssl rand 153600 | base64 -w 76");
        text.truncate(200 << 10);
        text[(200 << 10) - 1] = b'\n';
        let binary = (0..=255_u8).cycle().take(70_001).collect();
        make(
            openssl,
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -days 2 -subj /CN=localhost \
             -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>&1",
        );
        make(&[("ssh-keygen", "openssh-client")], "ssh-keygen -q -t ed25519 -N '' -C '' -f s");
        let pgp_key = make(
            &[("gpg", "gnupg")],
            "export GNUPGHOME=$PWD/g; mkdir -m 0700 g
            gpg --batch -q --passphrase '' --quick-generate-key 'A <a@example.org>' ed25519 default never 2>&1
            gpg --batch --armor --export-secret-keys > a.asc; gpgconf --kill all; cat a.asc",
        );
        let file = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let json = format!("{{\n  \"servers\": {{ \"slack\": {{ \"token\": \"{passphrase}\" }} }}\n}}\n");
        let ssh_public = String::from_utf8(file("s.pub")).unwrap();
        Made {
            text,
            binary,
            passphrase,
            json: json.into_bytes(),
            tls_key: file("k"),
            tls_certificate: file("c"),
            ssh_key: file("s"),
            ssh_public: ssh_public.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
            pgp_key,
        }
    })
}

/// Runs a bash script as [`USER`] and gives what it printed. It must succeed. `$F` is the directory of secret files, `$D` one
/// of files that the user may not read, and the working directory is the script's own.
pub(crate) fn user(host: &Host, needs: &[Program], script: &str) -> Vec<u8> {
    let dir = work(host);
    chown(&dir, Some(USER), Some(USER)).unwrap();
    run(needs, script, &dir, host.file("app").to_str().unwrap(), Some(USER))
}

/// A bash script that runs as [`USER`] while the test does something else, in a directory of its own. It prints to a pipe.
pub(crate) fn started(host: &Host, needs: &[Program], script: &str) -> Child {
    let dir = work(host);
    chown(&dir, Some(USER), Some(USER)).unwrap();
    let mut command = command(needs, script, &dir, host.file("app").to_str().unwrap(), Some(USER));
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// As [`user`], but as root.
pub(crate) fn root(host: &Host, needs: &[Program], script: &str) -> Vec<u8> {
    run(needs, script, &work(host), host.file("root").to_str().unwrap(), None)
}

/// As [`root`], with the directory of the user's files.
pub(crate) fn root_in(host: &Host, needs: &[Program], script: &str) -> Vec<u8> {
    run(needs, script, &work(host), host.file("app").to_str().unwrap(), None)
}

/// A new directory on the host.
fn work(host: &Host) -> PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = host.path(&format!("work-{count}"));
    std::fs::create_dir(&dir).unwrap();
    dir
}

fn run(needs: &[Program], script: &str, dir: &Path, files: &str, uid: Option<u32>) -> Vec<u8> {
    let output = command(needs, script, dir, files, uid).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = || String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(2000)]).into_owned();
    assert!(output.status.success(), "{}: {script}\n{said}\n{}", output.status, printed());
    output.stdout
}

fn command(needs: &[Program], script: &str, dir: &Path, files: &str, uid: Option<u32>) -> Command {
    for (program, package) in needs {
        let is_there = PATH.split(':').any(|place| Path::new(place).join(program).exists());
        assert!(is_there, "{program} is missing: apt-get install {package}");
    }
    let denied = Path::new(files).with_file_name("denied");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "30", "bash", "-c"]).arg(format!("set -euo pipefail; {script}"));
    command.current_dir(dir).env_clear().env("PATH", PATH).env("HOME", dir).env("LC_ALL", "C.UTF-8");
    command.env("F", files).env("D", denied).env("TMPDIR", dir).stdin(Stdio::null());
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    command
}

/// That two byte strings are the same; a failure says where they part, and does not print 200 KiB.
#[track_caller]
pub(crate) fn same(found: &[u8], wanted: &[u8]) {
    let at = found.iter().zip(wanted).position(|(a, b)| a != b).unwrap_or(found.len().min(wanted.len()));
    let near = |bytes: &[u8]| String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 80)]).into_owned();
    assert!(
        found == wanted,
        "{} bytes instead of {}, from byte {at} on:\n{:?}\ninstead of\n{:?}",
        found.len(),
        wanted.len(),
        near(found),
        near(wanted)
    );
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
