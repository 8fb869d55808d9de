//! What a rule demands of a container, against what one has.

use std::sync::Arc;

use super::*;
use crate::identity::process::tests::somebody;
use crate::identity::{Cgroup, Container, Fact, Identity, SelectorError};

const ID: &str = "4e3ad9be6e02705198e5b698884207b5a8b73489e6f6bcd6a57a032cd053030b";
const DIGEST: &str = "sha256:2dc88fc65db4d4368e8751dc6a7e8c5b7848a9013730f0d7b6608b2548e2487b";

fn selector(written: &str) -> Result<Box<dyn Selector>, SelectorError> {
    let table: toml::Table = format!("container = {written}").parse().unwrap();
    (KIND.parse)(&table["container"])
}

fn who(path: &str) -> Identity {
    Identity { cgroup: Cgroup::parse(format!("0::{path}\n")), ..somebody() }
}

fn in_docker() -> Identity {
    who(&format!("/docker/{ID}"))
}

/// Evidence of the container `web` with these labels.
fn web(labels: &[(&str, &str)]) -> Evidence {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let container = Container {
        id: ID.into(),
        name: "web".into(),
        image: "nginx:1.25".into(),
        image_id: "sha256:1".into(),
        labels,
        runtime: "/run/docker.sock".into(),
    };
    Evidence { container: Some(Ok(Arc::new(container))), ..Evidence::default() }
}

fn weighed(written: &str, who: &Identity, evidence: &Evidence) -> (Verdict, String) {
    let selector = selector(written).unwrap_or_else(|error| panic!("{written}: {error}"));
    let of = Subject { who, evidence };
    (selector.check(&of), selector.seen(&of))
}

#[test]
fn each_key_is_compared_with_what_the_container_has() {
    let compose = [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web")];
    let podman = [("io.podman.compose.project", "shop"), ("io.podman.compose.service", "web")];
    let mixed = [("com.docker.compose.project", "shop"), ("io.podman.compose.service", "web")];
    let role = [("com.example.role", "web")];
    for (written, labels, has, seen) in [
        ("{ name = \"web\" }", &role[..], true, "is in container \"web\" (4e3ad9be6e02)"),
        ("{ name = \"api\" }", &role, false, "container \"web\" (4e3ad9be6e02) is named \"web\""),
        ("{ image = \"nginx:1.25\" }", &role, true, ""),
        ("{ image = \"nginx\" }", &role, false, "is of the image \"nginx:1.25\""),
        ("{ digest = \"sha256:1\" }", &role, true, ""),
        ("{ label = { \"com.example.role\" = \"web\" } }", &role, true, ""),
        (
            "{ label.\"com.example.role\" = \"db\" }",
            &role,
            false,
            "has the label \"com.example.role\" as \"web\"",
        ),
        ("{ label.other = \"\" }", &role, false, "has no label \"other\""),
        ("{ compose = \"shop/web\" }", &compose, true, ""),
        ("{ compose = \"shop/web\" }", &podman, true, ""),
        ("{ compose = \"shop/web\" }", &mixed, false, "was not made by compose"),
        ("{ compose = \"shop/db\" }", &compose, false, "is the compose service \"shop/web\""),
        (
            "{ name = \"web\", image = \"x\", compose = \"a/b\" }",
            &role,
            false,
            "was not made by compose and is of the image",
        ),
        ("{ id = \"4e3ad9be6e02\" }", &role, true, ""),
    ] {
        let written = written.replace("sha256:1", DIGEST);
        let mut evidence = web(labels);
        if let Some(Ok(container)) = &mut evidence.container {
            Arc::make_mut(container).image_id = DIGEST.into();
        }
        let (verdict, said) = weighed(&written, &in_docker(), &evidence);
        assert_eq!(verdict, Verdict::of(has), "{written}: {said}");
        assert!(said.contains(seen), "{written}: {said}");
    }
}

#[test]
fn what_stands_in_the_path_is_never_asked_for_and_ends_the_matter() {
    let none = Evidence::default();
    let pod = "0b9ecb4f-1f2c-4d1c-8d6b-6a1f9c3b7e55";
    let in_pod = who(&format!("/kubepods/pod{pod}/{ID}"));
    for (written, who, verdict) in [
        (format!("{{ id = \"{ID}\" }}"), &in_docker(), Verdict::Yes),
        (format!("{{ id = \"{}\" }}", &ID[..12]), &in_docker(), Verdict::Yes),
        ("{ id = \"4e3ad9be6e03\" }".into(), &in_docker(), Verdict::No),
        (format!("{{ pod_uid = \"{pod}\" }}"), &in_pod, Verdict::Yes),
        (format!("{{ pod_uid = \"{pod}\" }}"), &in_docker(), Verdict::No),
        ("{ id = \"4e3ad9be6e03\", name = \"web\" }".into(), &in_docker(), Verdict::No),
        ("{ id = \"4e3ad9be6e02\", name = \"web\" }".into(), &in_docker(), Verdict::Ask(Fact::Container)),
        ("{ name = \"web\" }".into(), &somebody(), Verdict::No),
    ] {
        assert_eq!(weighed(&written, who, &none).0, verdict, "{written}");
    }
}

#[test]
fn repositories_are_asked_for_only_where_the_image_id_is_another() {
    let written = format!("{{ digest = \"{DIGEST}\" }}");
    let of = |evidence: &Evidence| weighed(&written, &in_docker(), evidence);
    let mut evidence = web(&[]);
    assert_eq!(of(&evidence).0, Verdict::Ask(Fact::Image));
    evidence.repo_digests = Some(Ok(Arc::new(["sha256:2".to_owned()])));
    assert_eq!(of(&evidence).0, Verdict::No);
    evidence.repo_digests = Some(Ok(Arc::new(["sha256:2".to_owned(), DIGEST.to_owned()])));
    assert_eq!(of(&evidence).0, Verdict::Yes);
    evidence.repo_digests = Some(Err("the image is gone".into()));
    assert_eq!(of(&evidence), (Verdict::Unproven, "the image is gone".into()));
}

#[test]
fn a_runtime_that_says_nothing_proves_nothing_and_the_reason_is_told() {
    let evidence = Evidence { container: Some(Err("nobody answers".into())), ..Evidence::default() };
    let told = weighed("{ name = \"web\", id = \"4e3ad9be6e02\" }", &in_docker(), &evidence);
    assert_eq!(told, (Verdict::Unproven, "nobody answers".into()));
}

#[test]
fn who_is_in_no_container_is_told_so_and_the_rootless_what_to_do() {
    let rootless = format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope");
    let seen = |who: &Identity| weighed("{ name = \"web\" }", who, &Evidence::default()).1;
    assert!(seen(&who(&rootless)).contains("rootless container"));
    assert!(seen(&somebody()).contains("in no container"));
}

#[test]
fn what_is_demanded_is_described_exactly() {
    let written = "{ name = \"web\", label = { b = \"2\", a = \"1, c\" }, compose = \"x/y\" }";
    let described = selector(written).unwrap().describe();
    assert_eq!(described, "container:{compose=\"x/y\", label={\"a\"=\"1, c\", \"b\"=\"2\"}, name=web}");
}

#[test]
fn what_can_never_match_is_refused_with_a_hint() {
    for written in [
        "\"web\"",
        "{}",
        "{ names = \"web\" }",
        "{ name = \"/web\" }",
        "{ name = \"\" }",
        "{ name = 1 }",
        "{ id = \"4e3ad9be6e0\" }",
        "{ id = \"4E3AD9BE6E02\" }",
        "{ image = \"\" }",
        "{ image = \"a b\" }",
        "{ digest = \"2dc88fc65db4\" }",
        "{ digest = \"nginx@sha256:2dc88fc65db4d4368e8751dc6a7e8c5b7848a9013730f0d7b6608b2548e2487b\" }",
        "{ label = {} }",
        "{ label = { a = 1 } }",
        "{ label = \"a=b\" }",
        "{ compose = \"web\" }",
        "{ compose = \"a/b/c\" }",
        "{ compose = \"/web\" }",
        "{ pod_uid = \"0b9ecb4f\" }",
    ] {
        let error = selector(written).err().unwrap_or_else(|| panic!("{written} is taken"));
        assert!(error.hint.is_some(), "{written}: {error}");
    }
}
