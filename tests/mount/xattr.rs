//! Extended attributes tell about a value without fetching or reading it, to those who may read the file.

use std::path::Path;

use rustix::io::Errno;

use crate::support::{Host, python, says};

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
fn nothing_is_fetched_for_them_and_after_a_read_they_tell_all() {
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let token = host.file("a/token");
    assert_eq!(get(&token, "provider").unwrap(), "local");
    assert_eq!(get(&token, "version"), Err(Errno::NODATA), "not fetched yet");
    assert_eq!(list(&token), ["user.hushfs.provider"]);
    assert_eq!(std::fs::read(&token).unwrap(), b"v");
    assert_eq!(list(&token).len(), 5, "{:?}", list(&token));
    for name in list(&token) {
        let name = name.strip_prefix("user.hushfs.").unwrap();
        assert!(!get(&token, name).unwrap().is_empty(), "{name}");
    }
    let before = get(&token, "version").unwrap();
    assert_eq!(get(&token, "stale").unwrap(), "no");
    assert!(get(&token, "fetched-at").unwrap() < get(&token, "expires-at").unwrap());
    host.set("t", b"w");
    assert_eq!(get(&token, "stale").unwrap(), "yes", "the store has changed, and nobody has read since");
    assert_eq!(get(&token, "version").unwrap(), before);
    assert_eq!(std::fs::read(&token).unwrap(), b"w");
    assert_ne!(get(&token, "version").unwrap(), before);
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
    assert_eq!(rustix::fs::getxattr(&token, "user.hushfs.provider", &mut [0_u8; 0][..]), Ok(5), "how much room it takes");
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
