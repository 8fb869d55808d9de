//! What is believed of a runtime, by one that says whatever a test wants.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::identity::{Cgroup, somebody};

const ID: &str = "4e3ad9be6e02705198e5b698884207b5a8b73489e6f6bcd6a57a032cd053030b";
const IMAGE: &str = "sha256:2dc88fc65db4d4368e8751dc6a7e8c5b7848a9013730f0d7b6608b2548e2487b";

/// A directory with a socket on which each request is answered by `answer`, and the requests that came.
struct Runtime {
    dir: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Runtime {
    fn new(answer: impl Fn(&str, &mut UnixStream) + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                noted.lock().unwrap().push(target.clone());
                answer(&target, &mut stream);
            }
        });
        Self { dir, requests }
    }

    fn answering(status: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::new(move |_, stream| respond(stream, status, &body))
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn containers(&self) -> Containers {
        Containers::of(Runtimes { docker: self.socket(), podman: self.dir.path().join("nothing") })
    }
}

fn respond(stream: &mut UnixStream, status: &str, body: &str) {
    // Whoever has heard enough hangs up.
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn inspected(id: &str, running: bool) -> String {
    format!(
        r#"{{"Id":"{id}","Name":"/web","Image":"{IMAGE}","State":{{"Running":{running},"Pid":7}},
        "Config":{{"Image":"nginx:1.25","Env":["TOKEN=canary"],"Labels":{{"role":"web"}}}}}}"#
    )
}

/// Somebody in the container at this path.
fn who(path: &str) -> Identity {
    Identity { cgroup: Cgroup::parse(format!("0::{path}\n")), ..somebody() }
}

async fn asked(containers: &Containers, path: &str) -> Found<Arc<Container>> {
    let mut evidence = Evidence::default();
    containers.look_into(&who(path), Facts::NONE.with(Fact::Container), &mut evidence).await;
    evidence.container.unwrap()
}

async fn refused(runtime: &Runtime) -> String {
    asked(&runtime.containers(), &format!("/docker/{ID}")).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_a_runtime_says_is_kept_and_had_at_once_from_then_on() {
    let runtime = Runtime::new(|target, stream| match target.starts_with("/images/") {
        true => {
            respond(stream, "200 OK", &format!(r#"{{"Id":"{IMAGE}","RepoDigests":["nginx@sha256:abc"]}}"#))
        }
        false => respond(stream, "200 OK", &inspected(ID, true)),
    });
    let containers = runtime.containers();
    let who = who(&format!("/docker/{ID}"));
    let both = Facts::NONE.with(Fact::Container).with(Fact::Image);
    let mut evidence = Evidence::default();
    assert_eq!(containers.gather(&who, both, &mut evidence), both, "nobody asked yet");
    containers.look_into(&who, both, &mut evidence).await;
    let container = evidence.container.clone().unwrap().unwrap();
    assert_eq!((container.name.as_str(), container.image.as_str()), ("web", "nginx:1.25"));
    assert_eq!(container.image_id, IMAGE);
    assert_eq!(container.labels["role"], "web");
    assert_eq!(*evidence.repo_digests.unwrap().unwrap(), ["sha256:abc".to_owned()]);
    for _ in 0..3 {
        let mut evidence = Evidence::default();
        assert!(containers.gather(&who, both, &mut evidence).is_empty());
        assert!(evidence.container.unwrap().is_ok() && evidence.repo_digests.unwrap().is_ok());
    }
    let requests = runtime.requests.lock().unwrap().clone();
    assert_eq!(requests, [format!("/containers/{ID}/json"), format!("/images/{IMAGE}/json")]);
    assert!(!format!("{container:?}").contains("canary"));
}

#[tokio::test]
async fn an_answer_that_does_not_speak_of_this_running_container_is_none() {
    let other = ID.replace("4e3a", "ffff");
    for (status, body, said) in [
        ("200 OK", inspected(&other, true), "answers for another container than 4e3ad9be6e02"),
        ("200 OK", inspected(ID, false), "says that container 4e3ad9be6e02 does not run"),
        ("404 Not Found", "{}".to_owned(), "has no container 4e3ad9be6e02"),
        ("500 Internal Server Error", inspected(ID, true), "it answers 500"),
        ("302 Found", inspected(ID, true), "it answers 302"),
        ("200 OK", "<html>canary</html>".to_owned(), "cannot be understood"),
        ("200 OK", r#"{"Id":"canary"}"#.to_owned(), "cannot be understood"),
        ("200 OK", inspected(ID, true).replace("true", "\"canary\""), "cannot be understood"),
        ("200 OK", format!("[{}]", inspected(ID, true)), "cannot be understood"),
        ("200 OK", " ".repeat(5 << 20), "length limit exceeded"),
    ] {
        let why = refused(&Runtime::answering(status, body)).await;
        assert!(why.contains(said), "{said}: {why}");
        assert!(!why.contains("canary"), "{why}");
    }
}

#[tokio::test]
async fn what_is_no_whole_http_is_no_answer() {
    let cut = |_: &str, stream: &mut UnixStream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{}", inspected(ID, true)).unwrap();
    };
    let garbage = |_: &str, stream: &mut UnixStream| stream.write_all(b"SSH-2.0-x\r\n\r\n").unwrap();
    let nothing = |_: &str, _: &mut UnixStream| {};
    for runtime in [Runtime::new(cut), Runtime::new(garbage), Runtime::new(nothing)] {
        let why = refused(&runtime).await;
        assert!(why.contains("cannot be asked"), "{why}");
    }
}

#[tokio::test]
async fn a_runtime_that_does_not_answer_is_given_up_and_then_left_alone_for_a_moment() {
    let runtime = Runtime::new(|_, stream| {
        // A byte now and then: it is the whole that must be there in time.
        while stream.write_all(b"H").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let containers = runtime.containers();
    let path = format!("/docker/{ID}");
    let began = std::time::Instant::now();
    let (one, two) = tokio::join!(asked(&containers, &path), asked(&containers, &path));
    assert!(began.elapsed() < Duration::from_secs(3), "both wait for the same answer");
    assert!(one.unwrap_err().contains("cannot be asked") && two.is_err());
    assert!(asked(&containers, &path).await.is_err());
    assert_eq!(runtime.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failure_does_not_outlast_its_cause_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let containers = Containers::of(Runtimes { docker: socket.clone(), ..Runtimes::default() });
    let path = format!("/docker/{ID}");
    let why = asked(&containers, &path).await.unwrap_err();
    assert!(why.contains("No such file"), "{why}");
    let runtime = Runtime::answering("200 OK", inspected(ID, true));
    std::fs::rename(runtime.socket(), &socket).unwrap();
    assert!(asked(&containers, &path).await.is_err(), "still kept");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(asked(&containers, &path).await.is_ok());
}

#[tokio::test]
async fn where_the_path_does_not_tell_the_engine_each_is_asked_in_turn() {
    let docker = Runtime::answering("404 Not Found", "{}");
    let podman = Runtime::answering("200 OK", inspected(ID, true));
    let both = || Containers::of(Runtimes { docker: docker.socket(), podman: podman.socket() });
    let pod = "/kubepods/pod0b9ecb4f-1f2c-4d1c-8d6b-6a1f9c3b7e55";
    assert!(asked(&both(), &format!("{pod}/{ID}")).await.is_ok());
    assert!(asked(&both(), &format!("/docker/{ID}")).await.is_err(), "only Docker is asked for its own");
    assert!(asked(&both(), &format!("/libpod_parent/libpod-{ID}")).await.is_ok());
    let why = asked(&docker.containers(), &format!("{pod}/{ID}")).await.unwrap_err();
    assert!(why.contains("has no container") && why.contains("nothing cannot be asked"), "{why}");
    let why = asked(&both(), &format!("{pod}/crio-{ID}")).await.unwrap_err();
    assert!(why.contains("`pod_uid`"), "{why}");
}

#[tokio::test]
async fn a_socket_that_somebody_else_could_have_made_is_not_asked() {
    let good = || Runtime::answering("200 OK", inspected(ID, true));
    let of = |runtime: &Runtime, socket: &Path| {
        let runtimes = Runtimes { docker: socket.to_owned(), podman: runtime.dir.path().join("nothing") };
        async move { asked(&Containers::of(runtimes), &format!("/docker/{ID}")).await }
    };
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();

    let runtime = good();
    assert!(of(&runtime, &runtime.socket()).await.is_ok(), "run tests as root");
    chown(runtime.socket(), Some(1000), None).unwrap();
    assert!(of(&runtime, &runtime.socket()).await.unwrap_err().contains("belongs to uid 1000"));

    let runtime = good();
    chown(runtime.dir.path(), Some(1000), None).unwrap();
    assert!(of(&runtime, &runtime.socket()).await.unwrap_err().contains("belongs to uid 1000"));

    let runtime = good();
    mode(runtime.dir.path(), 0o777);
    assert!(of(&runtime, &runtime.socket()).await.unwrap_err().contains("others than root can write"));

    let (runtime, elsewhere) = (good(), tempfile::tempdir().unwrap());
    let link = elsewhere.path().join("link");
    symlink(runtime.socket(), &link).unwrap();
    assert!(of(&runtime, &link).await.is_ok(), "a link of root's");
    std::os::unix::fs::lchown(&link, Some(1000), None).unwrap();
    assert!(of(&runtime, &link).await.unwrap_err().contains("belongs to uid 1000"));

    let runtime = good();
    std::fs::remove_file(runtime.socket()).unwrap();
    std::fs::write(runtime.socket(), "x").unwrap();
    assert!(of(&runtime, &runtime.socket()).await.unwrap_err().contains("not a socket"));
}

#[tokio::test]
async fn a_process_of_somebody_else_that_listens_on_a_socket_of_roots_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let socket = dir.path().join("socket");
    // Root binds, as for a service that gives up its rights; the user listens.
    let program = "import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.setuid(1000); s.listen(); print(flush=True); sys.stdin.read()";
    let mut server = std::process::Command::new("/usr/bin/python3")
        .args(["-c", program])
        .arg(&socket)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let containers = Containers::of(Runtimes { docker: socket, ..Runtimes::default() });
    let why = asked(&containers, &format!("/docker/{ID}")).await.unwrap_err();
    drop(server.stdin.take());
    server.wait().unwrap();
    assert!(why.contains("uid 1000 listens there"), "{why}");
}
