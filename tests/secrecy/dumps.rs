//! A value is in no core dump: the kernel writes none, and one that root forces leaves out the memory that values are in.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::canary::Canaries;
use crate::daemon::{Daemon, needs};
use crate::support::Host;

/// Which memory a forced dump has.
#[derive(Clone, Copy)]
enum Dump {
    /// As the process wants it.
    AsAsked,
    /// All of it, also what is to be left out.
    Everything,
}

/// Has gdb write a core of a process.
fn dump(pid: u32, kind: Dump, to: &Path) {
    needs("gdb", "gdb");
    let excluded = match kind {
        Dump::AsAsked => "set dump-excluded-mappings off",
        Dump::Everything => "set dump-excluded-mappings on",
    };
    let filter = match kind {
        Dump::AsAsked => "set use-coredump-filter on",
        Dump::Everything => "set use-coredump-filter off",
    };
    let output = Command::new("timeout")
        .args(["--signal=KILL", "60", "gdb", "--nx", "--batch", "--readnever", "-iex", "set auto-load off"])
        .args(["-iex", "set auto-solib-add off", "-ex", excluded, "-ex", filter])
        .args([
            "-ex",
            &format!("attach {pid}"),
            "-ex",
            &format!("generate-core-file {}", to.display()),
            "-ex",
            "detach",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(to.exists(), "gdb wrote no core: {}", String::from_utf8_lossy(&output.stderr));
}

/// Cores of both processes, each in a file named for it.
fn dump_both(daemon: &Daemon, kind: Dump, to: &Path) -> PathBuf {
    std::fs::create_dir(to).unwrap();
    dump(daemon.front(), kind, &to.join("front"));
    dump(daemon.fetcher(), kind, &to.join("fetcher"));
    to.to_owned()
}

fn holds(core: &Path, text: &str) -> bool {
    let found =
        Command::new("grep").args(["--quiet", "--text", "--fixed-strings", "-e", text]).arg(core).status();
    found.unwrap().success()
}

/// Scopes with each format.
fn scopes() -> String {
    "[scope.a]\nallow = { uid = 0 }\nfile.raw = \"local:raw\"\nfile.one = \"local:named#one\"\nfile.large = \"local:large\"\n\
     file.env = { from = \"local:named\", format = \"dotenv\" }\nfile.json = { from = \"local:named\", format = \"json\" }\n\
     file.malformed = \"local:malformed#key\"\nfile.nokey = \"local:named#none\"\n"
        .to_owned()
}

#[test]
fn a_forced_dump_of_either_process_has_no_value_whether_cached_or_open_or_closed() {
    let mut canaries = Canaries::new();
    let (raw, one, two) =
        (canaries.make("raw"), canaries.make("named, plain"), canaries.make("named, escaped"));
    let (large, malformed) = (canaries.make("large"), canaries.make("malformed"));
    let host = Host::new();
    let key = std::fs::read_to_string(host.path("store.key")).unwrap();
    let key = key.lines().find_map(|line| line.strip_prefix("AGE-SECRET-KEY-")).unwrap();
    canaries.watch("the store's key", key);
    host.set("raw", raw.as_bytes());
    host.set("large", format!("{large}\n").repeat(5000).as_bytes());
    host.set("malformed", format!("{{\"key\": \"{malformed}").as_bytes());
    host.set("named#one", one.as_bytes());
    host.set("named#two", format!("\" {two} \\\n").as_bytes());
    host.configure("", &scopes());
    let cores = tempfile::Builder::new().prefix("hushfs-cores-").tempdir().unwrap();
    let daemon = Daemon::start(&host, &[], &["-vv"]);

    let read = |name: &str| std::fs::read(host.file(&format!("a/{name}")));
    let mut open = std::fs::File::open(host.file("a/large")).unwrap();
    let mut start = vec![0; 1000];
    open.read_exact(&mut start).unwrap();
    for round in 0..3 {
        assert_eq!(read("raw").unwrap(), raw.as_bytes(), "round {round}");
        assert_eq!(read("one").unwrap(), one.as_bytes());
        assert!(String::from_utf8(read("env").unwrap()).unwrap().contains(&one));
        assert!(String::from_utf8(read("json").unwrap()).unwrap().contains(&two));
        assert_eq!(read("large").unwrap().len(), 41 * 5000);
        assert!(read("malformed").is_err() && read("nokey").is_err());
    }
    let cached = dump_both(&daemon, Dump::AsAsked, &cores.path().join("cached"));
    assert_eq!(canaries.found_in(&[&cached]), [""; 0], "while values are cached and one file is open");

    // That the search can find: names are in the dump, and so are values once what is to be left out is not.
    let mount = host.path("m").display().to_string();
    assert!(holds(&cached.join("front"), &mount), "the dump of the front is empty");
    assert!(holds(&cached.join("fetcher"), "store.age"), "the dump of the fetcher is empty");
    let everything = dump_both(&daemon, Dump::Everything, &cores.path().join("everything"));
    for process in ["front", "fetcher"] {
        let found = canaries.found_in(&[&everything.join(process)]).join("\n");
        for way in ["raw, ", "named, plain", "large"] {
            assert!(found.contains(way), "{way} is not in the memory of the {process}:\n{found}");
        }
    }

    drop(open);
    host.set("raw", b"another");
    for name in ["raw", "one", "two", "large", "malformed"] {
        if name != "raw" {
            host.set(name, b"another");
        }
    }
    assert_eq!(read("raw").unwrap(), b"another");
    let closed = dump_both(&daemon, Dump::AsAsked, &cores.path().join("closed"));
    assert_eq!(canaries.found_in(&[&closed]), [""; 0], "after files were closed and values replaced");
}

#[test]
fn a_crash_leaves_no_core_file() {
    let host = Host::new();
    host.set("raw", b"a value");
    host.configure("", &scopes());
    // With the limit that would allow it.
    let limit = ["prlimit", "--core=unlimited:unlimited"];
    let control = Command::new(limit[0])
        .args([limit[1], "sh", "-c", "kill -ABRT $$"])
        .current_dir(host.path(""))
        .status();
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert!(
        control.unwrap().core_dumped(),
        "here no crash leaves a core, so this shows nothing; core_pattern is {pattern}"
    );
    let mut daemon = Daemon::start(&host, &[limit[0], limit[1], crate::support::HUSHFS], &[]);
    assert_eq!(std::fs::read(host.file("a/raw")).unwrap(), b"a value");
    // Not SIGSEGV: Rust's handler takes one that was sent for one to be raised again.
    daemon.signal(Signal::ABORT);
    let status = daemon.wait();
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    assert!(!status.core_dumped(), "the kernel wrote a core");
}
