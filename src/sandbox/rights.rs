//! User, groups, capabilities and limits.

use std::io;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::Account;

/// Memory in bytes. A key under a passphrase may take 1 GiB, and as much the stacks of threads that wait for disks.
const MEMORY: u64 = 4 << 30;
/// Open files: connections, and sixteen fetches at each provider.
const FILES: u64 = 4096;
/// Memory in bytes, and open files, of a process that opens one file at a time.
const MEMORY_TO_WRITE: u64 = 64 << 20;
const FILES_TO_WRITE: u64 = 16;
/// As many as every program can handle.
const FILES_OF_PROGRAMS: u64 = 1024;

/// What starting programs as other users takes, and ending them.
const FOR_PROGRAMS: CapabilitySet =
    CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::KILL);

/// Becomes `account` if this is root, and keeps no capability; that of locking memory where memory could not be locked
/// without it.
pub(super) fn give_up(account: Option<Account>) -> io::Result<()> {
    at_most(Resource::Core, 0)?;
    at_most(Resource::Data, MEMORY)?;
    at_most(Resource::Nofile, FILES)?;
    at_most(Resource::Msgqueue, 0)?;
    // Its log may be a file: only then there is anything that it can write to.
    let log = rustix::fs::fstat(rustix::stdio::stderr());
    if !log.is_ok_and(|log| FileType::from_raw_mode(log.st_mode) == FileType::RegularFile) {
        at_most(Resource::Fsize, 0)?;
    }
    let kept = to_lock_memory();
    if let Some(account) = account.filter(|_| rustix::process::geteuid().is_root()) {
        rustix::thread::set_keep_capabilities(true)?;
        become_account(account)?;
        rustix::thread::set_keep_capabilities(false)?;
    }
    keep(kept)
}

/// Keeps the capabilities that starting programs as other users takes.
pub(super) fn give_up_for_programs() -> io::Result<()> {
    at_most(Resource::Core, 0)?;
    // Programs inherit it, and some still use `select`.
    let files = rustix::process::getrlimit(Resource::Nofile);
    let current = files.current.map_or(FILES_OF_PROGRAMS, |current| current.min(FILES_OF_PROGRAMS));
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..files })?;
    keep(FOR_PROGRAMS | to_lock_memory())
}

/// Keeps the capability of writing to files of others, and lets no file be longer than one byte by it.
pub(super) fn give_up_but_writing() -> io::Result<()> {
    for (what, most) in [
        (Resource::Core, 0),
        (Resource::Data, MEMORY_TO_WRITE),
        (Resource::Nofile, FILES_TO_WRITE),
        (Resource::Msgqueue, 0),
        (Resource::Fsize, 1),
    ] {
        at_most(what, most)?;
    }
    keep(CapabilitySet::DAC_OVERRIDE)
}

/// Keeps these capabilities, of those that are there, and no way to more.
fn keep(kept: CapabilitySet) -> io::Result<()> {
    let kept = rustix::thread::capabilities(None)?.permitted & kept;
    rustix::thread::set_no_new_privs(true)?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// The capability that locking memory takes: none, where the limit can be lifted.
fn to_lock_memory() -> CapabilitySet {
    let unlimited = Rlimit { current: None, maximum: None };
    match rustix::process::setrlimit(Resource::Memlock, unlimited) {
        Ok(()) => CapabilitySet::empty(),
        Err(_) => CapabilitySet::IPC_LOCK,
    }
}

fn become_account(account: Account) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    setgroups(&[]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid)).map_err(|errno| {
        let hint = "it takes CAP_SETUID and CAP_SETGID; where this host has no other user, write `user = \"root\"` below `[fetcher]`";
        let why = io::Error::from(errno);
        io::Error::new(why.kind(), format!("cannot become uid {}: {why}; hint: {hint}", account.uid))
    })
}

fn at_most(what: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(what);
    let most = Some(now.maximum.map_or(most, |maximum| maximum.min(most)));
    Ok(rustix::process::setrlimit(what, Rlimit { current: most, maximum: most })?)
}
