//! What all engines here have in common: the image, and traces to remove.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::mount::{UnmountFlags, unmount};

/// The name of the image that all containers are of.
pub(crate) const IMAGE: &str = "hushfs-test:1";

/// Runs `import` with an archive of busybox, and nothing else, on its standard input.
pub(crate) fn import(dir: &Path, mut import: Command) -> Output {
    let bin = dir.join("image/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect("apt-get install busybox-static");
    for applet in ["sh", "cat", "sleep"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
    }
    let mut tar = Command::new("tar");
    let mut tar =
        tar.arg("-C").arg(dir.join("image")).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
    let output = import.stdin(tar.stdout.take().unwrap()).output().unwrap();
    assert!(tar.wait().unwrap().success());
    output
}

/// Unmounts what an engine left mounted in its directory. Does not panic: it runs while a test fails.
pub(crate) fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    for point in points.filter(|point| Path::new(point).starts_with(dir)) {
        let _ = unmount(point, UnmountFlags::DETACH);
    }
}

/// What `cat` printed in a container: the value, or nothing because it may not.
pub(crate) fn is_read(output: &Output) -> bool {
    match output.status.success() {
        true => assert_eq!(output.stdout, b"a value"),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.stdout.is_empty() && said.contains("Permission denied"), "{output:?}");
        }
    }
    output.status.success()
}
