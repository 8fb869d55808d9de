//! Providers that start programs: beside the sandbox, in a process that is there only while one of them is configured.

use std::fs;
use std::os::unix::fs::chown;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Host, signal};

const SCOPES: &str =
    "[cache]\nfresh_for = \"1ms\"\n[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"\n";
const MORE: &str = "file.asked = \"asked:some/path\"\n[provider.asked]\nkind = \"command\"\nprogram = \"program\"\nuser = \"nobody\"\n";

fn host() -> Host {
    let host = Host::new();
    host.set("t", b"the value");
    let script = "#!/bin/sh\nread -r question\nuid=$(id -u)\necho \"{\\\"values\\\": {\\\"uid\\\": \\\"$uid\\\", \\\"shadow\\\": \\\"$(cat /etc/shadow 2>/dev/null | wc -c)\\\"}}\"\n";
    host.write("program", script.as_bytes(), 0o755);
    host
}

fn more(host: &Host) -> String {
    format!("{SCOPES}{}", MORE.replace("\"program\"", &format!("\"{}\"", host.path("program").display())))
}

/// The processes in which providers run, by whether they are in the sandbox.
fn processes(host: &Host, confined: bool) -> Vec<u32> {
    let wanted = if confined { "Seccomp:\t2" } else { "Seccomp:\t0" };
    let tasks = fs::read_dir(format!("/proc/{}/task", host.daemon_pid())).unwrap().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids = children
        .flat_map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>());
    let is = |pid: &u32| {
        let of = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        of("cmdline").contains("fetcher")
            && of("status").contains(wanted)
            && of("status").contains("NoNewPrivs:\t1")
            && !of("stat").contains(") Z ")
    };
    pids.filter(is).collect()
}

#[test]
fn a_program_is_asked_as_its_user_by_a_process_with_the_rights_for_that_alone() {
    let mut host = host();
    host.configure("", &more(&host));
    host.mount();
    assert_eq!(fs::read_to_string(host.file("a/asked")).unwrap(), "{\"shadow\":\"0\",\"uid\":\"65534\"}");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
    let (confined, programs) = (processes(&host, true), processes(&host, false));
    assert_eq!((confined.len(), programs.len()), (1, 1), "{confined:?} {programs:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", programs[0])).unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let lock_memory = 1_u64 << 14;
    // CAP_KILL, CAP_SETGID, CAP_SETUID.
    assert_eq!(
        u64::from_str_radix(effective, 16).unwrap() & !lock_memory,
        1 << 5 | 1 << 6 | 1 << 7,
        "{status}"
    );
}

#[test]
fn its_process_comes_and_goes_with_the_provider_and_is_started_again_when_it_dies() {
    let mut host = host();
    host.configure("", SCOPES);
    host.mount();
    assert_eq!(processes(&host, false).len(), 0);
    host.configure("", &more(&host));
    assert!(host.reload().status.success(), "{}", host.log());
    assert!(fs::read_to_string(host.file("a/asked")).unwrap().contains("65534"));
    let first = processes(&host, false);
    assert_eq!(first.len(), 1);
    signal(first[0], Signal::KILL);
    assert!(fs::read_to_string(host.file("a/asked")).unwrap().contains("65534"));
    host.configure("", SCOPES);
    assert!(host.reload().status.success(), "{}", host.log());
    host.eventually("it is gone", || processes(&host, false).is_empty());
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"the value");
}

#[test]
fn a_program_ends_with_the_daemon() {
    let mut host = host();
    let script = format!("#!/bin/sh\necho $$ > {}/pid\nexec sleep 60\n", host.path("open").display());
    host.write("program", script.as_bytes(), 0o755);
    fs::create_dir(host.path("open")).unwrap();
    chown(host.path("open"), Some(65534), Some(65534)).unwrap();
    host.configure("", &more(&host));
    host.mount();
    let mut reader = std::process::Command::new("/usr/bin/cat").arg(host.file("a/asked")).spawn().unwrap();
    host.eventually("the program runs", || {
        fs::read_to_string(host.path("open/pid")).is_ok_and(|pid| pid.ends_with('\n'))
    });
    let pid = fs::read_to_string(host.path("open/pid")).unwrap();
    host.signal(Signal::KILL);
    host.ends_within(Duration::from_secs(5));
    host.eventually("the program is gone", || {
        !fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
    });
    reader.wait().unwrap();
}

#[test]
fn a_program_that_others_could_exchange_is_refused() {
    let host = host();
    host.configure("", &more(&host));
    assert!(host.run(&["check"], b"").status.success());
    chown(host.path("program"), Some(1000), None).unwrap();
    let said = String::from_utf8(host.run(&["check"], b"").stderr).unwrap();
    assert!(said.contains("belongs to uid 1000") && said.contains("chown 0"), "{said}");
    chown(host.path("program"), Some(0), None).unwrap();
    host.write("program", b"#!/bin/sh\n", 0o777);
    let said = String::from_utf8(host.run(&["check"], b"").stderr).unwrap();
    assert!(said.contains("others can write to it") && said.contains("chmod go-w"), "{said}");
}
