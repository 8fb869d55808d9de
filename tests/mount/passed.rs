//! Descriptors that somebody else opened: who reads is decided and recorded, not only who opened.

use crate::support::{Host, as_user, python, says};

/// Only bash may.
const BASH: &str =
    "[scope.a]\nmode = \"0444\"\nallow = { uid = 1000, exe = \"/bin/bash\" }\nfile.token = \"local:t\"";

#[test]
fn a_program_that_the_shell_redirects_into_may_not_read_what_the_shell_may() {
    let mut host = Host::mounted(&[("t", b"the value")], BASH);
    let mut bash = as_user(1000, "/bin/bash");
    let output = bash.args(["-c", "/usr/bin/cat < $0"]).arg(host.file("a/token")).output().unwrap();
    assert!(output.stdout.is_empty() && !output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Permission denied"),
        "an error, not an empty file"
    );
    let records = host.all_records();
    let of = |op: &str, outcome: &str| records.iter().find(|r| r["op"] == op && r["outcome"] == outcome);
    assert_eq!(of("open", "allowed").unwrap()["exe"], "/usr/bin/bash");
    let denied = of("read", "denied").expect("a record of the denied read");
    assert_eq!((denied["exe"].as_str(), denied["errno"].as_str()), (Some("/usr/bin/cat"), Some("EACCES")));
    assert_eq!(denied["path"], "a/token");
}

#[test]
fn a_process_that_becomes_another_program_loses_the_right_to_read_its_own_descriptor() {
    let host = Host::mounted(&[("t", b"the value")], BASH);
    let script = "exec 3< $0; read -r -u 3 -N 3 start; echo $start; exec /usr/bin/cat <&3";
    let output = as_user(1000, "/bin/bash").args(["-c", script]).arg(host.file("a/token")).output().unwrap();
    assert_eq!(output.stdout, b"the\n", "as bash it read, as cat it does not");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
    let record = host.recorded("the denied read", |r| r["op"] == "read" && r["outcome"] == "denied");
    assert_eq!(record["exe"], "/usr/bin/cat");
}

#[test]
fn another_program_that_may_read_as_well_does_and_is_on_record_by_itself() {
    let scopes = "[scope.a]\nmode = \"0444\"\nallow = [{ exe = \"/bin/bash\" }, { exe = \"/usr/bin/cat\" }]\nfile.token = \"local:t\"";
    let mut host = Host::mounted(&[("t", b"the value")], scopes);
    let mut bash = as_user(1000, "/bin/bash");
    assert_eq!(says(bash.args(["-c", "/usr/bin/cat < $0"]).arg(host.file("a/token"))), "the value");
    let records = host.all_records();
    let reads: Vec<_> = records.iter().filter(|r| r["op"] == "read").collect();
    assert_eq!(reads.len(), 1, "{records:?}");
    assert_eq!((reads[0]["exe"].as_str(), reads[0]["rule"].as_str()), (Some("/usr/bin/cat"), Some("a.2")));
}

#[test]
fn a_forked_child_that_is_the_same_program_reads_and_is_recorded_once() {
    let scopes = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let mut host = Host::mounted(&[("t", b"the value")], scopes);
    let program = "
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.pread(fd, 100, 0)
child = os.fork()
if child == 0:
    for _ in range(5): value = os.pread(fd, 100, 0)
    print(value.decode(), flush=True); os._exit(0)
os.waitpid(child, 0)";
    assert_eq!(says(python(program).arg(host.file("a/token"))), "the value\n");
    let records = host.all_records();
    let of =
        |op: &str| records.iter().filter(|r| r["op"] == op && r["outcome"] == "allowed").collect::<Vec<_>>();
    assert_eq!((of("open").len(), of("read").len()), (1, 1), "{records:?}");
    assert_ne!(of("open")[0]["pid"], of("read")[0]["pid"]);
}

#[test]
fn a_descriptor_passed_to_another_user_over_a_socket_gives_nothing() {
    let scopes = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], scopes);
    let program = "
import os, socket, sys
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    os.setgroups([]); os.setresgid(1001, 1001, 1001); os.setresuid(1001, 1001, 1001)
    _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
    try: print('read', os.read(fds[0], 100), flush=True)
    except OSError as error: print(error.errno, flush=True)
    os._exit(0)
fd = os.open(sys.argv[1], os.O_RDONLY)
socket.send_fds(ours, [b'x'], [fd])
os.waitpid(child, 0)
print(os.read(fd, 100).decode())";
    let said = says(python(program).arg(host.file("a/token")));
    assert_eq!(said, format!("{}\nthe value\n", libc::EACCES));
    let record = host.recorded("the denied read", |r| r["op"] == "read" && r["outcome"] == "denied");
    assert_eq!(record["uid"], 1001);
}

#[test]
fn threads_of_the_opener_read_without_a_record_of_their_own() {
    let scopes = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let mut host = Host::mounted(&[("t", b"the value")], scopes);
    let file = std::fs::File::open(host.file("a/token")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut buffer = [0; 9];
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut buffer, 0).unwrap();
                assert_eq!(&buffer, b"the value");
            });
        }
    });
    drop(file);
    let records = host.all_records();
    assert!(records.iter().all(|record| record["op"] != "read"), "{records:?}");
}
