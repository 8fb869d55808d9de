//! What is said of a decision about the processes of a container, and of a container itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::docker::Docker;
use crate::rules::host;
use crate::support::{HUSHFS, Host, says};

const RULE: [(&str, &str); 1] = [("a", "name = \"explained-web\"")];

/// `hushfs explain a/token --container ...`: the exit code, and what is said on both streams.
fn said(host: &Host, container: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = host.run(&[&["explain", "a/token", "--container", container], more].concat(), b"");
    (output.status.code(), [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat())
}

/// As [`said`], with the only explanation there is.
fn explained(host: &Host, container: &str, more: &[&str]) -> (Option<i32>, Value) {
    let (code, text) = said(host, container, &[&["--json"], more].concat());
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    let told = told.as_array().unwrap();
    assert_eq!(told.len(), 1, "one kind of process: {told:?}");
    (code, told[0].clone())
}

#[test]
fn the_processes_of_a_container_are_explained_by_its_name_and_by_its_id() {
    let docker = Docker::shared();
    let host = host(&docker, &RULE);
    let web = docker.idle(&host, &["--name=explained-web"]);
    let other = docker.idle(&host, &["--name=explained-db"]);
    for offline in [&[][..], &["--offline"]] {
        for named in ["explained-web", &web[..12], &web] {
            let (code, told) = explained(&host, named, offline);
            assert_eq!((code, &told["outcome"]), (Some(0), &"allowed".into()), "{named} {offline:?}: {told}");
            let container = &told["caller"]["container"];
            assert_eq!((&container["id"], &container["engine"]), (&web.as_str().into(), &"docker".into()));
            assert_eq!(container["name"], "explained-web");
        }
        let (code, told) = explained(&host, "explained-db", offline);
        assert_eq!((code, &told["caller"]["container"]["id"]), (Some(3), &other.as_str().into()), "{told}");
        assert!(
            told["reason"].as_str().unwrap().contains("the caller's container \"explained-db\""),
            "{told}"
        );
        for nobody in ["explained-nobody", "000000000000"] {
            let (code, text) = said(&host, nobody, offline);
            assert_eq!(code, Some(1));
            assert!(text.contains(&format!("container `{nobody}` is ")), "{text}");
        }
    }
    assert!(docker.reads(&web, "a/token") && !docker.reads(&other, "a/token"), "as it was said");
    let (_, page) = said(&host, "explained-web", &[]);
    assert!(
        page.contains(&format!("\n           container explained-web {} (docker)\n", &web[..12])),
        "{page}"
    );
    assert!(page.lines().count() <= 24, "more than a screen:\n{page}");
}

#[test]
fn whoami_in_a_container_tells_the_rule_that_names_it() {
    let docker = Docker::shared();
    let host = host(&docker, &RULE);
    let web = docker.idle(&host, &["--name=explained-whoami"]);
    let script = "echo $$ > \"$0\" && exec \"$@\"";
    for more in [&[][..], &["--offline"]] {
        let mut whoami = Command::new("/bin/sh");
        whoami.args(["-c", script]).arg(group_of(&web)).args([HUSHFS, "whoami"]).args(more);
        let text = says(whoami.env("HUSHFS_CONFIG", host.path("hushfs.toml")));
        assert!(text.contains("container = { name = \"explained-whoami\" }  (strong)"), "{text}");
    }
}

/// Where one joins a group of the container.
fn group_of(container: &str) -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let points =
        mounts.lines().filter(|line| line.contains(" cgroup")).filter_map(|line| line.split(' ').nth(1));
    let mut groups = points.map(|point| Path::new(point).join("docker").join(container).join("cgroup.procs"));
    groups.find(|group| group.exists()).expect("a group of the container")
}

#[test]
fn while_the_runtime_is_away_a_name_that_is_not_known_is_not_found_and_why_is_said() {
    let mut docker = Docker::new(&["--live-restore"]);
    let host = host(&docker, &RULE);
    let web = docker.idle(&host, &["--name=explained-web"]);
    assert_eq!(explained(&host, "explained-web", &[]).0, Some(0));
    docker.stop();
    assert_eq!(explained(&host, "explained-web", &[]).0, Some(0), "the daemon knows it");
    let (code, text) = said(&host, "explained-web", &["--offline"]);
    assert_eq!(code, Some(1), "{text}");
    let wanted = format!("the container runtime at {} cannot be asked: ", docker.socket().display());
    assert!(text.contains("container `explained-web` is not found") && text.contains(&wanted), "{text}");
    let (code, told) = explained(&host, &web[..12], &["--offline"]);
    assert_eq!((code, &told["caller"]["container"]["name"]), (Some(3), &Value::Null), "{told}");
    assert!(told["reason"].as_str().unwrap().contains(&wanted), "{told}");
    docker.start();
}
