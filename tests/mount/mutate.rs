//! Every change is refused with `EROFS`, to root too, whom no mode check keeps out.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};

use rustix::fs::{AtFlags, CWD, Mode, RenameFlags, Timespec, Timestamps, XattrFlags};

use crate::support::{Host, as_user, says};

const SCOPE: &str = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.other = \"local:t\"";

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn every_mutation_is_erofs() {
    let host = Host::mounted(&[("t", b"v")], SCOPE);
    let (scope, token, new) = (host.file("a"), host.file("a/token"), host.file("a/new"));
    let open = |options: &mut OpenOptions| errno(options.open(&token));
    let plain = |result: rustix::io::Result<()>| errno(result.map_err(std::io::Error::from));
    let now = Timespec { tv_sec: 1, tv_nsec: 0 };
    let times = Timestamps { last_access: now, last_modification: now };
    let tried = [
        ("create", errno(fs::File::create_new(&new))),
        ("create at the top", errno(fs::File::create_new(host.file("new")))),
        ("O_WRONLY", open(OpenOptions::new().write(true))),
        ("O_RDWR", open(OpenOptions::new().read(true).write(true))),
        ("O_APPEND", open(OpenOptions::new().append(true))),
        ("O_TRUNC", open(OpenOptions::new().write(true).truncate(true))),
        ("O_RDONLY | O_TRUNC", open(OpenOptions::new().read(true).custom_flags(libc::O_TRUNC))),
        ("O_TMPFILE", errno(OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(&scope))),
        ("truncate", plain(rustix::fs::open(&token, rustix::fs::OFlags::WRONLY, Mode::empty()).map(drop))),
        ("rename", errno(fs::rename(&token, &new))),
        ("rename over", errno(fs::rename(&token, host.file("a/other")))),
        ("rename a scope", errno(fs::rename(&scope, host.file("b")))),
        (
            "exchange",
            plain(rustix::fs::renameat_with(CWD, &token, CWD, host.file("a/other"), RenameFlags::EXCHANGE)),
        ),
        ("unlink", errno(fs::remove_file(&token))),
        ("mkdir", errno(fs::create_dir(&new))),
        ("rmdir", errno(fs::remove_dir(&scope))),
        ("symlink", errno(symlink("x", &new))),
        ("link", errno(fs::hard_link(&token, &new))),
        ("mknod", plain(rustix::fs::mknodat(CWD, &new, rustix::fs::FileType::Fifo, Mode::RUSR, 0))),
        ("chmod", plain(rustix::fs::chmod(&token, Mode::RUSR))),
        ("chmod of a scope", plain(rustix::fs::chmod(&scope, Mode::RUSR))),
        ("chown", plain(rustix::fs::chown(&token, Some(rustix::fs::Uid::from_raw(7)), None))),
        ("utimens", plain(rustix::fs::utimensat(CWD, &token, &times, AtFlags::empty()))),
        ("setxattr", plain(rustix::fs::setxattr(&token, "user.hushfs.version", b"x", XattrFlags::empty()))),
        ("removexattr", plain(rustix::fs::removexattr(&token, "user.hushfs.version"))),
    ];
    for (what, errno) in tried {
        assert_eq!(errno, Some(libc::EROFS), "{what}");
    }
    assert_eq!(fs::read(&token).unwrap(), b"v", "nothing changed");
}

#[test]
fn to_others_the_kernel_says_eacces_or_erofs_and_nothing_changes() {
    let host = Host::mounted(
        &[("t", b"v")],
        "[scope.a]\nmode = \"0444\"\nallow = { exe = \"/usr/bin/cat\" }\nfile.token = \"local:t\"",
    );
    for script in
        ["echo x > $0", "rm -f $0", "chmod 600 $0", "touch $0", "mv $0 $0.x", "mkdir $0.d", "ln $0 $0.l"]
    {
        let output =
            as_user(1000, "/bin/sh").args(["-c", script]).arg(host.file("a/token")).output().unwrap();
        assert!(!output.status.success(), "{script}");
    }
    assert_eq!(says(as_user(1000, "/usr/bin/cat").arg(host.file("a/token"))), "v");
}

#[test]
fn the_mount_shows_what_it_is() {
    let host = Host::mounted(&[("t", b"v")], SCOPE);
    let mounts = host.mounts();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    let fields: Vec<&str> = mounts[0].split(' ').collect();
    assert_eq!((fields[0], fields[2]), ("hushfs", "fuse.hushfs"));
    let options: Vec<&str> = fields[3].split(',').collect();
    for option in ["ro", "nosuid", "nodev", "noexec", "default_permissions", "allow_other"] {
        assert!(options.contains(&option), "{option} is not among {options:?}");
    }
}
