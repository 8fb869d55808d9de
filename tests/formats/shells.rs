//! Shells read `dotenv`.

use hushfs::format::Format;

use crate::values;
use crate::written::{printed, program, write};

const READ: &str = "set -a; . ./values; exec env -0";

#[track_caller]
fn reads(shell: &str, package: &str, args: &[&str]) {
    let values = write(Format::Dotenv, &values::all(), |value| value.contains('\0'));
    let printed = printed(&program(shell, package), &[args, &["-c", READ]].concat(), values.dir.path());
    values.read_as_environment(&printed);
}

#[test]
fn bash_reads_every_value() {
    reads("bash", "bash", &[]);
}

#[test]
fn dash_reads_every_value() {
    reads("dash", "dash", &[]);
}

#[test]
fn the_shell_of_busybox_reads_every_value() {
    reads("busybox", "busybox-static", &["sh"]);
}

/// What bash reads as a value has no NUL, and neither has any other variable.
#[test]
fn a_nul_is_refused() {
    for format in [Format::Dotenv, Format::DockerEnv, Format::SystemdEnv, Format::NodeEnv, Format::PythonEnv]
    {
        let error = crate::written::written(format, &serde_json::json!({ "A": "a\0b" })).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("the value of `A` cannot be written as `{}`: it has a", format.name())),
            "{said}"
        );
    }
}
