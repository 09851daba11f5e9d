//! The labels of a row as sinks and the API name them: those of the Go Heapster 1.5.

use crate::entity::{Entity, Level};

/// The level of the row's entity.
pub const TYPE: &str = "type";
/// Name of the node.
pub const NODENAME: &str = "nodename";
/// Host name of the node, where it differs from its name.
pub const HOSTNAME: &str = "hostname";
/// Identity of the machine under the node.
pub const HOST_ID: &str = "host_id";
/// Uid of the pod.
pub const POD_ID: &str = "pod_id";
/// Name of the pod.
pub const POD_NAME: &str = "pod_name";
/// Name of the namespace.
pub const NAMESPACE_NAME: &str = "namespace_name";
/// Uid of the namespace.
pub const NAMESPACE_ID: &str = "namespace_id";
/// Name of the container.
pub const CONTAINER_NAME: &str = "container_name";
/// Image of the container.
pub const CONTAINER_BASE_IMAGE: &str = "container_base_image";
/// The cluster manager's labels, as `key:value` joined by `,`.
pub const LABELS: &str = "labels";
/// Kind of what the pod belongs to, such as `Deployment`.
pub const OWNER_KIND: &str = "owner_kind";
/// Name of what the pod belongs to.
pub const OWNER_NAME: &str = "owner_name";
/// A device, or a volume as `Volume:NAME`.
pub const RESOURCE_ID: &str = "resource_id";

/// The names that labels of entities and fields have most often; [`crate::entity::Labels`] keeps
/// them as numbers.
pub(crate) const COMMON: [&str; 14] = [
    TYPE,
    NODENAME,
    HOSTNAME,
    HOST_ID,
    POD_ID,
    POD_NAME,
    NAMESPACE_NAME,
    NAMESPACE_ID,
    CONTAINER_NAME,
    CONTAINER_BASE_IMAGE,
    LABELS,
    RESOURCE_ID,
    OWNER_KIND,
    OWNER_NAME,
];

/// Names that sinks, and the labels of some metrics, have beside.
const OTHERS: [&str; 4] = ["cluster_name", "make", "model", "accelerator_id"];

/// Whether a label of this name has a meaning of its own, so that nobody else may give one.
#[must_use]
pub fn is_own(name: &str) -> bool {
    COMMON.contains(&name) || OTHERS.contains(&name)
}

/// Calls `visit` with each tag of the entity that has a value, its name first: the level, the
/// names along its lineage, then the labels of its lineage, a nearer one hiding a farther one of
/// the same name. The order is the same at each call.
pub fn visit<'a>(entity: &'a Entity, mut visit: impl FnMut(&'a str, &'a str)) {
    visit(TYPE, entity.level.label());
    for (depth, part) in entity.lineage().enumerate() {
        for (name, value) in names(part) {
            if !value.is_empty() {
                visit(name, value);
            }
        }
        for (name, value) in part.labels.iter() {
            let hidden =
                || entity.lineage().take(depth).any(|nearer| nearer.labels.get(name).is_some());
            // A node's own labels say nothing of what runs on it, as in the ancestor.
            let foreign = name == LABELS && part.level == Level::Node && depth > 0;
            if !value.is_empty() && !foreign && !hidden() {
                visit(name, value);
            }
        }
    }
}

/// The tags that an entity's own name and uid stand for.
fn names(entity: &Entity) -> [(&'static str, &str); 2] {
    let (name_tag, uid_tag) = match entity.level {
        Level::Cluster => return [("", ""); 2],
        Level::Namespace => (NAMESPACE_NAME, NAMESPACE_ID),
        Level::Node => {
            // The ancestor gave every row a hostname, the node's name where nothing better is known.
            let hostname = entity.labels.get(HOSTNAME).is_none().then_some(entity.name.as_str());
            return [(NODENAME, &entity.name), (HOSTNAME, hostname.unwrap_or_default())];
        }
        Level::Pod => (POD_NAME, POD_ID),
        Level::PodContainer | Level::SysContainer => {
            return [(CONTAINER_NAME, &entity.name), ("", "")];
        }
    };
    [(name_tag, &entity.name), (uid_tag, &entity.uid)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::{Definition, EntityTable, Labels};

    fn tags(entity: &Entity) -> Vec<String> {
        let mut tags = Vec::new();
        visit(entity, |name, value| tags.push(format!("{name}={value}")));
        tags.sort();
        tags
    }

    /// The tags that the ancestor wrote for a container, its pod's labels included and its node's
    /// labels left out.
    #[test]
    fn a_container_has_the_tags_of_its_lineage() {
        let mut table = EntityTable::default();
        let mut define = |parent, level, name: &str, uid: &str, labels: &[(&str, &str)]| {
            table.intern(Definition {
                parent,
                level,
                name: name.into(),
                uid: uid.into(),
                start_time_ms: 0,
                labels: labels.iter().copied().collect::<Labels>(),
            })
        };
        let node =
            define(None, Level::Node, "node-a", "", &[(LABELS, "arch:amd64"), (HOST_ID, "m1")]);
        assert_eq!(
            tags(&node),
            ["host_id=m1", "hostname=node-a", "labels=arch:amd64", "nodename=node-a", "type=node"]
        );
        let pod_labels = [(NAMESPACE_NAME, "default"), (LABELS, "app:web")];
        let pod = define(Some(node), Level::Pod, "web-1", "u1", &pod_labels);
        let image = [(CONTAINER_BASE_IMAGE, "busybox")];
        let container = define(Some(pod), Level::PodContainer, "main", "", &image);
        assert_eq!(
            tags(&container),
            [
                "container_base_image=busybox",
                "container_name=main",
                "host_id=m1",
                "hostname=node-a",
                "labels=app:web",
                "namespace_name=default",
                "nodename=node-a",
                "pod_id=u1",
                "pod_name=web-1",
                "type=pod_container"
            ]
        );
    }
}
