//! What people write where a selector is wanted, and what to write instead.

use super::report::Found;
use super::table::Entry;
use crate::identity::SELECTORS;
use crate::words::{listed, nearest};

/// What people try that proves nothing, and why.
const VOID: &[(&str, &str)] = &[
    ("argv", "a process writes its own arguments"),
    ("args", "a process writes its own arguments"),
    ("cmdline", "a process writes its own command line"),
    ("comm", "a process chooses its own name"),
    ("name", "a process chooses its own name"),
    ("process", "a process chooses its own name"),
    ("cwd", "a process chooses its own working directory"),
    ("env", "a process writes its own environment"),
    ("environ", "a process writes its own environment"),
    ("pid", "a number that the next process may have"),
    ("ppid", "a process may choose whose child it is"),
];

/// What to write for a key that people try, where the nearest word is not it.
fn meant(key: &str) -> Option<&'static str> {
    Some(match key {
        "name" | "container_name" => "for the name of a container write `container = { name = \"web\" }`",
        "image" => "for the image of a container write `container = { image = \"nginx:1.25\" }`",
        "compose" | "project" => "write `container = { compose = \"project/service\" }`",
        "label" | "labels" => "write `container = { label = { \"com.example.role\" = \"web\" } }`",
        "digest" => {
            "for an image write `container = { digest = \"sha256:…\" }`, for an executable `exe_sha256`"
        }
        "pod_uid" | "pod" => "write `container = { pod_uid = \"…\" }`",
        "id" | "container_id" => "for the id of a container write `container = { id = \"…\" }`",
        "docker" | "podman" | "containers" => "write `container = { name = \"web\" }`",
        "service" | "systemd" | "systemd_unit" => {
            "write `unit = \"app.service\"`, or `container = { compose = \"project/service\" }`"
        }
        "cgroup" => "write `unit = \"app.service\"`, or `container = { … }`",
        "path" | "program" | "binary" | "executable" | "command" | "cmd" => {
            "for the program write `exe = \"/usr/bin/app\"`"
        }
        "sha256" | "hash" | "checksum" => "for the program's write `exe_sha256 = \"…\"`",
        "script" => {
            "of a script only its interpreter is seen: name what it runs in, `unit = \"app.service\"` or `container = { … }`"
        }
        "username" | "owner" => "write `user = \"app\"`",
        "max_age" | "age" | "timeout" => "write `within = \"30s\"`",
        "max_reads" | "once" => "write `reads = 1`",
        _ => return None,
    })
}

/// That the entry of a rule is no selector.
pub(super) fn not_a_selector(entry: &Entry<'_>) -> Found {
    let known: Vec<_> = SELECTORS.iter().map(|kind| kind.key).collect();
    let list = listed(&known);
    if let Some((key, why)) = VOID.iter().find(|(key, _)| *key == entry.key) {
        let message = format!("`{key}` is not offered as a selector: {why}, so it proves nothing");
        let hint =
            meant(key).map_or_else(|| format!("selectors that prove something are {list}"), str::to_owned);
        return Found::at(&entry.key_at, message).hint(hint);
    }
    let near = || nearest(entry.key, &known).map(|near| format!("did you mean `{near}`?"));
    let near = meant(entry.key).map(str::to_owned).or_else(near);
    let message = format!("`{}` is not a known selector; known are {list}", entry.key);
    Found::at(&entry.key_at, message).maybe_hint(near)
}
