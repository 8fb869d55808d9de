//! A private file in memory for an editor to work on, wiped and removed afterwards.
//!
//! Only a file system without a disk below it will do, and that is asked of the file system itself, not of its path.
//! tmpfs can still be swapped out, so a host with swap on a disk is refused unless the operator says otherwise.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::providers::store::{VALUE_LIMIT, Wiping};

/// Magic numbers of statfs(2).
const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;

/// Largest text taken back from an editor: JSON with indentation is longer than the value it holds.
const EDIT_LIMIT: usize = 4 * VALUE_LIMIT;

/// The file; its directory goes with it when dropped.
pub(super) struct Scratch {
    directory: PathBuf,
    /// What the editor is given.
    pub(super) file: PathBuf,
}

/// Whether plaintext in memory may reach a disk by swapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swap {
    /// Refuse where it may.
    Refuse,
    /// The operator knows (the swap is encrypted).
    Accept,
}

impl Scratch {
    /// Writes `text` to a new file called `name` in a directory that only this user can enter.
    pub(super) fn create(name: &str, text: &[u8], swap: Swap) -> Result<Self, Failure> {
        let failed =
            |error: io::Error| Failure::new(format!("cannot make a private file in memory: {error}"));
        if swap == Swap::Refuse
            && let Some(device) = swap_on_disk(&fs::read_to_string("/proc/swaps").map_err(failed)?)
        {
            return Err(Failure::new(format!("what is edited could be swapped out to {device}")).hint(
                "turn swap off meanwhile (`swapoff -a`), or say --allow-swap if it is encrypted; \
                 `hushfs store show NAME | … | hushfs store set NAME` needs no file",
            ));
        }
        let parent = in_memory(&candidates())?;
        // The time as well: what a killed edit left behind must not stop the next one with its number.
        let now = jiff::Timestamp::now().as_millisecond();
        let directory = parent.join(format!("hushfs-edit-{}-{now}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&directory).map_err(failed)?;
        let scratch = Self { file: directory.join(name), directory };
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&scratch.file)
            .and_then(|mut file| file.write_all(text))
            .map_err(failed)?;
        Ok(scratch)
    }

    /// What the editor left, also where it put a new file in the old one's place.
    pub(super) fn read(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let text = File::open(&self.file)
            .and_then(|file| Wiping::read_from(file, EDIT_LIMIT))
            .map_err(|error| Failure::new(format!("cannot read what was edited: {error}")))?;
        if text.len() > EDIT_LIMIT {
            return Err(Failure::new(format!("what was edited is larger than {EDIT_LIMIT} bytes")));
        }
        Ok(text)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An editor may have left its own copies beside the file.
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let _best_effort = overwrite(&entry.path());
        }
        let _best_effort = fs::remove_dir_all(&self.directory);
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_file() {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = [0_u8; 4096];
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(zeros.get(..count).unwrap_or_default())?;
        left = left.saturating_sub(count as u64);
    }
    Ok(())
}

fn candidates() -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    runtime.into_iter().chain([format!("/run/user/{uid}").into(), "/dev/shm".into(), "/run".into()]).collect()
}

/// The first directory that is on a file system without a disk.
fn in_memory(candidates: &[PathBuf]) -> Result<PathBuf, Failure> {
    let diskless = |path: &&PathBuf| {
        rustix::fs::statfs(path.as_path())
            .is_ok_and(|found| matches!(found.f_type as u64 & 0xffff_ffff, TMPFS | RAMFS))
            && rustix::fs::access(path.as_path(), rustix::fs::Access::WRITE_OK).is_ok()
    };
    candidates.iter().find(diskless).cloned().ok_or_else(|| {
        let tried: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
        Failure::new(format!("there is no writable tmpfs at {}", tried.join(", ")))
            .hint("plaintext is never put on a disk; use `hushfs store set`, or mount a tmpfs there")
    })
}

/// The first swap area that is not compressed memory.
fn swap_on_disk(swaps: &str) -> Option<&str> {
    let devices = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    devices.into_iter().find(|device| !device.starts_with("/dev/zram"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_on_anything_but_memory_is_refused() {
        let refused = in_memory(&["/proc".into(), "/sys".into(), "/nowhere".into()]).unwrap_err();
        assert!(refused.to_string().contains("/proc, /sys, /nowhere"), "{refused}");
        assert_eq!(in_memory(&["/proc".into(), "/dev/shm".into()]).unwrap(), Path::new("/dev/shm"));
    }

    #[test]
    fn swap_in_memory_is_no_disk() {
        let head = "Filename Type Size Used Priority\n";
        assert_eq!(swap_on_disk(head), None);
        assert_eq!(swap_on_disk(&format!("{head}/dev/zram0 partition 1 0 100\n")), None);
        assert_eq!(
            swap_on_disk(&format!("{head}/dev/zram0 partition 1 0 100\n/swapfile file 1 0 -2\n")),
            Some("/swapfile")
        );
    }

    #[test]
    fn the_file_is_private_and_gone_afterwards() {
        use std::os::unix::fs::MetadataExt;
        let scratch = Scratch::create("secret.txt", b"x", Swap::Accept).unwrap();
        let (directory, file) = (scratch.directory.clone(), scratch.file.clone());
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        fs::write(directory.join("secret.txt~"), "left by an editor").unwrap();
        drop(scratch);
        assert!(!directory.exists());
    }
}
