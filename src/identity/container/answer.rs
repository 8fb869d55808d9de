//! What a runtime says, reduced to what rules turn on. Docker's API, which Podman speaks too.
//!
//! The answer holds the container's environment as well, and that may hold secrets: it is not taken over, and no part of
//! the answer stands in an error.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::ask;
use super::id::SHORT;
use crate::identity::evidence::Found;

/// A container, as its runtime describes it. None of this changes while it lives, but for the name
/// (`docker rename`), which stays here what it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Container {
    /// Its whole id.
    pub id: String,
    /// Its name, without the slash that the API puts before it.
    pub name: String,
    /// The image as it was named when the container was made.
    pub image: String,
    /// The id of that image, `sha256:` and 64 digits.
    pub image_id: String,
    /// Its labels; those of the image are among them.
    pub labels: HashMap<String, String>,
    /// The socket of the runtime that said so.
    pub(in crate::identity) runtime: PathBuf,
}

/// Labels may hold anything, secrets too.
impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, image, image_id, labels: _, runtime } = self;
        let mut shown = f.debug_struct("Container");
        shown.field("id", id).field("name", name).field("image", image).field("image_id", image_id);
        shown.field("runtime", runtime).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    image: String,
    state: State,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedImage {
    id: String,
    repo_digests: Option<Vec<String>>,
}

/// Asks the runtime at `socket` for the running container of this id.
pub(super) async fn container(socket: &Path, id: &str) -> Result<Container, String> {
    let short = id.get(..SHORT).unwrap_or(id);
    let runtime = socket.display();
    let answer = ask::get(socket, &format!("/containers/{id}/json")).await?;
    let answer =
        answer.ok_or_else(|| format!("the container runtime at {runtime} has no container {short}"))?;
    let Inspected { id: said, name, image, state, config } = understood(socket, &answer)?;
    if said != id {
        return Err(format!("the container runtime at {runtime} answers for another container than {short}"));
    }
    if !state.running {
        return Err(format!("the container runtime at {runtime} says that container {short} does not run"));
    }
    Ok(Container {
        id: said,
        name: name.strip_prefix('/').unwrap_or(&name).to_owned(),
        image: config.image,
        image_id: with_algorithm(image),
        labels: config.labels.unwrap_or_default(),
        runtime: socket.to_owned(),
    })
}

/// Asks the runtime at `socket` under which digests repositories hold the image of this id. An image that was removed since
/// has none.
pub(super) async fn repo_digests(socket: &Path, image_id: &str) -> Found<Arc<[String]>> {
    let Some(answer) = ask::get(socket, &format!("/images/{image_id}/json")).await? else {
        return Ok(Arc::default());
    };
    let InspectedImage { id, repo_digests } = understood(socket, &answer)?;
    if with_algorithm(id) != image_id {
        let runtime = socket.display();
        return Err(
            format!("the container runtime at {runtime} answers for another image than {image_id}").into()
        );
    }
    // `nginx@sha256:...`
    let digest = |name: String| name.rsplit_once('@').map(|(_, digest)| digest.to_owned());
    Ok(repo_digests.unwrap_or_default().into_iter().filter_map(digest).collect())
}

/// Podman leaves out which digest it is.
fn with_algorithm(id: String) -> String {
    if id.contains(':') { id } else { format!("sha256:{id}") }
}

fn understood<'a, T: Deserialize<'a>>(socket: &Path, answer: &'a [u8]) -> Result<T, String> {
    // The error's own words may quote the answer.
    serde_json::from_slice(answer).map_err(|error| {
        let (runtime, at) = (socket.display(), error.column());
        format!("the container runtime at {runtime} answers what cannot be understood, at column {at}")
    })
}
