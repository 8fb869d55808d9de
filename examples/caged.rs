//! What can still be done inside the fetcher's sandbox: for `tests/mount/sandbox.rs`, and for whoever wants to see it.
//!
//! Enters the sandbox (as the user in `--uid` and `--gid`), says so, waits for a line, then tries one thing after the other
//! and prints each with what came of it, `ok` or an error number:
//!
//! ```console
//! # echo | target/debug/examples/caged --uid 65534 --gid 65534 --connect 127.0.0.1:22
//! ```
#![allow(unsafe_code, clippy::print_stdout, reason = "tries system calls that nothing wraps, and prints")]

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use hushfs::sandbox::{self, Account, Cage};

#[derive(Parser)]
struct Args {
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// Where somebody listens.
    #[arg(long)]
    connect: Option<SocketAddr>,
    /// A Unix socket that somebody listens at.
    #[arg(long)]
    unix: Option<std::path::PathBuf>,
    /// Something to get by HTTPS.
    #[cfg(feature = "vault")]
    #[arg(long)]
    url: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let parent = std::os::unix::process::parent_id();
    let entered =
        match sandbox::enter(Cage::Whole(args.uid.zip(args.gid).map(|(uid, gid)| Account { uid, gid }))) {
            Ok(entered) => entered,
            Err(error) => {
                println!("not entered: {error}");
                return ExitCode::FAILURE;
            }
        };
    for lacking in &entered.lacking {
        println!("lacking: {lacking}");
    }
    println!("entered");
    let _ = io::stdin().lock().read_line(&mut String::new());
    println!("outdated: {}", entered.outdated.is_so());
    files(parent);
    processes(parent);
    network(&args);
    #[cfg(feature = "vault")]
    if let Some(url) = &args.url {
        println!("get by HTTPS: {}", get(url));
    }
    calls();
    ExitCode::SUCCESS
}

fn say<T>(what: &str, done: io::Result<T>) {
    match done {
        Ok(_) => println!("{what}: ok"),
        Err(error) => match error.raw_os_error() {
            Some(errno) => println!("{what}: {errno}"),
            None => println!("{what}: {error}"),
        },
    }
}

fn files(parent: u32) {
    for path in ["/etc/shadow", "/etc/passwd", "/root", "/dev/fuse", "/proc/self/environ", "/etc/hosts"] {
        say(&format!("read {path}"), File::open(path));
    }
    for name in ["environ", "mem", "maps"] {
        say(&format!("read {name} of the parent"), File::open(format!("/proc/{parent}/{name}")));
    }
    say("list the authorities", std::fs::read_dir("/etc/ssl/certs"));
    say("list /", std::fs::read_dir("/"));
    say("write", OpenOptions::new().write(true).create(true).truncate(true).open("/tmp/hushfs-caged"));
    say("write over", OpenOptions::new().write(true).open("/dev/null"));
    say("make a directory", std::fs::create_dir("/tmp/hushfs-caged"));
    say("remove", std::fs::remove_file("/tmp/hushfs-caged"));
    say(
        "chmod",
        std::fs::set_permissions(Path::new("/tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o777)),
    );
}

fn processes(parent: u32) {
    let parent = i64::from(parent);
    say("start a thread", std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join));
    say("start a program", Command::new("/bin/true").status());
    say("fork", call(libc::SYS_clone, [17, 0, 0, 0, 0]));
    say("ptrace", call(libc::SYS_ptrace, [i64::from(libc::PTRACE_SEIZE), parent, 0, 0, 0]));
    say("signal the parent", call(libc::SYS_kill, [parent, 0, 0, 0, 0]));
    say("signal a thread of the parent", call(libc::SYS_tgkill, [parent, parent, 0, 0, 0]));
    say("read the parent's memory", call(libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0]));
    say("write to the parent's memory", call(libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0]));
    say("take a descriptor of the parent", call(libc::SYS_pidfd_open, [parent, 0, 0, 0, 0]));
}

fn network(args: &Args) {
    if let Some(address) = args.connect {
        say("connect", TcpStream::connect(address));
    }
    if let Some(path) = &args.unix {
        say("connect to a Unix socket", UnixStream::connect(path));
    }
    say("a pair of Unix sockets", UnixStream::pair());
    say("a pair of Unix sockets for datagrams", UnixDatagram::pair());
    say("resolve", ("localhost", 80).to_socket_addrs());
    say("a socket for datagrams", UdpSocket::bind("127.0.0.1:0"));
    say("listen", TcpListener::bind("127.0.0.1:0"));
    say(
        "a raw socket",
        call(libc::SYS_socket, [i64::from(libc::AF_INET), i64::from(libc::SOCK_RAW), 1, 0, 0]),
    );
    say(
        "a packet socket",
        call(libc::SYS_socket, [i64::from(libc::AF_PACKET), i64::from(libc::SOCK_RAW), 0, 0, 0]),
    );
    let netfilter = i64::from(libc::NETLINK_NETFILTER);
    say(
        "netfilter",
        call(libc::SYS_socket, [i64::from(libc::AF_NETLINK), i64::from(libc::SOCK_RAW), netfilter, 0, 0]),
    );
}

/// With the HTTP client of the providers, as the fetcher runs it. The status, or where it stopped.
#[cfg(feature = "vault")]
fn get(url: &str) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let got = runtime.map(|runtime| runtime.block_on(reqwest::get(url)));
    match got {
        Ok(Ok(answer)) => answer.status().to_string(),
        Ok(Err(error)) if format!("{error:?}").contains("UnknownIssuer") => "an unknown authority".to_owned(),
        Ok(Err(error)) => format!("{error:?}"),
        Err(error) => error.to_string(),
    }
}

fn calls() {
    let code = i64::from(libc::PROT_EXEC | libc::PROT_WRITE | libc::PROT_READ);
    let private = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    say("code in memory", call(libc::SYS_mmap, [0, 4096, code, private, -1]));
    say("raise a limit", call(libc::SYS_prlimit64, [0, 7, 1, 0, 0]));
    for (name, number) in [
        ("mount", libc::SYS_mount),
        ("fsopen", libc::SYS_fsopen),
        ("open_tree", libc::SYS_open_tree),
        ("bpf", libc::SYS_bpf),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("kexec_load", libc::SYS_kexec_load),
        ("init_module", libc::SYS_init_module),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
        ("chroot", libc::SYS_chroot),
        ("setuid", libc::SYS_setuid),
        ("capset", libc::SYS_capset),
        ("clone3", libc::SYS_clone3),
        ("memfd_create", libc::SYS_memfd_create),
        ("seccomp", libc::SYS_seccomp),
        ("personality", libc::SYS_personality),
    ] {
        say(name, call(number, [0; 5]));
    }
}

/// A system call with plain numbers.
fn call(number: libc::c_long, arguments: [i64; 5]) -> io::Result<i64> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: no address that is passed is one of ours: the kernel refuses them, if it knows the call at all.
    let done = unsafe { libc::syscall(number, a, b, c, d, e, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}
