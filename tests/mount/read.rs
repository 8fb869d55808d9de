//! What is read: the exact bytes of one version, whatever its size and wherever it is read.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use crate::support::{Host, python, says};

const SCOPE: &str = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";

/// Bytes of all values, without a period that a mistaken offset could hide in.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[test]
fn values_of_every_size_and_all_bytes_are_read_exactly() {
    let values: Vec<(String, Vec<u8>)> =
        [0, 1, 4095, 4096, 4097, 65536, 1 << 20].map(|len| (format!("v{len}"), bytes(len))).into();
    let secrets: Vec<(&str, &[u8])> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let files: Vec<String> =
        values.iter().map(|(name, _)| format!("file.{name} = \"local:{name}\"")).collect();
    let host = Host::mounted(&secrets, &format!("[scope.a]\nallow = {{ uid = 0 }}\n{}", files.join("\n")));
    for (name, value) in &values {
        let path = host.file("a").join(name);
        assert!(fs::read(&path).unwrap() == *value, "{name}");
        assert_eq!(fs::metadata(&path).unwrap().len(), value.len() as u64, "{name}");
        let copied = std::process::Command::new("/usr/bin/cat").arg(&path).output().unwrap();
        assert!(copied.stdout == *value, "{name} by cat");
    }
}

#[test]
fn parts_are_read_at_odd_offsets_and_nothing_past_the_end() {
    let value = bytes(300_001);
    let host = Host::mounted(&[("t", &value)], SCOPE);
    let file = File::open(host.file("a/token")).unwrap();
    for (offset, len) in
        [(0, 1), (1, 7), (4095, 2), (4097, 65_537), (131_071, 131_075), (299_999, 2), (300_000, 1)]
    {
        let mut part = vec![0; len];
        file.read_exact_at(&mut part, offset as u64).unwrap();
        assert!(part == value[offset..offset + len], "{len} bytes at {offset}");
    }
    let mut buffer = [0; 10];
    assert_eq!(file.read_at(&mut buffer, 299_998).unwrap(), 3, "the end cuts a read short");
    for past in [300_001, 300_002, 1 << 40, i64::MAX as u64 - 100] {
        assert_eq!(file.read_at(&mut buffer, past).unwrap(), 0, "at {past}");
    }
    assert_eq!((&file).seek(SeekFrom::End(-1)).unwrap(), 300_000);
    let mut rest = Vec::new();
    (&file).read_to_end(&mut rest).unwrap();
    assert!(rest == value[300_000..]);
}

#[test]
fn an_open_descriptor_keeps_its_version_and_the_next_open_has_the_new_one() {
    let host = Host::mounted(&[("t", b"the old value")], SCOPE);
    let mut old = File::open(host.file("a/token")).unwrap();
    let mut start = [0; 3];
    old.read_exact(&mut start).unwrap();
    host.set("t", b"THE NEW VALUE, LONGER");
    let mut rest = String::new();
    old.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " old value", "between two reads of one descriptor");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"THE NEW VALUE, LONGER");
    old.rewind().unwrap();
    rest.clear();
    old.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "the old value", "after a seek");
}

/// Opens, lets the test change the value, then asks for the size and reads so many bytes: as node's `readFileSync` and
/// many others do. In the process that opened, and in a child that inherited the descriptor.
const BY_SIZE: &str = "
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print('opened', flush=True)
sys.stdin.readline()
def whole():
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0).decode()
if sys.argv[2] == 'child':
    child = os.fork()
    if child == 0:
        print(whole(), flush=True); os._exit(0)
    os.waitpid(child, 0)
else:
    print(whole())
";

fn read_by_size<T>(host: &Host, who: &str, rotate: impl FnOnce() -> T) -> String {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let mut child = python(BY_SIZE)
        .arg(host.file("a/token"))
        .arg(who)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "opened");
    let _held = rotate();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let said = lines.next().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    said
}

#[test]
fn a_rotation_between_open_and_fstat_still_reads_the_whole_old_version() {
    let long = "long ".repeat(30);
    let host = Host::mounted(&[("t", b"x")], SCOPE);
    for (before, after) in [(long.as_str(), "short"), ("short", long.as_str())] {
        for who in ["self", "child"] {
            host.set("t", before.as_bytes());
            let read = read_by_size(&host, who, || {
                host.set("t", after.as_bytes());
                // Somebody else has seen the new one, so that the daemon knows it.
                assert_eq!(fs::read(host.file("a/token")).unwrap(), after.as_bytes());
            });
            assert_eq!(read, before, "by {who}");
        }
    }
}

#[test]
fn a_child_reads_the_whole_version_that_it_inherited_while_others_hold_another() {
    let long = "long ".repeat(30);
    let host = Host::mounted(&[("t", b"x")], SCOPE);
    for (before, after) in [(long.as_str(), "short"), ("short", long.as_str())] {
        host.set("t", before.as_bytes());
        let read = read_by_size(&host, "child", || {
            host.set("t", after.as_bytes());
            File::open(host.file("a/token")).unwrap()
        });
        assert_eq!(read, before);
    }
}

#[test]
fn node_that_opened_before_a_rotation_reads_the_whole_old_version_by_descriptor() {
    let host = Host::mounted(&[("t", &[b'x'; 100])], SCOPE);
    let script = "const fs = require('fs'), { spawnSync } = require('child_process');
        const fd = fs.openSync(process.argv[1]);
        const set = spawnSync(process.argv[2], ['store', 'set', 't', '--replace', '--store', process.argv[3]], { input: 'y'.repeat(40) });
        if (set.status !== 0) throw new Error(set.stderr);
        console.log(fs.readFileSync(fd, 'utf8'), fs.readFileSync(process.argv[1], 'utf8'))";
    let mut node = std::process::Command::new("/usr/bin/node");
    node.args(["-e", script])
        .arg(host.file("a/token"))
        .arg(crate::support::HUSHFS)
        .arg(host.path("store.age"));
    assert_eq!(says(&mut node), format!("{} {}\n", "x".repeat(100), "y".repeat(40)));
}

#[test]
fn what_programs_ask_of_a_file_besides_works_or_has_the_usual_errno() {
    let host = Host::mounted(&[("t", b"the value")], SCOPE);
    let program = "
import errno, fcntl, os, select, sys, termios
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
os.fsync(fd)
poll = select.poll(); poll.register(fd, select.POLLIN)
assert poll.poll(1000) == [(fd, select.POLLIN)]
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
to, out = os.pipe()
assert os.readv(fd, [bytearray(4), bytearray(100)]) == 9
assert os.lseek(fd, 0, os.SEEK_DATA) == 0 and os.lseek(fd, 0, os.SEEK_HOLE) == 9
assert os.lseek(fd, 0, os.SEEK_END) == 9
for act, number in (lambda: os.sendfile(out, fd, 0, 100), errno.EINVAL), (lambda: os.splice(fd, out, 100, offset_src=4), errno.EINVAL), (lambda: fcntl.ioctl(fd, termios.TCGETS, bytes(64)), errno.ENOTTY), (lambda: os.write(fd, b'x'), errno.EBADF), (lambda: os.ftruncate(fd, 0), errno.EINVAL):
    try: act(); print('no error')
    except OSError as error: assert error.errno == number, error
again = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
assert os.read(again, 100) == b'the value'
print('all')";
    assert_eq!(says(python(program).arg(host.file("a/token"))), "all\n");
}

#[test]
fn under_rotation_and_reload_every_read_is_one_whole_version() {
    let values = [b"a".repeat(10), b"b".repeat(70_000), b"c".repeat(300), b"d".repeat(200_000)];
    let host = Host::mounted(&[("t", &values[0])], SCOPE);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let ends = || ended.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while !ends() {
                        let read = fs::read(host.file("a/token")).unwrap();
                        assert!(values.contains(&read), "{} bytes, starting {:?}", read.len(), read.first());
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for value in values.iter().cycle().take(12) {
            host.set("t", value);
            host.signal(rustix::process::Signal::HUP);
            assert!(fs::read(host.file("a/token")).unwrap() == *value, "the next open has the new one");
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

#[test]
fn mappings_read_the_value() {
    let host = Host::mounted(&[("t", b"mapped value")], SCOPE);
    let program = "
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
private = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
print(private[:].decode())
print(mmap.mmap(fd, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)[:].decode())";
    assert_eq!(says(python(program).arg(host.file("a/token"))), "mapped value\nmapped value\n");
}
