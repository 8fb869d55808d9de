//! Our answers in fuser's words.

use std::time::Duration;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use crate::failure::Failure;
use crate::fs::Attributes;

/// How long the kernel may remember names and directories: they are the same for everyone, and a reload says what changed.
pub(super) const NAMES: Duration = Duration::from_secs(3600);
/// How long it may remember a file's attributes: not at all, since size depends on who asks and on the version.
pub(super) const FILES: Duration = Duration::ZERO;

pub(super) fn errno(failure: &Failure) -> Errno {
    Errno::from_i32(failure.errno().raw_os_error())
}

pub(super) fn kind(is_dir: bool) -> FileType {
    if is_dir { FileType::Directory } else { FileType::RegularFile }
}

/// Attributes and how long they may be remembered.
pub(super) fn attr(attributes: &Attributes) -> (Duration, FileAttr) {
    let Attributes { ino, size, is_dir, mode, uid, gid, mtime } = *attributes;
    let attr = FileAttr {
        ino: INodeNo(ino.0),
        size,
        blocks: size.div_ceil(512),
        atime: mtime,
        mtime,
        ctime: mtime,
        crtime: mtime,
        kind: kind(is_dir),
        perm: mode,
        nlink: if is_dir { 2 } else { 1 },
        uid,
        gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    };
    (if is_dir { NAMES } else { FILES }, attr)
}
