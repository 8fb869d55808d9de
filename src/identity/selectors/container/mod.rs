//! `container = { name = "web" }`, with all that is demanded of the container in one table.
//!
//! **Proves** that the process is in this container: by the whole path of its control group, which root made
//! (`identity/container/id.rs`), and what the runtime says of the container with that id. **Against** other containers and
//! other processes, of the same user and with the same files. **Evaded** by whoever may start containers or processes in
//! them (root, members of the group `docker`, whoever else reaches the runtime's socket). Strong. It says nothing of the
//! program: everything in the container has it, `docker exec` included.
//!
//! | key | compared with |
//! |---|---|
//! | `id` | the container's id: all 64 digits, or at least the first 12 |
//! | `name` | its name, as the runtime said when the container asked first; `docker rename` later is not noticed |
//! | `image` | the image's name as it was written when the container was made, letter by letter (`Config.Image` of `docker inspect`); a name is not the content: whoever may tag or push can put another image behind it |
//! | `digest` | the id of the image, or one of the digests that repositories have it under (`RepoDigests` of `docker image inspect`, as of the first time) |
//! | `label` | each label that is named here, with this very value |
//! | `compose` | the labels of Compose for project and service (`com.docker.compose.*` or `io.podman.compose.*`) |
//! | `pod_uid` | the uid of the Kubernetes pod |
//!
//! `id` and `pod_uid` stand in the path. For the others the runtime is asked, once in the life of a container, over a socket
//! that must be root's; where it cannot be asked, or does not say that this container runs, the caller is denied. Labels
//! that an image brings with it count like those that the container was given: whoever runs images that he does not trust
//! names `name`, `image` or `digest` as well, for `label` and `compose` alone can be had by the image's author. `hushfs check` warns
//! of a rule with neither.
//!
//! It holds in other user namespaces too (`userns-remap`, `--userns`): there an executable could be forged, but no process
//! gets into the group of a container that way. A rule that has `exe` or `exe_sha256` as well is
//! for containers without a user namespace of their own. A rootless container is not recognised, for its user names it: start it as
//! root, or from a system unit and name that (`unit = "app.service/*"`).

use super::{Elsewhere, Says, Selector, SelectorKind, Strength, Verdict};
use crate::identity::container::is_rootless;
use crate::identity::evidence::{Evidence, Subject};

mod demand;
#[cfg(test)]
mod tests;

use demand::{Demand, demands};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "container",
    about: "the caller is in this container",
    strength: Strength::Strong,
    says: Says::Who,
    parse: |value| Ok(Box::new(InContainer(demands(value)?))),
};

/// All of these.
struct InContainer(Vec<Demand>);

impl Selector for InContainer {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        let Some(id) = of.who.container() else { return Verdict::No };
        let verdicts: Vec<_> = self.0.iter().map(|demand| demand.check(id, of.evidence)).collect();
        let weighs = |verdict: &Verdict| match verdict {
            Verdict::No => 0,
            Verdict::Unproven => 1,
            Verdict::Ask(_) => 2,
            Verdict::Yes => 3,
        };
        verdicts.into_iter().min_by_key(weighs).unwrap_or(Verdict::No)
    }

    fn describe(&self) -> String {
        let demands: Vec<_> = self.0.iter().map(Demand::describe).collect();
        format!("container:{{{}}}", demands.join(", "))
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        let Some(id) = of.who.container() else {
            return match is_rootless(of.who.cgroup.path()) {
                true => "the caller is in a rootless container, which its user names as he likes: start it as root, \
                         with ids of its own if it should have any (`--userns=auto`, `userns-remap`)"
                    .into(),
                false => "the caller is in no container that root started".into(),
            };
        };
        let evidence = of.evidence;
        let other = |demand: &&Demand| demand.check(id, evidence) != Verdict::Yes;
        let others: Vec<_> = self.0.iter().filter(other).collect();
        let differs = others.iter().filter(|demand| demand.check(id, evidence) == Verdict::No);
        let differs: Vec<_> = differs.map(|demand| demand.seen(id, evidence)).collect();
        let named = match &evidence.container {
            Some(Ok(container)) => format!("{:?} ({})", container.name, id.short()),
            _ => id.short().to_owned(),
        };
        match (differs.is_empty(), unproven(evidence)) {
            (false, _) => format!("the caller's container {named} {}", differs.join(" and ")),
            (true, Some(why)) if !others.is_empty() => why.to_owned(),
            (true, _) => format!("the caller is in container {named}"),
        }
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere::Proves
    }
}

/// Why something could not be established.
fn unproven(evidence: &Evidence) -> Option<&str> {
    let container = evidence.container.as_ref().and_then(|found| found.as_ref().err());
    let image = evidence.repo_digests.as_ref().and_then(|found| found.as_ref().err());
    container.or(image).map(|why| &**why)
}
