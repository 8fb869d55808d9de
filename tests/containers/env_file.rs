//! What is written as `docker-env` is what a container has in its environment.

use hushfs::format::Format;

use crate::docker::Docker;
use crate::image::IMAGE;
use crate::podman::Podman;
use crate::values;
use crate::written::{Values, write};

/// What has no place on a line without quotes and escapes.
fn cannot(value: &str) -> bool {
    value.contains(['\n', '\r', '\0']) || value.len() > 60 << 10
}

fn written() -> Values {
    let mut all = values::all();
    all.push("l".repeat(60 << 10));
    all.push("l".repeat((60 << 10) + 1));
    write(Format::DockerEnv, &all, cannot)
}

#[test]
fn docker_gives_a_container_every_value_that_fits_a_line() {
    let (docker, values) = (Docker::shared(), written());
    let mut run = docker.docker(&["run", "--rm", "--network=none", "--env-file"]);
    let output = run.arg(&values.file).args([IMAGE, "/bin/cat", "/proc/self/environ"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    values.read_as_environment(&output.stdout);
}

#[test]
fn podman_gives_a_container_every_value_that_fits_a_line() {
    let (podman, values) = (Podman::new(), written());
    let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
    let mut run = podman.podman(&["run", "--rm", "--network=none", limits[0], limits[1], "--env-file"]);
    let output = run.arg(&values.file).args([IMAGE, "/bin/cat", "/proc/self/environ"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    values.read_as_environment(&output.stdout);
}
