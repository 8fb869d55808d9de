//! One key of the table: what it takes, what it is compared with, and what there is instead.

use std::collections::BTreeMap;

use crate::identity::container::{Container, ContainerId, is_hex, pod_uid};
use crate::identity::evidence::{Evidence, Fact};
use crate::identity::selectors::{SelectorError, Step, Verdict};
use crate::words::{listed, nearest};

/// Who writes the labels of Compose.
const COMPOSE: [&str; 2] = ["com.docker.compose", "io.podman.compose"];

/// One key of the table.
pub(super) enum Demand {
    Id(String),
    Name(String),
    Image(String),
    Digest(String),
    Labels(BTreeMap<String, String>),
    Compose(String),
    PodUid(String),
}

impl Demand {
    pub(super) fn check(&self, id: &ContainerId, evidence: &Evidence) -> Verdict {
        match self {
            Self::Id(digits) => return Verdict::of(id.id.starts_with(digits)),
            Self::PodUid(uid) => return Verdict::of(id.pod_uid.as_ref() == Some(uid)),
            _ => {}
        }
        let container = match &evidence.container {
            None => return Verdict::Ask(Fact::Container),
            Some(Err(_)) => return Verdict::Unproven,
            Some(Ok(container)) => container,
        };
        Verdict::of(match self {
            Self::Name(name) => container.name == *name,
            Self::Image(image) => container.image == *image,
            Self::Labels(labels) => {
                labels.iter().all(|(key, value)| container.labels.get(key) == Some(value))
            }
            Self::Compose(service) => {
                COMPOSE.iter().any(|by| of_compose(container, by).as_ref() == Some(service))
            }
            Self::Digest(digest) if container.image_id == *digest => true,
            Self::Digest(digest) => match &evidence.repo_digests {
                None => return Verdict::Ask(Fact::Image),
                Some(Err(_)) => return Verdict::Unproven,
                Some(Ok(digests)) => digests.contains(digest),
            },
            Self::Id(_) | Self::PodUid(_) => false,
        })
    }

    /// As it is written in a rule.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Id(text) => format!("id={text}"),
            Self::Name(text) => format!("name={text}"),
            Self::Image(text) => format!("image={text:?}"),
            Self::Digest(text) => format!("digest={text}"),
            Self::Compose(text) => format!("compose={text:?}"),
            Self::PodUid(text) => format!("pod_uid={text}"),
            Self::Labels(labels) => {
                let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key:?}={value:?}")).collect();
                format!("label={{{}}}", labels.join(", "))
            }
        }
    }

    /// What the container has instead: a predicate. Of labels only those that are demanded.
    pub(super) fn seen(&self, id: &ContainerId, evidence: &Evidence) -> String {
        let container = evidence.container.as_ref().and_then(|found| found.as_ref().ok());
        match (self, container) {
            (Self::Id(_), _) => format!("has the id {}", id.id),
            (Self::PodUid(_), _) => match &id.pod_uid {
                Some(uid) => format!("is in the pod {uid}"),
                None => "is in no pod".into(),
            },
            (_, None) => format!("is not known: {}", Fact::Container),
            (Self::Name(_), Some(container)) => format!("is named {:?}", container.name),
            (Self::Image(_), Some(container)) => format!("is of the image {:?}", container.image),
            (Self::Digest(_), Some(container)) => format!("is of the image with id {}", container.image_id),
            (Self::Labels(labels), Some(container)) => {
                let differs = labels.iter().filter(|(key, value)| container.labels.get(*key) != Some(value));
                let has = differs.map(|(key, _)| match container.labels.get(key) {
                    Some(value) => format!("has the label {key:?} as {value:?}"),
                    None => format!("has no label {key:?}"),
                });
                has.collect::<Vec<_>>().join(" and ")
            }
            (Self::Compose(_), Some(container)) => {
                match COMPOSE.iter().find_map(|by| of_compose(container, by)) {
                    Some(service) => format!("is the compose service {service:?}"),
                    None => "was not made by compose".into(),
                }
            }
        }
    }
}

/// `project/service`, by the labels that begin with `by`.
fn of_compose(container: &Container, by: &str) -> Option<String> {
    let label = |name| container.labels.get(&format!("{by}.{name}"));
    Some(format!("{}/{}", label("project")?, label("service")?))
}

const KEYS: &[&str] = &["id", "name", "image", "digest", "label", "compose", "pod_uid"];
const EXAMPLE: &str = "for example `container = { name = \"web\" }`";

/// All keys of the table.
pub(super) fn demands(value: &toml::Value) -> Result<Vec<Demand>, SelectorError> {
    let table = value.as_table().ok_or_else(|| SelectorError::new("`container` takes a table", EXAMPLE))?;
    if table.is_empty() {
        return Err(SelectorError::new("`container` demands nothing: any container would match", EXAMPLE));
    }
    table.iter().map(|(key, value)| demand(key, value)).collect()
}

fn demand(key: &str, value: &toml::Value) -> Result<Demand, SelectorError> {
    let wrong = |wants: &str, hint: &str| {
        let message = format!("`{key}` of `container` takes {wants}");
        SelectorError::new(message, hint).within([Step::Value(key.to_owned())])
    };
    // The text, where it is one that can match.
    let text = |can_match: fn(&str) -> bool| value.as_str().filter(|text| can_match(text)).map(str::to_owned);
    match key {
        "id" => text(ContainerId::may_begin_with)
            .map(Demand::Id)
            .ok_or_else(|| wrong("the 64 digits of an id, or at least the first 12", "`docker ps --no-trunc` shows ids; a container that is made anew has another: name it by `name` or `label`")),
        "name" => text(is_name)
            .map(Demand::Name)
            .ok_or_else(|| wrong("a container's name", "letters, digits, `_`, `.` and `-`, as `docker ps` shows it, without a slash")),
        "image" => text(|text| !text.is_empty() && !text.contains(char::is_whitespace))
            .map(Demand::Image)
            .ok_or_else(|| wrong("an image as it is named when the container is made", "for example \"nginx:1.25\"; `docker inspect --format '{{.Config.Image}}' NAME` shows it")),
        "digest" => text(is_digest)
            .map(Demand::Digest)
            .ok_or_else(|| wrong("`sha256:` and 64 digits", "`docker image inspect --format '{{.Id}} {{.RepoDigests}}' IMAGE` shows those of an image")),
        "compose" => text(|text| text.split('/').count() == 2 && text.split('/').all(|part| !part.is_empty()))
            .map(Demand::Compose)
            .ok_or_else(|| wrong("a project and a service", "for example \"shop/web\"; `docker compose ls` shows projects")),
        "pod_uid" => text(|text| pod_uid(text).is_some())
            .map(Demand::PodUid)
            .ok_or_else(|| wrong("the uid of a pod", "`kubectl get pod NAME -o jsonpath='{.metadata.uid}'` shows it")),
        "label" => labels(value)
            .map(Demand::Labels)
            .ok_or_else(|| {
                let error = wrong("a table of labels with their values", "for example `label = { \"com.example.role\" = \"web\" }`");
                // Where it is a table, the first label of which the value is no text.
                let label = value.as_table().and_then(|table| table.iter().find(|(_, value)| !value.is_str()));
                let way = [Some(key), label.map(|(label, _)| label.as_str())];
                error.within(way.into_iter().flatten().map(|key| Step::Value(key.to_owned())).collect::<Vec<_>>())
            }),
        _ => {
            let message = format!("`{key}` is not known in `container`; known are {}", listed(KEYS));
            let near = || nearest(key, KEYS).map(|near| format!("did you mean `{near}`?"));
            let hint = meant(key).map(str::to_owned).or_else(near).unwrap_or_else(|| EXAMPLE.to_owned());
            Err(SelectorError::new(message, hint).within([Step::Key(key.to_owned())]))
        }
    }
}

/// What was probably meant by a key of another name.
fn meant(key: &str) -> Option<&'static str> {
    Some(match key {
        "container_name" | "hostname" | "names" => "write `name = \"web\"`",
        "container_id" => "write `id = \"…\"`",
        "service" | "project" | "compose_service" | "compose_project" => {
            "write both as `compose = \"project/service\"`"
        }
        "labels" => "write `label = { \"com.example.role\" = \"web\" }`",
        "image_id" | "image_digest" | "sha256" | "repo_digest" => "write `digest = \"sha256:…\"`",
        "pod" | "pod_name" | "podUid" | "uid_pod" => "a pod is named by its uid: `pod_uid = \"…\"`",
        "uid" | "user" | "gid" | "group" | "exe" | "unit" => "it belongs beside `container`, not into it",
        _ => return None,
    })
}

fn labels(value: &toml::Value) -> Option<BTreeMap<String, String>> {
    let table = value.as_table().filter(|table| !table.is_empty())?;
    table.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What Docker and Podman take for a name.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && is_hex(digits))
}
