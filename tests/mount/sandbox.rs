//! What the process that talks to providers may do, seen from outside and tried from inside.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Host, example};

const NOBODY: &str = "65534";
const SCOPE: &str = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";

/// The example `caged`, in the sandbox and not yet told to go on.
struct Caged(Child, BufReader<std::process::ChildStdout>);

impl Caged {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "entered\n", "this kernel has all of Landlock that is used");
        Self(child, said)
    }

    /// What came of each thing that it tried.
    fn tried(mut self) -> HashMap<String, String> {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let mut said = String::new();
        self.1.read_to_string(&mut said).unwrap();
        assert!(self.0.wait().unwrap().success(), "{said}");
        said.lines().map(|line| line.rsplit_once(": ").unwrap()).map(|(k, v)| (k.into(), v.into())).collect()
    }
}

fn caged(args: &[&str]) -> Command {
    let mut command = Command::new(example("caged"));
    command.args(args);
    command
}

fn expect(tried: &HashMap<String, String>, what: &[&str], outcome: &str) {
    for one in what {
        assert_eq!(tried.get(*one).map(String::as_str), Some(outcome), "{one}: {tried:#?}");
    }
}

#[test]
fn inside_of_it_only_the_network_and_what_a_resolver_reads_can_be_had() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = dir.path().join("socket");
    let _unix = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let connect = tcp.local_addr().unwrap().to_string();
    let common = ["--connect", &connect, "--unix", path.to_str().unwrap()];
    let as_nobody = ["--uid", NOBODY, "--gid", NOBODY];
    // As root as well: it does not hang on the user.
    for args in [[&as_nobody[..], &common].concat(), common.to_vec()] {
        let tried = Caged::start(caged(&args)).tried();
        expect(
            &tried,
            &[
                "read /etc/hosts",
                "list the authorities",
                "start a thread",
                "connect",
                "resolve",
                "a pair of Unix sockets",
            ],
            "ok",
        );
        let denied = libc::EACCES.to_string();
        let paths = ["/etc/shadow", "/etc/passwd", "/root", "/dev/fuse", "/proc/self/environ"]
            .map(|path| format!("read {path}"));
        expect(&tried, &paths.each_ref().map(String::as_str), &denied);
        let parent = ["environ", "mem", "maps"].map(|name| format!("read {name} of the parent"));
        expect(&tried, &parent.each_ref().map(String::as_str), &denied);
        expect(&tried, &["list /", "listen"], &denied);
        let is_let = |what: &str| {
            let open = ["read /etc/hosts", "list the authorities", "start a thread", "connect", "resolve"];
            open.contains(&what)
                || ["a pair of Unix sockets", "a socket for datagrams", "outdated"].contains(&what)
        };
        for (what, outcome) in tried.iter().filter(|(what, _)| !is_let(what)) {
            let none = libc::ENOSYS.to_string();
            assert!([&denied, &none].contains(&outcome), "{what}: {outcome}");
        }
        assert!(tried.len() > 45, "all was tried: {tried:#?}");
    }
}

#[test]
fn the_http_client_works_inside_of_it_with_names_and_tls() {
    let server = example("caged").parent().unwrap().parent().unwrap().join("hushfs");
    assert!(server.exists());
    let (key, certificate) = self_signed();
    let program = format!(
        "import http.server, ssl
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('{}', '{}')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.handle_request()
server.handle_request()",
        certificate.display(),
        key.display()
    );
    let run = |trusted: bool| {
        let mut python =
            crate::support::python(&program).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(python.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let url = format!("https://localhost:{}/", port.trim());
        let mut command = caged(&["--uid", NOBODY, "--gid", NOBODY, "--url", &url]);
        if trusted {
            command.env("SSL_CERT_FILE", &certificate);
        }
        let tried = Caged::start(command).tried();
        python.kill().unwrap();
        python.wait().unwrap();
        tried["get by HTTPS"].clone()
    };
    assert_eq!(run(false), "an unknown authority");
    assert_eq!(run(true), "200 OK");
}

/// A key and its certificate for `localhost`, as files that anybody may read.
fn self_signed() -> (PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap().keep();
    fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (key, certificate) = (dir.join("key.pem"), dir.join("cert.pem"));
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    (key, certificate)
}

#[test]
fn a_resolver_s_file_that_is_replaced_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(dir.path().join("hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(dir.path().join("resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
    let start = || {
        // In a mount namespace where the directory is /etc.
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "/bin/sh", "-c", "mount --bind $0 /etc && exec $1"])
            .arg(dir.path())
            .arg(example("caged"));
        Caged::start(command)
    };
    assert_eq!(start().tried()["outdated"], "false");
    let running = start();
    fs::write(dir.path().join("resolv.conf"), "nameserver 192.0.2.2\n").unwrap();
    assert_eq!(running.tried()["outdated"], "false", "written to, it is the same file");
    let running = start();
    fs::write(dir.path().join("new"), "nameserver 192.0.2.3\n").unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("resolv.conf")).unwrap();
    assert_eq!(running.tried()["outdated"], "true");
    assert_eq!(start().tried()["outdated"], "false", "one that is started anew can read it");
}

fn status(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
}

#[test]
fn the_fetcher_is_in_it_with_a_user_of_its_own() {
    let host = Host::mounted(&[("t", b"the value")], SCOPE);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
    let fetcher = host.fetcher_pid().unwrap();
    for task in fs::read_dir(format!("/proc/{fetcher}/task")).unwrap().flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        for line in [
            "Uid:\t65534\t65534\t65534\t65534\n",
            "Groups:\t \n",
            "NoNewPrivs:\t1\n",
            "Seccomp:\t2\n",
            "CapInh:\t0000000000000000\n",
        ] {
            assert!(status.contains(line), "{line}{status}");
        }
    }
    assert!(!host.log().contains("hint"), "nothing is lacking: {}", host.log());
    // Of what the daemon's own starter left open, nothing came along.
    let opened = fs::read_dir(format!("/proc/{fetcher}/fd")).unwrap().flatten();
    let links: Vec<_> = opened.map(|fd| fs::read_link(fd.path()).unwrap()).collect();
    let expected = |path: &Path| {
        let text = path.to_string_lossy().into_owned();
        ["socket:", "anon_inode:[event", "/dev/null"].iter().any(|begin| text.starts_with(begin))
            || text.ends_with("/log")
    };
    assert!(links.iter().all(|path| expected(path)), "{links:?}");
}

#[test]
fn the_user_can_be_chosen_and_must_be_there() {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.configure("[fetcher]\nuser = \"daemon\"", SCOPE);
    host.mount();
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
    assert!(status(host.fetcher_pid().unwrap()).contains("Uid:\t1\t1\t1\t1\n"));
    host.configure("[fetcher]\nuser = \"nobody\"", SCOPE);
    let refused = host.reload();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("takes a restart"), "{said}");
    host.configure("[fetcher]\nuser = \"nobody-of-that-name\"", SCOPE);
    let said = String::from_utf8(host.run(&["check"], b"").stderr).unwrap();
    assert!(
        said.contains("there is no user `nobody-of-that-name`") && said.contains("useradd --system"),
        "{said}"
    );
    host.configure("[fetcher]\nuser = \"root\"", SCOPE);
    let said = String::from_utf8(host.run(&["check"], b"").stdout).unwrap();
    assert!(said.contains("the fetcher keeps the user root"), "{said}");
}

#[test]
fn one_that_may_not_become_its_user_says_what_to_do() {
    let host = Host::new();
    host.set("t", b"the value");
    host.configure("", SCOPE);
    let log = fs::File::create(host.path("log")).unwrap();
    let mut daemon = Command::new("setpriv")
        .args([
            "--bounding-set",
            "-setuid",
            "--inh-caps",
            "-setuid",
            crate::support::HUSHFS,
            "mount",
            "--config",
        ])
        .arg(host.path("hushfs.toml"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    host.eventually("it says so", || host.log().contains("it takes CAP_SETUID and CAP_SETGID"));
    crate::support::signal(daemon.id(), rustix::process::Signal::TERM);
    daemon.wait().unwrap();
}
