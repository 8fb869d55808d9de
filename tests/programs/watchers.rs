//! Programs and libraries that watch files: each notices every one of three changes, and reads the new value when it does.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;

use crate::host::{Program, USER, started};
use crate::support::{Host, signal};

const NODE: &[Program] = &[("node", "nodejs")];

/// What the file shows in turn.
const VALUES: [&str; 4] = ["first", "another one", "third", "first"];

fn configure(host: &Host, value: usize) {
    let scope = format!("[scope.app]\nallow = {{ uid = {USER} }}\nfile.token = \"local:v{value}\"");
    host.configure("", &scope);
}

/// A script with all that it started. Ends when dropped: `timeout`, which runs it, passes the signal on to all of them.
struct Watcher(Child);

impl Drop for Watcher {
    fn drop(&mut self) {
        signal(self.0.id(), Signal::TERM);
        self.0.wait().unwrap();
    }
}

/// A script that watches `watched` of the mount and prints a line with the value whenever it is told of a change.
#[track_caller]
fn notices(needs: &[Program], watched: &str, script: &str) {
    let mut host = Host::new();
    for (at, value) in VALUES.iter().enumerate() {
        host.set(&format!("v{at}"), value.as_bytes());
    }
    configure(&host, 0);
    host.mount();
    let mut watcher = Watcher(started(&host, needs, script));
    let lines = BufReader::new(watcher.0.stdout.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    let reads = std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    // A shell may be between two commands that watch.
    let watch = || {
        let since = std::time::Instant::now();
        while !host.is_watched(watched) {
            assert!(since.elapsed() < Duration::from_secs(25), "nobody watches {watched}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    for (at, value) in VALUES.iter().enumerate().skip(1) {
        watch();
        configure(&host, at);
        assert!(host.reload().status.success(), "{}", host.log());
        // One change may be several events, and so several lines: that of the value is one of them.
        loop {
            match told.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line == *value => break,
                Ok(line) => assert!(VALUES.contains(&line.as_str()), "{line:?} is no value"),
                Err(_) => panic!("the change to {value:?} was not noticed"),
            }
        }
        // chokidar leaves out what happens within 50 ms of what it told of last, on any file system.
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(watcher);
    drop(told);
    reads.join().unwrap().ok();
}

#[test]
fn inotifywait_notices_by_the_file_and_by_the_directory() {
    let needs: &[Program] = &[("inotifywait", "inotify-tools")];
    for watched in ["token", ""] {
        let script = format!(
            "inotifywait -q -m -e close_write --format %e \"$F/{watched}\" | while read -r; do cat $F/token; echo; done"
        );
        notices(needs, &format!("app/{watched}"), &script);
    }
}

#[test]
fn node_notices_by_fs_watch_of_the_file_and_of_the_directory() {
    for watched in ["token", ""] {
        let script = format!(
            "exec node -e 'const fs = require(\"fs\"), f = process.argv[1];
            fs.watch(f + \"/{watched}\", (event, name) => {{
                if (event === \"change\" && name === \"token\") console.log(fs.readFileSync(f + \"/token\", \"utf8\"))
            }})' $F"
        );
        notices(NODE, &format!("app/{watched}"), &script);
    }
}

#[test]
fn chokidar_notices() {
    let script = "export NODE_PATH=/usr/share/nodejs; exec node -e 'const fs = require(\"fs\"), f = process.argv[1];
        require(\"chokidar\").watch(f + \"/token\").on(\"change\", f => console.log(fs.readFileSync(f, \"utf8\")))' $F";
    notices(NODE, "app/token", script);
}

#[test]
fn python_watchdog_notices() {
    let script = "exec /usr/bin/python3 - $F <<'EOF'
import sys, time
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer
file = sys.argv[1] + '/token'
class Handler(FileSystemEventHandler):
    def on_closed(self, event):
        if event.src_path == file: print(open(file).read(), flush=True)
observer = Observer()
observer.schedule(Handler(), sys.argv[1])
observer.start()
observer.join()
EOF";
    notices(&[("python3", "python3-watchdog")], "app/", script);
}

#[test]
fn go_fsnotify_notices() {
    let program = "package main
import (\"fmt\"; \"os\"; \"github.com/fsnotify/fsnotify\")
func main() {
    watcher, err := fsnotify.NewWatcher()
    if err != nil { panic(err) }
    if err := watcher.Add(os.Args[1]); err != nil { panic(err) }
    for event := range watcher.Events {
        if !event.Has(fsnotify.Write) { continue }
        value, err := os.ReadFile(os.Args[1])
        if err != nil { panic(err) }
        fmt.Println(string(value))
    }
}";
    let script = format!(
        "mkdir watch; cat > watch/main.go <<'EOF'\n{program}\nEOF\n\
         GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$PWD/cache go build -o watcher ./watch\nexec ./watcher $F/token"
    );
    notices(&[("go", "golang-go")], "app/token", &script);
}
