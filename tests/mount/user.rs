//! Without root: a mount for one user through fusermount3.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{HUSHFS, as_user, ends_within, namespaces, open_errno, says, signal};

/// `nobody`: fusermount3 wants a user that the host knows.
const USER: u32 = 65534;

/// A directory of that user's with a store and a configuration.
struct Home {
    daemon: Option<Child>,
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        // As every distribution sets it, by udev, which containers lack.
        fs::set_permissions("/dev/fuse", fs::Permissions::from_mode(0o666)).unwrap();
        let dir = tempfile::Builder::new().prefix("hushfs-user-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(dir.path(), Some(USER), Some(USER)).unwrap();
        let home = Self { daemon: None, dir };
        let store = home.path("store.age");
        says(home.hushfs(&["store", "init", "--store"]).arg(&store));
        let script = format!("printf 'the value' | {HUSHFS} store set t --store {}", store.display());
        says(home.command("/bin/sh").args(["-c", &script]));
        let at = home.dir.path().display();
        let config = format!(
            "mount = \"{at}/m\"\n{}[provider.local]\nkind = \"store\"\npath = \"store.age\"\n[audit]\nto = \"{at}/audit.log\"\n
             [scope.a]\nallow = {{ uid = {USER} }}\nfile.token = \"local:t\"\n
             [scope.others]\nmode = \"0444\"\nallow = {{ uid = 1 }}\nfile.token = \"local:t\"\n
             [scope.alone]\nallow = {{ uid = {USER}, not_traced = true }}\nfile.token = \"local:t\"\n
             [scope.code]\nallow = {{ uid = {USER}, no_preload = true }}\nfile.token = \"local:t\"\n",
            namespaces()
        );
        fs::write(home.path("hushfs.toml"), config).unwrap();
        fs::set_permissions(home.path("hushfs.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        chown(home.path("hushfs.toml"), Some(USER), Some(USER)).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.uid(USER).gid(USER).stdin(Stdio::null()).current_dir(self.dir.path());
        command
    }

    fn hushfs(&self, args: &[&str]) -> Command {
        let mut command = self.command(HUSHFS);
        command.args(args);
        command
    }

    fn mount(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = self.hushfs(&["mount", "-v", "--config"]);
        let mut daemon = command.arg(self.path("hushfs.toml")).stderr(log).spawn().unwrap();
        let since = Instant::now();
        while !self.log().contains("mounted") {
            let ended = daemon.try_wait().unwrap();
            assert!(
                ended.is_none() && since.elapsed() < Duration::from_secs(10),
                "{ended:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        self.daemon = Some(daemon);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn mounted(&self) -> Option<String> {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let point = self.path("m").display().to_string();
        mounts.lines().find(|line| line.split(' ').nth(1) == Some(&point)).map(str::to_owned)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            signal(daemon.id(), Signal::TERM);
            if ends_within(daemon, Duration::from_secs(5)).is_none() {
                daemon.kill().unwrap();
                daemon.wait().unwrap();
            }
        }
        let _ = rustix::mount::unmount(self.path("m"), rustix::mount::UnmountFlags::DETACH);
    }
}

fn token(home: &Home) -> PathBuf {
    home.path("m/a/token")
}

#[test]
fn the_user_reads_and_the_kernel_keeps_everybody_else_out_root_too() {
    let mut home = Home::new();
    home.mount();
    let line = home.mounted().unwrap();
    for word in ["fuse.hushfs", "ro", "nosuid", "nodev", "noexec"] {
        assert!(line.split([' ', ',']).any(|one| one == word), "{word} is not in {line}");
    }
    assert_eq!(says(home.command("/usr/bin/cat").arg(token(&home))), "the value");
    assert_eq!(says(home.command("/usr/bin/stat").args(["-c", "%s"]).arg(token(&home))), "9\n");
    assert_eq!(open_errno(&token(&home)), Some(libc::EACCES), "root, by the kernel");
    assert!(!as_user(1000, "/usr/bin/cat").arg(token(&home)).output().unwrap().status.success());
    let record = fs::read_to_string(home.path("audit.log")).unwrap();
    assert!(!record.contains("denied"), "the daemon was not asked: {record}");
    assert!(
        home.log().contains("is for uid 65534 alone"),
        "a rule that cannot match is told: {}",
        home.log()
    );
    let denied = home.command("/usr/bin/cat").arg(home.path("m/others/token")).output().unwrap();
    assert!(String::from_utf8_lossy(&denied.stderr).contains("Permission denied"));

    says(home.hushfs(&["reload", "--config"]).arg(home.path("hushfs.toml")));
    let mut daemon = home.daemon.take().unwrap();
    signal(daemon.id(), Signal::TERM);
    let (took, status) = ends_within(&mut daemon, Duration::from_secs(5)).unwrap();
    assert_eq!(status.code(), Some(0), "{}", home.log());
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(home.mounted(), None);
}

#[test]
fn what_talks_to_providers_is_confined_without_root_as_well() {
    let mut home = Home::new();
    home.mount();
    assert_eq!(says(home.command("/usr/bin/cat").arg(token(&home))), "the value");
    let front = home.daemon.as_ref().unwrap().id();
    let tasks = fs::read_dir(format!("/proc/{front}/task")).unwrap().flatten();
    let children: String =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()).collect();
    let status = fs::read_to_string(format!("/proc/{}/status", children.trim())).unwrap();
    let same = format!("Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n");
    for line in [&same, "Seccomp:\t2\n", "NoNewPrivs:\t1\n", "CapPrm:\t0000000000000000\n"] {
        assert!(status.contains(line), "{line}{status}");
    }
    assert!(!home.log().contains("Landlock"), "{}", home.log());
    // Nobody else's user can be asked for.
    let config = fs::read_to_string(home.path("hushfs.toml")).unwrap();
    fs::write(home.path("hushfs.toml"), config + "[fetcher]\nuser = \"daemon\"\n").unwrap();
    let output = home.hushfs(&["check", "--config"]).arg(home.path("hushfs.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("only root can run the fetcher as another user"), "{said}");
}

#[test]
fn who_may_read_a_mount_of_one_user_is_explained() {
    let mut home = Home::new();
    home.mount();
    let config = home.path("hushfs.toml");
    let explained = |args: &[&str]| {
        let mut explain = home.hushfs(&["explain", "--json", "--config"]);
        let output = explain.arg(&config).args(args).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    let told = explained(&["a/token", "--self"]);
    assert_eq!((&told["outcome"], &told["kernel"]["mount_only_for"]), (&"allowed".into(), &USER.into()));
    let told = explained(&["others/token", "--self"]);
    assert_eq!((&told["outcome"], &told["rules_not_shown"]), (&"denied".into(), &0.into()), "all are his");
    // The daemon of a user cannot look into root's processes, and the kernel keeps them out anyway.
    let told = explained(&["a/token", "--pid", &std::process::id().to_string()]);
    assert_eq!((&told["outcome"], &told["kernel"]["passes"]), (&"denied".into(), &false.into()), "{told}");
}

#[test]
fn a_dead_mount_of_the_user_is_cleared_by_the_next_start() {
    let mut home = Home::new();
    home.mount();
    let mut daemon = home.daemon.take().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(home.mounted().is_some());
    home.mount();
    assert_eq!(says(home.command("/usr/bin/cat").arg(token(&home))), "the value");
}

#[test]
fn without_fusermount3_the_package_is_named() {
    let home = Home::new();
    let mut command = home.hushfs(&["mount", "--config"]);
    let output = command.arg(home.path("hushfs.toml")).env("PATH", "/nonexistent").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("fusermount3 is not installed") && said.contains("apt-get install fuse3"),
        "{said}"
    );
    assert_eq!(home.mounted(), None);
}

#[test]
fn a_directory_of_somebody_else_is_refused_with_what_to_do() {
    let home = Home::new();
    let config = fs::read_to_string(home.path("hushfs.toml")).unwrap();
    let at = home.dir.path().display().to_string();
    let elsewhere = Path::new("/usr/hushfs-is-not-to-mount-here");
    fs::write(
        home.path("hushfs.toml"),
        config.replace(&format!("mount = \"{at}/m\""), &format!("mount = \"{}\"", elsewhere.display())),
    )
    .unwrap();
    let output = home.hushfs(&["mount", "--config"]).arg(home.path("hushfs.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("hint") && !elsewhere.exists(), "{said}");
}

#[test]
fn what_takes_root_to_find_out_is_denied_with_that_reason() {
    let mut home = Home::new();
    home.mount();
    let cat = |file: &str| home.command("/usr/bin/cat").arg(home.path("m").join(file)).output().unwrap();
    assert_eq!(cat("alone/token").stdout, b"the value");
    assert!(!cat("code/token").status.success());
    let since = Instant::now();
    let recorded = || fs::read_to_string(home.path("audit.log")).unwrap_or_default();
    while !recorded().contains("CAP_CHECKPOINT_RESTORE, which hushfs does not have") {
        assert!(since.elapsed() < Duration::from_secs(10), "{}", recorded());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn there_is_no_private_mount_and_so_nothing_that_announces_changes() {
    let mut home = Home::new();
    home.mount();
    let pid = home.daemon.as_ref().unwrap().id();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let children: String =
        tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap()).collect();
    let verbs: Vec<_> = children
        .split_whitespace()
        .map(|child| fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap())
        .map(|line| line.split('\0').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(verbs, ["fetcher"]);
    let config = home.path("hushfs.toml");
    let text = fs::read_to_string(&config).unwrap().replacen("local:t", "local:u", 1);
    fs::write(&config, text).unwrap();
    says(home.hushfs(&["reload", "--config"]).arg(&config));
}
