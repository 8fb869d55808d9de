//! Rules for credentials that are read once, at the start.

use crate::support::{Host, as_user, python, says};

fn scope(state: &str) -> String {
    format!(
        "[scope.a]\nmode = \"0444\"\nallow = {{ uid = 1000, {state} }}\nfile.token = \"local:t\"\nfile.other = \"local:t\""
    )
}

/// Opens the file in turn from one process, and prints one letter for each: `r` was read, `-` denied.
const IN_TURN: &str = "
import os, sys
for path in sys.argv[1:]:
    os.stat(path)
    try:
        with open(path) as file: os.pread(file.fileno(), 100, 0); os.pread(file.fileno(), 100, 0)
        print('r', end='')
    except PermissionError: print('-', end='')";

#[test]
fn a_process_reads_as_often_as_it_may_and_a_new_one_again() {
    let host = Host::mounted(&[("t", b"the value")], &scope("reads = 1"));
    let (token, other) = (host.file("a/token"), host.file("a/other"));
    for _ in 0..2 {
        let said = says(
            as_user(1000, "/usr/bin/python3").args(["-c", IN_TURN]).args([&token, &token, &other, &token]),
        );
        assert_eq!(said, "r-r-", "each file is counted by itself");
    }
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert_eq!(record["errno"], "EACCES");
    assert!(record["reason"].as_str().unwrap().contains("had 1 of its 1 reads of the file"), "{record}");
}

#[test]
fn of_many_opens_at_once_no_more_are_let_in_than_may_be() {
    let host = Host::mounted(&[("t", b"the value")], &scope("reads = 3"));
    let script = "
import sys, threading
start, let_in = threading.Barrier(24), []
def read():
    start.wait()
    try: let_in.append(open(sys.argv[1]).read())
    except PermissionError: pass
threads = [threading.Thread(target=read) for _ in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(let_in))";
    for _ in 0..3 {
        let said = says(as_user(1000, "/usr/bin/python3").args(["-c", script]).arg(host.file("a/token")));
        assert_eq!(said, "3\n");
    }
}

#[test]
fn what_a_process_reads_through_the_descriptor_of_another_counts_for_it() {
    let host = Host::mounted(&[("t", b"the value")], &scope("reads = 1"));
    // The parent opens, the child reads through what it inherited and has had its read with that.
    let script = "
import os, sys
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
fd = os.open(sys.argv[1], os.O_RDONLY)
if os.fork() == 0:
    print(os.pread(fd, 100, 0).decode(), os.pread(fd, 3, 0).decode(), flush=True)
    try: os.open(sys.argv[1], os.O_RDONLY)
    except PermissionError: print('denied', flush=True)
    os._exit(0)
os.wait()";
    assert_eq!(says(python(script).arg(host.file("a/token"))), "the value the\ndenied\n");
}

#[test]
fn a_process_may_read_as_long_as_it_is_young() {
    let host = Host::mounted(&[("t", b"the value")], &scope("within = \"4s\""));
    let script = "
import sys, time
def attempt():
    try: print(open(sys.argv[1]).read(), flush=True)
    except PermissionError: print('denied', flush=True)
attempt(); time.sleep(4.5); attempt()";
    let said = says(as_user(1000, "/usr/bin/python3").args(["-c", script]).arg(host.file("a/token")));
    assert_eq!(said, "the value\ndenied\n");
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert!(record["reason"].as_str().unwrap().contains("process started "), "{record}");
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("a/token"))), "the value");
}
