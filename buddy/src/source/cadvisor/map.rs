//! From a container as cAdvisor sees it to a reading: whose it is, and which of its numbers count.

use compact_str::CompactString;
use heapster_shared::{Set, entity::Labels, tag};

use super::{
    answer::{ContainerLabels, Spec, Stats, Text},
    facts::{Devices, Facts},
    values::Cells,
    values::Values,
};
use crate::source::{PlainReading, PodName, Subject};

/// Digits of the identity of a container.
const CONTAINER_ID_DIGITS: usize = 64;
/// A name of this many hexadecimal digits is an identity, made by a machine.
const HASH_DIGITS: usize = 32;

/// A container in an answer of any version.
pub(super) struct Container<'c, 'a> {
    /// Path of its control group; `/` for the machine.
    pub(super) path: &'c str,
    /// Its other names.
    pub(super) aliases: &'c [Text<'a>],
    /// What it is.
    pub(super) spec: &'c Spec<'a>,
    /// Its newest sample.
    pub(super) stats: &'c Stats<'a>,
}

/// Makes the readings of one poll.
pub(super) struct Mapper<'m> {
    facts: &'m Facts,
    devices: &'m mut Devices,
    names: Set<CompactString>,
    readings: Vec<PlainReading>,
}

impl<'m> Mapper<'m> {
    /// A mapper that has room for this many readings.
    pub(super) fn new(facts: &'m Facts, devices: &'m mut Devices, room: usize) -> Self {
        Self { facts, devices, names: Set::default(), readings: Vec::with_capacity(room) }
    }

    /// The readings, the node's among them if the machine was added.
    pub(super) fn finish(self) -> Vec<PlainReading> {
        self.readings
    }

    /// Adds the machine as a whole.
    pub(super) fn add_machine(&mut self, spec: &Spec<'_>, stats: &Stats<'_>) {
        let mut values = Values::new(self.facts, self.devices);
        values.usage(spec, stats);
        values.capacity();
        values.network(spec, stats);
        values.filesystems(spec, stats, true);
        values.disks(spec, stats);
        values.disks_of_filesystems(stats);
        let values = values.finish();
        let host_id = self.facts.host_id.as_str();
        let labels = (!host_id.is_empty()).then_some((tag::HOST_ID, host_id));
        let start = start_time_ms(spec);
        self.readings.push(PlainReading {
            subject: Subject::Node { labels: labels.into_iter().collect() },
            time_ms: stats.timestamp.0,
            start_time_ms: if start > 0 { start } else { self.facts.start_time_ms },
            values,
        });
    }

    /// Adds a container, or the machine where the path is `/`.
    pub(super) fn add(&mut self, container: &Container<'_, '_>) {
        if container.path == "/" {
            return self.add_machine(container.spec, container.stats);
        }
        let subject = match container.spec.labels.as_ref().and_then(kubernetes) {
            Some((pod, None)) => Subject::Pod { pod, labels: Labels::default() },
            Some((pod, Some(name))) => Subject::PodContainer {
                pod,
                name: name.into(),
                uid: container_id(container).into(),
                labels: image_label(container.spec),
            },
            None => Subject::SysContainer {
                name: self.system_name(container),
                uid: container_id(container).into(),
                labels: image_label(container.spec),
            },
        };
        let values = self.values(&subject, container.spec, container.stats);
        self.readings.push(PlainReading {
            subject,
            time_ms: container.stats.timestamp.0,
            start_time_ms: start_time_ms(container.spec),
            values,
        });
    }

    /// What is measured at the level of the subject.
    fn values(&mut self, subject: &Subject, spec: &Spec<'_>, stats: &Stats<'_>) -> Cells {
        let mut values = Values::new(self.facts, self.devices);
        match subject {
            // The rest of a pod is the sum of its containers.
            Subject::Node { .. } | Subject::Pod { .. } => values.network(spec, stats),
            Subject::PodContainer { .. } => {
                values.usage(spec, stats);
                values.limits(spec);
                values.filesystems(spec, stats, true);
                values.disks(spec, stats);
                values.accelerators(stats.accelerators.as_deref().unwrap_or_default());
                values.custom(spec, stats);
            }
            Subject::SysContainer { .. } => {
                values.usage(spec, stats);
                values.filesystems(spec, stats, false);
                values.disks(spec, stats);
            }
        }
        values.finish()
    }

    /// The name that people gave it, unless another container has it; else its path.
    fn system_name(&mut self, container: &Container<'_, '_>) -> CompactString {
        let alias = container.aliases.iter().find(|alias| !alias.is_empty() && !is_hash(alias));
        let name = alias.map(|alias| CompactString::from(&**alias));
        match name.filter(|name| self.names.insert(name.clone())) {
            Some(name) => name,
            None => container.path.strip_prefix('/').unwrap_or(container.path).into(),
        }
    }
}

fn start_time_ms(spec: &Spec<'_>) -> i64 {
    spec.creation_time.and_then(super::time::Timestamp::known).unwrap_or(0)
}

/// The pod, and the container within it unless it is the one that holds the pod's network.
fn kubernetes<'c>(labels: &'c ContainerLabels<'_>) -> Option<(PodName, Option<&'c str>)> {
    let text = |label: &'c Option<Text<'_>>| label.as_deref().filter(|text| !text.is_empty());
    let pod = PodName {
        namespace: text(&labels.pod_namespace)?.into(),
        name: text(&labels.pod_name)?.into(),
        uid: text(&labels.pod_uid).unwrap_or_default().into(),
    };
    let sandbox = text(&labels.docker_type) == Some("podsandbox")
        || text(&labels.containerd_kind) == Some("sandbox");
    match text(&labels.container_name) {
        Some("POD" | "pause") => Some((pod, None)),
        _ if sandbox => Some((pod, None)),
        Some(name) => Some((pod, Some(name))),
        None => None,
    }
}

/// The identity of this run of a container: an alias, or the end of its path, as in
/// `/system.slice/docker-IDENTITY.scope`; empty when it has none.
fn container_id<'c>(container: &Container<'c, '_>) -> &'c str {
    let is_id = |text: &str| text.len() == CONTAINER_ID_DIGITS && is_hash(text);
    if let Some(alias) = container.aliases.iter().find(|alias| is_id(alias)) {
        return alias;
    }
    let last = container.path.rsplit('/').next().unwrap_or_default();
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let last = last.rsplit('-').next().unwrap_or(last);
    if is_id(last) { last } else { "" }
}

fn is_hash(text: &str) -> bool {
    text.len() >= HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn image_label(spec: &Spec<'_>) -> Labels {
    let image = spec.image.as_deref().filter(|image| !image.is_empty());
    image.map(|image| (tag::CONTAINER_BASE_IMAGE, image)).into_iter().collect()
}
