//! What a row is about, as the attributes of a resource.

use heapster_shared::{
    entity::{Entity, Level},
    tag,
};

use crate::sinks::{
    LabelRules,
    labels::CLUSTER_NAME,
    protobuf::{bytes_field, field_len, open},
};

/// Kinds of owners that have attributes of their own.
const OWNERS: [(&str, &str); 7] = [
    ("CronJob", "k8s.cronjob.name"),
    ("DaemonSet", "k8s.daemonset.name"),
    ("Deployment", "k8s.deployment.name"),
    ("Job", "k8s.job.name"),
    ("ReplicaSet", "k8s.replicaset.name"),
    ("ReplicationController", "k8s.replicationcontroller.name"),
    ("StatefulSet", "k8s.statefulset.name"),
];

/// The resource of an entity as the field of `ResourceMetrics`.
pub(super) fn encode(cluster: &str, entity: &Entity, rules: &LabelRules) -> Box<[u8]> {
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    rules.visit(cluster, entity, |label, value| {
        if let Some(key) = key(label, entity) {
            attributes.push((key, value));
        }
    });
    attributes.sort_by_key(|(key, _)| *key);
    attributes.dedup_by_key(|(key, _)| *key);
    let mut inner = Vec::new();
    attributes.iter().for_each(|(key, value)| append(1, key, value, &mut inner));
    let mut out = Vec::with_capacity(inner.len() + 6);
    bytes_field(1, &inner, &mut out);
    out.into()
}

/// The attribute that a label is; labels that were renamed, or are a cluster's own, keep their names.
fn key<'a>(label: &'a str, entity: &Entity) -> Option<&'a str> {
    Some(match label {
        // It is in the names of the metrics.
        tag::TYPE | "" => return None,
        CLUSTER_NAME => "k8s.cluster.name",
        tag::NODENAME => "k8s.node.name",
        tag::HOSTNAME => "host.name",
        tag::HOST_ID => "host.id",
        tag::NAMESPACE_NAME => "k8s.namespace.name",
        tag::NAMESPACE_ID => "k8s.namespace.uid",
        tag::POD_NAME => "k8s.pod.name",
        tag::POD_ID => "k8s.pod.uid",
        tag::CONTAINER_NAME if entity.level == Level::PodContainer => "k8s.container.name",
        tag::CONTAINER_NAME => "container.name",
        tag::CONTAINER_BASE_IMAGE => "container.image.name",
        tag::LABELS => "heapster.labels",
        tag::OWNER_KIND => "heapster.owner.kind",
        tag::OWNER_NAME => {
            let kind = entity.label(tag::OWNER_KIND).unwrap_or_default();
            let known = OWNERS.iter().find(|(known, _)| *known == kind);
            known.map_or("heapster.owner.name", |(_, key)| key)
        }
        other => other,
    })
}

/// Appends an attribute with a text.
pub(super) fn append(number: u8, key: &str, value: &str, out: &mut Vec<u8>) {
    let value_len = field_len(value.len());
    open(number, field_len(key.len()) + field_len(value_len), out);
    bytes_field(1, key.as_bytes(), out);
    open(2, value_len, out);
    bytes_field(1, value.as_bytes(), out);
}
