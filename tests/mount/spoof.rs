//! Attempts to look like somebody else: by the executable, by the ids, by another file system in between.
//!
//! Where a test says that it is let in, the design cannot tell: SECURITY.md names it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Host, as_user, python, says};

/// A host whose rules name the program `app`: for uid 1000 in scope `a`, for uid 1001 in scope `b`.
fn host() -> Host {
    host_with(&[])
}

fn host_with(options: &[&str]) -> Host {
    let mut host = Host::new();
    host.set("t", b"the value");
    let app = host.compile_as("attempt", "app", options);
    let scope = |name: &str, uid: u32| {
        let app = app.display();
        format!(
            "[scope.{name}]\nmode = \"0444\"\nallow = {{ uid = {uid}, exe = \"{app}\" }}\nfile.token = \"local:t\"\n"
        )
    };
    host.configure("", &format!("{}{}", scope("a", 1000), scope("b", 1001)));
    host.mount();
    host
}

/// What this program of the host says, run as uid 1000 with these arguments and the file.
fn tries(host: &Host, program: &str, args: &[&str]) -> String {
    says(as_user(1000, host.path(program).to_str().unwrap()).args(args).arg(host.file("a/token")))
}

/// The executable of the record of the denial.
fn denied_exe(host: &Host) -> String {
    let record = host.recorded("the denial", |record| record["outcome"] == "denied");
    record["exe"].as_str().unwrap().to_owned()
}

#[test]
fn the_program_itself_is_let_in() {
    let host = host();
    assert_eq!(tries(&host, "app", &[]), "the value\n");
    let other = says(as_user(1000, host.path("app").to_str().unwrap()).arg(host.file("b/token")));
    assert_eq!(other, "EACCES\n", "the rule is for another user");
}

#[test]
fn another_root_with_the_same_path_and_the_same_inode_number_is_another_program() {
    let host = host_with(&["-static"]);
    let dir = host.path("").display().to_string();
    let dir = dir.trim_end_matches('/');
    host.compile_as("attempt", "evil", &["-static"]);
    host.compile("pivot");
    fs::create_dir(host.path("root")).unwrap();
    // An overlay shows the inode numbers of what lies below, also of what was written to since.
    let script = "set -e
dir=$1 root=$1/root
mount -t tmpfs tmpfs $root
mkdir -p $root/upper $root/work $root/secrets $root$dir
mount -t overlay -o lowerdir=$dir,upperdir=$root/upper,workdir=$root/work overlay $root$dir
cat $dir/evil > $root$dir/app
test $(stat -c %i $dir/app) = $(stat -c %i $root$dir/app)
mount --bind $dir/m $root/secrets
exec $dir/pivot $root 1000 $dir/app /secrets/a/token";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh", dir]);
    assert_eq!(says(&mut command), "EACCES\n");
    assert_eq!(denied_exe(&host), host.path("app").to_str().unwrap(), "the path is that of the program");
}

#[test]
fn an_executable_that_is_forged_needs_a_user_namespace_and_then_gives_nothing() {
    let host = host();
    host.compile("forge");
    let app = host.path("app");
    let app = app.to_str().unwrap();
    assert_eq!(tries(&host, "forge", &["plain", app]), "forged: EPERM\nread: EACCES\n");
    let forged = format!("forged: {app}\nread: EACCES\n");
    assert_eq!(tries(&host, "forge", &["inside", app]), forged);
    let of_the_forged = |record: &crate::support::Record| record["exe"] == app;
    let record = host.recorded("the forged one", of_the_forged);
    assert!(record["reason"].as_str().unwrap().contains("user namespace"), "{record}");
}

#[test]
fn an_executable_that_is_forged_from_shared_memory_passes_for_the_program_and_still_not_for_another_user() {
    let host = host();
    host.compile("forge");
    let app = host.path("app");
    let app = app.to_str().unwrap();
    let other = host.file("b/token");
    let said = tries(&host, "forge", &["shared", app, other.to_str().unwrap()]);
    assert_eq!(said, format!("forged: {app}\nread: EACCES\nread: the value\n"), "uid 1001's, then its own");
}

#[test]
fn a_copy_in_memory_under_the_name_of_the_program_is_another_program() {
    let host = host();
    host.compile("memfd");
    let app = host.path("app");
    let app = app.to_str().unwrap();
    assert_eq!(tries(&host, "memfd", &[app, app]), "EACCES\n");
    assert_eq!(denied_exe(&host), format!("/memfd:{app} (deleted)"));
}

#[test]
fn a_file_whose_name_is_that_of_the_deleted_program_is_another_program() {
    let host = host();
    fs::remove_file(host.path("app")).unwrap();
    host.compile_as("attempt", "app (deleted)", &[]);
    assert_eq!(tries(&host, "app (deleted)", &[]), "EACCES\n");
    assert_eq!(denied_exe(&host), host.path("app (deleted)").to_str().unwrap());
}

#[test]
fn a_program_run_by_the_dynamic_loader_is_the_loader() {
    let host = host();
    let text = says(Command::new("readelf").arg("-l").arg(host.path("app")));
    let from = text.find("interpreter: ").expect("a dynamic executable names its loader") + 13;
    let loader = text[from..].split(']').next().unwrap();
    let mut command = as_user(1000, loader);
    assert_eq!(says(command.arg(host.path("app")).arg(host.file("a/token"))), "EACCES\n");
    assert_eq!(PathBuf::from(denied_exe(&host)), fs::canonicalize(loader).unwrap());
}

#[test]
fn a_script_is_its_interpreter_whatever_the_rule_names() {
    let mut host = Host::new();
    host.set("t", b"the value");
    host.write("script", b"#!/bin/bash\nread -r value < $1 && echo $value || echo denied\n", 0o755);
    let script = host.path("script");
    let scope = format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, exe = \"{}\" }}\nfile.token = \"local:t\"",
        script.display()
    );
    host.configure("", &scope);
    host.mount();
    assert_eq!(tries(&host, "script", &[]), "denied\n");
    assert_eq!(denied_exe(&host), fs::canonicalize("/bin/bash").unwrap().to_str().unwrap());
}

#[test]
fn a_library_loaded_into_the_program_reads_as_the_program() {
    let host = host();
    host.compile_as("preload", "preload.so", &["-shared", "-fPIC"]);
    // By itself: the library would be loaded into `timeout` first.
    let mut app = Command::new(host.path("app"));
    app.uid(1000)
        .gid(1000)
        .env("READ", host.file("a/token"))
        .env("LD_PRELOAD", host.path("preload.so"))
        .arg("/dev/null");
    assert_eq!(says(&mut app), "preloaded: the value\n", "`exe` says which file runs, and not what is in it");
}

#[test]
fn a_debugger_of_the_same_user_reads_as_the_program() {
    let host = host_with(&["-O0"]);
    let mut gdb = as_user(1000, "gdb");
    let open = format!("set $fd = (int) open(\"{}\", 0)", host.file("a/token").display());
    let read = "set $size = (long) read($fd, value, 100)";
    gdb.args(["-nx", "-batch", "-ex", "break main", "-ex", "run", "-ex", &open, "-ex", read]);
    gdb.args(["-ex", "printf \"injected: %.9s\\n\", value", "-ex", "kill", "--args"]);
    let said = says(gdb.arg(host.path("app")).arg("/dev/null").env("HOME", "/nonexistent"));
    assert!(said.contains("injected: the value"), "a process that may be traced by its user: {said}");
}

#[test]
fn through_an_overlay_of_root_nobody_reads_what_root_may() {
    let rules = "[scope.a]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], rules);
    fs::create_dir(host.path("empty")).unwrap();
    fs::create_dir(host.path("over")).unwrap();
    let script = "mount -t overlay -o lowerdir=\"$0\":\"$1\" overlay \"$2\" && cat \"$2/token\" &&
exec setpriv --reuid 1000 --regid 1000 --clear-groups cat \"$2/token\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "/bin/sh", "-c", script]);
    command.arg(host.file("a")).arg(host.path("empty")).arg(host.path("over"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "the value", "root, and root alone: {said}");
    assert!(!output.status.success() && said.contains("Permission denied"), "{said}");
    let record = host.recorded("the denial", |record| record["outcome"] == "denied");
    assert_eq!(record["uid"], 0, "the request has the uid of who mounted the overlay");
    assert!(record["reason"].as_str().unwrap().contains("real, effective, saved"), "{record}");
}

#[test]
fn an_overlay_in_a_user_namespace_of_its_own_gives_nothing() {
    let rules = "[scope.a]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], rules);
    fs::create_dir(host.path("empty")).unwrap();
    fs::create_dir(host.path("over")).unwrap();
    let script =
        "mount -t overlay -o lowerdir=\"$0\":\"$1\" overlay \"$2\" && echo mounted && exec cat \"$2/token\"";
    let mut command = as_user(1000, "unshare");
    command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", script]);
    command.arg(host.file("a")).arg(host.path("empty")).arg(host.path("over"));
    let output = command.output().unwrap();
    assert_eq!(output.stdout, b"mounted\n", "{}", String::from_utf8_lossy(&output.stderr));
    let record = host.recorded("the denial", |record| record["outcome"] == "denied");
    assert_eq!(record["uid"], 1000);
    assert!(record["reason"].as_str().unwrap().contains("user namespace"), "{record}");
}

#[test]
fn a_setuid_program_does_not_read_for_whoever_runs_it() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let helper = host.compile_as("attempt", "helper", &[]);
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o4755)).unwrap();
    let helper = helper.display();
    let allow = format!("[{{ uid = 0, exe = \"{helper}\" }}, {{ uid = 1000, exe = \"{helper}\" }}]");
    host.configure("", &format!("[scope.a]\nmode = \"0444\"\nallow = {allow}\nfile.token = \"local:t\""));
    host.mount();
    assert_eq!(tries(&host, "helper", &[]), "EACCES\n");
    let record = host.recorded("the denial", |record| record["outcome"] == "denied");
    assert_eq!(record["uid"], 0, "it did run as root");
    assert!(record["reason"].as_str().unwrap().contains("real, effective, saved"), "{record}");
    assert_eq!(
        says(Command::new(host.path("helper")).arg(host.file("a/token"))),
        "the value\n",
        "run by root"
    );
}

#[test]
fn ids_that_are_mixed_match_no_rule() {
    let rules = "[scope.a]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], rules);
    let program = "
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.setgroups([])
def attempt(name, change):
    if os.fork() == 0:
        change()
        try: print(name, open(sys.argv[1]).read(), flush=True)
        except PermissionError: print(name, 'denied', flush=True)
        os._exit(0)
    os.wait()
attempt('root', lambda: None)
attempt('euid', lambda: os.seteuid(1000))
attempt('fsuid', lambda: libc.setfsuid(1000))
attempt('saved', lambda: os.setresuid(1000, 1000, 0))
attempt('real', lambda: os.setresuid(1000, 0, 0))
attempt('all', lambda: os.setresuid(1000, 1000, 1000))";
    let said = says(python(program).arg(host.file("a/token")));
    let expected = "root the value\neuid denied\nfsuid denied\nsaved denied\nreal denied\nall the value\n";
    assert_eq!(said, expected);
}
