//! Listings: whole, without duplicates, by offset; names of any script; statfs.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Host, python, says};

#[test]
fn ten_thousand_files_are_listed_whole_by_offset_and_with_small_buffers() {
    let files: String = (0..10_000).map(|n| format!("file.\"secret-{n:05}\" = \"local:t\"\n")).collect();
    let host = Host::mounted(&[("t", b"v")], &format!("[scope.big]\nallow = {{ uid = 0 }}\n{files}"));
    let expected: BTreeSet<String> = (0..10_000).map(|n| format!("secret-{n:05}")).collect();
    let listed: Vec<String> = fs::read_dir(host.file("big"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(listed.len(), 10_000, "no duplicates");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);

    // getdents64 with room for a few entries at a time, and once more from the middle.
    let directory = fs::File::open(host.file("big")).unwrap();
    let mut buffer = Vec::with_capacity(256);
    let mut names = Vec::new();
    let mut middle = 0;
    let mut raw = rustix::fs::RawDir::new(&directory, buffer.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        let entry = entry.unwrap();
        names.push(entry.file_name().to_str().unwrap().to_owned());
        if names.len() == 5002 {
            middle = entry.next_entry_cookie();
        }
    }
    assert_eq!(names.len(), 10_002, "with `.` and `..`");
    assert_eq!(
        names.iter().filter(|name| !name.starts_with('.')).cloned().collect::<BTreeSet<_>>(),
        expected
    );
    rustix::fs::seek(&directory, rustix::fs::SeekFrom::Start(middle)).unwrap();
    let rest: Vec<String> = rustix::fs::Dir::new(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(rest, names[5002..], "from the offset after the 5002nd entry");
    assert_eq!(fs::read(host.file("big/secret-09999")).unwrap(), b"v");
}

#[test]
fn names_with_spaces_and_any_script_are_listed_and_opened() {
    let names = ["with space", "ключ", "日本", "émoji 🔑", "...", ".env", "quote\\\"d", "-rf"];
    let files: String = names.iter().map(|name| format!("file.\"{name}\" = \"local:t\"\n")).collect();
    let scopes = format!("[scope.\"a scope\"]\nallow = {{ uid = 0 }}\n{files}");
    let host = Host::mounted(&[("t", b"v")], &scopes);
    let listed: BTreeSet<String> = fs::read_dir(host.file("a scope"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<String> = names.iter().map(|name| name.replace('\\', "")).collect();
    assert_eq!(listed, expected);
    for name in &expected {
        assert_eq!(fs::read(host.file("a scope").join(name)).unwrap(), b"v", "{name}");
    }
}

#[test]
fn entries_tell_their_kind_and_the_inode_that_stat_tells() {
    use std::os::unix::fs::{DirEntryExt, MetadataExt};
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let scope = fs::read_dir(host.file("")).unwrap().next().unwrap().unwrap();
    assert!(scope.file_type().unwrap().is_dir());
    let token = fs::read_dir(host.file("a")).unwrap().next().unwrap().unwrap();
    assert!(token.file_type().unwrap().is_file());
    for entry in [scope, token] {
        assert_eq!(entry.ino(), fs::symlink_metadata(entry.path()).unwrap().ino());
    }
    assert!(!says(python("import os, sys; print(os.listdir(sys.argv[1]))").arg(host.file("a"))).is_empty());
    let top = fs::metadata(host.file("")).unwrap();
    assert_eq!(fs::metadata(host.file("a/..")).unwrap().ino(), top.ino());
}

#[test]
fn statfs_tells_an_empty_read_only_file_system() {
    let host = Host::mounted(&[("t", b"v")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    let stat = rustix::fs::statvfs(host.file("a/token")).unwrap();
    assert_eq!((stat.f_blocks, stat.f_bfree, stat.f_bavail, stat.f_namemax), (0, 0, 0, 255));
    assert!(stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    assert!(std::process::Command::new("df").arg(host.file("")).output().unwrap().status.success());
}
