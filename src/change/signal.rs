//! `signal`: tells the processes that hold an old version.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nix::sys::signal::Signal as Named;

use super::Change;
use crate::identity::Watch;
use crate::readers::Readers;

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
        let mut one = |watch: &Arc<Watch>| {
            let pid = watch.process().pid.0;
            sent.entry(pid).or_insert_with(|| send(watch, signal)).clone()
        };
        let about = |change: &Change| {
            let holders = readers.holders_of_old(&change.path, &change.whole, &change.new);
            let results: Vec<_> = holders.iter().map(|holder| one(&holder.watch)).collect();
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

fn send(watch: &Watch, signal: rustix::process::Signal) -> Result<Sent, String> {
    let pid = watch.process().pid.0;
    if pid <= 1 {
        return Err("pid 1 is never signalled".to_owned());
    }
    if pid == std::process::id() {
        return Err("hushfs does not signal itself".to_owned());
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
            assert!(send(&watch, rustix::process::Signal::URG).is_err(), "{pid}");
        }
    }
}
