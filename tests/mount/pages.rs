//! What goes through the page cache all the same (sendfile, splice, private mappings): whole, and nobody else's.

use std::fs::File;
use std::process::Stdio;

use crate::support::{Host, as_user, python, says};

/// Sends what `os.open` gives to a pipe, without a stat in between, and says how many bytes and whether they are all `x`.
const SENDS: &str = "import os, sys, threading
fd = os.open(sys.argv[1], os.O_RDONLY)
to, out = os.pipe()
got = []
def take():
  while True:
    some = os.read(to, 1 << 16)
    if not some: return
    got.append(some)
taker = threading.Thread(target=take)
taker.start()
while os.sendfile(out, fd, None, 1 << 20): pass
os.close(out)
taker.join()
value = b''.join(got)
print(len(value), value == b'x' * len(value))";

#[test]
fn sendfile_gives_all_of_a_value_whose_size_was_not_known_before() {
    let sizes = [1, 2, 4095, 4096, 4097, 4098, 8192, 8193, 200_000];
    let mut host = Host::new();
    let mut files = String::new();
    for size in sizes {
        host.set(&format!("v{size}"), &vec![b'x'; size]);
        files += &format!("file.v{size} = \"local:v{size}\"\n");
    }
    // A stat that may not wait leaves the size unknown, as a provider that is slow does.
    let limits = "[limits]\nstat_wait = \"0s\"\n[scope.a]\nallow = { uid = 0 }\n";
    host.configure("", &format!("{limits}{files}"));
    host.mount();
    for size in sizes {
        let file = host.file(&format!("a/v{size}"));
        assert_eq!(says(python(SENDS).arg(&file)), format!("{size} True\n"), "the first open of all");
        assert_eq!(says(python(SENDS).arg(&file)), format!("{size} True\n"), "a further one");
    }
}

#[test]
fn sendfile_gives_all_of_a_value_that_has_grown() {
    let host = Host::mounted(&[("t", b"xx")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let file = host.file("a/token");
    for size in [2, 3, 5000, 4097, 9000] {
        host.set("t", &vec![b'x'; size]);
        assert_eq!(says(python(SENDS).arg(&file)), format!("{size} True\n"));
    }
}

#[test]
fn what_was_sent_for_one_is_soon_gone_for_who_was_handed_a_descriptor() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let ways = host.compile("ways");
    host.configure("", "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    host.mount();
    for how in ["sendfile", "splice", "mmap"] {
        let said = says(as_user(0, ways.to_str().unwrap()).arg(how).arg(host.file("a/token")));
        assert!(said.trim_end().ends_with(" the value"), "the page is filled: {said}");
        let refused = if how == "mmap" { " EFAULT" } else { " EACCES" };
        host.eventually("the page is gone", || {
            let stdin = Stdio::from(File::open(host.file("a/token")).unwrap());
            says(as_user(1000, ways.to_str().unwrap()).args([how, "-"]).stdin(stdin))
                .trim_end()
                .ends_with(refused)
        });
    }
}

#[test]
fn sendfile_gives_the_version_that_was_opened_though_another_of_that_size_was_sent() {
    let host = Host::mounted(&[("t", b"one")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let program = "import os, sys, time
def send(fd):
  to, out = os.pipe()
  os.sendfile(out, fd, 0, 100)
  return os.read(to, 100).decode()
fds, said = [], []
for line in sys.stdin:
  fds.append(os.open(sys.argv[1], os.O_RDONLY))
  for fd in fds * 2:
    said.append(send(fd))
    time.sleep(0.2)
  print(*said, flush=True)
  said = []";
    let mut child = python(program)
        .arg(host.file("a/token"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(from));
    let mut next = || {
        std::io::Write::write_all(&mut to, b"\n").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(next(), "one one");
    host.set("t", b"two");
    assert_eq!(next(), "one two one two");
    drop(to);
    assert!(child.wait().unwrap().success());
}
