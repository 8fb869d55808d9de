//! `on_change`: what is done when a file shows something else.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Host, Record, ends_within, signal};

/// Reads files, and then says which signals it gets until it is ended.
const READER: &str = "
import signal, sys
for name in (signal.SIGHUP, signal.SIGUSR1):
    signal.signal(name, lambda number, _: print(signal.Signals(number).name, flush=True))
for path in sys.argv[1:]:
    open(path).read()
print('read', flush=True)
while True:
    signal.pause()
";

/// A process that reads files and tells of signals.
struct Reader {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Reader {
    fn of(files: &[PathBuf]) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", READER])
            .args(files)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut reader = Self { child, says };
        assert_eq!(reader.line(), "read\n");
        reader
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line
    }

    /// All that it was signalled since, after which it has ended.
    fn ended(mut self) -> Vec<String> {
        signal(self.child.id(), Signal::TERM);
        self.says.by_ref().lines().map(Result::unwrap).collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn changed(record: &Record) -> bool {
    record["op"] == "change"
}

/// A host with two secrets, and a scope with a file for the first.
fn host(on_change: &str) -> Host {
    let mut host = Host::new();
    host.set("one", b"one");
    host.set("two", b"two");
    show(&host, "one", on_change);
    host.mount();
    host
}

fn show(host: &Host, secret: &str, on_change: &str) {
    let scope = format!(
        "[scope.s]\nallow = {{ uid = 0 }}\non_change = {on_change}\n\
         file.a = \"local:{secret}\"\nfile.b = \"local:{secret}\"\nfile.c = \"local:one\"\n"
    );
    host.configure("", &scope);
}

fn reload(host: &Host) {
    let output = host.reload();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn those_who_hold_what_a_file_showed_before_are_signalled_once_and_nobody_else() {
    let on_change = "{ signal = \"SIGHUP\" }";
    let host = host(on_change);
    let mut both = Reader::of(&[host.file("s/a"), host.file("s/b")]);
    let other = Reader::of(&[host.file("s/c")]);
    let mut gone = Reader::of(&[host.file("s/a")]);
    gone.child.kill().unwrap();
    gone.child.wait().unwrap();
    // Only a stat: that is not reading.
    let mut looked = Reader::of(&[]);
    assert!(host.file("s/a").metadata().unwrap().len() > 0);
    show(&host, "two", on_change);
    reload(&host);
    assert_eq!(both.line(), "SIGHUP\n");
    for path in ["s/a", "s/b"] {
        let record = host.recorded("the change", |record| changed(record) && record["path"] == path);
        assert_eq!(record["outcome"], "allowed");
        assert_eq!(record["reason"], "signalled 1 process with SIGHUP", "{record}");
        assert_eq!(record["pid"], host.daemon_pid());
        assert_eq!(record["scope"], "s");
    }
    assert_eq!(both.ended(), [""; 0], "once for both files");
    assert_eq!(other.ended(), [""; 0], "what it read is what it was");
    signal(looked.child.id(), Signal::USR1);
    assert_eq!(looked.line(), "SIGUSR1\n", "it read nothing");
    assert_eq!(host.audit().iter().filter(|record| changed(record)).count(), 2, "of s/c nothing changed");
}

#[test]
fn who_has_opened_the_new_one_meanwhile_is_not_signalled() {
    let on_change = "{ signal = \"SIGHUP\" }";
    let host = host(on_change);
    let file = host.file("s/a");
    let program = "import signal, sys\n\
                   signal.signal(signal.SIGHUP, lambda *_: print('SIGHUP', flush=True))\n\
                   open(sys.argv[1]).read(); print('read', flush=True)\n\
                   while open(sys.argv[1]).read() != 'two': pass\n\
                   print('new', flush=True)\n\
                   while True: signal.pause()";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(says.next().unwrap().unwrap(), "read");
    show(&host, "two", on_change);
    reload(&host);
    let record = host.recorded("the change", |record| changed(record) && record["path"] == "s/a");
    assert_eq!(record["reason"], "no process to signal with SIGHUP: none holds an older version");
    assert_eq!(says.next().unwrap().unwrap(), "new");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(says.next().is_none());
}

#[test]
fn a_program_runs_as_its_user_with_what_changed_and_nothing_else() {
    let mut host = Host::new();
    host.set("one", b"canary-one");
    host.set("two", b"canary-two");
    let script =
        "#!/bin/sh\nenv | sort\nid -u\nid -G\nls /proc/self/fd\nulimit -n\npwd\necho \"$1\" >&2\nexit 3\n";
    host.write("notify", script.as_bytes(), 0o755);
    let notify = host.path("notify");
    let on_change = format!("{{ run = [\"{}\", \"an arg; true\"], user = \"daemon\" }}", notify.display());
    show(&host, "one", &on_change);
    host.mount();
    let mut reader = Reader::of(&[host.file("s/a")]);
    // A pinned version is known before anybody opens it.
    show(&host, "two?version=1", &on_change);
    reload(&host);
    let record = host.recorded("the run", |record| changed(record) && record["path"] == "s/a");
    assert_eq!(record["outcome"], "failed");
    assert_eq!(record["version"], "1");
    assert_eq!(record["reason"], format!("{} failed: exit code 3", notify.display()));
    host.recorded("the run for the other file", |record| changed(record) && record["path"] == "s/b");
    let log = host.log();
    for said in ["HUSHFS_PATH=s/a", "HUSHFS_PATH=s/b", "HUSHFS_VERSION=1", "PWD=/", "an arg; true", "1024"] {
        assert!(log.contains(said), "{said}\n{log}");
    }
    let said = log.lines().find(|line| line.contains("HUSHFS_PATH=s/a")).unwrap();
    let said = said.replace("\\n", " ").replace('\n', " ");
    assert!(said.contains(" 0 1 2 3 1024 "), "three descriptors, and that of ls: {said}");
    for unsaid in ["HOME", "USER", "PATH=/", "HUSHFS_CONFIG"] {
        assert!(!said.contains(unsaid), "{unsaid}\n{said}");
    }
    assert!(!log.contains("canary"));
    signal(reader.child.id(), Signal::USR1);
    assert_eq!(reader.line(), "SIGUSR1\n", "a run signals nobody");
}

#[test]
fn a_program_that_does_not_end_is_killed_and_one_that_cannot_be_started_is_told() {
    let mut host = Host::new();
    host.set("one", b"one");
    host.set("two", b"two");
    let on_change = "[{ run = [\"/bin/sleep\", \"600\"], user = \"daemon\", timeout = \"200ms\" }, \
                     { run = [\"NONE\"], user = \"daemon\" }]";
    host.write("none", b"", 0o644);
    let on_change = &on_change.replace("NONE", host.path("none").to_str().unwrap());
    show(&host, "one", on_change);
    host.mount();
    show(&host, "two", on_change);
    reload(&host);
    let of = |what: &'static str| {
        move |record: &Record| {
            changed(record) && record["path"] == "s/a" && record["reason"].as_str().unwrap().contains(what)
        }
    };
    let late = host.recorded("a program that was killed", of("/bin/sleep"));
    assert_eq!(late["outcome"], "failed");
    assert!(late["reason"].as_str().unwrap().ends_with("and was killed"), "{late}");
    let cannot = host.recorded("a program that is none", of("/none "));
    assert!(cannot["reason"].as_str().unwrap().contains("cannot be started"), "{cannot}");
}

/// A bus of its own with something in systemd's place on it: systemd itself runs only as the first process of a host. That the
/// real one takes the same calls was seen by hand.
struct Bus {
    daemon: Child,
    systemd: Child,
    calls: BufReader<ChildStdout>,
}

const SYSTEMD: &str = r#"
import sys, dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(sys.argv[1])
IFACE = 'org.freedesktop.systemd1.Manager'
class Manager(dbus.service.Object):
    number = 0
    @dbus.service.method(IFACE)
    def Subscribe(self):
        print('Subscribe', flush=True)
    def job(self, verb, unit, mode):
        print(verb, unit, mode, flush=True)
        if unit == 'missing.service':
            raise dbus.DBusException('Unit missing.service not found.', name='org.freedesktop.systemd1.NoSuchUnit')
        Manager.number += 1
        path = '/org/freedesktop/systemd1/job/%d' % Manager.number
        result = 'failed' if unit == 'bad.service' else 'done'
        # The end of another's job comes first.
        self.JobRemoved(7, '/org/freedesktop/systemd1/job/4711', 'other.service', 'timeout')
        GLib.timeout_add(50, lambda: self.JobRemoved(Manager.number, path, unit, result))
        return dbus.ObjectPath(path)
    @dbus.service.method(IFACE, in_signature='ss', out_signature='o')
    def ReloadUnit(self, unit, mode):
        return self.job('ReloadUnit', unit, mode)
    @dbus.service.method(IFACE, in_signature='ss', out_signature='o')
    def RestartUnit(self, unit, mode):
        return self.job('RestartUnit', unit, mode)
    @dbus.service.signal(IFACE, signature='uoss')
    def JobRemoved(self, number, job, unit, result):
        pass
name = dbus.service.BusName('org.freedesktop.systemd1', bus)
manager = Manager(bus, '/org/freedesktop/systemd1')
print('ready', flush=True)
GLib.MainLoop().run()
"#;

impl Bus {
    fn at(socket: &Path) -> (Self, String) {
        let address = format!("unix:path={}", socket.display());
        let daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--address", &address])
            .stdin(Stdio::null())
            .spawn()
            .expect("this test needs dbus-daemon: apt-get install dbus");
        let since = Instant::now();
        while !socket.exists() {
            assert!(since.elapsed() < Duration::from_secs(10), "dbus-daemon does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut systemd = Command::new("/usr/bin/python3")
            .args(["-c", SYSTEMD, &address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let calls = BufReader::new(systemd.stdout.take().unwrap());
        let mut bus = Self { daemon, systemd, calls };
        assert_eq!(bus.call(), "ready", "this test needs apt-get install python3-dbus python3-gi");
        (bus, address)
    }

    fn call(&mut self) -> String {
        let mut line = String::new();
        self.calls.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in [&mut self.systemd, &mut self.daemon] {
            let _ = child.kill();
            ends_within(child, Duration::from_secs(5));
        }
    }
}

#[test]
fn systemd_is_asked_once_for_all_files_that_change_at_once_and_its_answer_is_on_record() {
    let mut host = Host::new();
    host.set("one", b"one");
    host.set("two", b"two");
    let (mut bus, address) = Bus::at(&host.path("bus"));
    host.with_variable("DBUS_SYSTEM_BUS_ADDRESS", &address);
    let on_change = "[{ reload = \"nginx\" }]";
    show(&host, "one", on_change);
    host.mount();
    show(&host, "two", on_change);
    reload(&host);
    assert_eq!([bus.call(), bus.call()], ["Subscribe", "ReloadUnit nginx.service replace"]);
    for path in ["s/a", "s/b"] {
        let record = host.recorded("the reload", |record| changed(record) && record["path"] == path);
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&"allowed".into(), &"nginx.service reloaded".into())
        );
    }
    // Both at once, and neither goes well.
    let on_change = "[{ restart = \"bad.service\" }, { restart = \"missing.service\" }]";
    show(&host, "one", on_change);
    reload(&host);
    let mut calls: Vec<_> = (0..4).map(|_| bus.call()).collect();
    calls.sort();
    assert_eq!(
        calls,
        ["RestartUnit bad.service replace", "RestartUnit missing.service replace", "Subscribe", "Subscribe"]
    );
    for why in [
        "systemd did not restart bad.service: its job ended as `failed`",
        "systemd did not restart missing.service: Unit missing.service not found.",
    ] {
        let record = host.recorded(why, |record| changed(record) && record["reason"] == why);
        assert_eq!(record["outcome"], "failed");
    }
}

#[test]
fn without_a_bus_that_is_on_record() {
    let mut host = Host::new();
    host.set("one", b"one");
    host.set("two", b"two");
    host.with_variable("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let on_change = "{ reload = \"nginx.service\" }";
    show(&host, "one", on_change);
    host.mount();
    show(&host, "two", on_change);
    reload(&host);
    let record = host.recorded("the reload", changed);
    assert_eq!(record["outcome"], "failed");
    assert!(
        record["reason"].as_str().unwrap().starts_with("systemd did not reload nginx.service: "),
        "{record}"
    );
}
