//! Which files of executable code a process has mapped, and whether each is root's alone.
//!
//! Each file is looked at through `/proc/<tid>/map_files`, which leads to the very file that is mapped and not to what its
//! path leads to now. It is not opened, and its file system is not asked (`AT_STATX_DONT_SYNC`). But whoever looks into `map_files`
//! waits for the lock of the process's memory, which the process can have held for as long as it likes, by `mmap` of a file on a
//! FUSE (measured on Linux 6.18, where `maps` did not wait). So all of this is for a thread of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

use super::mounts::Mounts;
use crate::identity::Tid;
use crate::identity::evidence::Found;
use crate::identity::process::open_dir;

/// Mapped files of code that are looked at.
const FILES: usize = 4096;
/// Bytes of `maps` that are read.
const TEXT: u64 = 16 << 20;
/// How often a process is looked at that maps other files meanwhile.
const TRIES: usize = 16;

/// The first file of code that somebody other than root may have written, and why it is one.
pub(in crate::identity) fn foreign_code(tid: Tid) -> Found<Option<Arc<str>>> {
    let dir = open_dir(tid).map_err(|error| format!("its mapped files cannot be looked at: {error}"))?;
    for _ in 0..TRIES {
        match look(dir.as_fd()) {
            Err(Trouble::Changed) => {}
            Err(Trouble::TooMany) => return Err("it has too many files mapped to look at each".into()),
            Err(Trouble::Failed(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(concat!(
                    "its mapped files cannot be looked at: ",
                    "that takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, which hushfs does not have"
                )
                .into());
            }
            Err(Trouble::Failed(error)) => {
                return Err(format!("its mapped files cannot be looked at: {error}").into());
            }
            Ok(found) => return Ok(found.map(Arc::from)),
        }
    }
    Err("the files that it has mapped change while they are looked at".into())
}

enum Trouble {
    /// A mapping was gone when its file was looked at.
    Changed,
    TooMany,
    Failed(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

fn look(dir: BorrowedFd<'_>) -> Result<Option<String>, Trouble> {
    let mounts = Mounts::seen_by(dir)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let maps = rustix::fs::openat(dir, c"maps", flags, Mode::empty()).map_err(io::Error::from)?;
    let mut lines = BufReader::new(File::from(maps).take(TEXT));
    let (mut line, mut files) = (Vec::new(), 0);
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.last() != Some(&b'\n') {
            return Err(Trouble::TooMany);
        }
        if let Some((range, path)) = code(&String::from_utf8_lossy(&line)) {
            files += 1;
            if files > FILES {
                return Err(Trouble::TooMany);
            }
            if let Some(fault) = fault(&stat(dir, &range)?, &mounts) {
                return Ok(Some(format!("{path} {fault}")));
            }
        }
        line.clear();
    }
    match files {
        // There is no program without code: the process has ended, or is becoming another.
        0 => Err(Trouble::Changed),
        _ => Ok(None),
    }
}

/// Range, as `map_files` names it, and path of a line of `maps` that is of executable code from a file (proc_pid_maps(5)). Memory without a file is
/// told by its device, which no file system has: a FUSE gives its files any inode, 0 too.
fn code(line: &str) -> Option<(String, &str)> {
    let mut fields = line.trim_end().splitn(6, ' ');
    let (range, permissions) = (fields.next()?, fields.next()?);
    let (_offset, device, _inode) = (fields.next()?, fields.next()?, fields.next()?);
    let path = fields.next().unwrap_or_default().trim_start();
    if permissions.as_bytes().get(2) != Some(&b'x') || device == "00:00" {
        return None;
    }
    // Low addresses, of programs at a fixed place, have leading zeros in `maps` and none in `map_files`.
    let (start, end) = range.split_once('-')?;
    Some((format!("{}-{}", start.trim_start_matches('0'), end.trim_start_matches('0')), path))
}

fn stat(dir: BorrowedFd<'_>, range: &str) -> Result<Statx, Trouble> {
    let wanted = StatxFlags::TYPE | StatxFlags::MODE | StatxFlags::UID | StatxFlags::MNT_ID;
    match rustix::fs::statx(dir, format!("map_files/{range}"), AtFlags::STATX_DONT_SYNC, wanted) {
        Ok(stat) => Ok(stat),
        Err(Errno::NOENT) => Err(Trouble::Changed),
        Err(error) => Err(Trouble::Failed(error.into())),
    }
}

/// Why it is not root's alone.
fn fault(stat: &Statx, mounts: &Mounts) -> Option<String> {
    let mode = u32::from(stat.stx_mode);
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return Some("is not a regular file".to_owned());
    }
    if stat.stx_uid != 0 {
        return Some(format!("belongs to uid {}", stat.stx_uid));
    }
    // An access control list that lets somebody write shows in the bits of the group.
    if mode & 0o022 != 0 {
        return Some("may be written by others than root".to_owned());
    }
    mounts.fault(stat).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{copy_of_sleep, running};
    use super::*;

    #[test]
    fn code_from_files_is_told_from_data_and_from_memory() {
        let line = "7f0a-7f0b r-xp 00002000 fe:00 1234       /usr/lib/a b.so (deleted)\n";
        assert_eq!(code(line), Some(("7f0a-7f0b".to_owned(), "/usr/lib/a b.so (deleted)")));
        let line = "00400000-0041f000 r-xp 00000000 fe:00 1234 /usr/bin/fixed\n";
        assert_eq!(code(line), Some(("400000-41f000".to_owned(), "/usr/bin/fixed")));
        for line in [
            "7f0a-7f0b r-xp 00001000 00:28 0     /fuse/a.so\n",
            "7f0a-7f0b r-xs 00000000 00:01 0 /SYSV00000000 (deleted)\n",
        ] {
            assert!(code(line).is_some(), "a file with the inode 0: {line}");
        }
        for line in [
            "7f0a-7f0b r--p 00000000 fe:00 1234 /usr/lib/a.so\n",
            "7f0a-7f0b rwxp 00000000 00:00 0 \n",
            "7ffd-7ffe r-xp 00000000 00:00 0 [vdso]\n",
        ] {
            assert_eq!(code(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_of_root_has_no_foreign_code_and_a_copy_that_is_not_roots_has() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let run = |program: &std::path::Path| running(program, foreign_code);
        assert_eq!(run(std::path::Path::new("/bin/sleep")), Ok(None), "run tests as root");
        let dir = tempfile::tempdir().unwrap();
        let copy = copy_of_sleep(dir.path());
        assert_eq!(run(&copy), Ok(None));
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o775)).unwrap();
        assert!(run(&copy).unwrap().unwrap().ends_with("sleep may be written by others than root"));
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        chown(&copy, Some(1000), None).unwrap();
        assert!(run(&copy).unwrap().unwrap().ends_with("sleep belongs to uid 1000"));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in "[0-9a-f]{0,8}-? ?([r-][w-][x-]p)?.{0,40}\n?") {
            let _ = code(&line);
        }
    }
}
