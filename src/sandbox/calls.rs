//! seccomp: which system calls there are. All others answer ENOSYS, which libraries take for an older kernel.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use super::WRITER;

/// What a runtime, a resolver and TLS use, with whatever arguments.
const CALLS: &[libc::c_long] = &[
    // Files and descriptors: nothing here makes, changes or removes one.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    // The network, but for making a socket.
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Itself.
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The older forms that this architecture has besides.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

const TCP: u64 = libc::IPPROTO_TCP as u64;
const UDP: u64 = libc::IPPROTO_UDP as u64;
/// Close-on-exec and non-blocking stand beside the type of a socket.
const TYPE: u64 = 0xf;
const WRITING: u64 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64;
/// What makes a file, or takes away what is in one.
const CHANGING: u64 = (libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
const EXEC: u64 = libc::PROT_EXEC as u64;
const WRITE: u64 = libc::PROT_WRITE as u64;
const ANONYMOUS: u64 = libc::MAP_ANONYMOUS as u64;
const THREAD: u64 = libc::CLONE_THREAD as u64;

/// What a process uses that opens one file after the other to write to it.
const CALLS_TO_WRITE: &[libc::c_long] = &[
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_exit_group,
];

/// Restricts this thread and all that it starts to what a runtime, a resolver and TLS use. Gives what the kernel has not.
pub(super) fn restrict() -> Result<Option<String>, Error> {
    restrict_to(CALLS.iter().chain(OLDER), in_some_ways(), "the fetcher")
}

/// Restricts this thread and all that it starts to opening files, none of them to make or to cut, and writing to them. Gives
/// what the kernel has not.
pub(super) fn restrict_to_writing() -> Result<Option<String>, Error> {
    let ways = vec![(libc::SYS_openat, vec![vec![has(2, CHANGING, 0)]]), maps_no_code()];
    restrict_to(CALLS_TO_WRITE, ways, WRITER)
}

fn restrict_to<'a>(
    calls: impl IntoIterator<Item = &'a libc::c_long>,
    ways: Ways,
    who: &str,
) -> Result<Option<String>, Error> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Some(format!("there is no filter of system calls for {}", std::env::consts::ARCH)));
    };
    let filter = program(calls, ways, arch).map_err(Error::Backend)?;
    match apply_filter(&filter) {
        Err(Error::Seccomp(error)) if error.raw_os_error() == Some(libc::ENOSYS) => {
            Ok(Some(format!("the kernel has no seccomp: {who} can use all of its system calls")))
        }
        done => done.map(|()| None),
    }
}

fn program<'a>(
    calls: impl IntoIterator<Item = &'a libc::c_long>,
    ways: Ways,
    arch: TargetArch,
) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        calls.into_iter().map(|call| (*call, Vec::new())).collect();
    for (call, ways) in ways {
        let ways = ways.into_iter().map(|way| SeccompRule::new(way.into_iter().collect::<Result<_, _>>()?));
        rules.insert(call, ways.collect::<Result<_, _>>()?);
    }
    let none = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, none, SeccompAction::Allow, arch)?.try_into()
}

type Condition = Result<SeccompCondition, BackendError>;
/// Calls that are there for some of their arguments: one list of conditions for each way.
type Ways = Vec<(libc::c_long, Vec<Vec<Condition>>)>;

/// Memory of its own that holds no code, and no file.
fn maps_no_code() -> (libc::c_long, Vec<Vec<Condition>>) {
    (libc::SYS_mmap, vec![vec![has(2, EXEC, 0), has(3, ANONYMOUS, ANONYMOUS)]])
}

fn in_some_ways() -> Ways {
    let socket = |family: libc::c_int, kind: libc::c_int, protocol: u64| {
        vec![is(0, family as u64), has(1, TYPE, kind as u64), is(2, protocol)]
    };
    let inet = [libc::AF_INET, libc::AF_INET6].into_iter().flat_map(|family| {
        let stream = [0, TCP].map(|protocol| socket(family, libc::SOCK_STREAM, protocol));
        let datagram = [0, UDP].map(|protocol| socket(family, libc::SOCK_DGRAM, protocol));
        stream.into_iter().chain(datagram)
    });
    // The addresses of this host, which a resolver sorts its answers by. No AF_UNIX: a socket of a service manager or a
    // container engine is a way out.
    let addresses = vec![is(0, libc::AF_NETLINK as u64), is(2, libc::NETLINK_ROUTE as u64)];
    let any_of = |at: u8, values: &[u64]| values.iter().map(|value| vec![is(at, *value)]).collect::<Vec<_>>();
    let pid = u64::from(std::process::id());
    let mut calls = vec![
        (libc::SYS_openat, vec![vec![has(2, WRITING, 0)]]),
        (libc::SYS_socket, inet.chain([addresses]).collect()),
        // Of streams alone: one of datagrams can be sent from to any Unix socket.
        (
            libc::SYS_socketpair,
            vec![vec![is(0, libc::AF_UNIX as u64), has(1, TYPE, libc::SOCK_STREAM as u64)]],
        ),
        // No code but that of files, and none that can be written to.
        (libc::SYS_mmap, vec![vec![has(2, EXEC, 0)], vec![has(2, EXEC | WRITE, EXEC), has(3, ANONYMOUS, 0)]]),
        (libc::SYS_mprotect, vec![vec![has(2, EXEC, 0)]]),
        // Threads, not processes. clone3 is not there, since its arguments cannot be looked at.
        (libc::SYS_clone, vec![vec![has(0, THREAD, THREAD)]]),
        (libc::SYS_tgkill, any_of(0, &[pid])),
        (
            libc::SYS_prlimit64,
            vec![vec![is(0, 0), SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)]],
        ),
        (
            libc::SYS_fcntl,
            any_of(
                1,
                &[
                    libc::F_DUPFD,
                    libc::F_DUPFD_CLOEXEC,
                    libc::F_GETFD,
                    libc::F_SETFD,
                    libc::F_GETFL,
                    libc::F_SETFL,
                ]
                .map(|command| command as u64),
            ),
        ),
        (libc::SYS_ioctl, any_of(1, &requests())),
        (
            libc::SYS_prctl,
            any_of(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA].map(|option| option as u64)),
        ),
    ];
    #[cfg(target_arch = "x86_64")]
    calls.push((libc::SYS_open, vec![vec![has(1, WRITING, 0)]]));
    calls
}

/// What descriptors are asked for by `ioctl`: not to wait, how much there is, whether it is a terminal.
#[allow(clippy::unnecessary_cast, reason = "they are of another type with musl")]
fn requests() -> [u64; 5] {
    [libc::FIONBIO, libc::FIOCLEX, libc::FIONREAD, libc::TCGETS, libc::TIOCGWINSZ]
        .map(|request| request as u64)
}

/// The argument is this.
fn is(argument: u8, value: u64) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// Of the argument, these bits are so.
fn has(argument: u8, bits: u64, value: u64) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), value)
}
