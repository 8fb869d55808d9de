//! Metrics: scraped from a unix socket and from the loopback interface, in both formats, and read as strictly as Prometheus does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::explain::text;
use crate::status::Asked;
use crate::support::{Host, as_user};

const SCOPES: &str = "[cache]\nfresh_for = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\n\
    file.asked = \"asked:one\"\nfile.two = \"asked:secret-name\"\n[scope.mine]\nallow = { uid = 1 }\nmode = 0o444\nfile.token = \"local:t\"\n";

/// A host that is mounted with these settings of metrics.
fn host(metrics: &str) -> Host {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.configure("", &format!("[metrics]\n{metrics}\n{SCOPES}{}", Asked::toml(&host)));
    host.mount();
    host
}

/// What is answered to a request: the status line with the headers, and the body.
fn asked(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.to_owned(), body.to_owned())
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

fn scraped(host: &Host) -> Page {
    let (head, body) = asked(UnixStream::connect(host.path("metrics.sock")).unwrap(), &get("/metrics", ""));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    Page::parse(&body)
}

/// A page of metrics, read by the rules of the format.
struct Page {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Page {
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "{text}");
        let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(is_name(name) && words.len() > 10 && helped.insert(name.to_owned()), "{line}");
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind) && helped.contains(name), "{line}");
                assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                name.clone_into(&mut family);
                assert!(name.starts_with("hushfs_"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = series.split_once('{').map_or((series, ""), |(name, labels)| {
                (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))
            });
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_of =
                name == family || base.is_some_and(|base| base == family && families[&family] == "histogram");
            assert!(is_name(name) && is_of, "`{line}` stands below {family}");
            for label in labels.split("\",").filter(|label| !label.is_empty()) {
                let (key, value) =
                    label.trim_end_matches('"').split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(key) && !value.contains('"'), "{line}");
            }
            assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
        Self { text: text.to_owned(), samples }
    }

    fn of(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    fn reads(&self, scope: &str, op: &str, outcome: &str) -> f64 {
        self.of(&format!("hushfs_reads_total{{scope=\"{scope}\",op=\"{op}\",outcome=\"{outcome}\"}}"))
    }
}

#[test]
fn what_happens_is_counted_and_told_on_a_socket() {
    let host = host("listen = \"./metrics.sock\"");
    let fresh = scraped(&host);
    assert_eq!(fresh.of(&format!("hushfs_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    assert_eq!(fresh.of("hushfs_provider_up{provider=\"asked\"}"), 1.0);
    assert_eq!((fresh.of("hushfs_open_handles"), fresh.of("hushfs_cache_used_bytes")), (0.0, 0.0));

    let held = fs::File::open(host.file("a/token")).unwrap();
    fs::read(host.file("a/two")).unwrap();
    for _ in 0..3 {
        let denied = as_user(1000, "/usr/bin/cat").arg(host.file("mine/token")).output().unwrap();
        assert!(!denied.status.success(), "{}", text(&denied));
    }
    Asked::fails(&host, "unavailable");
    fs::read(host.file("a/two")).unwrap();
    fs::read(host.file("a/asked")).unwrap_err();
    fs::read(host.file("a/asked")).unwrap_err();
    std::thread::sleep(Duration::from_millis(20));

    let page = scraped(&host);
    assert_eq!(page.reads("a", "open", "allowed"), 3.0);
    assert_eq!(page.reads("a", "open", "failed"), 2.0);
    assert_eq!(page.reads("mine", "open", "denied"), 3.0);
    assert_eq!(page.reads("mine", "open", "allowed"), 0.0);
    let fetches = |outcome: &str| {
        page.of(&format!("hushfs_fetch_duration_seconds_count{{provider=\"asked\",outcome=\"{outcome}\"}}"))
    };
    assert!(fetches("ok") >= 1.0 && fetches("unavailable") >= 2.0, "{}", page.text);
    let all = page.samples.iter().find(|(series, _)| {
        ["_bucket{", "le=\"+Inf\"", "provider=\"asked\"", "outcome=\"ok\""]
            .iter()
            .all(|part| series.contains(part))
    });
    assert_eq!(*all.unwrap().1, fetches("ok"));
    assert_eq!(page.of("hushfs_provider_up{provider=\"asked\"}"), 0.0, "two secrets failed in a row");
    assert_eq!(page.of("hushfs_provider_up{provider=\"local\"}"), 1.0);
    assert_eq!(
        (page.of("hushfs_secrets{state=\"stale\"}"), page.of("hushfs_secrets{state=\"failed\"}")),
        (1.0, 1.0)
    );
    assert!(page.of("hushfs_stalest_served_seconds") > 0.0);
    assert_eq!((page.of("hushfs_open_handles"), page.of("hushfs_leases_held")), (1.0, 0.0));
    assert!(page.of("hushfs_cache_used_bytes") > 0.0 && page.of("hushfs_cache_max_bytes") > 1e6);
    assert!(
        page.of("hushfs_cache_hits_total") + page.of("hushfs_cache_misses_total") >= 5.0,
        "{}",
        page.text
    );
    assert!(page.of("hushfs_cache_misses_total") >= 2.0, "{}", page.text);
    assert_eq!(page.of("hushfs_audit_records_lost_total"), 0.0);
    for never in ["secret-name", "the value", "value 1", "token", "/two"] {
        assert!(!page.text.contains(never), "{never} in\n{}", page.text);
    }
    drop(held);
}

#[test]
fn secrets_are_told_one_by_one_only_where_that_is_wanted() {
    let host = host("listen = \"./metrics.sock\"\nsecrets = true");
    fs::read(host.file("a/two")).unwrap();
    let page = scraped(&host);
    let age = page.of("hushfs_secret_version_age_seconds{reference=\"asked:secret-name\"}");
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn the_socket_is_for_root_and_a_group_and_goes_with_the_daemon() {
    let program = "import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n'); print(s.recv(15))";
    let of = |uid: u32, host: &Host| {
        let mut ask = as_user(uid, "/usr/bin/python3");
        ask.args(["-c", program]).arg(host.path("metrics.sock")).output().unwrap()
    };
    let mut closed = host("listen = \"./metrics.sock\"");
    let meta = fs::metadata(closed.path("metrics.sock")).unwrap();
    assert_eq!((meta.permissions().mode() & 0o777, meta.uid(), meta.gid()), (0o600, 0, 0));
    assert!(text(&of(1000, &closed)).contains("PermissionError"));
    closed.stop();
    assert!(!closed.path("metrics.sock").exists());

    let opened = host("listen = \"./metrics.sock\"\ngroup = 1000");
    let meta = fs::metadata(opened.path("metrics.sock")).unwrap();
    assert_eq!((meta.permissions().mode() & 0o777, meta.gid()), (0o660, 1000));
    assert!(text(&of(1000, &opened)).contains("200 OK"), "{}", text(&of(1000, &opened)));
    assert!(text(&of(1001, &opened)).contains("PermissionError"));
}

#[test]
fn on_loopback_only_a_get_of_metrics_is_answered_and_nobody_holds_it_up() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = host(&format!("listen = \"127.0.0.1:{port}\""));
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (head, body) = asked(connect(), &get("/metrics", ""));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Page::parse(&body);
    let accept =
        "Accept: application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.4\r\n";
    let (head, body) = asked(connect(), &get("/metrics", accept));
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n") && body.contains("# UNIT hushfs_cache_max_bytes bytes\n"), "{body}");
    assert!(asked(connect(), &get("/", "")).0.starts_with("HTTP/1.1 404"));
    assert!(asked(connect(), &get("/metrics/../etc", "")).0.starts_with("HTTP/1.1 404"));
    let post = "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let (head, _) = asked(connect(), post);
    assert!(head.starts_with("HTTP/1.1 405") && head.to_lowercase().contains("allow: get"), "{head}");
    assert!(asked(connect(), "nonsense\r\n\r\n").0.starts_with("HTTP/1.1 400"));
    let long = format!("X: {}\r\n", "x".repeat(20_000));
    assert!(asked(connect(), &get("/metrics", &long)).0.starts_with("HTTP/1.1 431"));

    // As many as there are places, and more: they say nothing and are given up.
    let silent: Vec<_> = (0..70).map(|_| connect()).collect();
    let (head, _) = asked(connect(), &get("/metrics", ""));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    drop(silent);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
}

#[test]
fn what_cannot_be_listened_on_is_refused_and_another_place_takes_a_restart() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let scopes = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\n";
    let check = |metrics: &str| {
        host.configure("", &format!("[metrics]\n{metrics}\n{scopes}"));
        let output = host.run(&["check"], b"");
        assert_eq!(output.status.code(), Some(78), "{metrics}: {}", text(&output));
        text(&output)
    };
    for (metrics, said) in [
        ("listen = \"0.0.0.0:9464\"", "other hosts could reach `0.0.0.0:9464`"),
        ("listen = \"[::]:9464\"", "other hosts could reach"),
        ("listen = \"192.0.2.1:9464\"", "other hosts could reach"),
        ("listen = \"127.0.0.1:0\"", "has no port"),
        ("listen = \"127.0.0.1\"", "takes the path of a socket, or an address with a port"),
        ("listen = \"localhost:9464\"", "takes the path of a socket, or an address with a port"),
        ("listen = 9464", "takes a string"),
        ("listen = \"m/metrics.sock\"", "below the mount"),
        ("listen = \"./m.sock\"", "is the control socket"),
        ("listen = \"127.0.0.1:9464\"\ngroup = 0", "`group` is for a socket"),
        ("listen = \"./metrics.sock\"\ngroup = \"no-such-group\"", "no-such-group"),
        ("listen = \"./metrics.sock\"\nsecrets = \"yes\"", "takes true or false"),
        ("secrets = true", "`secrets` without `listen`"),
        ("lisen = \"./metrics.sock\"", "did you mean `listen`?"),
    ] {
        let told = check(metrics);
        assert!(told.contains(said), "{metrics}: `{said}` is not in {told}");
    }

    host.configure("", &format!("[metrics]\nlisten = \"127.0.0.1:9464\"\nsecrets = true\n{scopes}"));
    let doubtful = host.run_ok(&["check"], b"");
    assert!(
        text(&doubtful).contains("every process of this host can read the references"),
        "{}",
        text(&doubtful)
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    host.configure("", &format!("[metrics]\nlisten = \"{address}\"\n{scopes}"));
    let output = host.try_mount();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("cannot listen where `[metrics]` says"), "{}", text(&output));
    assert!(host.mounts().is_empty());

    host.configure("", scopes);
    host.mount();
    host.configure("", &format!("[metrics]\nlisten = \"./metrics.sock\"\n{scopes}"));
    let output = host.reload();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("`[metrics]` changes, which takes a restart"), "{}", text(&output));
}
