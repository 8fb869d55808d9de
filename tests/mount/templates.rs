//! Files that are made of several secrets.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;

use crate::support::Host;

const SCOPE: &str = "[scope.a]\nallow = { uid = 0 }\nfile.both = { template = \"both.tpl\" }\n\
     file.dsn = { text = \"db://{{ secret('local:db#user') }}:{{ secret('local:db#password') | urlencode }}@host\" }\n\
     file.missing = { text = \"{{ secret_json('local:db').nothing }}\" }\n";

const BOTH: &str = "{\"token\": {{ secret(\"local:token\") | tojson }}, \"user\": {{ secret_json(\"local:db\").user | tojson }}}\n";

fn host() -> Host {
    let mut host = Host::new();
    host.set("token", b"to\"ken");
    host.set("db#user", b"app");
    host.set("db#password", b"p@ss/word");
    host.write("both.tpl", BOTH.as_bytes(), 0o644);
    host.configure("", SCOPE);
    host.mount();
    host
}

fn read(host: &Host, name: &str) -> String {
    fs::read_to_string(host.file(&format!("a/{name}"))).unwrap()
}

fn xattr(host: &Host, name: &str, attribute: &str) -> String {
    let mut value = vec![0_u8; 4096];
    let path = host.file(&format!("a/{name}"));
    let len = rustix::fs::getxattr(path, format!("user.hushfs.{attribute}"), &mut value).unwrap();
    value.truncate(len);
    String::from_utf8(value).unwrap()
}

fn reload(host: &Host) -> std::process::Output {
    host.run(&["reload", "--config", host.path("hushfs.toml").to_str().unwrap()], b"")
}

#[test]
fn a_template_shows_several_secrets_with_the_size_and_version_of_all_of_them() {
    let host = host();
    let size = fs::metadata(host.file("a/both")).unwrap().len();
    let both = read(&host, "both");
    assert_eq!(both, "{\"token\": \"to\\\"ken\", \"user\": \"app\"}\n");
    assert_eq!(size, both.len() as u64);
    assert_eq!(read(&host, "dsn"), "db://app:p%40ss%2Fword@host");
    let before = xattr(&host, "both", "version");
    let secrets = xattr(&host, "both", "secrets");
    assert!(secrets.starts_with("local:db ") && secrets.contains("\nlocal:token "), "{secrets}");
    let record = host.recorded("the open", |record| record["path"] == "a/both" && record["op"] == "open");
    assert_eq!(record["version"].as_str(), Some(before.as_str()));
    // One of them changes.
    let mtime = fs::metadata(host.file("a/both")).unwrap().mtime_nsec();
    host.set("token", b"another");
    host.eventually("the file is another", || read(&host, "both").contains("another"));
    assert_ne!(xattr(&host, "both", "version"), before);
    assert_ne!(fs::metadata(host.file("a/both")).unwrap().mtime_nsec(), mtime);
}

#[test]
fn a_key_that_is_missing_fails_the_open_and_is_named() {
    let host = host();
    let error = fs::read(host.file("a/missing")).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::NOKEY));
    let record = host.recorded("the open", |record| record["path"] == "a/missing" && record["op"] == "open");
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.contains("nothing") && reason.contains("a/missing:1"), "{reason}");
    assert!(host.log().contains("nothing"), "{}", host.log());
    assert!(!host.log().contains("p@ss"), "no value is told");
}

#[test]
fn a_template_that_was_changed_is_shown_after_a_reload_and_one_that_is_wrong_or_not_ours_never() {
    let host = host();
    assert!(read(&host, "both").starts_with("{\"token\""));
    host.write("both.tpl", b"now {{ secret('local:token') }}", 0o644);
    assert!(read(&host, "both").starts_with("{\"token\""));
    assert!(reload(&host).status.success());
    assert_eq!(read(&host, "both"), "now to\"ken");
    for (text, mode, said) in [
        ("{{ secret('local:token'", 0o644, "both.tpl:1"),
        ("\n{{ secret('local:token') | nosuch }}", 0o644, "both.tpl:2"),
        ("{{ secret('nowhere:token') }}", 0o644, "there is no provider `nowhere`"),
        ("{{ secret('local:token') }}", 0o666, "others can write to it"),
    ] {
        host.write("both.tpl", text.as_bytes(), mode);
        let output = reload(&host);
        let told =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && told.contains(said), "{text}: {told}");
        assert_eq!(read(&host, "both"), "now to\"ken", "what was in force stays");
    }
}

#[test]
fn operators_name_a_template_and_mean_all_of_its_secrets() {
    let host = host();
    read(&host, "both");
    let config = host.path("hushfs.toml");
    let run = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        String::from_utf8(host.run_ok(&all, b"").stdout).unwrap()
    };
    for verb in ["refresh", "evict"] {
        let told = run(&[verb, "a/both"]);
        assert!(told.contains("local:db") && told.contains("local:token"), "{verb}: {told}");
    }
    read(&host, "both");
    let readers = run(&["status", "--json"]);
    assert!(readers.matches("a/both").count() >= 2, "it is told with both secrets: {readers}");
    // One of the templates wants a key that is not there.
    let online = host.run(&["check", "--online", "--config", config.to_str().unwrap()], b"");
    let told =
        format!("{}{}", String::from_utf8_lossy(&online.stdout), String::from_utf8_lossy(&online.stderr));
    assert!(!online.status.success() && told.contains("template a/missing"), "{told}");
    assert!(told.contains("nothing") && !told.contains("to\"ken") && !told.contains("p@ss"), "{told}");
}
