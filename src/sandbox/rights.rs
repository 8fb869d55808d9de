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

/// Becomes `account` if this is root, and keeps no capability; that of locking memory where memory could not be locked
/// without it.
pub(super) fn give_up(account: Option<Account>) -> io::Result<()> {
    limit()?;
    let now = rustix::thread::capabilities(None)?;
    let kept = match lock_without_limit() {
        true => CapabilitySet::empty(),
        false => now.permitted & CapabilitySet::IPC_LOCK,
    };
    if let Some(account) = account.filter(|_| rustix::process::geteuid().is_root()) {
        rustix::thread::set_keep_capabilities(true)?;
        become_account(account)?;
        rustix::thread::set_keep_capabilities(false)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)?;
    Ok(())
}

fn become_account(account: Account) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    setgroups(&[]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid)).map_err(|errno| {
        let hint = "it takes CAP_SETUID and CAP_SETGID; where this host has no other user, write `user = \"root\"` below `[fetcher]`";
        let why = io::Error::from(errno);
        io::Error::new(why.kind(), format!("cannot become uid {}: {why}; hint: {hint}", account.uid))
    })
}

/// Whether memory can be locked without a capability.
fn lock_without_limit() -> bool {
    let unlimited = Rlimit { current: None, maximum: None };
    rustix::process::setrlimit(Resource::Memlock, unlimited).is_ok()
}

fn limit() -> io::Result<()> {
    at_most(Resource::Core, 0)?;
    at_most(Resource::Data, MEMORY)?;
    at_most(Resource::Nofile, FILES)?;
    at_most(Resource::Msgqueue, 0)?;
    // Its log may be a file: only then there is anything that it can write to.
    let log = rustix::fs::fstat(rustix::stdio::stderr());
    if !log.is_ok_and(|log| FileType::from_raw_mode(log.st_mode) == FileType::RegularFile) {
        at_most(Resource::Fsize, 0)?;
    }
    Ok(())
}

fn at_most(what: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(what);
    let most = Some(now.maximum.map_or(most, |maximum| maximum.min(most)));
    Ok(rustix::process::setrlimit(what, Rlimit { current: most, maximum: most })?)
}
