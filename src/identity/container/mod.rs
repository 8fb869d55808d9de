//! Containers: which one a process is in, and what its runtime says of it.
//!
//! ```text
//!  /proc/<tid>/cgroup -- id.rs ------> ContainerId       without I/O, for every caller
//!  ContainerId        -- ask.rs -----> bytes             HTTP over a socket that root made
//!  bytes              -- answer.rs --> Container         the few fields that rules turn on
//!                        remembered.rs                   one ask for all who wait, kept for the life of the container
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Identity;
use super::evidence::{Evidence, Fact, Facts, Found};

mod answer;
mod ask;
mod id;
mod remembered;

pub use answer::Container;
pub use id::{ContainerId, Engine};
pub(super) use id::{is_hex, is_rootless, pod_uid};

use remembered::Remembered;

/// Where the container runtimes listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtimes {
    /// The socket of Docker Engine.
    pub docker: PathBuf,
    /// The socket of Podman's service.
    pub podman: PathBuf,
}

impl Default for Runtimes {
    fn default() -> Self {
        Self { docker: "/run/docker.sock".into(), podman: "/run/podman/podman.sock".into() }
    }
}

/// What is known of containers.
#[derive(Default)]
pub(super) struct Containers {
    runtimes: Runtimes,
    containers: Remembered<Arc<Container>>,
    /// The repository digests of images, by the image's id.
    images: Remembered<Arc<[String]>>,
}

impl Containers {
    /// Asks the runtimes at these sockets.
    pub(super) fn of(runtimes: Runtimes) -> Self {
        Self { runtimes, ..Self::default() }
    }

    /// Which runtimes are asked.
    pub(super) fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// Adds what is known without asking. Gives those of `facts` that are not.
    pub(super) fn gather(&self, who: &Identity, facts: Facts, evidence: &mut Evidence) -> Facts {
        let mut left = facts;
        if facts.contains(Fact::Container)
            && let Some(found) = who.container().and_then(|id| self.containers.known(&id.id))
        {
            evidence.container = Some(found);
            left = left.without(Fact::Container);
        }
        if facts.contains(Fact::Image)
            && let Some(Ok(container)) = &evidence.container
            && let Some(found) = self.images.known(&container.image_id)
        {
            evidence.repo_digests = Some(found);
            left = left.without(Fact::Image);
        }
        left
    }

    /// Adds what has to be asked for.
    pub(super) async fn look_into(&self, who: &Identity, facts: Facts, evidence: &mut Evidence) {
        if facts.contains(Fact::Container) {
            evidence.container = Some(match who.container() {
                None => Err("the caller is in no container".into()),
                Some(id) => self.get(id).await,
            });
        }
        if facts.contains(Fact::Image) {
            evidence.repo_digests = Some(match &evidence.container {
                None => Err(format!("{} is not known", Fact::Container).into()),
                Some(Err(why)) => Err(Arc::clone(why)),
                Some(Ok(container)) => {
                    let ask = answer::repo_digests(&container.runtime, &container.image_id);
                    self.images.get(&container.image_id, ask).await
                }
            });
        }
    }

    /// What is known of a container, or what its runtime says now.
    pub(super) async fn get(&self, id: &ContainerId) -> Found<Arc<Container>> {
        self.containers.get(&id.id, self.ask(id)).await
    }

    /// Asks the runtime that made the container or, where its path does not say which, each in turn.
    async fn ask(&self, id: &ContainerId) -> Found<Arc<Container>> {
        let Runtimes { docker, podman } = &self.runtimes;
        let sockets: &[&Path] = match id.engine {
            Some(Engine::Docker) => &[docker],
            Some(Engine::Podman) => &[podman],
            Some(Engine::Kubernetes) => {
                let why = "containers of containerd and CRI-O are known by `id` and `pod_uid` alone";
                return Err(why.into());
            }
            None => &[docker, podman],
        };
        let mut reasons = Vec::new();
        for socket in sockets {
            match answer::container(socket, &id.id).await {
                Ok(container) => return Ok(Arc::new(container)),
                Err(why) => reasons.push(why),
            }
        }
        Err(reasons.join("; ").into())
    }
}

#[cfg(test)]
mod tests;
