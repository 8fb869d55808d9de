//! Files that belong together: a process sees one generation of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::service::Service;
use crate::support::{Host, as_user, says};

const FILES: &str = "file.\"site.crt\" = \"local:site#crt\"\nfile.\"site.key\" = \"local:site#key\"\nfile.ca = \"local:ca\"\n";

fn scope(more: &str) -> String {
    format!("[scope.a]\nallow = [{{ uid = 0 }}, {{ uid = 1000 }}]\nmode = \"0444\"\n{FILES}{more}")
}

fn rotate(host: &Host, to: &str) {
    host.set("site#crt", format!("certificate {to}").as_bytes());
    host.set("site#key", format!("key {to}").as_bytes());
    host.set("ca", format!("ca {to}").as_bytes());
}

fn host(more: &str) -> Host {
    let mut host = Host::new();
    rotate(&host, "1");
    host.configure("", &scope(more));
    host.mount();
    host
}

/// One process that opens files as it is told, and says what it reads.
struct Program(Child, BufReader<std::process::ChildStdout>);

impl Program {
    fn new() -> Self {
        let script = "while read -r file; do value=; read -r value < \"$file\"; echo \"$value\"; done";
        let mut shell = as_user(1000, "/bin/bash");
        let mut child =
            shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self(child, says)
    }

    fn opens(&mut self, host: &Host, file: &str) -> String {
        writeln!(self.0.stdin.as_mut().unwrap(), "{}", host.file(&format!("a/{file}")).display()).unwrap();
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

const BUNDLE: &str = "bundle.site = [\"site.crt\", \"site.key\", \"ca\"]\n";

#[test]
fn a_process_sees_what_belongs_together_as_it_was_when_it_opened_the_first_of_it() {
    let host = host(BUNDLE);
    let (mut program, mut without) = (Program::new(), Program::new());
    assert_eq!(program.opens(&host, "site.crt"), "certificate 1");
    rotate(&host, "2");
    assert_eq!(program.opens(&host, "site.key"), "key 1");
    assert_eq!(program.opens(&host, "ca"), "ca 1", "another secret of the same bundle");
    assert_eq!(without.opens(&host, "site.key"), "key 2", "another process begins with what is so now");
    assert_eq!(without.opens(&host, "site.crt"), "certificate 2");
    // It loads all of it again, beginning with whatever.
    assert_eq!(program.opens(&host, "site.key"), "key 2");
    rotate(&host, "3");
    assert_eq!(program.opens(&host, "site.crt"), "certificate 2");
    assert_eq!(program.opens(&host, "ca"), "ca 2");
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("a/site.crt"))), "certificate 3");
    let record = host.recorded("the pinned version", |record| {
        record["path"] == "a/site.crt" && record["op"] == "open" && record["outcome"] == "allowed"
    });
    assert!(!record["version"].as_str().unwrap().is_empty());
}

#[test]
fn without_a_bundle_the_same_shows_two_generations() {
    let host = host("");
    let mut program = Program::new();
    assert_eq!(program.opens(&host, "site.crt"), "certificate 1");
    rotate(&host, "2");
    assert_eq!(program.opens(&host, "site.key"), "key 2", "which is what a bundle is for");
}

#[test]
fn what_of_a_bundle_cannot_be_had_fails_by_itself_and_is_fetched_with_the_rest_otherwise() {
    let mut host = Host::new();
    rotate(&host, "1");
    let provider = Service::of(&host, "one").provider("");
    let more = "file.asked = \"asked:x\"\nfile.gone = \"local:gone\"\nbundle.all = [\"site.crt\", \"site.key\", \"asked\", \"gone\"]\n";
    host.configure("", &format!("{}{provider}", scope(more)));
    host.mount();
    let service = Service::again(&host);
    let mut program = Program::new();
    assert_eq!(program.opens(&host, "site.crt"), "certificate 1");
    assert_eq!(service.asked(), 1, "with the first of them");
    service.has("two");
    rotate(&host, "2");
    assert_eq!(program.opens(&host, "asked"), "one");
    assert_eq!(program.opens(&host, "gone"), "", "it is an error, and nothing was read");
    host.set("gone", b"there");
    assert_eq!(program.opens(&host, "gone"), "there");
    assert_eq!(
        program.opens(&host, "site.key"),
        "key 1",
        "what was lacking joined the generation and began none"
    );
}

#[test]
fn a_reload_without_the_bundle_ends_it() {
    let host = host(BUNDLE);
    let mut program = Program::new();
    assert_eq!(program.opens(&host, "site.crt"), "certificate 1");
    rotate(&host, "2");
    host.configure("", &scope(""));
    assert!(host.reload().status.success(), "{}", host.log());
    assert_eq!(program.opens(&host, "site.key"), "key 2");
    assert_eq!(fs::read(host.file("a/ca")).unwrap(), b"ca 2");
}

#[test]
fn a_bundle_that_makes_no_sense_is_refused_with_its_place() {
    for (bundle, said) in [
        ("bundle.site = [\"site.crt\", \"site.ky\"]", "no file `site.ky`"),
        ("bundle.site = [\"site.crt\"]", "two files or more"),
        ("bundle.site = \"site.crt\"", "a list of names of files"),
        ("bundle.a = [\"site.crt\", \"ca\"]\nbundle.b = [\"site.key\", \"ca\"]", "in the bundle `a` already"),
        ("bundle.a = [\"ca\", \"ca\"]", "twice"),
    ] {
        let host = Host::new();
        host.configure("", &scope(bundle));
        let output = host.run(&["check"], b"");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(said) && text.contains("hushfs.toml:"), "{text}");
    }
}

#[test]
fn what_its_provider_took_back_is_in_no_generation_any_more() {
    let mut host = Host::new();
    rotate(&host, "1");
    let provider = Service::of(&host, "one").provider("fresh_for = \"1s\"\nmissing_for = \"1min\"");
    let more = "file.asked = \"asked:x\"\nbundle.all = [\"site.crt\", \"asked\"]\n";
    host.configure("", &format!("{}{provider}", scope(more)));
    host.mount();
    let service = Service::again(&host);
    let mut program = Program::new();
    assert_eq!(program.opens(&host, "site.crt"), "certificate 1");
    service.is("missing");
    host.eventually("it is known to be gone", || fs::read(host.file("a/asked")).is_err());
    assert_eq!(program.opens(&host, "asked"), "", "it was in the generation");
}
