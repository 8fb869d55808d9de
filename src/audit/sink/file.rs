//! A file of mode 0600 that logrotate may rename.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::buffer::Buffer;
use super::{Sink, StartError};
use crate::audit::line::Line;

/// An open log file.
pub(super) struct File {
    path: PathBuf,
    file: OwnedFd,
    buffer: Buffer,
}

impl File {
    /// Opens the file, creating it where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        let (file, torn) = open(path)?;
        let mut buffer = Buffer::default();
        if torn {
            buffer.end_torn_line();
        }
        Ok(Self { path: path.to_owned(), file, buffer })
    }
}

impl Sink for File {
    fn add(&mut self, line: Line) {
        self.buffer.add(&line);
    }

    fn flush(&mut self) -> io::Result<()> {
        // Removed instead of renamed: nobody could ever read what goes there.
        if rustix::fs::fstat(&self.file)?.st_nlink == 0 {
            self.reopen().map_err(io::Error::other)?;
        }
        self.buffer.write_to(&self.file)
    }

    fn reopen(&mut self) -> Result<(), StartError> {
        let before = rustix::fs::fstat(&self.file).ok();
        let (file, torn) = open(&self.path)?;
        let after = rustix::fs::fstat(&file).ok();
        let id = |stat: &Stat| (stat.st_dev, stat.st_ino);
        // In the same file a line that is written in part goes on.
        if before.as_ref().map(id) != after.as_ref().map(id) {
            self.buffer.back_to_line();
            if torn {
                self.buffer.end_torn_line();
            }
        }
        self.file = file;
        Ok(())
    }
}

/// Opens and judges by the descriptor; also whether the file ends within a line (after a crash or a full disk).
fn open(path: &Path) -> Result<(OwnedFd, bool), StartError> {
    let failed = |error: Errno| StartError::Open { path: path.to_owned(), error: error.into() };
    // NONBLOCK keeps a pipe that lies there from holding us up; a regular file ignores it.
    let flags = OFlags::RDWR
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => file,
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
            return Err(StartError::NotAFile { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    let stat = rustix::fs::fstat(&file).map_err(failed)?;
    judge(path, &stat)?;
    let torn = match u64::try_from(stat.st_size).unwrap_or(0).checked_sub(1) {
        None => false,
        Some(last) => {
            let mut byte = [0_u8];
            rustix::io::pread(&file, &mut byte, last).map_err(failed)?;
            byte != [b'\n']
        }
    };
    Ok((file, torn))
}

/// Whether nobody but root and us can read or rewrite what is in the file.
fn judge(path: &Path, stat: &Stat) -> Result<(), StartError> {
    let path = path.to_owned();
    let ours = rustix::process::geteuid().as_raw();
    let mode = stat.st_mode & 0o7777;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Err(StartError::NotAFile { path })
    } else if stat.st_uid != ours && stat.st_uid != 0 {
        Err(StartError::Owner { path, uid: stat.st_uid, ours })
    } else if mode & 0o077 != 0 {
        Err(StartError::Mode { path, mode })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(path: &Path) -> StartError {
        File::open(path).err().unwrap()
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        std::fs::write(&path, "").unwrap();
        for mode in [0o644, 0o640, 0o602] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = refusal(&path);
            assert!(matches!(error, StartError::Mode { mode: found, .. } if found == mode));
            assert_eq!(error.hint(), format!("chmod 0600 {}", path.display()));
        }
    }

    #[test]
    fn a_link_a_directory_and_a_pipe_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("target"), &link).unwrap();
        assert!(matches!(refusal(&link), StartError::NotAFile { .. }));
        assert!(!dir.path().join("target").exists());
        assert!(matches!(refusal(dir.path()), StartError::NotAFile { .. }));
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(refusal(&pipe), StartError::NotAFile { .. }));
    }

    #[test]
    fn a_foreign_owner_is_refused() {
        let mut stat = rustix::fs::fstat(tempfile::tempfile().unwrap()).unwrap();
        stat.st_uid = 4_000_000;
        assert!(matches!(judge(Path::new("x"), &stat), Err(StartError::Owner { uid: 4_000_000, .. })));
    }

    #[test]
    fn a_line_torn_by_a_crash_is_ended_before_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        std::fs::write(&path, "{\"v\":1,\"ti").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut sink = File::open(&path).unwrap();
        sink.add(Line::lost(1));
        sink.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        Line::parse(text.lines().last().unwrap().as_bytes()).unwrap();
    }

    #[test]
    fn a_removed_file_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut sink = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        sink.add(Line::lost(1));
        sink.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
}
