//! Bounds: of the cache, of how long a value is fresh, of the files that one process has open.

use std::fs;

use crate::support::{Host, best_of_five, open_errno, python};

#[test]
fn a_value_that_the_cache_has_no_room_for_is_read_whole_all_the_same() {
    let value = vec![b'x'; 1 << 20];
    let scopes = "[limits]\ncache_max = \"1MiB\"\nsize_max = \"1MiB\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", &value)], scopes);
    for _ in 0..3 {
        assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 1 << 20);
        assert!(fs::read(host.file("a/token")).unwrap() == value);
    }
}

#[test]
fn more_values_than_the_cache_holds_are_all_read() {
    let values: Vec<(String, Vec<u8>)> = (0..20).map(|n| (format!("v{n}"), vec![n; 100_000])).collect();
    let secrets: Vec<(&str, &[u8])> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let files: String = values.iter().map(|(name, _)| format!("file.{name} = \"local:{name}\"\n")).collect();
    let scopes = format!(
        "[limits]\ncache_max = \"1MiB\"\nsize_max = \"200KiB\"\n[scope.a]\nallow = {{ uid = 0 }}\n{files}"
    );
    let host = Host::mounted(&secrets, &scopes);
    for _ in 0..2 {
        for (name, value) in &values {
            assert!(fs::read(host.file("a").join(name)).unwrap() == *value, "{name}");
        }
    }
}

#[test]
fn with_nothing_kept_fresh_each_open_asks_and_is_served() {
    let scopes = "[cache]\nfresh_for = \"0ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], scopes);
    for _ in 0..10 {
        let file = fs::File::open(host.file("a/token")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 9);
        assert_eq!(std::io::read_to_string(file).unwrap(), "the value");
    }
}

#[test]
fn a_process_with_very_many_descriptors_of_a_file_makes_nobody_slow() {
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let program = "
import os, resource, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = [os.open(sys.argv[1], os.O_RDONLY) for _ in range(min(5000, most - 50))]
print('open', flush=True)
sys.stdin.readline()";
    let mut holder = python(program)
        .arg(host.file("a/token"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "open\n");
    let quick = best_of_five(|| {
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"v");
        assert_eq!(fs::metadata(host.file("a/token")).unwrap().len(), 1);
    });
    assert!(quick < std::time::Duration::from_millis(50), "{quick:?}");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(open_errno(&host.file("a/token")), None);
}
