//! The runtime goes away and comes back while containers run on.

use crate::docker::Docker;
use crate::image::IMAGE;
use crate::rules::host;
use crate::support::Record;

#[test]
fn while_the_runtime_is_away_known_containers_read_and_unknown_ones_do_not() {
    let mut docker = Docker::new(&["--live-restore"]);
    let host = host(&docker, &[("a", "label = { role = \"app\" }")]);
    let known = docker.idle(&host, &["--label=role=app"]);
    // These read by themselves: the engine, which would run another process in them, will be away.
    let loops = "while :; do sleep 0.2; cat /m/a/token >/dev/null 2>&1; done";
    let go = host.path("go");
    std::fs::create_dir(&go).unwrap();
    let volume = format!("--volume={}:/go", go.display());
    let waits = format!("while [ ! -e /go/now ]; do sleep 0.1; done; {loops}");
    let unknown = docker.says(
        &mut docker.run(&host, &["--detach", "--label=role=app", &volume, IMAGE, "/bin/sh", "-c", &waits]),
    );
    let reader =
        docker.says(&mut docker.run(&host, &["--detach", "--label=role=app", IMAGE, "/bin/sh", "-c", loops]));
    let of = |id: &str, outcome: &str| {
        let found = |record: &&Record| record["container"] == id && record["outcome"] == outcome;
        host.audit().iter().filter(found).filter(|record| record["op"] == "open").count()
    };
    assert!(docker.reads(&known, "a/token"));
    host.eventually("the reader is known", || of(&reader, "allowed") > 0);
    docker.stop();
    std::fs::write(go.join("now"), "").unwrap();
    let before = of(&reader, "allowed");
    host.eventually("it reads on", || of(&reader, "allowed") > before);
    assert_eq!(of(&reader, "denied"), 0);
    let denied = host
        .recorded("the denial", |record| record["container"] == unknown.as_str() && record["op"] == "open");
    assert_eq!((denied["outcome"].as_str(), denied["errno"].as_str()), (Some("denied"), Some("EACCES")));
    let reason = denied["reason"].as_str().unwrap();
    let wanted =
        format!("no rule matches: the container runtime at {} cannot be asked: ", docker.socket().display());
    assert!(reason.starts_with(&wanted), "{reason}");
    docker.start();
    host.eventually("it is asked again", || of(&unknown, "allowed") > 0);
    assert!(docker.reads(&known, "a/token"));
}

#[test]
fn a_container_that_starts_with_its_engine_reads_once_the_engine_answers() {
    let mut docker = Docker::new(&[]);
    let mut host = host(&docker, &[("a", "label = { role = \"app\" }")]);
    let script = "until cat /m/a/token; do sleep 0.2; done; exec sleep 600";
    let options = [
        "--detach",
        "--restart=always",
        "--stop-signal=KILL",
        "--label=role=app",
        IMAGE,
        "/bin/sh",
        "-c",
        script,
    ];
    let id = docker.says(&mut docker.run(&host, &options));
    host.recorded("the first", |record| record["container"] == id.as_str() && record["outcome"] == "allowed");
    // As when the whole host starts anew: nobody knows anything.
    docker.stop();
    host.stop();
    std::fs::remove_file(host.path("audit.log")).unwrap();
    host.mount();
    docker.start();
    host.recorded("the next", |record| record["container"] == id.as_str() && record["outcome"] == "allowed");
}
