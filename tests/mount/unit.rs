//! Rules that name a unit or a slice of systemd: real control groups, and what a user who was lent some makes of them.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hushfs::identity::{Attestor, Caller, Tid};
use hushfs::sys::pidfd;

use crate::groups::{Groups, enter, inside};
use crate::support::{Host, says};

/// A host with one scope for each of these rules: `a`, `b` and so on.
fn host(rules: &[&str]) -> Host {
    let scope = |(name, rule): (char, &&str)| {
        format!("[scope.{name}]\nmode = \"0444\"\nallow = {{ {rule} }}\nfile.token = \"local:t\"\n")
    };
    let scopes: String = ('a'..).zip(rules).map(scope).collect();
    Host::mounted(&[("t", b"the value")], &scopes)
}

/// Prints the scopes that can be read.
const READS: &str = "for s in \"$0\"/*; do [ \"$(cat $s/token 2>/dev/null)\" = 'the value' ] && printf %s ${s##*/}; done; true";

/// The scopes that a process of `uid` in `group` can read.
fn readable(host: &Host, group: &Path, uid: u32) -> String {
    says(inside(group, uid, "/bin/bash").args(["-c", READS]).arg(host.file("")))
}

#[test]
fn a_unit_may_read_and_what_it_fills_below_only_where_the_rule_says_so() {
    let slice = Groups::slice();
    let host = host(&[
        "unit = \"one.service\"",
        "unit = \"one.service/main\"",
        "unit = \"one.service/*\"",
        "unit = \"w@*.service\"",
        &format!("slice = \"{}\"", slice.name()),
        "uid = 1000, unit = \"one.service\"",
    ]);
    for (group, scopes) in [
        ("one.service", "acef"),
        ("one.service/.control", "acef"),
        ("one.service/main", "bce"),
        ("one.service/main/one.service", "ce"),
        ("x.slice/one.service", "acef"),
        ("two.service", "e"),
        ("two.service/one.service", "e"),
        ("two.service/system.slice/one.service", "e"),
        ("system-w.slice/w@1.service", "de"),
        ("w.service", "e"),
        ("two.scope/w@1.service", "e"),
        ("lent/one.service", ""),
        ("", ""),
    ] {
        assert_eq!(readable(&host, &slice.make(group), 1000), scopes, "{group}");
    }
    assert_eq!(readable(&host, &slice.make("one.service"), 1001), "ace", "another uid");
    let record =
        host.recorded("a read by one.service", |r| r["path"] == "a/token" && r["outcome"] == "allowed");
    assert_eq!((&record["unit"], &record["rule"]), (&"one.service".into(), &"a.1".into()));
    let below = host.recorded("a read from below", |r| r["path"] == "b/token" && r["outcome"] == "allowed");
    assert_eq!(below["unit"], "one.service");
}

#[test]
fn a_unit_that_has_the_name_of_a_controller_is_known_by_its_own_name() {
    let slice = Groups::slice();
    let host = host(&["unit = \"memory.service\"", "unit = \"_memory.service\""]);
    assert_eq!(readable(&host, &slice.make("_memory.service"), 1000), "a");
    assert_eq!(readable(&host, &slice.make("__memory.service"), 1000), "b");
}

#[test]
fn a_unit_of_a_user_is_known_beside_that_user_only() {
    const USER: u32 = 54321;
    let user = Groups::at_path(&format!("user.slice/user-{USER}.slice"));
    let manager = format!("user@{USER}.service");
    user.lend(&manager, USER);
    let host = host(&[
        &format!("uid = {USER}, user_unit = \"app.service\""),
        "uid = 1000, user_unit = \"app.service\"",
        "unit = \"app.service\"",
        &format!("unit = \"{manager}/init.scope\""),
    ]);
    assert_eq!(readable(&host, &user.make(&format!("{manager}/app.slice/app.service")), USER), "a");
    assert_eq!(readable(&host, &user.make(&format!("{manager}/app.slice/app.service/x")), USER), "");
    assert_eq!(readable(&host, &user.make(&format!("{manager}/app.slice/app.service")), 1000), "");
    assert_eq!(readable(&host, &user.make(&format!("{manager}/init.scope")), USER), "d");
}

#[test]
fn a_process_that_is_moved_is_known_by_where_it_is_now() {
    let slice = Groups::slice();
    let (one, two) = (slice.make("one.service"), slice.make("two.service"));
    let host = host(&["unit = \"one.service\""]);
    let script = "while read -r; do read -r value 2>/dev/null < $0; echo ${value-denied}; unset value; done 2>/dev/null";
    let mut reader = inside(&one, 1000, "/bin/bash");
    let reader = reader.args(["-c", script]).arg(host.file("a/token"));
    let mut reader = reader.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = reader.stdin.take().unwrap();
    let mut from = BufReader::new(reader.stdout.take().unwrap()).lines();
    let mut read_again = || {
        to.write_all(b"\n").unwrap();
        from.next().unwrap().unwrap()
    };
    for round in 0..3 {
        assert_eq!(read_again(), "the value", "round {round}");
        assert_eq!(read_again(), "the value", "remembered, round {round}");
        enter(&two, reader.id());
        assert_eq!(read_again(), "denied", "round {round}");
        // Where cgroup v2 is all there is, the move is noticed by this number. Before Linux 6.13 nothing tells it.
        if let Ok(told) = pidfd::open_thread(reader.id()).and_then(|fd| pidfd::info(fd.as_fd())) {
            assert_eq!(told.cgroup, two.metadata().unwrap().ino());
        }
        enter(&one, reader.id());
    }
    drop(to);
    reader.wait().unwrap();
}

#[test]
fn a_move_in_any_hierarchy_of_cgroup_v1_makes_another_identity() {
    let slices = Groups::slices_of_v1();
    let lines = std::fs::read_to_string("/proc/self/cgroup").unwrap().lines().count();
    assert!(!slices.is_empty() || lines == 1, "there is cgroup v1, and no hierarchy of it was found");
    let mut process = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let attestor = Attestor::new().unwrap();
    let caller = Caller { tid: Tid(process.id()), uid: 0, gid: 0 };
    let mut known = attestor.identify(caller).unwrap();
    assert!(Arc::ptr_eq(&known, &attestor.identify(caller).unwrap()));
    for slice in &slices {
        enter(&slice.make("a.service"), process.id());
        let now = attestor.identify(caller).unwrap();
        assert_ne!(now, known);
        let path = format!("/{}/a.service", slice.name());
        assert!(now.cgroup.memberships().any(|one| one.path == path), "{path}: {:?}", now.cgroup);
        known = now;
    }
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn whoever_was_lent_groups_can_name_them_as_he_likes_and_is_what_he_was() {
    let slice = Groups::slice();
    let real = slice.make("real.service");
    let unit = slice.lend("lent.service", 1000);
    let outside = slice.lend("lent", 1000);
    let host = host(&["unit = \"real.service\"", "unit = \"lent.service\"", "slice = \"real.slice\""]);
    let program = "
import errno, os, sys
mount, lent, real = sys.argv[1:]
def move(group):
    os.makedirs(group, exist_ok=True)
    try: open(group + '/cgroup.procs', 'w').write('0')
    except OSError as error: return errno.errorcode[error.errno]
def reads():
    found = ''
    for scope in 'abc':
        try: found += scope if open(f'{mount}/{scope}/token').read() else '?'
        except PermissionError: pass
    return found or '-'
said = []
for name in ['system.slice/real.service', 'real.service', 'real.slice/x.service', 'init.scope', 'real.service (deleted)']:
    assert move(f'{lent}/{name}') is None
    said.append(reads())
said.append(move(real))
assert move(lent) is None
said.append(reads())
print(*said)";
    let attack = |lent: &Path| {
        let mut python = inside(lent, 1000, "/usr/bin/python3");
        says(python.args(["-c", program]).arg(host.file("")).arg(lent).arg(&real))
    };
    // Back in the group of the unit that he was lent: that is his to enter.
    assert_eq!(attack(&unit), "- - - - - EACCES b\n");
    assert_eq!(attack(&outside), "- - - - - EACCES -\n");
    let denied = host.recorded("a denial", |r| r["outcome"] == "denied");
    assert_eq!(denied["unit"], "lent.service", "the record says whose groups they are");
}

#[test]
fn a_namespace_of_control_groups_hides_nothing_from_the_host() {
    let slice = Groups::slice();
    let host = host(&["unit = \"real.service\""]);
    // The root of the namespace is where it is made, so what the process sees of itself is `/system.slice/real.service`.
    let script = "read -r at < <(grep ^0:: /proc/self/cgroup) && echo \"$at\" && cat \"$0\" 2>/dev/null || echo denied";
    let within = |root: &Path, group: &Path| {
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec unshare --cgroup /bin/bash -c \
            'echo $$ > \"$0/cgroup.procs\" && exec setpriv --reuid 1000 --regid 1000 --clear-groups \"$@\"' \"$@\"";
        let mut command = Command::new("/bin/bash");
        command.args(["-c", enter]).arg(root).arg(group).args(["/bin/bash", "-c", script]);
        says(command.arg(host.file("a/token")))
    };
    let forged = within(&slice.make("lent"), &slice.make("lent/system.slice/real.service"));
    assert_eq!(forged, "0::/system.slice/real.service\ndenied\n");
    let genuine = within(&slice.make("real.service"), &slice.make("real.service"));
    assert_eq!(genuine, "0::/\nthe value");
}

#[test]
fn in_a_user_namespace_of_its_own_the_unit_still_holds_and_nothing_that_can_be_forged_there() {
    let slice = Groups::slice();
    let host = host(&[
        "unit = \"one.service\"",
        "uid = 1000, unit = \"one.service\"",
        &format!("slice = \"{}\"", slice.name()),
        "uid = 1000",
        "unit = \"one.service\", exe = \"/usr/bin/cat\"",
        "uid = 1001, unit = \"one.service\"",
    ]);
    let group = slice.make("one.service");
    assert_eq!(readable(&host, &group, 1000), "abcde");
    let mut unshared = inside(&group, 1000, "/usr/bin/unshare");
    unshared.args(["--user", "--map-root-user", "/bin/bash", "-c", READS]).arg(host.file(""));
    assert_eq!(says(&mut unshared), "abc");
    let reason = |scope: &str| {
        let denied = host.recorded("the denial", |record| {
            record["scope"] == scope
                && record["outcome"] == "denied"
                && record["other_user_namespace"] == true
        });
        denied["reason"].as_str().unwrap().to_owned()
    };
    for scope in ["d", "e"] {
        assert_eq!(reason(scope), "the caller is in another user namespace", "{scope}");
    }
    assert_eq!(reason("f"), "no rule matches");
}
