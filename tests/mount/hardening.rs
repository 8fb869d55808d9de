//! Rules that demand in what state a caller is, and the attacks that they are for.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Host, as_user, caller, compile, ends_within, says};

/// A group that nobody is in.
const GROUP: u32 = 5555;

/// A host whose `a/token` is for uid 1000 in this state, and `b/token` for uid 1000.
fn host(state: &str) -> Host {
    let scopes = format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, {state} }}\nfile.token = \"local:t\"\n\
         [scope.b]\nmode = \"0444\"\nallow = {{ uid = 1000 }}\nfile.token = \"local:t\""
    );
    Host::mounted(&[("t", b"the value")], &scopes)
}

fn reads(host: &Host, how: &str) -> String {
    says(as_user(1000, caller().to_str().unwrap()).arg(how).arg(host.file("a/token")))
}

fn reason(host: &Host) -> String {
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    record["reason"].as_str().unwrap().to_owned()
}

/// A caller that reads whenever it is told to.
struct Asked {
    process: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    pid: String,
}

impl Asked {
    fn new(program: &Path, how: &str, file: &Path) -> Self {
        let mut command = as_user(1000, program.to_str().unwrap());
        command.arg(format!("pw{how}")).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let to = process.stdin.take().unwrap();
        let mut from = BufReader::new(process.stdout.take().unwrap()).lines();
        let pid = from.next().unwrap().unwrap();
        Self { process, to, from, pid }
    }

    fn reads(&mut self) -> String {
        self.to.write_all(b"\n").unwrap();
        self.from.next().unwrap().unwrap()
    }

    fn end(self) {
        drop(self.to);
        let mut process = self.process;
        process.wait().unwrap();
    }
}

#[test]
fn a_process_that_is_traced_may_not_read_whichever_of_its_threads_it_is() {
    let host = host("not_traced = true");
    // Without stopping it (PTRACE_SEIZE), by its own user.
    let tracer = "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_ulong] * 4
if libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) != 0: raise SystemExit(1)
print('attached', flush=True)
sys.stdin.read()";
    for threads in ["", "t"] {
        let mut asked = Asked::new(caller(), threads, &host.file("a/token"));
        assert_eq!(asked.reads(), "the value");
        let mut command = as_user(1000, "/usr/bin/python3");
        command.args(["-c", tracer, &asked.pid]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut attached = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(attached.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "attached\n");
        assert_eq!(asked.reads(), "denied", "threads: {threads:?}");
        assert!(
            reason(&host).contains(&format!("traces thread {} of the caller", asked.pid)) || threads == "t"
        );
        drop(attached.stdin.take());
        attached.wait().unwrap();
        assert_eq!(asked.reads(), "the value", "nobody is attached any more");
        asked.end();
    }
}

#[test]
fn a_process_is_asked_to_keep_others_out_of_its_memory() {
    let host = host("not_dumpable = true");
    assert_eq!(reads(&host, "d"), "the value\n");
    assert_eq!(reads(&host, "-"), "denied\n");
    assert!(reason(&host).contains("the caller is dumpable"));
}

#[test]
fn of_root_it_cannot_be_told_and_so_it_is_denied() {
    let scopes = "[scope.a]\nallow = { uid = 0, not_dumpable = true }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], scopes);
    assert_eq!(says(Command::new(caller()).arg("d").arg(host.file("a/token"))), "denied\n");
    assert!(reason(&host).contains("for uid 0 it cannot be told"));
}

/// A library that wipes every trace of itself from the environment before the program begins.
fn library(host: &Host) -> std::path::PathBuf {
    let source = "#include <stdio.h>
#include <string.h>
extern char **environ;
__attribute__((constructor)) static void begin(void) {
    for (char **one = environ; *one; one++) memset(*one, 0, strlen(*one));
    *environ = NULL;
    puts(\"loaded\");
}";
    host.write("library.c", source.as_bytes(), 0o600);
    let library = host.path("library.so");
    compile(&["-shared", "-fPIC"], host.path("library.c").to_str().unwrap(), &library);
    chown(&library, Some(1000), Some(1000)).unwrap();
    library
}

#[test]
fn a_library_that_is_loaded_into_a_genuine_program_is_seen_whatever_the_environment_says() {
    let program = caller().display();
    let host = host(&format!("exe = \"{program}\", no_preload = true"));
    let library = library(&host);
    let loaded = |file: &str| {
        let mut command = as_user(1000, caller().to_str().unwrap());
        // Not into `timeout`, which starts the program.
        let command = command.arg("-").arg(host.file(file));
        let mut env = as_user(1000, "/usr/bin/env");
        env.arg(format!("LD_PRELOAD={}", library.display())).arg(caller()).args(command.get_args().skip(3));
        says(&mut env)
    };
    assert_eq!(reads(&host, "-"), "the value\n");
    assert_eq!(loaded("b/token"), "loaded\nthe value\n", "it works where nobody looks");
    assert_eq!(loaded("a/token"), "loaded\ndenied\n");
    let reason = reason(&host);
    assert!(reason.contains("library.so belongs to uid 1000"), "{reason}");
}

#[test]
fn a_process_that_holds_the_lock_of_its_memory_holds_up_nobody_else() {
    let mut host = host("no_preload = true");
    host.hang();
    let mut command = as_user(1000, caller().to_str().unwrap());
    command.arg("lm").arg(host.file("a/token")).arg(host.path("hang/demo/locked")).stdout(Stdio::piped());
    let mut holds = command.spawn().unwrap();
    let mut lines = BufReader::new(holds.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "the value");
    let since = Instant::now();
    let mut served = 0;
    while holds.try_wait().unwrap().is_none()
        && since.elapsed() < Duration::from_secs(8)
        && !host_denied(&host)
    {
        assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("b/token"))), "the value");
        served += 1;
    }
    assert!(served > 3, "others are served meanwhile: {served}");
    let denied = host_denied(&host);
    assert!(denied, "not within eight seconds");
    let reason = reason(&host);
    // Nor does it keep the daemon from ending, though a thread of it still waits for the lock.
    let (took, code) = host.stop();
    host.end_hang();
    assert!(ends_within(&mut holds, Duration::from_secs(10)).is_some());
    assert!(reason.contains("took too long"), "{reason}");
    assert!(took < Duration::from_secs(3) && code == Some(0), "{took:?} {code:?}");
}

fn host_denied(host: &Host) -> bool {
    host.audit().iter().any(|record| record["outcome"] == "denied")
}

/// A copy of the caller, setgid to the group.
fn setgid(host: &Host) -> std::path::PathBuf {
    let path = host.path("client");
    says(Command::new("cp").arg(caller()).arg(&path));
    chown(&path, Some(0), Some(GROUP)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o2755)).unwrap();
    path
}

#[test]
fn a_setgid_program_may_read_and_nothing_else_that_has_the_group() {
    let host = host(&format!("egid = {GROUP}"));
    let client = setgid(&host);
    let file = host.file("a/token");
    let with = |program: &str, args: &[&str]| {
        says(as_user(1000, program).args(args).arg(&client).arg("-").arg(&file))
    };
    assert_eq!(with("/usr/bin/env", &[]), "the value\n");
    assert_eq!(reads(&host, "-"), "denied\n", "the same program without the group");
    assert_eq!(with("/usr/bin/setpriv", &["--no-new-privs"]), "denied\n");
    assert_eq!(with("/usr/bin/unshare", &["--user"]), "denied\n");
    let preloaded = format!("LD_PRELOAD={}", library(&host).display());
    assert_eq!(with("/usr/bin/env", &[&preloaded]), "the value\n", "the linker ignores it");
}

#[test]
fn a_member_of_the_group_who_takes_it_by_sg_is_not_a_setgid_program() {
    let host = host(&format!("egid = {GROUP}"));
    host.write("passwd", b"root:x:0:0::/:/bin/sh\nsomebody:x:1000:1000::/:/bin/sh\n", 0o644);
    let group = format!("root:x:0:\nsomebody:x:1000:\nhushclient:x:{GROUP}:somebody\n");
    host.write("group", group.as_bytes(), 0o644);
    // sg asks the host's tables: in a mount namespace of its own they say that uid 1000 is a member.
    let script = "mount --bind $0/passwd /etc/passwd && mount --bind $0/group /etc/group && exec setpriv --reuid 1000 --regid 1000 --groups $1 \
                  sg hushclient -c \"grep Gid: /proc/self/status; $2 - $0/m/a/token\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "/bin/sh", "-c", script])
        .arg(host.path(""))
        .arg(GROUP.to_string())
        .arg(caller());
    let said = says(&mut command);
    assert!(said.starts_with(&format!("Gid:\t{GROUP}\t{GROUP}")), "sg gives the group: {said}");
    assert!(said.ends_with("\ndenied\n"), "{said}");
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert_eq!((record["gid"].as_u64(), record["uid"].as_u64()), (Some(u64::from(GROUP)), Some(1000)));
}

#[test]
fn to_ask_for_the_size_of_what_is_known_leaves_no_record_though_the_proof_takes_waiting() {
    let mut host = host("no_preload = true");
    let file = host.file("a/token");
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(&file)), "the value");
    for _ in 0..3 {
        assert_eq!(says(as_user(1000, "/usr/bin/stat").args(["-c", "%s"]).arg(&file)), "9\n");
    }
    let records = host.all_records();
    let of =
        |op: &str| records.iter().filter(|record| record["op"] == op && record["path"] == "a/token").count();
    assert_eq!(of("open"), 1);
    assert!(of("stat") <= 1, "only the one that fetched: {records:?}");
}
