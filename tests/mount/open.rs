//! Who may open, what they get, and the errno of each case where they get nothing.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Host, as_user, open_errno, python, says};

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

#[test]
fn outsiders_are_turned_away_by_the_kernel_at_the_scopes_directory_and_leave_no_record() {
    let scopes = "[scope.a]\nallow = { uid = 1001 }\nfile.token = \"local:t\"";
    let mut host = Host::mounted(&[("t", b"v")], scopes);
    for (program, path) in
        [("/usr/bin/ls", "a"), (CAT, "a/token"), (CAT, "a/no-such-name"), ("/usr/bin/stat", "a/token")]
    {
        let output = as_user(1000, program).arg(host.file(path)).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{program} {path}");
    }
    assert!(host.all_records().is_empty(), "the daemon was not asked");
}

#[test]
fn what_the_provider_does_not_have_is_enokey_and_never_enoent() {
    let scopes = "[scope.a]\nallow = { uid = 0 }
        file.secret = \"local:nothing\"\nfile.key = \"local:named#nothing\"\nfile.there = \"local:named#a\"";
    let host = Host::mounted(&[("named", br#"{"a":"1"}"#)], scopes);
    assert_eq!(open_errno(&host.file("a/secret")), Some(libc::ENOKEY));
    assert_eq!(open_errno(&host.file("a/key")), Some(libc::ENOKEY));
    assert_eq!(fs::read(host.file("a/there")).unwrap(), b"1");
    assert_eq!(fs::read_dir(host.file("a")).unwrap().count(), 3, "all names are listed");
}

#[test]
fn a_secret_that_does_not_fit_what_the_file_wants_is_eio() {
    let scopes = "[scope.a]\nallow = { uid = 0 }
        file.key = \"local:plain#a\"
        file.env = { from = \"local:plain\", format = \"dotenv\" }
        file.json = { from = \"local:plain\", format = \"json\" }
        file.bad-name = { from = \"local:odd\", format = \"dotenv\" }
        file.whole = \"local:plain\"";
    let host = Host::mounted(&[("plain", b"not named"), ("odd", br#"{"a-b":"1"}"#)], scopes);
    for file in ["a/key", "a/env", "a/json", "a/bad-name"] {
        assert_eq!(open_errno(&host.file(file)), Some(libc::EIO), "{file}");
    }
    assert_eq!(fs::read(host.file("a/whole")).unwrap(), b"not named");
}

#[test]
fn a_broken_store_is_eio_for_its_own_files_and_nobody_else_and_its_return_is_noticed() {
    let mut host = Host::new();
    host.set("t", b"fine");
    host.run_ok(&["store", "init", "--store", host.path("other.age").to_str().unwrap()], b"");
    host.write("garbage.age", b"this is not an age file", 0o600);
    fs::copy(host.path("other.age"), host.path("gone.age")).unwrap();
    host.configure(
        "",
        "[provider.garbage]\nkind = \"store\"\npath = \"garbage.age\"\nkey = \"store.key\"
         [provider.wrong]\nkind = \"store\"\npath = \"store.age\"\nkey = \"other.key\"
         [provider.gone]\nkind = \"store\"\npath = \"gone.age\"\nkey = \"other.key\"
         [scope.a]\nallow = { uid = 0 }
         file.garbage = \"garbage:t\"\nfile.wrong = \"wrong:t\"\nfile.gone = \"gone:t\"\nfile.fine = \"local:t\"",
    );
    host.mount();
    fs::remove_file(host.path("gone.age")).unwrap();
    for file in ["a/garbage", "a/wrong", "a/gone"] {
        assert_eq!(open_errno(&host.file(file)), Some(libc::EIO), "{file}");
        assert_eq!(fs::metadata(host.file(file)).unwrap().len(), 1, "{file}: stat is no error and not 0");
    }
    assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"fine");
    fs::copy(host.path("store.age"), host.path("garbage.new")).unwrap();
    fs::rename(host.path("garbage.new"), host.path("garbage.age")).unwrap();
    assert_eq!(fs::read(host.file("a/garbage")).unwrap(), b"fine", "mended");
}

#[test]
fn a_value_over_size_max_is_efbig_and_one_of_just_that_size_is_read() {
    let scopes = "[limits]\nsize_max = \"64KiB\"\n[scope.a]\nallow = { uid = 0 }
        file.fits = \"local:fits\"\nfile.over = \"local:over\"";
    let host = Host::mounted(&[("fits", &[7; 65536]), ("over", &[7; 65537])], scopes);
    assert_eq!(fs::read(host.file("a/fits")).unwrap(), [7; 65536]);
    assert_eq!(open_errno(&host.file("a/over")), Some(libc::EFBIG));
    let reason = host.recorded("the refusal", |record| record["errno"] == "EFBIG")["reason"].clone();
    assert!(reason.as_str().unwrap().contains("size_max"), "{reason}");
}

#[test]
fn paths_that_lead_nowhere_have_the_errno_of_any_file_system() {
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let errno = |path: &Path| open_errno(&host.file("").join(path));
    assert_eq!(errno(Path::new("a/unconfigured")), Some(libc::ENOENT));
    assert_eq!(errno(Path::new("unconfigured")), Some(libc::ENOENT));
    assert_eq!(errno(Path::new("a/token/x")), Some(libc::ENOTDIR));
    assert_eq!(errno(&Path::new("a").join("n".repeat(255))), Some(libc::ENOENT));
    assert_eq!(errno(&Path::new("a").join("n".repeat(256))), Some(libc::ENAMETOOLONG));
    assert_eq!(
        errno(&Path::new("a").join(OsString::from_vec(vec![b'a', 0xff, 0xfe]))),
        Some(libc::ENOENT),
        "not UTF-8"
    );
    let directory = fs::File::open(host.file("a")).unwrap();
    assert_eq!(rustix::io::read(&directory, &mut [0_u8; 8][..]), Err(rustix::io::Errno::ISDIR));
    assert_eq!(fs::read_dir(host.file("a/token")).unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
    assert_eq!(fs::read_link(host.file("a/token")).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn another_users_process_is_not_identified_by_a_setuid_mix_of_ids() {
    let scopes =
        "[scope.a]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"v")], scopes);
    let program = "
import os, sys
os.setresuid(-1, 1000, -1)
try: os.open(sys.argv[1], os.O_RDONLY); print('opened')
except OSError as error: print(error.errno)
os.setresuid(0, 0, 0)
os.close(os.open(sys.argv[1], os.O_RDONLY)); print('opened')
os.setresuid(1000, 1000, 1000)
os.close(os.open(sys.argv[1], os.O_RDONLY)); print('opened')";
    let said = crate::support::says(crate::support::python(program).arg(host.file("a/token")));
    assert_eq!(said, format!("{}\nopened\nopened\n", libc::EACCES));
    let record = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert!(record["reason"].as_str().unwrap().contains("real, effective, saved"), "{record}");
}

#[test]
fn a_caller_in_a_pid_namespace_of_its_own_is_identified_by_its_pid_on_the_host() {
    let host = Host::mounted(
        &[("t", b"v")],
        "[scope.a]\nallow = { uid = 0, exe = \"/usr/bin/cat\" }\nfile.token = \"local:t\"",
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", CAT]).arg(host.file("a/token"));
    assert_eq!(crate::support::says(&mut command), "v");
    let pid = host.recorded("the open", |record| record["op"] == "open")["pid"].as_u64().unwrap();
    assert!(pid > 1, "not the number it has inside");
}

#[test]
fn a_file_system_of_root_over_the_mount_does_not_lend_its_uid() {
    // overlayfs asks as whoever mounted it: the request comes from a process of uid 1000 with the uid 0.
    let scopes = "[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let host = Host::mounted(&[("t", b"v")], scopes);
    let (over, empty) = (host.path("over"), host.path("empty"));
    fs::create_dir(&over).unwrap();
    fs::create_dir(&empty).unwrap();
    let lower = format!("lowerdir={}:{}", host.file("").display(), empty.display());
    let mounted = std::process::Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &lower])
        .arg(&over)
        .output()
        .unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    let read = as_user(1000, CAT).arg(over.join("a/token")).output().unwrap();
    let by_root = fs::read(over.join("a/token"));
    rustix::mount::unmount(&over, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(read.stdout.is_empty() && !read.status.success(), "{read:?}");
    assert_eq!(by_root.unwrap(), b"v");
}

#[test]
fn a_group_that_is_gained_and_lost_counts_at_once() {
    let host = Host::mounted(
        &[("t", b"v")],
        "[scope.a]\nmode = \"0444\"\nallow = { gid = 2000 }\nfile.token = \"local:t\"",
    );
    let program = "import os, sys
def may():
    try: os.close(os.open(sys.argv[1], os.O_RDONLY)); return 'yes'
    except PermissionError: return 'no'
for groups in [], [2000], [], [2000, 2001], [2001]:
    os.setgroups(groups); print(may(), end=' ')";
    let output =
        Command::new("/usr/bin/python3").args(["-c", program]).arg(host.file("a/token")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no yes no yes no ", "{output:?}");
}

#[test]
fn a_group_that_is_lost_counts_at_once_for_a_descriptor_too_whatever_was_read_in_between() {
    // Where no rule is for a group, groups are not looked at: that must not let anybody in where one is.
    let host = Host::mounted(
        &[("t", b"v")],
        "[scope.group]\nmode = \"0444\"\nallow = { gid = 2000 }\nfile.token = \"local:t\"
        [scope.user]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"",
    );
    let program = "import os, sys
def may(name):
    try: return open(f'{sys.argv[1]}/{name}/token').read()
    except PermissionError: return 'no'
def read():
    try: return os.pread(fd, 10, 0).decode()
    except PermissionError: return 'no'
os.setgroups([2000, 2001])
fd = os.open(f'{sys.argv[1]}/group/token', os.O_RDONLY)
print(read(), may('user'), may('group'), end=' ')
os.setgroups([2001])
print(may('user'), os.fstat(fd).st_size, read(), may('group'), may('user'), end=' ')
os.setgroups([2000])
print(may('user'), read(), may('group'))";
    assert_eq!(says(python(program).arg(host.file(""))), "v v v v 1 no no v v v v\n");
}
