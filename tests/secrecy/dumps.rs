//! A value is in no core dump: the kernel writes none, and one that root forces leaves out the memory that values are in.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
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

#[derive(Debug, Clone, Copy)]
enum Process {
    Front,
    Fetcher,
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

/// A host whose daemon has values of each kind and from each format in its caches.
struct Busy {
    canaries: Canaries,
    daemon: Daemon,
    host: Host,
    cores: tempfile::TempDir,
}

const FILES: [&str; 7] = ["raw", "one", "env", "json", "large", "malformed", "nokey"];

impl Busy {
    fn new() -> Self {
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
        let busy = Self { canaries, daemon, host, cores };
        for round in 0..3 {
            assert_eq!(busy.read("raw").unwrap(), raw.as_bytes(), "round {round}");
            assert_eq!(busy.read("one").unwrap(), one.as_bytes());
            assert!(String::from_utf8(busy.read("env").unwrap()).unwrap().contains(&one));
            assert!(String::from_utf8(busy.read("json").unwrap()).unwrap().contains(&two));
            assert_eq!(busy.read("large").unwrap().len(), 41 * 5000);
            assert!(busy.read("malformed").is_err() && busy.read("nokey").is_err());
        }
        busy.read_by_many();
        busy
    }

    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.host.file(&format!("a/{name}")))
    }

    /// So that every thread of the daemon has had every value.
    fn read_by_many(&self) {
        let many = || FILES.iter().cycle().take(140).for_each(|name| drop(self.read(name)));
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(many))));
    }

    /// Other values in the place of all those that are looked for.
    fn replace(&self) {
        for name in ["raw", "large", "malformed", "named#one", "named#two"] {
            self.host.set(name, b"another");
        }
        assert_eq!(self.read("raw").unwrap(), b"another");
    }

    /// What is found in the memory of one of the processes. It must hold `control` as well, which shows that there was
    /// something to search. The dump, of some hundred megabytes, is removed at once.
    fn found_in(&self, process: Process, kind: Dump, control: &str) -> Vec<String> {
        let core = self.cores.path().join("core");
        let pid = match process {
            Process::Front => self.daemon.front(),
            Process::Fetcher => self.daemon.fetcher(),
        };
        dump(pid, kind, &core);
        let found = self.canaries.found_in(&[&core]);
        let controlled = holds(&core, control);
        std::fs::remove_file(&core).unwrap();
        assert!(controlled, "the dump does not even hold {control}");
        found
    }
}

#[test]
fn a_forced_dump_of_either_process_has_no_value_whether_cached_or_open_or_closed() {
    let busy = Busy::new();
    let mut open = std::fs::File::open(busy.host.file("a/large")).unwrap();
    open.read_exact(&mut [0; 1000]).unwrap();
    let mount = busy.host.path("m").display().to_string();
    let found = || {
        let mut found = busy.found_in(Process::Front, Dump::AsAsked, &mount);
        found.extend(busy.found_in(Process::Fetcher, Dump::AsAsked, "store.age"));
        found
    };
    assert_eq!(found(), [""; 0], "while values are cached and one file is open");
    drop(open);
    busy.replace();
    assert_eq!(found(), [""; 0], "after files were closed and values replaced");
}

#[test]
fn a_dump_amid_fetches_has_no_value_on_its_way() {
    let value = Canaries::new().make("on its way") + ";";
    let mut canaries = Canaries::new();
    // More than the vector registers of a thread that is stopped while it copies, which a dump has as well.
    canaries.watch_text("on its way", &value.repeat(8));
    let host = Host::new();
    // Too large to be remembered, so that each read is a fetch.
    host.set("raw", value.repeat(15_000).as_bytes());
    // Whoever is dumped stands still meanwhile, for some seconds.
    let limits = "[limits]\ncache_max = \"1MiB\"\nsize_max = \"1MiB\"\ndeadline = \"1min\"";
    host.configure(limits, "[scope.a]\nallow = { uid = 0 }\nfile.raw = \"local:raw\"\n");
    let daemon = Daemon::start(&host, &[], &[]);
    let cores = tempfile::Builder::new().prefix("hushfs-cores-").tempdir().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let read = || std::fs::read(host.file("a/raw")).unwrap();
    // The store is decrypted once, by the first.
    assert_eq!(read().len(), 615_000);
    let found: Vec<String> = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(read().len(), 615_000);
                }
            });
        }
        let dumps = [daemon.front(), daemon.fetcher()];
        let found = dumps.iter().flat_map(|pid| {
            let core = cores.path().join(pid.to_string());
            dump(*pid, Dump::AsAsked, &core);
            let found = canaries.found_in(&[&core]);
            std::fs::remove_file(&core).unwrap();
            found
        });
        let found = found.collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        found
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_was_replaced_is_wiped_from_the_locked_memory_of_the_front_as_well() {
    let busy = Busy::new();
    // While values are there the search finds them, in both processes.
    for process in [Process::Front, Process::Fetcher] {
        let found = busy.found_in(process, Dump::Everything, "store.age").join("\n");
        for way in ["raw, ", "named, plain", "named, escaped", "large"] {
            assert!(found.contains(way), "{way} is not in the memory of the {process:?}:\n{found}");
        }
    }
    busy.replace();
    busy.read_by_many();
    // The fetcher has the store's history, so only the front is to have forgotten.
    assert_eq!(busy.found_in(Process::Front, Dump::Everything, "another"), [""; 0]);
}

#[test]
fn neither_key_nor_passphrase_of_a_store_is_left_in_memory_once_it_was_read() {
    let mut canaries = Canaries::new();
    let passphrase = canaries.make("passphrase");
    let host = Host::new();
    host.write("passphrase", passphrase.as_bytes(), 0o600);
    let (store, file) = (host.path("locked.age"), host.path("passphrase"));
    let place = ["--store", store.to_str().unwrap(), "--passphrase-file", file.to_str().unwrap()];
    host.run_ok(&[&["store", "init", "--passphrase"], &place[..]].concat(), b"");
    host.run_ok(&[&["store", "set", "raw"], &place[..]].concat(), b"a value");
    let provider =
        "[provider.locked]\nkind = \"store\"\npath = \"locked.age\"\npassphrase_file = \"passphrase\"\n";
    let scope = "[scope.a]\nallow = { uid = 0 }\nfile.raw = \"locked:raw\"\n";
    host.configure("", &format!("{provider}{scope}"));
    let daemon = Daemon::start(&host, &[], &["-vv"]);
    assert_eq!(std::fs::read(host.file("a/raw")).unwrap(), b"a value");

    let sealed = std::fs::read(host.path("locked.key")).unwrap();
    let identity = age::scrypt::Identity::new(passphrase.into());
    let text = String::from_utf8(age::decrypt(&identity, &sealed).unwrap()).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("AGE-SECRET-KEY-")).unwrap();
    canaries.watch("key", key);
    let cores = tempfile::Builder::new().prefix("hushfs-cores-").tempdir().unwrap();
    let core = cores.path().join("core");
    dump(daemon.fetcher(), Dump::Everything, &core);
    assert_eq!(canaries.found_in(&[&core]), [""; 0]);
    assert!(!holds_bytes(&core, &bech32_data(key)), "the key is there as a number");
    assert!(holds_bytes(&core, b"a value"), "the dump does not even hold the value");
}

/// The 32 bytes of a key that is written as `1`, 52 signs of five bits each, and six signs of checksum (BIP 173).
fn bech32_data(key: &str) -> Vec<u8> {
    const SIGNS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let data = &key[1..key.len() - 6];
    let bits: String =
        data.chars().map(|c| format!("{:05b}", SIGNS.find(c.to_ascii_lowercase()).unwrap())).collect();
    assert!(bits.len() == 260 && bits.ends_with("0000"), "this is no key of 32 bytes");
    let bytes = (0..32).map(|n| u8::from_str_radix(&bits[n * 8..n * 8 + 8], 2).unwrap());
    bytes.collect()
}

/// Whether a file holds these bytes, line ends included, which `grep` cannot look for.
fn holds_bytes(file: &Path, bytes: &[u8]) -> bool {
    needs("python3", "python3");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let program = "import mmap, sys; f = open(sys.argv[1], 'rb'); \
                   print(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ).find(bytes.fromhex(sys.argv[2])))";
    let output = Command::new("/usr/bin/python3").args(["-c", program]).arg(file).arg(hex).output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    found.trim().parse::<i64>().unwrap() >= 0
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

/// What a program answers goes through pipes, a parser and a decoder.
#[test]
fn a_dump_of_what_starts_programs_has_no_value() {
    let mut canaries = Canaries::new();
    let (text, named, bytes) = (canaries.make("text"), canaries.make("named"), canaries.make("bytes"));
    let host = Host::new();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
    for (name, answer) in [
        ("text", format!("{{\"value\": \"a \\u00e9 {text}\"}}")),
        ("named", format!("{{\"values\": {{\"a\": \"\\n{named}\", \"b\": \"c\"}}}}")),
        ("bytes", format!("{{\"value_base64\": \"{encoded}\"}}")),
        ("wrong", format!("{{\"value\": \"{text}\", \"more\": \"{named}\"}}")),
        ("complains", format!("{text}\n")),
    ] {
        host.write(name, answer.as_bytes(), 0o600);
    }
    let script = r#"read -r line
path=$(echo "$line" | sed 's/.*"path":"\([a-z]*\)".*/\1/')
cat $path >&2
exec cat $path
"#;
    host.write("program", script.as_bytes(), 0o600);
    let files: String = ["text", "named", "bytes", "wrong", "complains"]
        .map(|name| format!("file.{name} = \"asked:{name}\"\n"))
        .concat();
    host.configure(
        "",
        &format!(
            "[cache]\nfresh_for = \"1ms\"\n[scope.a]\nallow = {{ uid = 0 }}\n{files}[provider.asked]\nkind = \"command\"\nprogram = \"/bin/sh\"\n\
             args = [\"program\"]\nuser = \"root\"\ndirectory = \"{}\"\nset = {{ PATH = \"/usr/bin:/bin\" }}\n",
            host.path("").display()
        ),
    );
    let daemon = Daemon::start(&host, &[], &["-vv"]);
    for _ in 0..5 {
        let read = |name: &str| std::fs::read_to_string(host.file(&format!("a/{name}")));
        assert_eq!(read("text").unwrap(), format!("a \u{e9} {text}"));
        assert!(read("named").unwrap().contains(&named));
        assert_eq!(read("bytes").unwrap(), bytes);
        assert!(read("wrong").is_err() && read("complains").is_err());
    }
    let cores = tempfile::Builder::new().prefix("hushfs-cores-").tempdir().unwrap();
    let core = cores.path().join("core");
    dump(daemon.programs(), Dump::AsAsked, &core);
    assert!(holds(&core, "--programs"), "there is something to search");
    assert_eq!(canaries.found_in(&[&core]), [""; 0]);
    assert_eq!(canaries.found_in(&[&host.path("log"), &host.path("audit.log")]), [""; 0]);
}
