//! A new configuration is applied whole, at once, or not at all.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use crate::support::{HUNG, Host, as_user, open_errno, signal, waits_for_fuse};

const BEFORE: &str = "
    [scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.going = \"local:t\"
    [scope.b]\nallow = { uid = 0 }\nfile.token = \"local:t\"";

fn host() -> Host {
    let host = Host::mounted(&[("t", b"first"), ("u", b"another")], BEFORE);
    // The kernel remembers what was looked up.
    for name in ["a/token", "a/going", "b/token"] {
        assert_eq!(fs::read(host.file(name)).unwrap(), b"first");
    }
    assert_eq!(open_errno(&host.file("a/coming")), Some(libc::ENOENT));
    assert_eq!(open_errno(&host.file("c/token")), Some(libc::ENOENT));
    host
}

fn applied(host: &Host) {
    let output = host.reload();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), host.log());
}

#[test]
fn what_is_added_removed_and_changed_shows_at_once() {
    let host = host();
    let mut held = File::open(host.file("b/token")).unwrap();
    host.configure(
        "",
        "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:u\"\nfile.coming = \"local:t\"
         [scope.c]\nallow = { uid = 0 }\nfile.token = \"local:t\"",
    );
    applied(&host);
    assert_eq!(fs::read(host.file("c/token")).unwrap(), b"first", "a new scope");
    assert_eq!(fs::read(host.file("a/coming")).unwrap(), b"first", "a new file");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"another", "another reference");
    for name in ["a/going", "b/token"] {
        assert_eq!(open_errno(&host.file(name)), Some(libc::ENOENT), "{name}");
        assert_eq!(fs::metadata(host.file(name)).unwrap_err().raw_os_error(), Some(libc::ENOENT), "{name}");
    }
    let names = |dir: &str| {
        let mut names: Vec<_> = fs::read_dir(host.file(dir))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        (names(""), names("a")),
        (vec!["a".into(), "c".into()], vec!["coming".into(), "token".into()])
    );
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    assert_eq!(text, "first", "what is open stays readable, though its name is gone");
    held.rewind().unwrap();
    text.clear();
    held.read_to_string(&mut text).unwrap();
    assert_eq!(text, "first");
    assert_eq!(held.metadata().unwrap().len(), 5, "and fstat of it is exact");
}

#[test]
fn a_file_or_directory_that_went_is_estale_to_who_still_has_a_way_to_it() {
    let host = host();
    let path_only = |name: &str| {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::open(host.file(name), flags, rustix::fs::Mode::empty()).unwrap()
    };
    let (file, dir) = (path_only("b/token"), File::open(host.file("b")).unwrap());
    let by_number = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    assert_eq!(fs::read(&by_number).unwrap(), b"first");
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    applied(&host);
    assert_eq!(fs::read(&by_number).unwrap_err().raw_os_error(), Some(libc::ESTALE));
    let listed = rustix::fs::Dir::new(dir).unwrap().next().unwrap();
    assert_eq!(listed.unwrap_err(), rustix::io::Errno::STALE);
}

#[test]
fn rules_owner_and_mode_apply_at_once() {
    let host = host();
    let read = |uid, name: &str| as_user(uid, "/usr/bin/cat").arg(host.file(name)).output().unwrap().stdout;
    assert_eq!(read(1000, "a/token"), b"");
    host.configure(
        "",
        "[scope.a]\nallow = { uid = 1000 }\nfile.token = \"local:t\"
        [scope.b]\nmode = \"0444\"\nallow = [{ uid = 0 }, { uid = 1000 }]\nfile.token = \"local:t\"",
    );
    applied(&host);
    let meta = |name: &str| fs::metadata(host.file(name)).unwrap();
    assert_eq!((meta("a").uid(), meta("a/token").uid()), (1000, 1000));
    assert_eq!((meta("b").mode() & 0o777, meta("b/token").mode() & 0o777), (0o555, 0o444));
    assert_eq!((read(1000, "a/token"), read(1000, "b/token")), (b"first".to_vec(), b"first".to_vec()));
    assert_eq!(open_errno(&host.file("a/token")), Some(libc::EACCES), "root is in no rule any more");
    host.configure("", BEFORE);
    host.signal(Signal::HUP);
    host.eventually("the old ones are back", || {
        fs::metadata(host.file("b")).unwrap().mode() & 0o777 == 0o500
    });
    assert_eq!(read(1000, "b/token"), b"");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"first");
}

#[test]
fn a_wrong_file_is_refused_whole_and_everything_stays() {
    let host = host();
    let held = File::open(host.file("a/token")).unwrap();
    host.configure("", "[scope.new]\nallow = { uid = 0 }\nfile.token = \"local:t\"\n[scope.wrong]\nallow = { uid = 0 }\nfile.token = \"nowhere:t\"");
    let output = host.reload();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
    host.signal(Signal::HUP);
    host.eventually("the refusal is logged", || host.log().contains("configuration not applied"));
    assert_eq!(open_errno(&host.file("new")), Some(libc::ENOENT));
    for name in ["a/token", "a/going", "b/token"] {
        assert_eq!(fs::read(host.file(name)).unwrap(), b"first");
    }
    assert_eq!(held.metadata().unwrap().len(), 5);
}

#[test]
fn what_takes_a_restart_is_refused_and_everything_stays() {
    let host = host();
    let more = format!("{BEFORE}\n[scope.c]\nallow = {{ uid = 0 }}\nfile.token = \"local:t\"");
    let moved = host.path("elsewhere.sock");
    for (top, limits, word) in [
        (format!("control = \"{}\"", moved.display()), "", "control"),
        (String::new(), "\n[limits]\ndeadline = \"3s\"", "limits"),
    ] {
        host.configure(&top, &format!("{more}{limits}"));
        assert_eq!(host.reload().status.code(), Some(1));
        host.signal(Signal::HUP);
        host.eventually("the refusal is logged", || {
            host.log()
                .lines()
                .any(|line| line.contains("not applied") && line.contains(word) && line.contains("restart"))
        });
        assert_eq!(open_errno(&host.file("c/token")), Some(libc::ENOENT));
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"first");
    }
    host.configure("", &more);
    applied(&host);
    assert_eq!(fs::read(host.file("c/token")).unwrap(), b"first");
}

#[test]
fn a_working_directory_in_an_unchanged_scope_stays_one() {
    let host = host();
    let before = fs::metadata(host.file("a")).unwrap().ino();
    let mut shell = std::process::Command::new("/bin/bash");
    let script = "cd $0 && echo in && read && cat token && pwd -P && ls";
    let mut shell = shell
        .args(["-c", script])
        .arg(host.file("a"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(shell.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    host.configure("", &format!("{BEFORE}\n[scope.c]\nallow = {{ uid = 0 }}\nfile.token = \"local:t\""));
    applied(&host);
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), b"\n").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(shell.wait().unwrap().success());
    assert_eq!(rest, format!("first{}\ngoing\ntoken\n", host.file("a").display()));
    assert_eq!(fs::metadata(host.file("a")).unwrap().ino(), before);
}

#[test]
fn a_provider_that_hung_is_mended_by_a_reload_at_once() {
    let mut host = Host::new();
    host.set("t", b"first");
    host.hang();
    let scope = "[limits]\ndeadline = \"20s\"\nstat_wait = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"hung:t\"";
    host.configure("", &format!("{scope}{HUNG}"));
    host.mount();
    let mut reader = std::process::Command::new("/usr/bin/cat").arg(host.file("a/token")).spawn().unwrap();
    host.eventually("the reader waits for the value", || {
        waits_for_fuse(reader.id()) && host.audit().iter().any(|record| record["op"] == "stat")
    });
    host.configure("", &format!("{scope}{}", HUNG.replace("hang/demo/hang", "store.age")));
    applied(&host);
    let since = std::time::Instant::now();
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"first");
    assert!(
        since.elapsed() < std::time::Duration::from_secs(5),
        "not after the old one's deadline: {:?}",
        since.elapsed()
    );
    signal(reader.id(), Signal::KILL);
    reader.wait().unwrap();
}

#[test]
fn what_is_bound_elsewhere_from_an_unchanged_scope_stays_bound() {
    let host = host();
    let elsewhere = host.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let bind = std::process::Command::new("mount")
        .arg("--bind")
        .arg(host.file("a"))
        .arg(&elsewhere)
        .status()
        .unwrap();
    assert!(bind.success());
    assert!(!as_user(1000, "/usr/bin/stat").arg(host.file("a/token")).output().unwrap().status.success());
    host.configure("", "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.going = \"local:t\"");
    applied(&host);
    let read = fs::read(elsewhere.join("token"));
    let undone = rustix::mount::unmount(&elsewhere, rustix::mount::UnmountFlags::DETACH);
    assert_eq!(read.unwrap(), b"first");
    undone.expect("it was still mounted");
}

#[test]
fn a_reload_of_another_file_is_refused() {
    let host = host();
    let text = fs::read(host.path("hushfs.toml")).unwrap();
    host.write("other.toml", &text, 0o600);
    let asked = host.run(&["reload", "--config", host.path("other.toml").to_str().unwrap()], b"");
    let said = String::from_utf8_lossy(&asked.stderr);
    assert_eq!(asked.status.code(), Some(1), "{said}");
    assert!(said.contains("hushfs.toml"), "it names the file that is served: {said}");
}

#[test]
fn a_file_of_a_new_provider_is_there_with_its_provider_or_not_at_all() {
    let host = host();
    let more = "[provider.other]\nkind = \"store\"\npath = \"store.age\"\n\
        [scope.new]\nallow = { uid = 0 }\nfile.token = \"other:t\"";
    for _ in 0..40 {
        host.configure("", BEFORE);
        assert!(host.reload().status.success());
        assert_eq!(open_errno(&host.file("new/token")), Some(libc::ENOENT));
        std::thread::scope(|scope| {
            let opens = || {
                loop {
                    match open_errno(&host.file("new/token")) {
                        None => return,
                        errno => assert_eq!(errno, Some(libc::ENOENT), "{}", host.log()),
                    }
                }
            };
            let openers: Vec<_> = (0..4).map(|_| scope.spawn(opens)).collect();
            host.configure("", &format!("{BEFORE}\n{more}"));
            assert!(host.reload().status.success());
            openers.into_iter().for_each(|opener| opener.join().unwrap());
        });
    }
}
