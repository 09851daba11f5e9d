//! Whose a control group is, by its labels and its path.
//!
//! Paths come in two forms: `/kubepods/burstable/pod<uid>/<id>`, and where systemd makes them
//! `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/<runtime>-<id>.scope`
//! with underscores in the uid.

use std::borrow::Cow;

use super::group::{Group, Key};

/// The container that holds a pod's network, as Docker's label has it.
const SANDBOX: &str = "POD";
/// An identity of a container has this many digits or more.
const ID_DIGITS: usize = 32;

/// Whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Machine,
    /// All pods together.
    Pods,
    /// A pod as a whole, or what holds its network.
    Pod,
    Container,
    /// Somebody's who is not shown.
    Other,
}

impl Key<'_> {
    /// Whose it is.
    pub(super) fn owner(&self) -> Owner {
        match (self.pod, self.container) {
            ("", _) => match self.id {
                "/" => Owner::Machine,
                "/kubepods" | "/kubepods.slice" => Owner::Pods,
                _ => Owner::Other,
            },
            (_, "" | SANDBOX) => Owner::Pod,
            _ => Owner::Container,
        }
    }

    /// The pod's uid, as far as the path has it.
    pub(super) fn pod_uid(&self) -> Cow<'_, str> {
        let uid = self.id.split('/').find_map(|part| {
            let part = part.strip_suffix(".slice").unwrap_or(part);
            let (_, uid) = part.rsplit_once("pod")?;
            is_uid(uid).then_some(uid)
        });
        let uid = uid.unwrap_or_default();
        if uid.contains('_') { uid.replace('_', "-").into() } else { uid.into() }
    }

    /// The identity of this run of a container, as far as the path has it.
    pub(super) fn container_id(&self) -> &str {
        let last = self.id.rsplit('/').next().unwrap_or_default();
        let last = last.strip_suffix(".scope").unwrap_or(last);
        let id = last.rsplit_once('-').map_or(last, |(_, id)| id);
        let is_id = id.len() >= ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { id } else { "" }
    }
}

/// Static pods have a hash in place of a uid.
fn is_uid(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_';
    matches!(text.len(), 32 | 36) && text.bytes().all(legal)
}

impl Group<'_> {
    /// The image that it runs; empty where that is not known by a name.
    pub(super) fn image(&self) -> &str {
        if self.image.starts_with("sha256:") { "" } else { self.image }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "101f5abc-0845-45b3-ba15-921f7cc143e3";
    const ID: &str = "116241f21ec723b2e561e7df2e27937bb04a232f4c378f0f447abd7ccb490d96";

    #[test]
    fn paths_of_several_drivers() {
        let hash = "0123456789abcdef0123456789abcdef";
        let systemd = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod101f5abc_0845_45b3_ba15_921f7cc143e3.slice";
        for (id, uid, container) in [
            (format!("/kubepods/burstable/pod{UID}/{ID}"), UID, ID),
            (format!("/kubepods/pod{UID}"), UID, ""),
            (format!("/kubepods/burstable/pod{hash}/{ID}"), hash, ID),
            (format!("{systemd}/cri-containerd-{ID}.scope"), UID, ID),
            (format!("{systemd}/crio-{ID}.scope"), UID, ID),
            (format!("{systemd}/docker-{ID}.scope"), UID, ID),
            (systemd.to_owned(), UID, ""),
            (format!("/kubelet/kubepods/pod{UID}/{ID}"), UID, ID),
            ("/kubepods.slice/kubepods-burstable.slice".to_owned(), "", ""),
            (String::new(), "", ""),
        ] {
            let key = Key { id: &id, ..Key::default() };
            assert_eq!((&*key.pod_uid(), key.container_id()), (uid, container), "{id}");
        }
    }

    #[test]
    fn owners_of_control_groups() {
        let owner = |id, pod, container| Key { id, namespace: "n", pod, container }.owner();
        assert_eq!(owner("/", "", ""), Owner::Machine);
        assert_eq!(owner("/kubepods.slice", "", ""), Owner::Pods);
        assert_eq!(owner("/system.slice/ssh.service", "", ""), Owner::Other);
        assert_eq!(owner("/kubepods/podx", "p", ""), Owner::Pod);
        assert_eq!(owner("/kubepods/podx/y", "p", "POD"), Owner::Pod);
        assert_eq!(owner("/kubepods/podx/y", "p", "c"), Owner::Container);
        assert_eq!(owner("", "p", "c"), Owner::Container);
    }
}
