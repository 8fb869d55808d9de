//! A rule that names a program, while the program is upgraded or looked like.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::support::{Host, as_user, says};

const SCRIPT: &str = "while read -r; do (: < \"$0\") && read -r value < \"$0\" && echo \"$value\" || echo denied; done 2>/dev/null";

/// A host whose rule names a copy of bash.
fn host() -> Host {
    let mut host = Host::new();
    host.set("t", b"the value\n");
    install(&host, "app");
    let app = host.path("app");
    let scope = format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, exe = \"{}\" }}\nfile.token = \"local:t\"",
        app.display()
    );
    host.configure("", &scope);
    host.mount();
    host
}

fn install(host: &Host, name: &str) {
    host.write(name, &fs::read("/bin/bash").unwrap(), 0o755);
}

fn read_with(host: &Host, program: &str) -> String {
    let mut app = as_user(1000, host.path(program).to_str().unwrap());
    says(
        app.args(["-c", "read -r value < $0 2>/dev/null && echo $value || echo denied"])
            .arg(host.file("a/token")),
    )
}

#[test]
fn after_an_upgrade_both_the_running_and_the_new_program_may_read() {
    let host = host();
    let mut app = as_user(1000, host.path("app").to_str().unwrap());
    let mut running = app
        .args(["-c", SCRIPT])
        .arg(host.file("a/token"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) =
        (running.stdin.take().unwrap(), BufReader::new(running.stdout.take().unwrap()).lines());
    let mut read_again = || {
        to.write_all(b"\n").unwrap();
        from.next().unwrap().unwrap()
    };
    assert_eq!(read_again(), "the value");
    for upgrade in 0..3 {
        install(&host, "app.new");
        fs::rename(host.path("app.new"), host.path("app")).unwrap();
        assert_eq!(read_again(), "the value", "the running one, after upgrade {upgrade}");
        // The path is looked at again ten times a second at most.
        host.eventually("the new one may read", || read_with(&host, "app") == "the value\n");
        assert_eq!(read_again(), "the value", "the running one, after the new one");
    }
    drop(to);
    running.wait().unwrap();
}

#[test]
fn the_same_bytes_at_another_place_are_another_program() {
    let host = host();
    assert_eq!(read_with(&host, "app"), "the value\n");
    install(&host, "copy");
    assert_eq!(read_with(&host, "copy"), "denied\n");
    fs::hard_link(host.path("app"), host.path("linked")).unwrap();
    assert_eq!(read_with(&host, "linked"), "the value\n", "a hard link is the same file");
}

#[test]
fn another_file_bound_over_the_path_in_a_namespace_of_its_own_is_not_the_program() {
    let host = host();
    install(&host, "copy");
    let script = "mount --bind \"$1\" \"$0\" && exec setpriv --reuid 1000 --regid 1000 --clear-groups \"$0\" -c \"$2\" \"$3\"";
    let inner = "read -r value < $0 2>/dev/null && echo $value || echo denied";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "/bin/sh", "-c", script])
        .arg(host.path("app"))
        .arg(host.path("copy"))
        .arg(inner);
    assert_eq!(says(command.arg(host.file("a/token"))), "denied\n");
}

#[test]
fn in_a_user_namespace_of_its_own_nobody_is_identified() {
    let host = host();
    let app = host.path("app");
    let inner = "read -r value < $0 2>/dev/null && echo $value || echo denied";
    let mut command = as_user(1000, "/usr/bin/unshare");
    command.arg("--user").arg(&app).args(["-c", inner]).arg(host.file("a/token"));
    assert_eq!(says(&mut command), "denied\n");
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert!(record["reason"].as_str().unwrap().contains("user namespace"), "{record}");
}
