//! What a caller is doing while it waits for an answer.

use std::os::fd::AsFd;

use super::process::{self, Status};
use super::{Attestor, Tid};

impl Attestor {
    /// Whether a caller that waits for a page does so in sendfile, splice or the like, by `/proc/<tid>/syscall`; no where that
    /// may not be read, as by a daemon of an ordinary user.
    pub fn moves_pages(&self, tid: Tid) -> bool {
        process::open_dir(tid).is_ok_and(|dir| process::moves_pages(dir.as_fd()).unwrap_or(false))
    }

    /// Whether a signal is waiting that is to end the caller, or that asks it to stop waiting.
    ///
    /// A FUSE request that was read cannot be interrupted by the kernel, so a wait that may be long asks this now and then.
    /// Reads `/proc/<tid>/status` only, which never blocks.
    pub fn wants_to_stop(&self, tid: Tid) -> bool {
        let Ok(dir) = process::open_dir(tid) else { return true };
        process::status(dir.as_fd()).is_ok_and(|status| wants_to_stop(&status))
    }
}

/// Signals that end a process, or are sent by people who want it to stop waiting: HUP, INT, QUIT, KILL, TERM.
const STOPPING: u64 = bit(1) | bit(2) | bit(3) | bit(9) | bit(15);
/// Signals that do nothing or stop the process where it has no handler: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: u64 = bit(17) | bit(18) | bit(19) | bit(20) | bit(21) | bit(22) | bit(23) | bit(28);

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

fn wants_to_stop(status: &Status) -> bool {
    let arriving = status.pending & !status.blocked & !status.ignored;
    let fatal = arriving & !status.caught & !HARMLESS;
    (fatal | (arriving & STOPPING)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signals_that_arrive_and_matter_stop_a_wait() {
        let status = |pending, blocked, ignored, caught| Status {
            pending,
            blocked,
            ignored,
            caught,
            ..Status::default()
        };
        assert!(wants_to_stop(&status(bit(9), 0, 0, 0)));
        assert!(wants_to_stop(&status(bit(2), 0, 0, bit(2))), "a caught SIGINT asks to stop waiting");
        assert!(!wants_to_stop(&status(bit(15), bit(15), 0, 0)), "blocked");
        assert!(!wants_to_stop(&status(bit(1), 0, bit(1), 0)), "ignored");
        assert!(!wants_to_stop(&status(bit(17), 0, 0, 0)), "SIGCHLD");
        assert!(!wants_to_stop(&status(bit(14), 0, 0, bit(14))), "a caught SIGALRM");
        assert!(wants_to_stop(&status(bit(14), 0, 0, 0)), "SIGALRM without a handler");
    }
}
