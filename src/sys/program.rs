//! What is set between fork and exec.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the program be killed when the thread that starts it ends: with the process, for a thread that lasts as long.
pub fn end_with_parent(command: &mut Command) {
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            // A change of user comes before it, and so does not undo it.
            match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}
