//! What is asked on a terminal, and the record of a look.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::termios::LocalModes;

use super::{CANARY, Place};

/// A real terminal with one `hushfs store` on it.
struct Terminal {
    script: Child,
    seen: String,
}

impl Terminal {
    fn new(place: &Place, args: &str) -> Self {
        let (hushfs, store) = (env!("CARGO_BIN_EXE_hushfs"), place.path("store.age"));
        let script = Command::new("script")
            .args(["--quiet", "--return", "--echo", "always", "--command"])
            .arg(format!("{hushfs} store {args} --store {}", store.display()))
            .arg("/dev/null")
            .current_dir(place.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` of util-linux makes the terminal for this test");
        Self { script, seen: String::new() }
    }

    /// Waits for `question` and for the echo to be off, which rpassword does after it asked; then types.
    fn answer_hidden(&mut self, question: &str, text: &str) {
        self.wait_for(question);
        let until = Instant::now() + Duration::from_secs(30);
        while self.echoes() {
            assert!(Instant::now() < until, "the echo stays on after {question:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.type_line(text);
    }

    /// Whether what is typed shows.
    fn echoes(&self) -> bool {
        let pid = self.script.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", children.trim())).unwrap();
        let tty: u64 = stat.rsplit(')').next().unwrap().split_whitespace().nth(4).unwrap().parse().unwrap();
        // proc_pid_stat(5): the minor number is in bits 31 to 20 and 7 to 0.
        let minor = (tty >> 12 & 0xfff00) | (tty & 0xff);
        let terminal = fs::File::open(format!("/dev/pts/{minor}")).unwrap();
        rustix::termios::tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for `question`, then types.
    fn answer(&mut self, question: &str, text: &str) {
        self.wait_for(question);
        self.type_line(text);
    }

    fn wait_for(&mut self, question: &str) {
        let out = self.script.stdout.as_mut().unwrap();
        let from = self.seen.len();
        let mut byte = [0];
        while !self.seen[from..].contains(question) {
            assert_eq!(out.read(&mut byte).unwrap(), 1, "it ended before {question:?}: {}", self.seen);
            self.seen.push(char::from(byte[0]));
        }
    }

    fn type_line(&mut self, text: &str) {
        self.script.stdin.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// Whether it succeeded, and all that the terminal showed.
    fn end(mut self) -> (bool, String) {
        self.script.stdout.as_mut().unwrap().read_to_string(&mut self.seen).unwrap();
        (self.script.wait().unwrap().success(), self.seen)
    }
}

#[test]
fn show_asks_before_it_prints_to_a_terminal() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    for (answer, printed) in [("n", false), ("", false), ("y", true)] {
        let mut terminal = Terminal::new(&place, "show a --audit audit");
        terminal.answer("Print the value of a to this terminal? [y/N]", answer);
        let (done, seen) = terminal.end();
        assert_eq!((done, seen.contains(CANARY)), (printed, printed), "{seen}");
    }
    let audit = fs::read_to_string(place.path("audit")).unwrap();
    let outcome = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["outcome"].clone();
    let outcomes: Vec<_> = audit.lines().map(outcome).collect();
    assert_eq!(outcomes, ["denied", "denied", "allowed"]);
    assert!(!audit.contains(CANARY));
}

#[test]
fn what_is_typed_for_a_value_or_a_passphrase_is_not_shown() {
    let place = Place::empty();
    let mut terminal = Terminal::new(&place, "init --passphrase");
    terminal.answer_hidden("New passphrase: ", CANARY);
    terminal.answer_hidden("Again: ", CANARY);
    let (done, seen) = terminal.end();
    assert!(done && !seen.contains(CANARY), "{seen}");
    let mut terminal = Terminal::new(&place, "set a");
    terminal.answer_hidden("Value of a (not shown): ", "canary-value");
    terminal.answer_hidden("Passphrase of the key: ", CANARY);
    let (done, seen) = terminal.end();
    assert!(done && !seen.contains("canary"), "{seen}");
    fs::write(place.path("pass"), CANARY).unwrap();
    assert_eq!(place.ok(&["show", "a", "--passphrase-file", "pass"], b""), b"canary-value");
    // It reads the key twice and asks once.
    let mut terminal = Terminal::new(&place, "recipients");
    terminal.answer_hidden("Passphrase of the key: ", CANARY);
    let (done, seen) = terminal.end();
    assert!(done && seen.contains("(in the key file)"), "{seen}");
    let mut terminal = Terminal::new(&place, "show a");
    terminal.answer_hidden("Passphrase of the key: ", "wrong");
    let (done, seen) = terminal.end();
    assert!(!done && seen.contains("the passphrase does not open the key"), "{seen}");
}

#[test]
fn a_look_that_cannot_be_recorded_does_not_happen() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    assert!(place.fails(&["show", "a", "--audit", "/proc/nowhere"], b"").contains("cannot record"));
    // A configuration that is wrong does not tell where to record it.
    fs::write(place.path("none.toml"), "mount =").unwrap();
    assert!(place.fails(&["show", "a"], b"").contains("cannot tell where to record"));
    place.fails(&["show", "b", "--audit", "audit"], b"");
    place.ok(&["show", "a", "--audit", "audit"], b"");
    let audit = fs::read_to_string(place.path("audit")).unwrap();
    let records: Vec<hushfs::audit::record::Record> =
        audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = records.iter().map(|r| (r.path.as_str(), r.version.as_str(), r.outcome)).collect();
    use hushfs::audit::record::Outcome::{Allowed, Failed};
    assert_eq!(told, [("store:b", "", Failed), ("store:a", "1", Allowed)]);
    assert!(
        records
            .iter()
            .all(|r| r.uid == rustix::process::getuid().as_raw() && r.reason.starts_with("store show"))
    );
}
