//! What looks like a container and is none, and a container that looks like somebody else.

use std::path::PathBuf;

use crate::docker::Docker;
use crate::image::IMAGE;
use crate::rules::host;
use crate::support::{Host, python, says};

/// A part of each hierarchy of control groups that belongs to uid 1000. Gone when dropped.
struct Delegated(Vec<PathBuf>);

impl Delegated {
    fn new(name: &str) -> Self {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let hierarchy = |line: &str| {
            let mut words = line.split(' ').skip(1);
            let (point, kind) = (words.next()?, words.next()?);
            // A group of cpuset takes nobody before it is set up.
            let usable = kind == "cgroup2" || (kind == "cgroup" && !point.ends_with("cpuset"));
            usable.then(|| PathBuf::from(point).join(name))
        };
        let parts = Self(mounts.lines().filter_map(hierarchy).collect());
        assert!(!parts.0.is_empty(), "no control groups are mounted");
        for part in &parts.0 {
            std::fs::create_dir(part).unwrap();
            for name in ["", "cgroup.procs", "cgroup.threads"] {
                let _ = std::os::unix::fs::chown(part.join(name), Some(1000), Some(1000));
            }
        }
        parts
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for part in &self.0 {
            // Deepest first; a group cannot be removed with its files.
            let mut all = vec![part.clone()];
            let mut at = 0;
            while let Some(dir) = all.get(at).cloned() {
                let inner = std::fs::read_dir(dir).into_iter().flatten().flatten();
                all.extend(inner.filter(|entry| entry.path().is_dir()).map(|entry| entry.path()));
                at += 1;
            }
            for dir in all.iter().rev() {
                let _ = std::fs::remove_dir(dir);
            }
        }
    }
}

#[test]
fn a_process_in_a_group_named_like_a_container_in_a_part_that_its_user_was_given_is_in_none() {
    let docker = Docker::shared();
    let host = host(&docker, &[("a", "label = { role = \"app\" }"), ("b", "image = \"hushfs-test:1\"")]);
    let id = docker.idle(&host, &["--label=role=app"]);
    assert!(docker.reads(&id, "a/token"), "the true one reads");
    let delegated = Delegated::new(&format!("hushfs-test-{}", std::process::id()));
    let program = "
import os, sys
file, path, parts = sys.argv[1], sys.argv[2], sys.argv[3:]
def enter(group):
    with open(group + '/cgroup.procs', 'w') as procs: procs.write(str(os.getpid()))
for part in parts: enter(part)
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
for part in parts:
    os.makedirs(part + path, exist_ok=True)
    enter(part + path)
assert path in open('/proc/self/cgroup').read()
try: print('read', open(file).read())
except OSError as error: print(error.errno)";
    for path in ["docker/ID", "system.slice/docker-ID.scope", "machine.slice/libpod-ID.scope", "ID"] {
        let path = format!("/{}", path.replace("ID", &id));
        let said = says(python(program).arg(host.file("a/token")).arg(&path).args(&delegated.0));
        assert_eq!(said, format!("{}\n", libc::EACCES), "{path}");
    }
    let records = host.audit();
    assert!(records.iter().filter(|r| r["outcome"] == "denied").all(|r| r.get("container").is_none()));
}

#[test]
fn a_container_with_ids_of_its_own_is_known_where_a_rule_names_it_and_else_denied() {
    let container = "container = { label = { role = \"app\" } }";
    let both = format!("uid = 701000, {container}");
    let mut scopes = String::new();
    for (name, rule) in [("uid", "uid = 701000"), ("container", container), ("both", both.as_str())] {
        let scope =
            format!("[scope.{name}]\nmode = \"0444\"\nallow = {{ {rule} }}\nfile.token = \"local:t\"\n");
        scopes.push_str(&scope);
    }
    // Mounted first: this engine's mount namespace is a copy of ours.
    let host = Host::mounted(&[("t", b"a value")], &scopes);
    let ranges = host.path("ranges");
    std::fs::write(&ranges, "www-data:700000:65536\n").unwrap();
    let docker = Docker::with_ranges(&ranges);
    host.configure("", &format!("{}{scopes}", docker.configuration()));
    assert!(host.reload().status.success(), "another runtime takes no restart");
    let run = |scope: &str| {
        let file = format!("/m/{scope}/token");
        docker.run(&host, &["--rm", "--label=role=app", IMAGE, "/bin/cat", &file]).output().unwrap()
    };
    for scope in ["both", "container"] {
        let output = run(scope);
        assert_eq!(output.stdout, b"a value", "{scope}: {output:?} {:?}", host.audit());
    }
    assert_eq!(run("uid").stdout, b"");
    let denied = host.recorded("the denial", |r| r["outcome"] == "denied" && r["op"] == "open");
    assert_eq!((denied["uid"].as_u64(), denied["scope"].as_str()), (Some(701_000), Some("uid")));
    assert!(denied["reason"].as_str().unwrap().contains("another user namespace"), "{denied}");
}
