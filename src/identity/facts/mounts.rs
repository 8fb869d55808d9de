//! What kind of file system a file lies on, without asking that file system.
//!
//! `fstatfs` would tell, but a FUSE answers it as it likes or not at all. The kernel's own list of mounts tells as well, and an
//! id in it is not used again as long as a descriptor or a mapping is on the mount.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::BorrowedFd;

use rustix::fs::{CWD, Mode, OFlags, Statx, StatxFlags};

/// The mounts of the caller's mount namespace and of ours.
///
/// What lies on any other is not vouched for. A process of our user namespace is in a mount namespace that root made, so that
/// every mount in it is root's or a FUSE; elsewhere anybody can mount an overlay of his own over a FUSE of his own, and run a
/// file of it by `/proc/<pid>/root`.
pub(super) struct Mounts(HashMap<u64, Kind>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fuse,
    Other,
}

/// Longest line that is read. The path of a mount has no longest: what it is mounted on can be moved to any depth.
const LINE: u64 = 64 << 10;

impl Mounts {
    /// Those that the process whose directory of /proc this is can see, and ours.
    pub(super) fn seen_by(dir: BorrowedFd<'_>) -> io::Result<Self> {
        let mut mounts = HashMap::new();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        for file in [
            rustix::fs::openat(dir, c"mountinfo", flags, Mode::empty())?,
            rustix::fs::openat(CWD, c"/proc/thread-self/mountinfo", flags, Mode::empty())?,
        ] {
            read_lines(File::from(file), &mut mounts)?;
        }
        Ok(Self(mounts))
    }

    /// What is wrong with the file system of this file, of which [`StatxFlags::MNT_ID`] was asked.
    pub(super) fn fault(&self, stat: &Statx) -> Option<&'static str> {
        let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
        match self.0.get(&stat.stx_mnt_id).filter(|_| told) {
            Some(Kind::Other) => None,
            Some(Kind::Fuse) => {
                Some("lies on a FUSE, which may show one thing to us and another to the caller")
            }
            None => {
                Some("lies on a mount that is neither in the caller's list of mounts nor in that of hushfs")
            }
        }
    }
}

fn read_lines(file: impl io::Read, mounts: &mut HashMap<u64, Kind>) -> io::Result<()> {
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    while lines.by_ref().take(LINE).read_until(b'\n', &mut line)? > 0 {
        if line.last() != Some(&b'\n') {
            // The rest would pass for a line of its own, with what somebody likes at its start.
            lines.skip_until(b'\n')?;
        } else if let Some((id, kind)) = parse(&String::from_utf8_lossy(&line)) {
            mounts.insert(id, kind);
        }
        line.clear();
    }
    Ok(())
}

/// A line of mountinfo (proc_pid_mountinfo(5)): the id stands first, the type of the file system after ` - `.
fn parse(line: &str) -> Option<(u64, Kind)> {
    let (before, after) = line.split_once(" - ")?;
    let id = before.split(' ').next()?.parse().ok()?;
    let kind = match after.split(' ').next()? {
        "fuse" | "fuseblk" => Kind::Fuse,
        other if other.starts_with("fuse.") => Kind::Fuse,
        _ => Kind::Other,
    };
    Some((id, kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Tid;
    use crate::identity::process::open_dir;
    use rustix::fs::AtFlags;
    use std::os::fd::AsFd;

    #[test]
    fn a_fuse_is_told_from_what_the_kernel_keeps() {
        let kind = |kind: &str| {
            parse(&format!("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - {kind} x rw")).unwrap().1
        };
        assert!(["fuse", "fuse.sshfs", "fuseblk"].iter().all(|one| kind(one) == Kind::Fuse));
        assert!(
            ["ext4", "overlay", "tmpfs", "virtiofs", "fusectl"].iter().all(|one| kind(one) == Kind::Other)
        );
    }

    #[test]
    fn the_mount_of_an_ordinary_file_is_found_and_a_strange_id_is_not() {
        let mounts = Mounts::seen_by(open_dir(Tid(std::process::id())).unwrap().as_fd()).unwrap();
        let mut stat = rustix::fs::statx(CWD, c"/bin/cat", AtFlags::empty(), StatxFlags::MNT_ID).unwrap();
        assert_eq!(mounts.fault(&stat), None);
        stat.stx_mnt_id = u64::MAX;
        assert!(mounts.fault(&stat).is_some());
    }

    #[test]
    fn the_end_of_a_line_that_is_too_long_is_no_line() {
        let whole = "36 35 0:40 / /home rw - fuse.evil x rw\n";
        // As much as is read of a line, then a directory that is named like the id of another mount.
        let mut long = "37 35 98:1 / /home/".to_owned();
        long.extend(std::iter::repeat_n('d', LINE as usize - long.len()));
        let mut mounts = HashMap::new();
        read_lines(
            format!("{whole}{long}36 rw - ext4 x rw\n38 35 98:2 / /x rw - ext4 x rw\n").as_bytes(),
            &mut mounts,
        )
        .unwrap();
        assert!(mounts.get(&36) == Some(&Kind::Fuse) && mounts.get(&38) == Some(&Kind::Other));
        assert_eq!(mounts.len(), 2, "nothing is known of the mount with the long path");
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in ".{0,60}( - )?.{0,20}") {
            let _ = parse(&line);
        }
    }
}
