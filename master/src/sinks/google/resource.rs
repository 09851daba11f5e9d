//! What an entity is to Google: its monitored resource, and what else tells its series apart. Worked
//! out once for each entity.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher},
};

use heapster_shared::{
    entity::{Entity, Level},
    tag,
};

use super::{
    Place,
    names::Model,
    text::{key, pair},
};
use crate::sinks::LabelRules;

/// Which labels custom metrics have.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) labels: &'a [String],
    pub(super) rules: &'a LabelRules,
}

/// The texts of an entity.
#[derive(Debug)]
pub(super) struct EntityText {
    /// Tells its series from those of all others.
    pub(super) key: u64,
    /// The start of its pod, or its own; 0 when not known.
    pub(super) pod_start_ms: i64,
    parts: [Part; Model::COUNT],
}

/// The texts of an entity in the names of one model.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// `"key":"value",...` of the metric.
    pub(super) labels: Vec<u8>,
    /// `}},"resource":{...}`: the end of the metric, and the resource.
    pub(super) resource: Vec<u8>,
}

impl EntityText {
    pub(super) fn new(
        entity: &Entity,
        cluster: &str,
        place: &Place,
        models: &[Model],
        wanted: &Wanted<'_>,
        hashes: &impl BuildHasher,
    ) -> Self {
        let mut parts: [Part; Model::COUNT] = Default::default();
        let mut hasher = hashes.build_hasher();
        for model in models {
            let part = part(*model, entity, cluster, place, wanted);
            hasher.write(&part.labels);
            hasher.write(&part.resource);
            parts[*model as usize] = part;
        }
        let pod = entity.at(Level::Pod).unwrap_or(entity);
        Self { key: hasher.finish(), pod_start_ms: pod.start_time_ms, parts }
    }

    pub(super) const fn part(&self, model: Model) -> &Part {
        &self.parts[model as usize]
    }
}

fn part(model: Model, entity: &Entity, cluster: &str, place: &Place, wanted: &Wanted<'_>) -> Part {
    let (kind, labels) = match model {
        Model::Custom | Model::Google => kubernetes(entity, cluster, place),
        Model::Legacy => ("gke_container", legacy(entity, cluster, place)),
        Model::Machine => ("gce_instance", machine(entity, place)),
    };
    let mut resource = b"}},\"resource\":".to_vec();
    resource.extend_from_slice(&object(kind, &labels));
    Part { labels: metric_labels(model, entity, wanted), resource }
}

/// `{"type":"...","labels":{...}}`.
pub(super) fn object(kind: &str, labels: &[(&str, &str)]) -> Vec<u8> {
    let mut pairs = Vec::new();
    for (key, value) in labels {
        pair(key, value, &mut pairs);
    }
    let mut out = format!("{{\"type\":\"{kind}\",\"labels\":{{").into_bytes();
    out.extend_from_slice(&pairs);
    out.extend_from_slice(b"}}");
    out
}

type Pairs<'a> = Vec<(&'static str, &'a str)>;

/// The resources of Kubernetes: what belongs to no pod is its node's, and sums are the cluster's.
fn kubernetes<'a>(
    entity: &'a Entity,
    cluster: &'a str,
    place: &'a Place,
) -> (&'static str, Pairs<'a>) {
    let mut labels = cluster_labels(cluster, place);
    let name = |level| entity.at(level).map_or("", |entity| entity.name.as_str());
    let kind = match entity.level {
        Level::Cluster | Level::Namespace => return ("k8s_cluster", labels),
        Level::Node | Level::SysContainer => {
            labels.push(("node_name", name(Level::Node)));
            return ("k8s_node", labels);
        }
        Level::Pod => "k8s_pod",
        Level::PodContainer => "k8s_container",
    };
    labels.push(("namespace_name", entity.namespace().unwrap_or_default()));
    labels.push(("pod_name", name(Level::Pod)));
    if entity.level == Level::PodContainer {
        labels.push(("container_name", &entity.name));
    }
    (kind, labels)
}

/// The labels that every resource of Kubernetes has.
pub(super) fn cluster_labels<'a>(cluster: &'a str, place: &'a Place) -> Pairs<'a> {
    vec![("project_id", &place.project), ("location", &place.location), ("cluster_name", cluster)]
}

/// The one resource of before: of a pod it has no container's name, of a node an artificial one.
fn legacy<'a>(entity: &'a Entity, cluster: &'a str, place: &'a Place) -> Pairs<'a> {
    let container = match entity.level {
        Level::Node => "machine",
        Level::PodContainer | Level::SysContainer => &entity.name,
        Level::Pod | Level::Namespace | Level::Cluster => "",
    };
    vec![
        ("project_id", &place.project),
        ("cluster_name", cluster),
        ("zone", &place.location),
        ("instance_id", entity.label(tag::HOST_ID).unwrap_or_default()),
        ("namespace_id", entity.label(tag::NAMESPACE_ID).unwrap_or_default()),
        ("pod_id", entity.at(Level::Pod).map_or("", |pod| &pod.uid)),
        ("container_name", container),
    ]
}

fn machine<'a>(entity: &'a Entity, place: &'a Place) -> Pairs<'a> {
    let id = entity.label(tag::HOST_ID).unwrap_or(&entity.name);
    vec![("project_id", &place.project), ("instance_id", id), ("zone", &place.location)]
}

/// What the resource does not say of the entity.
fn metric_labels(model: Model, entity: &Entity, wanted: &Wanted<'_>) -> Vec<u8> {
    let mut labels: BTreeMap<String, &str> = BTreeMap::new();
    match model {
        Model::Legacy => {}
        Model::Google => {
            if entity.level == Level::SysContainer {
                labels.insert("component".into(), &entity.name);
            }
        }
        Model::Machine => {
            let hostname = entity.label(tag::HOSTNAME).unwrap_or(&entity.name);
            labels.insert(tag::HOSTNAME.into(), hostname);
        }
        Model::Custom => tag::visit(entity, |label, value| {
            if let Some(name) = wanted.name(label, entity.level) {
                labels.entry(key(name)).or_insert(value);
            }
        }),
    }
    let mut out = Vec::new();
    for (key, value) in labels {
        pair(&key, value, &mut out);
    }
    out
}

/// Labels without which series of a level would be one, since their resource lacks them.
const NEEDED: [(Level, &str); 2] =
    [(Level::SysContainer, tag::CONTAINER_NAME), (Level::Namespace, tag::NAMESPACE_NAME)];

impl Wanted<'_> {
    /// What a label of an entity at this level is to be called; `None` when it is not written.
    fn name<'a>(&'a self, label: &'a str, level: Level) -> Option<&'a str> {
        if NEEDED.contains(&(level, label)) {
            // Dropped, it would make one series of many.
            return Some(self.rules.name(label).unwrap_or(label));
        }
        let wanted = self.labels.iter().any(|wanted| wanted == label);
        wanted.then(|| self.rules.name(label)).flatten()
    }

    /// The keys that custom metrics may have, of whatever level.
    pub(super) fn keys(&self) -> Vec<String> {
        let wanted = self.labels.iter().filter_map(|label| self.rules.name(label));
        let needed = NEEDED.iter().map(|(_, label)| self.rules.name(label).unwrap_or(label));
        let mut keys: Vec<String> = wanted.chain(needed).map(key).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}
