//! Who may open, and what they get.

use crate::support::{Host, as_user, open_errno};

const CAT: &str = "/usr/bin/cat";

#[test]
fn the_entitled_get_the_bytes_and_others_get_eacces() {
    let scopes = "
        [scope.a]\nallow = { uid = 1001 }\nfile.token = \"local:t\"
        [scope.b]\nmode = \"0444\"\nallow = { uid = 1000, exe = \"/usr/bin/cat\" }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"the value")], scopes);
    let read = |uid, program, file: &str| as_user(uid, program).arg(host.file(file)).output().unwrap();
    let by_owner = read(1001, CAT, "a/token");
    assert_eq!(by_owner.stdout, b"the value", "{}", String::from_utf8_lossy(&by_owner.stderr));
    let by_other = read(1000, CAT, "a/token");
    assert!(!by_other.status.success());
    assert!(String::from_utf8_lossy(&by_other.stderr).contains("Permission denied"));
    assert_eq!(read(1000, CAT, "b/token").stdout, b"the value");
    let by_other_program = read(1000, "/usr/bin/head", "b/token");
    assert!(by_other_program.stdout.is_empty() && !by_other_program.status.success());
    assert_eq!(open_errno(&host.file("a/token")), Some(libc::EACCES), "root obeys the rules");
}
