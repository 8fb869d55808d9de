//! `signal`: tells the processes that hold an old version.

use std::collections::BTreeMap;
use std::fmt;

use nix::sys::signal::Signal as Named;

use super::Change;
use crate::identity::Watch;
use crate::readers::{Holder, Readers};

/// A signal by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(Named);

impl Signal {
    /// That of this name, `SIGHUP`.
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok().filter(|named: &Named| rustix_signal(*named).is_some()).map(Self)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Named::iterator().map(Named::as_str)
    }

    /// Signals each process once, whichever and however many of the changed files it holds an old version of. Gives for each
    /// change what was done about it.
    pub(super) fn send(self, changes: &[Change], readers: &Readers) -> Vec<Result<String, String>> {
        let Some(signal) = rustix_signal(self.0) else {
            return vec![Err(format!("there is no {}", self.0)); changes.len()];
        };
        // By number: each is looked at once.
        let mut sent: BTreeMap<u32, Result<Sent, String>> = BTreeMap::new();
        let mut one = |holder: &Holder| {
            let pid = holder.watch.process().pid.0;
            sent.entry(pid).or_insert_with(|| send(&holder.watch, holder.who.uid, signal)).clone()
        };
        let about = |change: &Change| {
            let holders = readers.holders_of_old(&change.path, &change.secrets);
            let results: Vec<_> = holders.iter().map(&mut one).collect();
            self.words(&results)
        };
        changes.iter().map(about).collect()
    }

    fn words(self, results: &[Result<Sent, String>]) -> Result<String, String> {
        let signalled = results.iter().filter(|result| **result == Ok(Sent::Yes)).count();
        let failures: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        let processes = if signalled == 1 { "process" } else { "processes" };
        match (signalled, failures.first()) {
            (0, None) => Ok(format!("no process to signal with {self}: none holds an older version")),
            (_, None) => Ok(format!("signalled {signalled} {processes} with {self}")),
            (_, Some(first)) => Err(format!(
                "signalled {signalled} {processes} with {self}, and {} could not be: {first}",
                failures.len()
            )),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Whether one was signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    /// It has ended.
    Gone,
}

/// `reader` is the uid that it read with.
fn send(watch: &Watch, reader: u32, signal: rustix::process::Signal) -> Result<Sent, String> {
    let pid = watch.process().pid.0;
    if pid <= 1 {
        return Err("pid 1 is never signalled".to_owned());
    }
    if pid == std::process::id() {
        return Err("hushfs does not signal itself".to_owned());
    }
    // Who reads and then runs a setuid program must not have that one ended by us, which he could not end himself.
    if reader != 0 && watch.uids().is_some_and(|uids| uids.iter().any(|uid| *uid != reader)) {
        return Err(format!("pid {pid} has the rights of another user by now than of the one who read"));
    }
    match watch.signal(signal) {
        Ok(()) => Ok(Sent::Yes),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(Sent::Gone),
        Err(error) => Err(format!("pid {pid}: {error}")),
    }
}

fn rustix_signal(named: Named) -> Option<rustix::process::Signal> {
    rustix::process::Signal::from_named_raw(named as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{By, Pid, ProcessId};

    #[test]
    fn every_signal_that_has_a_name_can_be_sent() {
        for name in Signal::names() {
            assert_eq!(Signal::named(name).map(|signal| signal.to_string()).as_deref(), Some(name));
        }
        assert!(Signal::named("HUP").is_none() && Signal::named("SIGNONE").is_none());
    }

    #[test]
    fn neither_the_first_process_nor_hushfs_is_signalled() {
        for pid in [1, std::process::id()] {
            let watch = Watch::of(ProcessId { pid: Pid(pid), start: 0 }, By::StartTime);
            assert!(send(&watch, 0, rustix::process::Signal::URG).is_err(), "{pid}");
        }
    }

    #[test]
    fn a_process_that_has_the_rights_of_another_user_by_now_is_not_signalled() {
        use std::os::unix::process::CommandExt;
        let spawn = |uid| std::process::Command::new("/bin/sleep").arg("60").uid(uid).spawn().unwrap();
        let mut children = [spawn(0), spawn(4001)];
        let sent = children.each_ref().map(|child| {
            let start = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            let start = start.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().parse().unwrap();
            let watch = Watch::of(ProcessId { pid: Pid(child.id()), start }, By::StartTime);
            send(&watch, 4001, rustix::process::Signal::URG)
        });
        children.iter_mut().for_each(|child| child.kill().and_then(|()| child.wait().map(drop)).unwrap());
        assert!(sent[0].as_ref().is_err_and(|why| why.contains("another user")), "{sent:?}");
        assert_eq!(sent[1], Ok(Sent::Yes));
    }
}
