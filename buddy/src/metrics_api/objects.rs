//! The objects of `metrics.k8s.io`, as they are written.
//!
//! As with metrics-server, an object is created when it is asked for: its `creationTimestamp` is that
//! of the answer.

use heapster_shared::entity::Labels;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    quantity::{Cpu, Memory, Time, Window},
    query::{FoundNode, FoundPod},
    status::Empty,
};

/// The version of everything here.
pub(super) const VERSION: &str = "metrics.k8s.io/v1beta1";

/// Something that is one line of a list or of a table.
pub(super) trait Item: Send + 'static {
    /// `NodeMetrics`
    const KIND: &'static str;
    /// `NodeMetricsList`
    const LIST_KIND: &'static str;

    fn metadata(&self, created: Time) -> Metadata<'_>;

    /// Puts what follows the metadata.
    fn measured<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;

    /// CPU, memory and the window, of all of it.
    fn total(&self) -> (Cpu, Memory, Window);
}

/// The metadata of an object.
#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(rename = "creationTimestamp")]
    created: Time,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'a Labels,
}

impl<'a> Metadata<'a> {
    pub(super) const fn name(&self) -> &'a str {
        self.name
    }
}

#[derive(Serialize)]
struct Amounts {
    cpu: Cpu,
    memory: Memory,
}

impl Item for FoundNode {
    const KIND: &'static str = "NodeMetrics";
    const LIST_KIND: &'static str = "NodeMetricsList";

    fn metadata(&self, created: Time) -> Metadata<'_> {
        Metadata { name: &self.info.name, namespace: "", created, labels: &self.info.labels }
    }

    fn measured<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("timestamp", &Time(self.usage.time_ms))?;
        map.serialize_entry("window", &Window(self.usage.window_ms))?;
        let (cpu, memory, _) = self.total();
        map.serialize_entry("usage", &Amounts { cpu, memory })
    }

    fn total(&self) -> (Cpu, Memory, Window) {
        let usage = &self.usage;
        (Cpu(usage.cpu_nanocores), Memory(usage.memory_bytes), Window(usage.window_ms))
    }
}

impl Item for FoundPod {
    const KIND: &'static str = "PodMetrics";
    const LIST_KIND: &'static str = "PodMetricsList";

    fn metadata(&self, created: Time) -> Metadata<'_> {
        let info = &self.info;
        Metadata { name: &info.name, namespace: &info.namespace, created, labels: &info.labels }
    }

    fn measured<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let oldest = self.oldest();
        map.serialize_entry("timestamp", &Time(oldest.map_or(0, |usage| usage.time_ms)))?;
        map.serialize_entry("window", &Window(oldest.map_or(0, |usage| usage.window_ms)))?;
        map.serialize_entry("containers", &Containers(self))
    }

    fn total(&self) -> (Cpu, Memory, Window) {
        let usages = self.containers().unwrap_or_default().iter().map(|container| container.usage);
        let (cpu, memory) = usages.fold((0_u64, 0_u64), |(cpu, memory), usage| {
            let cpu = cpu.saturating_add(usage.cpu_nanocores);
            (cpu, memory.saturating_add(usage.memory_bytes))
        });
        (Cpu(cpu), Memory(memory), Window(self.oldest().map_or(0, |usage| usage.window_ms)))
    }
}

struct Containers<'a>(&'a FoundPod);

#[derive(Serialize)]
struct Container<'a> {
    name: &'a str,
    usage: Amounts,
}

impl Serialize for Containers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let containers = self.0.containers().unwrap_or_default().iter();
        serializer.collect_seq(containers.map(|container| {
            let usage = container.usage;
            let usage =
                Amounts { cpu: Cpu(usage.cpu_nanocores), memory: Memory(usage.memory_bytes) };
            Container { name: &container.entity.name, usage }
        }))
    }
}

/// One object; with its kind where it is an answer by itself.
pub(super) struct Object<'a, T> {
    pub(super) item: &'a T,
    pub(super) created: Time,
    pub(super) has_kind: bool,
}

impl<T: Item> Serialize for Object<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.has_kind {
            map.serialize_entry("kind", T::KIND)?;
            map.serialize_entry("apiVersion", VERSION)?;
        }
        map.serialize_entry("metadata", &self.item.metadata(self.created))?;
        self.item.measured(&mut map)?;
        map.end()
    }
}

/// Many objects.
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) created: Time,
}

impl<T: Item> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", T::LIST_KIND)?;
        map.serialize_entry("apiVersion", VERSION)?;
        map.serialize_entry("metadata", &Empty {})?;
        map.serialize_entry("items", &Items(self))?;
        map.end()
    }
}

struct Items<'a, T>(&'a List<T>);

impl<T: Item> Serialize for Items<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let created = self.0.created;
        let object = |item| Object { item, created, has_kind: false };
        serializer.collect_seq(self.0.items.iter().map(object))
    }
}
