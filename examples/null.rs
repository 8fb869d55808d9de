//! A FUSE that does nothing but answer: the floor under every measurement of hushfs.
//!
//! `DIR/demo/token` holds thirteen bytes and is served with the flags that hushfs uses: direct I/O, no attribute cache for
//! the file, names and directories cached for long, `default_permissions`, open to every user when root mounts it, two
//! threads, FLUSH answered once with `ENOSYS`. With `--hang` there is `DIR/demo/hang` too: it can be opened, and a READ of
//! it is never answered, like a file on a dead disk, until this program ends. So is `DIR/demo/locked`, which everybody may open: through the
//! page cache, or with `O_NONBLOCK` around it, so that one process can have a page waited for under its own memory lock.
//! With `--exec FILE` there is `DIR/demo/exec`, a copy of an executable.
//!
//! It prints `mounted` and stays until SIGTERM or SIGINT, then unmounts.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use clap::Parser;
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, Request, Session, SessionACL,
};
use rustix::mount::UnmountFlags;
use tokio::signal::unix::{SignalKind, signal};

const ROOT: INodeNo = INodeNo(1);
const DEMO: INodeNo = INodeNo(2);
const TOKEN: INodeNo = INodeNo(3);
const HANG: INodeNo = INodeNo(4);
const LOCKED: INodeNo = INodeNo(5);
const EXEC: INodeNo = INodeNo(6);

/// As in `open(2)`.
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// For names and directories, which never change.
const LONG: Duration = Duration::from_secs(3600);

/// A FUSE that does nothing but answer.
#[derive(Parser)]
struct Args {
    /// Where to mount
    dir: PathBuf,
    /// Bytes in the file
    #[arg(long, default_value_t = 13)]
    size: usize,
    /// Add files whose READ is never answered
    #[arg(long)]
    hang: bool,
    /// Add a copy of this executable
    #[arg(long)]
    exec: Option<PathBuf>,
}

struct Null {
    bytes: Vec<u8>,
    hang: bool,
    exec: Option<Vec<u8>>,
    uid: u32,
    gid: u32,
    /// Replies that are owed for ever. A reply that is dropped answers `EIO`.
    owed: Arc<Mutex<Vec<ReplyData>>>,
}

impl Null {
    fn attr(&self, ino: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match ino {
            ROOT | DEMO => (FileType::Directory, 0o755, 0),
            TOKEN => (FileType::RegularFile, 0o444, self.bytes.len() as u64),
            HANG if self.hang => (FileType::RegularFile, 0o600, 4096),
            LOCKED if self.hang => (FileType::RegularFile, 0o444, 4096),
            EXEC => (FileType::RegularFile, 0o755, self.exec.as_ref()?.len() as u64),
            _ => return None,
        };
        Some(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn children(&self, ino: INodeNo) -> Vec<(INodeNo, &'static str)> {
        let names = match ino {
            ROOT => &[(DEMO, "demo")][..],
            DEMO => &[(TOKEN, "token"), (HANG, "hang"), (LOCKED, "locked"), (EXEC, "exec")],
            _ => &[],
        };
        names.iter().copied().filter(|(ino, _)| self.attr(*ino).is_some()).collect()
    }
}

/// How long the kernel may keep the attributes of a file of this kind.
fn attr_ttl(kind: FileType) -> Duration {
    if kind == FileType::Directory { LONG } else { Duration::ZERO }
}

impl Filesystem for Null {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        config
            .add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS)
            .map_err(|_| std::io::Error::other("the kernel has no FUSE_PARALLEL_DIROPS"))
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let child = self.children(parent).into_iter().find(|(_, child)| name == *child);
        match child.and_then(|(ino, _)| self.attr(ino)) {
            Some(attr) => reply.entry_with_ttls(&attr_ttl(attr.kind), &LONG, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(ino) {
            Some(attr) => reply.attr(&attr_ttl(attr.kind), &attr),
            None => reply.error(Errno::ESTALE),
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let cached = ino == EXEC || ino == LOCKED && flags.0 & O_NONBLOCK == 0;
        reply.opened(FileHandle(0), if cached { FopenFlags::empty() } else { FopenFlags::FOPEN_DIRECT_IO });
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if ino == HANG || ino == LOCKED {
            self.owed.lock().unwrap_or_else(PoisonError::into_inner).push(reply);
            return;
        }
        let bytes = self.exec.as_ref().filter(|_| ino == EXEC).unwrap_or(&self.bytes);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(size as usize).min(bytes.len());
        reply.data(bytes.get(from..to).unwrap_or_default());
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut entries = vec![(ino, "."), (ROOT, "..")];
        entries.extend(self.children(ino));
        for (next, (ino, name)) in (1u64..).zip(entries).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let kind = self.attr(ino).map_or(FileType::RegularFile, |attr| attr.kind);
            if reply.add(ino, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}

/// Unmounts, also where somebody still holds a file open.
fn detach(dir: &Path) -> std::io::Result<()> {
    match rustix::mount::unmount(dir, UnmountFlags::DETACH) {
        Err(rustix::io::Errno::PERM) => {
            let status = Command::new("fusermount3").args(["-u", "-z", "--"]).arg(dir).status()?;
            if status.success() { Ok(()) } else { Err(std::io::Error::other("fusermount3 cannot unmount")) }
        }
        other => Ok(other?),
    }
}

fn run(args: &Args) -> std::io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let owed = Arc::default();
    let fs = Null {
        bytes: vec![b'x'; args.size],
        hang: args.hang,
        exec: args.exec.as_ref().map(std::fs::read).transpose()?,
        uid: uid.as_raw(),
        gid: gid.as_raw(),
        owed: Arc::clone(&owed),
    };
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("null".into()),
        MountOption::DefaultPermissions,
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoAtime,
    ];
    if args.exec.is_none() {
        config.mount_options.push(MountOption::NoExec);
    }
    config.acl = if uid.is_root() { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(2);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let session = Session::new(fs, &args.dir, &config)?.spawn()?;
        let mut out = std::io::stdout();
        writeln!(out, "mounted")?;
        out.flush()?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        detach(&args.dir)?;
        owed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // Without a wait for the threads: they end with this process, also where somebody still holds a file open.
        drop(session);
        Ok(())
    })
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "null: {error}");
            ExitCode::FAILURE
        }
    }
}
