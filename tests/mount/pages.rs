//! What would go through the page cache, which belongs to the file and not to its reader: sendfile, splice, mappings.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::{Host, as_user, python, says};

#[test]
fn sendfile_and_splice_are_refused_to_who_may_read_so_that_programs_read() {
    let mut host = Host::new();
    host.set("t", &[b'x'; 5000]);
    // A stat that may not wait leaves the size unknown, as a slow provider does: sendfile would stop at that.
    host.configure(
        "",
        "[limits]\nstat_wait = \"0s\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"",
    );
    host.mount();
    let file = host.file("a/token");
    let program = "import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
to, out = os.pipe()
def tried(move):
  try: return move()
  except OSError as error: return errno.errorcode[error.errno]
print(tried(lambda: os.sendfile(out, fd, 0, 100)), tried(lambda: os.splice(fd, out, 100)), len(os.read(fd, 1 << 20)))";
    assert_eq!(says(python(program).arg(&file)), "EINVAL EINVAL 5000\n");
    let whole = "x".repeat(5000);
    assert_eq!(says(Command::new("busybox").arg("cat").arg(&file)), whole, "it tries sendfile first");
    let copied = "import shutil, sys; shutil.copyfile(*sys.argv[1:])";
    says(python(copied).arg(&file).arg(host.path("copy")));
    assert!(std::fs::read(host.path("copy")).unwrap() == whole.as_bytes(), "so does this");
    std::fs::copy(&file, host.path("another")).unwrap();
    assert!(std::fs::read(host.path("another")).unwrap() == whole.as_bytes(), "and this");
}

#[test]
fn who_changes_the_size_that_the_kernel_knows_cuts_nobodys_value_short() {
    let long = "y".repeat(200_000);
    let scope = "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"short")], scope);
    let old = File::open(host.file("a/token")).unwrap();
    host.set("t", long.as_bytes());
    // Who holds the old version and asks for its size has the kernel take that for the size of the file.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(old.metadata().unwrap().len(), 5);
            }
        });
        for _ in 0..50 {
            let read = Command::new("busybox").arg("cat").arg(host.file("a/token")).output().unwrap();
            assert!(read.status.success() && read.stdout == long.as_bytes(), "{} bytes", read.stdout.len());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_was_mapped_by_one_is_soon_gone_for_who_was_handed_a_descriptor() {
    let mut host = Host::new();
    host.set("t", b"the value");
    let ways = host.compile("ways");
    host.configure("", "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    host.mount();
    for (how, refused) in [("mmap", " EFAULT"), ("sendfile", " EACCES")] {
        let said = says(as_user(0, ways.to_str().unwrap()).arg("mmap").arg(host.file("a/token")));
        assert!(said.trim_end().ends_with(" the value"), "the page is filled: {said}");
        host.eventually("the page is gone", || {
            let stdin = Stdio::from(File::open(host.file("a/token")).unwrap());
            let said = says(as_user(1000, ways.to_str().unwrap()).args([how, "-"]).stdin(stdin));
            said.trim_end().ends_with(refused)
        });
    }
}

#[test]
fn a_large_value_is_mapped_whole_though_its_pages_are_dropped() {
    let value: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let host = Host::mounted(&[("t", &value)], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let program = "import mmap, sys, time
h = open(sys.argv[1], 'rb')
m = mmap.mmap(h.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
for _ in range(5):
  assert all(m[n] == n % 251 for n in range(len(m)))
  time.sleep(0.03)
print(len(m))";
    assert_eq!(says(python(program).arg(host.file("a/token"))), "200000\n");
}
