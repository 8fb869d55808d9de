//! Extended attributes tell about a value without fetching or reading it, to those who may read the file.

use std::path::Path;

use rustix::io::Errno;

use crate::support::{HUNG, Host, best_of_five, python, says};

fn get(path: &Path, name: &str) -> Result<String, Errno> {
    let mut buffer = [0_u8; 256];
    let len = rustix::fs::getxattr(path, format!("user.hushfs.{name}"), &mut buffer[..])?;
    Ok(String::from_utf8(buffer[..len].to_vec()).unwrap())
}

fn list(path: &Path) -> Vec<String> {
    let mut buffer = [0_u8; 1024];
    let len = rustix::fs::listxattr(path, &mut buffer[..]).unwrap();
    let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn they_tell_where_a_value_is_from_and_how_fresh_it_is() {
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let token = host.file("a/token");
    assert_eq!(std::fs::read(&token).unwrap(), b"v");
    assert_eq!(list(&token).len(), 5, "{:?}", list(&token));
    for name in list(&token) {
        let name = name.strip_prefix("user.hushfs.").unwrap();
        assert!(!get(&token, name).unwrap().is_empty(), "{name}");
    }
    let before = get(&token, "version").unwrap();
    assert_eq!(
        (get(&token, "provider").unwrap().as_str(), get(&token, "stale").unwrap().as_str()),
        ("local", "no")
    );
    assert!(get(&token, "fetched-at").unwrap() < get(&token, "expires-at").unwrap());
    host.set("t", b"w");
    assert_eq!(std::fs::read(&token).unwrap(), b"w");
    assert_ne!(get(&token, "version").unwrap(), before);
}

#[test]
fn nothing_is_fetched_for_them() {
    let scopes = "[limits]\nstat_wait = \"100ms\"\n[scope.a]\nallow = { uid = 0 }
        file.token = \"local:t\"\nfile.hung = \"hung:t\"\nfile.missing = \"local:nothing\"";
    let mut host = Host::new();
    host.set("t", b"v");
    host.hang();
    host.configure("", &format!("{scopes}{HUNG}"));
    host.mount();
    assert_eq!(get(&host.file("a/missing"), "version"), Err(Errno::NODATA), "no value, no version");
    assert_eq!(list(&host.file("a/missing")), ["user.hushfs.provider"]);
    // The kernel asks for the mode before it asks for the attribute, which is a stat and waits as one; then there is no
    // wait at all.
    assert_eq!(get(&host.file("a/hung"), "version"), Err(Errno::NODATA));
    let took = best_of_five(|| assert_eq!(get(&host.file("a/hung"), "provider").unwrap(), "hung"));
    assert!(took < std::time::Duration::from_millis(50), "{took:?}");
    let token = host.file("a/token");
    std::fs::read(&token).unwrap();
    let version = get(&token, "version").unwrap();
    host.write("store.age", b"garbage", 0o600);
    assert_eq!(
        get(&token, "version").unwrap(),
        version,
        "what is known is told, though it cannot be had again"
    );
    assert_eq!(get(&token, "stale").unwrap(), "yes");
}

#[test]
fn unknown_names_directories_and_small_buffers_have_the_usual_errno() {
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let token = host.file("a/token");
    assert_eq!(get(&token, "nothing"), Err(Errno::NODATA));
    assert_eq!(get(&host.file("a"), "provider"), Err(Errno::NODATA));
    assert!(list(&host.file("a")).is_empty());
    assert_eq!(rustix::fs::getxattr(&token, "user.other", &mut [0_u8; 8][..]), Err(Errno::NODATA));
    assert_eq!(rustix::fs::getxattr(&token, "security.capability", &mut [0_u8; 8][..]), Err(Errno::NODATA));
    assert_eq!(rustix::fs::getxattr(&token, "user.hushfs.provider", &mut [0_u8; 2][..]), Err(Errno::RANGE));
    let room = "import ctypes, sys; print(ctypes.CDLL(None).getxattr(sys.argv[1].encode(), b'user.hushfs.provider', None, 0))";
    assert_eq!(says(python(room).arg(&token)), "5\n", "how much room it takes");
}

#[test]
fn outsiders_are_told_nothing() {
    let scopes = "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"v")], scopes);
    std::fs::read(host.file("a/token")).unwrap();
    let program = "
import os, sys
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
for ask in lambda: os.listxattr(sys.argv[1]), lambda: os.getxattr(sys.argv[1], 'user.hushfs.version'):
    try: print(ask())
    except OSError as error: print(error.errno)";
    let denied = libc::EACCES;
    assert_eq!(says(python(program).arg(host.file("a/token"))), format!("{denied}\n{denied}\n"));
}

#[test]
fn what_its_owner_noted_and_when_a_value_was_made_and_ends_are_told() {
    let mut host = Host::new();
    let answer = r#"{"value": "v", "version": "7", "created": "2026-01-02T03:04:05Z", "expires": "2999-01-01T00:00:00Z", "notes": {"team": "pay", "bad\nname": "x"}}"#;
    host.write(
        "program",
        format!("#!/bin/sh\ncat > /dev/null\ncat <<'EOF'\n{answer}\nEOF\n").as_bytes(),
        0o755,
    );
    let program = host.path("program");
    host.configure(
        "",
        &format!(
            "[provider.p]\nkind = \"command\"\nprogram = {program:?}\nuser = \"nobody\"\nset = {{ PATH = \"/usr/bin:/bin\" }}\n\
             [scope.a]\nallow = {{ uid = 0 }}\nfile.token = \"p:token\""
        ),
    );
    host.mount();
    let token = host.file("a/token");
    assert_eq!(std::fs::read(&token).unwrap(), b"v");
    let names = list(&token);
    assert!(names.contains(&"user.hushfs.note.team".to_owned()), "{names:?}");
    assert!(names.iter().all(|name| !name.contains('\n')), "{names:?}");
    assert_eq!(
        (get(&token, "note.team").unwrap(), get(&token, "version").unwrap()),
        ("pay".into(), "7".into())
    );
    assert_eq!(get(&token, "note.other"), Err(Errno::NODATA));
    assert_eq!(std::os::unix::fs::MetadataExt::mtime(&token.metadata().unwrap()), 1_767_323_045);
}
