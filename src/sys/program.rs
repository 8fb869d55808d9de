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

/// Files that a program may have open at first, as is usual: some still use `select`, and raise it themselves where they do not.
const FEW: libc::rlim_t = 1024;

/// Has the program start with the usual limit of open files, whatever ours was raised to.
pub fn open_few_files(command: &mut Command) {
    // SAFETY: the closure makes two system calls on a local and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            limit.rlim_cur = limit.rlim_max.min(FEW);
            match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

/// Has the program have its standard streams open and nothing else: what hushfs itself was started with is not for it either.
pub fn inherit_nothing(command: &mut Command) {
    // SAFETY: the closure makes one system call and allocates nothing. Descriptors stay open until the program is executed, so
    // that the standard library can still say why it was not.
    unsafe {
        command.pre_exec(|| {
            // Before Linux 5.11 there is no such call, and there they stay.
            let _ = libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            Ok(())
        });
    }
}
