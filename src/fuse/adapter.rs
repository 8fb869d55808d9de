//! Each operation of the protocol: unpack, ask `fs/`, reply.
//!
//! What is known is replied to on the worker that read the request. What has to be waited for is handed to the runtime
//! with the reply, and the worker goes on to the next request.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use tokio::runtime::Handle;

use super::pages::Pages;
use super::reply::{NAMES, attr, errno, kind};
use crate::access::Answer;
use crate::failure::Failure;
use crate::fs::{Attributes, DirEntry, Fs, HandleId, Ino, OpenFor, ReadTo};
use crate::identity::{Caller, Tid};
use crate::pokes::Poker;
use crate::render::Content;

/// fuser calls this.
pub(super) struct Adapter {
    fs: Arc<Fs>,
    runtime: Handle,
    pages: Arc<Pages>,
    poker: Arc<Poker>,
}

/// Each handle has its own bytes, and each read is seen with its reader: no page cache. Nothing is done on close.
const OPENED: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_NOFLUSH);
/// What is opened to announce a change. No handle of `fs/` has this number.
const POKED: FileHandle = FileHandle(0);

impl Adapter {
    pub(super) fn new(fs: Arc<Fs>, runtime: Handle, pages: Arc<Pages>, poker: Arc<Poker>) -> Self {
        Self { fs, runtime, pages, poker }
    }

    /// Whether the request is of the process that announces changes. It is answered from memory, so that it never waits; it
    /// gets nothing, changes nothing, and is not put on record.
    fn is_poke(&self, request: &Request) -> bool {
        self.poker.is(request.pid())
    }

    /// Replies now, or later from the runtime.
    fn answer<T: 'static>(&self, answer: Answer<T>, reply: impl FnOnce(Result<T, Failure>) + Send + 'static) {
        match answer {
            Answer::Now(result) => reply(result),
            Answer::Later(result) => {
                self.runtime.spawn(async move { reply(result.await) });
            }
        }
    }
}

fn caller(request: &Request) -> Caller {
    Caller { tid: Tid(request.pid()), uid: request.uid(), gid: request.gid() }
}

fn reply_attr(result: Result<Attributes, Failure>, reply: ReplyAttr) {
    match result {
        Ok(attributes) => {
            let (ttl, attr) = attr(&attributes);
            reply.attr(&ttl, &attr);
        }
        Err(failure) => reply.error(errno(&failure)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where a value goes to the kernel, for a reader that may have it"
)]
fn reply_data(result: Result<Arc<Content>, Failure>, offset: u64, size: u32, reply: ReplyData) {
    match result {
        Ok(content) => {
            let bytes = content.bytes().expose_secret();
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(usize::try_from(size).unwrap_or(usize::MAX)).min(bytes.len());
            reply.data(bytes.get(from..to).unwrap_or_default());
        }
        Err(failure) => reply.error(errno(&failure)),
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without it a lookup that waits holds up its siblings. A kernel that lacks it is served all the same.
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        // Shared mappings, from Linux 6.6 on: what is refused to sendfile some programs map (Java).
        let _ = config.add_capabilities(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP);
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.answer(self.fs.lookup(Ino(parent.0), name), |found| match found {
            Ok(attributes) => {
                let (ttl, attr) = attr(&attributes);
                reply.entry_with_ttls(&ttl, &NAMES, &attr, Generation(0));
            }
            Err(failure) => reply.error(errno(&failure)),
        });
    }

    fn opendir(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.answer(self.fs.opendir(Ino(ino.0)), |opened| match opened {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(failure) => reply.error(errno(&failure)),
        });
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        if self.is_poke(request) {
            return reply_attr(self.fs.shown(Ino(ino.0)), reply);
        }
        let answer = self.fs.getattr(caller(request), Ino(ino.0));
        self.answer(answer, |result| reply_attr(result, reply));
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let writes = flags.0 & (libc::O_ACCMODE | libc::O_TRUNC | libc::O_APPEND) != libc::O_RDONLY;
        if writes && self.is_poke(request) {
            return reply.opened(POKED, OPENED);
        }
        let wanted = if writes { OpenFor::Writing } else { OpenFor::Reading };
        self.answer(self.fs.open(caller(request), Ino(ino.0), wanted), |result| match result {
            Ok(handle) => reply.opened(FileHandle(handle.0), OPENED),
            Err(failure) => reply.error(errno(&failure)),
        });
    }

    fn read(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        // Only direct I/O says whose locks would matter (`fuse_send_read`): what does not fills pages.
        let to = if lock_owner.is_some() { ReadTo::Memory } else { ReadTo::Pages };
        let pages = (to == ReadTo::Pages).then(|| Arc::clone(&self.pages));
        let answer = self.fs.read(caller(request), Ino(ino.0), HandleId(fh.0), offset, to);
        self.answer(answer, move |result| {
            if let Some(pages) = pages.filter(|_| result.is_ok()) {
                pages.filled(ino);
            }
            reply_data(result, offset, size, reply);
        });
    }

    fn flush(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // The kernel then sends no more of them. Nothing of the caller may be read here: execve sends it.
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if fh != POKED {
            self.fs.release(HandleId(fh.0));
        }
        reply.ok();
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let add = |entry: DirEntry<'_>| {
            !reply.add(INodeNo(entry.ino.0), entry.next, kind(entry.is_dir), entry.name)
        };
        match self.fs.readdir(Ino(ino.0), offset, add) {
            Ok(()) => reply.ok(),
            Err(failure) => reply.error(errno(&failure)),
        }
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn getxattr(&self, request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value =
            self.fs.getxattr(caller(request), Ino(ino.0), name).then(|text| text.map(String::into_bytes));
        self.answer(value, move |value| reply_xattr(value, size, reply));
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.fs.listxattr(caller(request), Ino(ino.0));
        self.answer(names, move |names| reply_xattr(names, size, reply));
    }

    // What would change something. The public mount is read-only, so the kernel answers most of it; these answer the rest. One
    // process alone may write, and what it writes is thrown away: that is what watchers are told of (`pokes/`).

    fn setattr(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mknod(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EROFS);
    }

    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &std::path::Path, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        reply.error(Errno::EROFS);
    }

    fn write(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        _offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match u32::try_from(data.len()) {
            Ok(len) if fh == POKED && self.is_poke(request) => reply.written(len),
            _ => reply.error(Errno::EROFS),
        }
    }

    fn setxattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }
}

/// With size 0 the caller asks how much room it takes.
fn reply_xattr(result: Result<Vec<u8>, Failure>, size: u32, reply: ReplyXattr) {
    match result {
        Ok(bytes) => match u32::try_from(bytes.len()) {
            Ok(len) if size == 0 => reply.size(len),
            Ok(len) if len <= size => reply.data(&bytes),
            _ => reply.error(Errno::ERANGE),
        },
        Err(failure) => reply.error(errno(&failure)),
    }
}
