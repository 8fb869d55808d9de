//! systemd reads `systemd-env`, and `dotenv` as far as it reads anything: as process 1 of a container that it starts itself,
//! with the programs of this host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hushfs::format::Format;

use crate::values;
use crate::written::{Values, printed, program, write};

/// Runs once, prints its environment, and ends the container.
const UNIT: &str = "[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
EnvironmentFile=/out/values
StandardOutput=file:/out/environment
ExecStart=/usr/bin/env -0
";

fn is_left_out(value: &str) -> bool {
    value.chars().any(|c| {
        let is_control = c.is_ascii_control() && c != '\t' && c != '\n';
        is_control
            || ('\u{fdd0}'..='\u{fdef}').contains(&c)
            || ['\u{fffe}', '\u{ffff}', '\u{10ffff}'].contains(&c)
    })
}

fn environment(values: &Values) -> Vec<u8> {
    let root = values.dir.path().join("root");
    for dir in ["usr", "etc/systemd/system", "proc", "sys", "dev", "run", "tmp", "var", "out"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(name), root.join(name)).unwrap();
    }
    fs::write(root.join("etc/os-release"), "ID=test\n").unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(root.join("etc/machine-id"), "").unwrap();
    fs::write(root.join("etc/systemd/system/read.service"), UNIT).unwrap();
    fs::copy(&values.file, root.join("out/values")).unwrap();
    let nspawn = program("systemd-nspawn", "systemd-container");
    let machine = format!(
        "--machine=hushfs-{}",
        values.dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.')
    );
    let root_option = format!("--directory={}", root.display());
    let args = [
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--private-network",
        "--bind-ro=/usr",
        &machine,
        &root_option,
        "--boot",
        "--",
        "--unit=read.service",
    ];
    let said = printed(&nspawn, &args, values.dir.path());
    let path = root.join("out/environment");
    fs::read(path).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said)))
}

#[test]
fn systemd_reads_every_value_but_those_that_it_leaves_out() {
    let values = write(Format::SystemdEnv, &values::all(), is_left_out);
    values.read_as_environment(&environment(&values));
}

#[test]
fn systemd_reads_what_is_written_for_shells() {
    let fit: Vec<_> = values::all().into_iter().filter(|value| !is_left_out(value)).collect();
    let values = write(Format::Dotenv, &fit, |_| false);
    values.read_as_environment(&environment(&values));
}
