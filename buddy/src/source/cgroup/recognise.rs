//! What a control group is, told from its path alone.
//!
//! | who made it | path |
//! |---|---|
//! | Docker | `/docker/ID`, `/system.slice/docker-ID.scope` |
//! | containerd, nerdctl | `/NAMESPACE/ID`, `nerdctl-ID.scope` |
//! | containerd for the kubelet | `.../cri-containerd-ID.scope`, `SLICE:cri-containerd:ID` |
//! | CRI-O | `.../crio-ID.scope`, `.../crio-ID` |
//! | podman | `.../libpod-ID.scope`, `/libpod_parent/libpod-ID`, `libpod-payload-ID` |
//! | the kubelet, cgroupfs driver | `/kubepods/burstable/podUID/ID` |
//! | the kubelet, systemd driver | `/kubepods.slice/.../kubepods-burstable-podUID.slice/...`, with `_` for `-` in UID |
//! | systemd | `*.slice`, `*.service`, `*.scope`, `*.mount`, `*.socket`, `*.swap` |
//!
//! An ID is 64 hexadecimal digits. Groups that a container makes within its own are named by their
//! path; the container's own values include theirs.

use compact_str::CompactString;

/// What runs a container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Runtime {
    /// Docker Engine.
    Docker,
    /// containerd itself, or for the kubelet.
    Containerd,
    /// CRI-O.
    Crio,
    /// podman.
    Podman,
}

impl Runtime {
    /// The value of the label `container_runtime`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
        }
    }
}

/// What kind of group it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind<'a> {
    /// A container.
    Container {
        /// What runs it, where the path tells.
        runtime: Option<Runtime>,
        /// 64 hexadecimal digits.
        id: &'a str,
    },
    /// All containers of a pod.
    Pod,
    /// A unit of systemd, with the word that its name ends in.
    Unit(&'a str),
    /// Anything else.
    Other,
}

/// What a path tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Recognised<'a> {
    /// What kind of group it is.
    pub(super) kind: Kind<'a>,
    /// Uid of the pod that it belongs to.
    pub(super) pod_uid: Option<CompactString>,
}

const UNITS: [&str; 6] = ["slice", "service", "scope", "mount", "socket", "swap"];

/// Names of groups and the runtime that gives them to a container, before its id.
const PREFIXES: [(&str, Runtime); 6] = [
    ("docker-", Runtime::Docker),
    ("cri-containerd-", Runtime::Containerd),
    ("nerdctl-", Runtime::Containerd),
    ("crio-", Runtime::Crio),
    ("libpod-payload-", Runtime::Podman),
    ("libpod-", Runtime::Podman),
];

/// Tells what the group at this path is.
pub(super) fn recognise(path: &str) -> Recognised<'_> {
    let path = path.trim_matches('/');
    let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
    let pod_uid = pod_uid(path);
    if let Some(kind) = container(parents, last, pod_uid.is_some()) {
        return Recognised { kind, pod_uid };
    }
    if pod_uid.is_some() && pod_of(last, parents).is_some() {
        return Recognised { kind: Kind::Pod, pod_uid };
    }
    Recognised { kind: unit(last).map_or(Kind::Other, Kind::Unit), pod_uid }
}

/// The word that the name of a systemd unit ends in.
fn unit(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, suffix)| suffix).filter(|word| UNITS.contains(word))
}

fn container<'a>(parents: &str, last: &'a str, in_pod: bool) -> Option<Kind<'a>> {
    if is_id(last) {
        let runtime = if in_pod { None } else { runtime_of_parents(parents) };
        return Some(Kind::Container { runtime, id: last });
    }
    if let Some((prefix, id)) = last.rsplit_once(':').filter(|(_, id)| is_id(id)) {
        // `SLICE:cri-containerd:ID`, from a systemd path that was given to the cgroupfs driver.
        let word = prefix.rsplit_once(':').map_or(prefix, |(_, word)| word);
        let known = PREFIXES.iter().find(|(prefix, _)| prefix.trim_end_matches('-') == word);
        return Some(Kind::Container { runtime: known.map(|(_, runtime)| *runtime), id });
    }
    let name = last.strip_suffix(".scope").unwrap_or(last);
    PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = name.strip_prefix(prefix).filter(|id| is_id(id))?;
        Some(Kind::Container { runtime: Some(*runtime), id })
    })
}

/// Who names its containers' groups by the id alone, below these parents.
fn runtime_of_parents(parents: &str) -> Option<Runtime> {
    let nearest = parents.rsplit_once('/').map_or(parents, |(_, nearest)| nearest);
    match nearest {
        "docker" => Some(Runtime::Docker),
        "libpod_parent" => Some(Runtime::Podman),
        // containerd puts them below the name of its namespace, at the top.
        _ if !parents.is_empty() && !parents.contains('/') && unit(nearest).is_none() => {
            Some(Runtime::Containerd)
        }
        _ => None,
    }
}

/// The uid that the path's last component with one names.
fn pod_uid(path: &str) -> Option<CompactString> {
    let mut rest = path;
    loop {
        let (parents, last) = rest.rsplit_once('/').unwrap_or(("", rest));
        if let Some(uid) = pod_of(last, parents) {
            return Some(uid.replace('_', "-").into());
        }
        if parents.is_empty() {
            return None;
        }
        rest = parents;
    }
}

/// The uid in one component, in the systemd form (which names its parents itself) or, below
/// `kubepods`, in the cgroupfs form.
fn pod_of<'a>(component: &'a str, parents: &str) -> Option<&'a str> {
    let slice = component.split(':').next().unwrap_or(component);
    let uid = if let Some(name) = slice.strip_suffix(".slice") {
        if !name.contains("kubepods") {
            return None;
        }
        name.rsplit_once("-pod")?.1
    } else {
        let below_kubepods = parents.split('/').any(|parent| parent == "kubepods");
        component.strip_prefix("pod").filter(|_| below_kubepods)?
    };
    let legal = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_';
    (uid.len() >= 32 && uid.bytes().all(legal)).then_some(uid)
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "335d55451c600f8a7e9a1f3d1c2b4a59687f6e5d4c3b2a190817263544536271";
    const UID: &str = "0f6b2c1e-8a3d-4c5b-9e7f-112233445566";
    /// Uid of a static pod: a hash of its file.
    const STATIC_UID: &str = "5a1f0c3e9b7d2648f0e1d2c3b4a59687";

    /// `{id}`, `{uid}`, `{uid_}` and `{static}` stand for the constants.
    fn expand(text: &str) -> String {
        text.replace("{id}", ID)
            .replace("{uid}", UID)
            .replace("{uid_}", &UID.replace('-', "_"))
            .replace("{static}", STATIC_UID)
    }

    #[test]
    fn containers_are_told_by_their_runtime() {
        let docker = Some(Runtime::Docker);
        let containerd = Some(Runtime::Containerd);
        let (crio, podman) = (Some(Runtime::Crio), Some(Runtime::Podman));
        let user = "/user.slice/user-1000.slice/user@1000.service/user.slice";
        let burstable =
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice";
        let cases = [
            ("/docker/{id}".to_owned(), docker, None),
            ("/system.slice/docker-{id}.scope".to_owned(), docker, None),
            (format!("{user}/docker-{{id}}.scope"), docker, None),
            ("/docker/{id}/docker/{id}".to_owned(), docker, None),
            ("/default/{id}".to_owned(), containerd, None),
            ("/k8s.io/{id}".to_owned(), containerd, None),
            ("/my.slice/{id}".to_owned(), None, None),
            ("/system.slice/nerdctl-{id}.scope".to_owned(), containerd, None),
            ("/machine.slice/libpod-{id}.scope".to_owned(), podman, None),
            ("/libpod_parent/libpod-{id}".to_owned(), podman, None),
            (format!("/libpod_parent/{ID}/libpod-{{id}}"), podman, None),
            (format!("{user}/libpod-{{id}}.scope"), podman, None),
            ("/system.slice/x.service/libpod-payload-{id}".to_owned(), podman, None),
            ("/ecs/5f0c/{id}".to_owned(), None, None),
            ("/{id}".to_owned(), None, None),
            (format!("{burstable}/cri-containerd-{{id}}.scope"), containerd, Some(UID)),
            (format!("{burstable}/crio-{{id}}.scope"), crio, Some(UID)),
            (format!("{burstable}/docker-{{id}}.scope"), docker, Some(UID)),
            ("/kubepods.slice/kubepods-pod{static}.slice/crio-{id}.scope".to_owned(), crio, Some(STATIC_UID)),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid_}.slice/cri-containerd-{id}.scope".to_owned(),
                containerd,
                Some(UID),
            ),
            (
                "/system.slice/containerd.service/kubepods-besteffort-pod{uid_}.slice:cri-containerd:{id}".to_owned(),
                containerd,
                Some(UID),
            ),
            ("/kubepods/burstable/pod{uid}/{id}".to_owned(), None, Some(UID)),
            ("/kubepods/pod{uid}/crio-{id}".to_owned(), crio, Some(UID)),
            ("/kubepods/besteffort/pod{static}/{id}".to_owned(), None, Some(STATIC_UID)),
            (format!("/docker/{ID}/kubelet/kubepods/pod{{uid}}/{{id}}"), None, Some(UID)),
        ];
        for (path, runtime, pod_uid) in cases {
            let path = expand(&path);
            let wanted = Recognised {
                kind: Kind::Container { runtime, id: ID },
                pod_uid: pod_uid.map(CompactString::from),
            };
            assert_eq!(recognise(&path), wanted, "{path}");
        }
    }

    #[test]
    fn pods_are_told_from_their_containers() {
        for path in [
            "/kubepods/burstable/pod{uid}",
            "/kubepods/pod{uid}",
            "/kubepods.slice/kubepods-pod{uid_}.slice",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice",
        ] {
            let path = expand(path);
            let wanted = Recognised { kind: Kind::Pod, pod_uid: Some(UID.into()) };
            assert_eq!(recognise(&path), wanted, "{path}");
        }
    }

    /// Things that only look like containers or pods: monitors, short or upper-case ids, pods
    /// outside of `kubepods`, groups within a container.
    #[test]
    fn everything_else_is_a_unit_or_other() {
        let cases = [
            ("/system.slice", Kind::Unit("slice")),
            ("/system.slice/ssh.service", Kind::Unit("service")),
            ("/init.scope", Kind::Unit("scope")),
            ("/user.slice/user-0.slice/session-3.scope", Kind::Unit("scope")),
            ("/system.slice/boot-efi.mount", Kind::Unit("mount")),
            ("/system.slice/docker.socket", Kind::Unit("socket")),
            ("/system.slice/system-getty.slice/getty@tty1.service", Kind::Unit("service")),
            ("/machine.slice/libpod-conmon-{id}.scope", Kind::Unit("scope")),
            ("/system.slice/crio-conmon-{id}.scope", Kind::Unit("scope")),
            ("/system.slice/docker-335d55451c60.scope", Kind::Unit("scope")),
            ("/kubepods.slice", Kind::Unit("slice")),
            ("/kubepods.slice/kubepods-besteffort.slice", Kind::Unit("slice")),
            ("/docker", Kind::Other),
            ("/docker/335D", Kind::Other),
            ("/docker/{id}/init", Kind::Other),
            ("/machine.slice/libpod-{id}.scope/container", Kind::Other),
            ("/kubepods/burstable", Kind::Other),
            ("/kubepods/podium", Kind::Other),
            ("/somewhere/pod{uid}", Kind::Other),
            ("/process_api/1d688ef7eef5372c9d2a79cbc11ddacc", Kind::Other),
            ("/", Kind::Other),
            ("", Kind::Other),
            ("/a:b", Kind::Other),
            ("/naïve-é", Kind::Other),
        ];
        for (path, kind) in cases {
            let path = expand(path);
            assert_eq!(recognise(&path), Recognised { kind, pod_uid: None }, "{path}");
        }
    }

    /// A group that a container of a pod makes still belongs to the pod, and is no container.
    #[test]
    fn a_group_within_a_container_keeps_the_pod() {
        let path = expand("/kubepods/pod{uid}/{id}/init.scope");
        let found = recognise(&path);
        assert_eq!((found.kind, found.pod_uid.as_deref()), (Kind::Unit("scope"), Some(UID)));
    }
}
