//! The container of a process, by the whole path of its control group.
//!
//! A path counts only where every step from the root down was made by root: in the groups that the engines make at the top
//! (`/docker`, `/libpod_parent`, `/kubepods`), or by the system's own systemd, below nothing but its slices. Whoever was
//! given a part of the tree (a user's session, a service with `Delegate=`) names what lies in it as he likes, so an id that
//! stands further down, at the end, or below anything else is no id. For the same reason these do not count:
//!
//! - a parent of one's own outside of systemd (`--cgroup-parent /mypods`): nothing in the path says whose it is. A slice
//!   (`--cgroup-parent my.slice`, with the systemd driver) counts. On a host without systemd nobody makes slices, and whoever
//!   makes a group of such a name by hand must not give it to a user;
//! - a container of `podman run --cgroups=split`, as Quadlet starts them: it lies in the group of its service. Name that
//!   service by `unit`;
//! - a rootless container: it lies in its user's session ([`is_rootless`]).
//!
//! What lies below a container's group (a systemd or an engine inside) belongs to the container.

use std::fmt;

/// The container of a process, as its control group says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerId {
    /// The whole id: 64 hexadecimal digits.
    pub id: String,
    /// Who made the container, where the path says so.
    pub engine: Option<Engine>,
    /// The uid of the Kubernetes pod that it belongs to, with hyphens.
    pub pod_uid: Option<String>,
}

/// Who makes containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Docker Engine, by itself or below Kubernetes.
    Docker,
    /// Podman, as root.
    Podman,
    /// containerd or CRI-O below Kubernetes. They have no interface by which we could ask them.
    Kubernetes,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
        })
    }
}

impl ContainerId {
    /// From the text of `/proc/<tid>/cgroup`. On a host with cgroup v1 there is a line for each hierarchy, and those that
    /// name a container must agree.
    pub(in crate::identity) fn of_lines(text: &str) -> Option<Self> {
        let mut found = None;
        let mut before = "";
        for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
            // Nearly always all lines say the same.
            if path == before {
                continue;
            }
            before = path;
            match (of_path(path), &found) {
                (Some(other), Some(first)) if other != *first => return None,
                (Some(first), None) => found = Some(first),
                _ => {}
            }
        }
        found
    }

    /// Whether this text is a whole id, or the first digits of one: at least as many as engines print.
    pub fn may_begin_with(text: &str) -> bool {
        (SHORT..=64).contains(&text.len()) && is_hex(text)
    }

    /// The first twelve digits: what engines print.
    pub fn short(&self) -> &str {
        self.id.get(..SHORT).unwrap_or(&self.id)
    }

    fn new(engine: impl Into<Option<Engine>>, id: &str) -> Option<Self> {
        let engine = engine.into();
        is_id(id).then(|| Self { id: id.to_owned(), engine, pod_uid: None })
    }
}

/// Digits of a short id.
pub(super) const SHORT: usize = 12;

/// Whether the path is one that an engine without root would make: in a user's session, where it proves nothing.
pub(in crate::identity) fn is_rootless(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.by_ref().any(|part| part.starts_with("user@")) && parts.any(|part| in_scope(part).is_some())
}

fn of_path(path: &str) -> Option<ContainerId> {
    let mut parts = path.strip_prefix('/')?.split('/');
    match parts.next()? {
        "docker" => ContainerId::new(Engine::Docker, parts.next()?),
        "libpod_parent" => of_podman(parts.next()?, parts.next()),
        "kubepods" => of_pod(parts),
        top => of_slices(top, parts),
    }
}

/// Below `/libpod_parent`: a container, or a pod and a container.
fn of_podman(first: &str, second: Option<&str>) -> Option<ContainerId> {
    let container = if is_id(first) { second? } else { first };
    ContainerId::new(Engine::Podman, container.strip_prefix("libpod-")?)
}

/// Below `/kubepods`: the class of service, unless it is the guaranteed one; the pod; the container.
fn of_pod<'p>(mut parts: impl Iterator<Item = &'p str>) -> Option<ContainerId> {
    let mut pod = parts.next()?;
    if matches!(pod, "burstable" | "besteffort") {
        pod = parts.next()?;
    }
    let pod_uid = Some(pod_uid(pod.strip_prefix("pod")?)?);
    let container = parts.next()?;
    let found = match container.strip_prefix("crio-") {
        Some(id) => ContainerId::new(Engine::Kubernetes, id),
        // containerd, or Docker by cri-dockerd.
        None => ContainerId::new(None, container),
    };
    found.map(|found| ContainerId { pod_uid, ..found })
}

/// Below slices, each in the one that its name says it is in (`a-b.slice` in `a.slice`): a scope. A slice cannot be
/// delegated, so it and the scopes in it are made by the manager alone: the system's, for root; a user's own manager is a
/// service.
fn of_slices<'p>(top: &str, mut parts: impl Iterator<Item = &'p str>) -> Option<ContainerId> {
    let mut slice = top.strip_suffix(".slice")?;
    // Nobody's container belongs there, and everything that does is a user's.
    if slice == "user" || slice.contains('-') {
        return None;
    }
    let mut part = parts.next()?;
    while let Some(inner) = part.strip_suffix(".slice") {
        let step = inner.strip_prefix(slice)?.strip_prefix('-')?;
        if step.is_empty() || step.contains('-') {
            return None;
        }
        slice = inner;
        part = parts.next()?;
    }
    let found = in_scope(part)?;
    let pod_uid = pod_of_slice(slice);
    // These engines make containers for Kubernetes alone.
    if found.engine == Some(Engine::Kubernetes) && pod_uid.is_none() {
        return None;
    }
    Some(ContainerId { pod_uid, ..found })
}

/// The pod of `kubepods-burstable-pod<uid>`, where the uid is written with underscores.
fn pod_of_slice(slice: &str) -> Option<String> {
    let (above, pod) = slice.rsplit_once('-')?;
    let of_kubernetes = above.split('-').any(|part| part == "kubepods");
    of_kubernetes.then(|| pod_uid(&pod.strip_prefix("pod")?.replace('_', "-"))).flatten()
}

/// The container of a scope. That of `libpod-conmon-<id>.scope` is the monitor's, and no container.
fn in_scope(scope: &str) -> Option<ContainerId> {
    let (engine, id) = scope.strip_suffix(".scope")?.rsplit_once('-')?;
    let engine = match engine {
        "docker" => Engine::Docker,
        "libpod" => Engine::Podman,
        "cri-containerd" | "crio" => Engine::Kubernetes,
        _ => return None,
    };
    ContainerId::new(engine, id)
}

/// A pod's uid: a UUID or, of a pod that the node itself defines, 32 digits.
pub(in crate::identity) fn pod_uid(text: &str) -> Option<String> {
    let groups: Vec<_> = text.split('-').map(|group| if is_hex(group) { group.len() } else { 0 }).collect();
    matches!(groups.as_slice(), [8, 4, 4, 4, 12] | [32]).then(|| text.to_owned())
}

/// Whether it is a whole id.
fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// Whether it is nothing but hexadecimal digits as engines write them.
pub(in crate::identity) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4e3ad9be6e02705198e5b698884207b5a8b73489e6f6bcd6a57a032cd053030b";
    const OTHER: &str = "2dc88fc65db4d4368e8751dc6a7e8c5b7848a9013730f0d7b6608b2548e2487b";
    const POD: &str = "0b9ecb4f-1f2c-4d1c-8d6b-6a1f9c3b7e55";

    /// The container at a path, in which ID, OTHER, POD and P_O_D stand for the real thing.
    fn at(path: &str) -> Option<ContainerId> {
        ContainerId::of_lines(&format!("0::{}\n", real(path)))
    }

    fn real(path: &str) -> String {
        let path = path.replace("P_O_D", &POD.replace('-', "_")).replace("POD", POD);
        path.replace("OTHER", OTHER).replace("ID", ID)
    }

    fn container(engine: impl Into<Option<Engine>>, pod_uid: Option<&str>) -> Option<ContainerId> {
        Some(ContainerId { id: ID.into(), engine: engine.into(), pod_uid: pod_uid.map(str::to_owned) })
    }

    #[test]
    fn containers_of_docker_are_known_by_both_of_its_cgroup_drivers() {
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/my.slice/docker-ID.scope",
            "/my.slice/my-pods.slice/docker-ID.scope",
        ] {
            assert_eq!(at(path), container(Engine::Docker, None), "{path}");
        }
    }

    #[test]
    fn containers_of_podman_are_known_in_pods_and_alone() {
        for path in [
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/machine.slice/machine-libpod_pod_OTHER.slice/libpod-ID.scope",
            "/libpod_parent/libpod-ID",
            "/libpod_parent/libpod-ID/container",
            "/libpod_parent/OTHER/libpod-ID",
        ] {
            assert_eq!(at(path), container(Engine::Podman, None), "{path}");
        }
    }

    #[test]
    fn containers_of_kubernetes_are_known_with_their_pod() {
        let slices = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podP_O_D.slice";
        for (path, engine) in [
            ("/kubepods/burstable/podPOD/ID".to_owned(), None),
            ("/kubepods/besteffort/podPOD/ID".to_owned(), None),
            ("/kubepods/podPOD/ID".to_owned(), None),
            ("/kubepods/burstable/podPOD/crio-ID".to_owned(), Some(Engine::Kubernetes)),
            (format!("{slices}/cri-containerd-ID.scope"), Some(Engine::Kubernetes)),
            (format!("{slices}/crio-ID.scope"), Some(Engine::Kubernetes)),
            (format!("{slices}/crio-ID.scope/container"), Some(Engine::Kubernetes)),
            (format!("{slices}/docker-ID.scope"), Some(Engine::Docker)),
            (
                "/kubepods.slice/kubepods-podP_O_D.slice/cri-containerd-ID.scope".to_owned(),
                Some(Engine::Kubernetes),
            ),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podP_O_D.slice/cri-containerd-ID.scope"
                    .to_owned(),
                Some(Engine::Kubernetes),
            ),
        ] {
            assert_eq!(at(&path), container(engine, Some(POD)), "{path}");
        }
        let of_node = "55f8e1ac7e1d4d0c9b0f3c1e2d4a5b6c";
        let path = format!("/kubepods/burstable/pod{of_node}/ID");
        assert_eq!(at(&path), container(None, Some(of_node)), "a static pod");
    }

    #[test]
    fn what_runs_inside_a_container_belongs_to_the_outermost() {
        for path in [
            "/docker/ID/docker/OTHER",
            "/docker/ID/system.slice/x.service",
            "/docker/ID/kubepods/burstable/podPOD/OTHER",
            "/system.slice/docker-ID.scope/system.slice/docker-OTHER.scope",
            "/system.slice/docker-ID.scope/init.scope",
        ] {
            assert_eq!(at(path), container(Engine::Docker, None), "{path}");
        }
    }

    #[test]
    fn a_name_below_what_a_user_or_a_service_was_given_is_no_container() {
        for path in [
            "/user.slice/user-1000.slice/user@1000.service/docker-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "/user.slice/user-1000.slice/session-1.scope/docker/ID",
            "/user.slice/user-1000.slice/docker-ID.scope",
            "/user.slice/docker-ID.scope",
            "/system.slice/a.service/docker-ID.scope",
            "/system.slice/a.service/libpod-payload-ID",
            "/system.slice/a.service/system.slice/docker-ID.scope",
            "/system.slice/run-r1.scope/docker-ID.scope",
            "/machine.slice/machine-box.scope/payload/docker/ID",
            "/lxc.payload.box/docker/ID",
            "/alice/docker/ID",
            "/alice/system.slice/docker-ID.scope",
            "/alice/libpod_parent/libpod-ID",
            "/alice/kubepods/burstable/podPOD/ID",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
    }

    #[test]
    fn a_bare_id_a_suffix_and_what_only_resembles_a_container_are_none() {
        for path in [
            "/ID",
            "/mypods/ID",
            "/system.slice/ID",
            "/docker-ID.scope",
            "/docker/buildkit/ID",
            "/docker/xID",
            "/docker/IDx",
            "/docker/ID (deleted)",
            "/docker",
            "/docker/",
            "//docker/ID",
            "docker/ID",
            "/../docker/ID",
            "/docker/../ID",
            "/system.slice/docker-ID.service",
            "/system.slice/evil-docker-ID.scope",
            "/system.slice/docker-IDx.scope",
            "/system.slice/my-pods.slice/docker-ID.scope",
            "/system.slice/system.slice/docker-ID.scope",
            "/my-pods.slice/docker-ID.scope",
            "/machine.slice/libpod-conmon-ID.scope",
            "/machine.slice/libpod-conmon-ID.scope/container",
            "/libpod_parent/libpod-conmon-ID",
            "/libpod_parent/conmon",
            "/libpod_parent/ID",
            "/kubepods/burstable/ID",
            "/kubepods/burstable/podx/ID",
            "/kubepods/other/podPOD/ID",
            "/kubepods/burstable/podPOD/crio-conmon-ID",
            "/kubepods.slice/crio-ID.scope",
            "/kubepods.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-podP_O_D.slice/crio-conmon-ID.scope",
            "/other.slice/other-podP_O_D.slice/cri-containerd-ID.scope",
            "/",
            "",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
        assert_eq!(at(&format!("/docker/{}", ID.to_uppercase())), None);
        assert_eq!(at(&format!("/docker/{}", &ID[1..])), None);
    }

    /// As Docker 20.10 with the cgroupfs driver makes them on a host with both versions of cgroups.
    const HYBRID: &str = "9:name=systemd:/docker/ID\n8:pids:/docker/ID\n7:blkio:/docker/ID\n6:freezer:/docker/ID\n\
        5:devices:/docker/ID\n4:memory:/docker/ID\n3:cpuset:/docker/ID\n2:cpuacct:/docker/ID\n1:cpu:/docker/ID\n0::/docker/ID\n";

    #[test]
    fn on_a_host_with_cgroup_v1_the_lines_that_name_a_container_must_agree() {
        let of = |text: &str| ContainerId::of_lines(&real(text));
        assert_eq!(of(HYBRID), container(Engine::Docker, None));
        let without_v2 = HYBRID.replace("0::/docker/ID", "0::/");
        assert_eq!(of(&without_v2), container(Engine::Docker, None), "v1 alone names it");
        let two = HYBRID.replace("8:pids:/docker/ID", "8:pids:/docker/OTHER");
        assert_eq!(of(&two), None);
        assert_eq!(of("1:cpu,cpuacct:/docker/ID\n0::/docker/ID/a:b\n"), container(Engine::Docker, None));
        assert_eq!(of("4:memory:/alice/docker/ID\n0::/\n"), None);
        assert_eq!(of("1:cpu:/docker/ID"), container(Engine::Docker, None));
        assert_eq!(of("/docker/ID"), None);
    }

    #[test]
    fn a_rootless_container_is_told_apart_from_none_for_people() {
        for (path, rootless) in [
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", true),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", true),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", false),
            ("/system.slice/docker-ID.scope", false),
        ] {
            assert_eq!(is_rootless(&real(path)), rootless, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_before_the_anchor_is_skipped(before in "[a-z@.0-9-]{1,12}", below in "(/[a-z]{1,5}){0,2}") {
            proptest::prop_assume!(!before.ends_with(".slice"));
            for path in ["docker/ID", "system.slice/docker-ID.scope", "libpod_parent/libpod-ID", "kubepods/podPOD/ID"] {
                proptest::prop_assert_eq!(at(&format!("/{before}/{path}{below}")), None);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "([0-9]:|:|/|docker|kubepods|pod|libpod-|\\.slice|\\.scope|-|é|\n){0,30}") {
            let _ = ContainerId::of_lines(&text);
            let _ = is_rootless(&text);
        }
    }
}
