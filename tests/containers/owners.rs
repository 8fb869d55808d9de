//! A file that belongs to a user whom only the container has.

use crate::docker::Docker;
use crate::image::IMAGE;
use crate::support::Host;

/// A mount with a file of root's that everybody may read, and one of `uid` alone.
fn host(uid: u32) -> Host {
    let scope = format!(
        "[scope.app]\nmode = \"0444\"\nallow = {{ uid = {uid}, container = {{ image = \"hushfs-test:1\" }} }}\nowner = 0
         file.key = {{ from = \"local:t\", owner = {uid}, group = {uid}, mode = \"0600\" }}\nfile.token = \"local:t\"\n"
    );
    Host::mounted(&[("t", b"a value")], &scope)
}

/// What a container of uid 1000 sees of the files, and reads of its own.
fn seen(docker: &Docker, host: &Host) -> String {
    let scope = host.path("hushfs.toml");
    let text = std::fs::read_to_string(&scope).unwrap();
    std::fs::write(&scope, text + &docker.configuration()).unwrap();
    assert!(host.reload().status.success(), "{}", host.log());
    let script = "busybox ls -ln /m/app | while read mode links uid gid rest; do
            [ $mode = total ] || echo $mode $uid $gid; done; cat /m/app/key";
    docker.says(&mut docker.run(host, &["--rm", IMAGE, "/bin/sh", "-c", script]))
}

#[test]
fn a_container_finds_its_file_to_be_its_users_own_and_reads_it() {
    let docker = Docker::shared();
    let host = host(1000);
    assert_eq!(seen(&docker, &host), "-rw------- 1000 1000\n-r--r--r-- 0 0\na value");
}

#[test]
fn a_container_with_ids_of_its_own_finds_its_file_to_be_its_users_own() {
    let host = host(701_000);
    let ranges = host.path("ranges");
    std::fs::write(&ranges, "www-data:700000:65536\n").unwrap();
    let docker = Docker::with_ranges(&ranges);
    // The host's root is nobody there.
    assert_eq!(seen(&docker, &host), "-rw------- 1000 1000\n-r--r--r-- 65534 65534\na value");
}
