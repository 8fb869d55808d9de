//! Rules that name a container, by each thing that they can name it by.

use crate::docker::Docker;
use crate::image::IMAGE;
use crate::support::{Host, as_user};

/// A mount with a scope for each of these demands, by its name.
pub(crate) fn host(docker: &Docker, scopes: &[(&str, &str)]) -> Host {
    let mut host = Host::new();
    host.set("t", b"a value");
    configure(&host, docker, scopes);
    host.mount();
    host
}

fn configure(host: &Host, docker: &Docker, scopes: &[(&str, &str)]) {
    let mut text = docker.configuration();
    for (name, demands) in scopes {
        text += &format!(
            "[scope.{name}]\nmode = \"0444\"\nallow = {{ uid = 1000, container = {{ {demands} }} }}\nfile.token = \"local:t\"\n"
        );
    }
    host.configure("", &text);
}

#[test]
fn a_container_reads_by_what_it_has_and_another_of_the_same_user_does_not() {
    let docker = Docker::shared();
    let digest = format!("digest = \"{}\"", docker.image_id);
    let scopes = [
        ("name", "name = \"shop-web\""),
        ("label", "label = { \"com.example.role\" = \"web\" }"),
        ("compose", "compose = \"shop/web\""),
        ("image", "image = \"hushfs-test:1\""),
        ("digest", &digest),
        ("all", "name = \"shop-web\", image = \"hushfs-test:1\", compose = \"shop/web\""),
    ];
    let mut host = host(&docker, &scopes);
    let labels = |role: &str, service: &str| {
        let compose = "--label=com.docker.compose";
        [
            format!("--label=com.example.role={role}"),
            format!("{compose}.project=shop"),
            format!("{compose}.service={service}"),
        ]
    };
    let [role, project, service] = labels("web", "web");
    let web = docker.idle(&host, &["--name=shop-web", &role, &project, &service]);
    let [role, project, service] = labels("db", "db");
    let db = docker.idle(&host, &["--name=shop-db", &role, &project, &service]);
    let by_id = format!("id = \"{}\"", &web[..12]);
    let with_id = [&scopes[..], &[("id", by_id.as_str())]].concat();
    configure(&host, &docker, &with_id);
    assert!(host.reload().status.success());
    for (scope, _) in &with_id {
        assert!(docker.reads(&web, &format!("{scope}/token")), "web by {scope}\n{:?}", host.audit().last());
        let same_image = matches!(*scope, "image" | "digest");
        assert_eq!(docker.reads(&db, &format!("{scope}/token")), same_image, "db by {scope}");
        let outside = as_user(1000, "/bin/cat").arg(host.file(scope).join("token")).output().unwrap();
        assert!(outside.stdout.is_empty() && !outside.status.success(), "by {scope} without a container");
    }
    let records = host.all_records();
    let of = |outcome: &str, id: &str| {
        records.iter().any(|r| r["op"] == "open" && r["outcome"] == outcome && r["container"] == id)
    };
    assert!(of("allowed", &web) && of("denied", &db));
    assert!(records.iter().any(|r| r["outcome"] == "denied" && r.get("container").is_none()), "the host's");
    let shown = host.run_ok(&["audit", "--file", host.path("audit.log").to_str().unwrap()], b"");
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("container {}", &web[..12])));
}

#[test]
fn a_container_reads_as_soon_as_it_runs_whether_a_directory_or_one_file_is_bound() {
    let docker = Docker::shared();
    // Without a uid the rule is for root as well: what sets up the container looks at the file before the engine can
    // say that it runs.
    let rule = "[scope.a]\nmode = \"0444\"\nallow = { container = { label = { role = \"early\" } } }\nfile.token = \"local:t\"";
    let mut host = Host::new();
    host.set("t", b"a value");
    host.configure("", &format!("{}{rule}", docker.configuration()));
    host.mount();
    let directory =
        docker.says(&mut docker.run(&host, &["--rm", "--label=role=early", IMAGE, "/bin/cat", "/m/a/token"]));
    let file = format!("--volume={}:/token:ro", host.file("a/token").display());
    let one = docker
        .says(&mut docker.run(&host, &["--rm", "--label=role=early", &file, IMAGE, "/bin/cat", "/token"]));
    assert_eq!((directory.as_str(), one.as_str()), ("a value", "a value"));
}

#[test]
fn a_container_made_anew_under_the_same_name_is_another() {
    let docker = Docker::shared();
    let mut scopes = vec![("name", "name = \"anew\"")];
    let host = host(&docker, &scopes);
    let first = docker.idle(&host, &["--name=anew"]);
    let by_id = format!("id = \"{first}\"");
    scopes.push(("id", &by_id));
    configure(&host, &docker, &scopes);
    assert!(host.reload().status.success());
    assert!(docker.reads(&first, "name/token") && docker.reads(&first, "id/token"));
    docker.says(&mut docker.docker(&["rm", "--force", "anew"]));
    let second = docker.idle(&host, &["--name=anew"]);
    assert!(docker.reads(&second, "name/token"), "it has the name");
    assert!(!docker.reads(&second, "id/token"), "and not the id");
}
