//! Rows and events as records for partitions. What is the same from row to row is worked out once for
//! each entity or layout; a message is put together in one buffer and copied to its batch.

mod events;
mod json;
mod protobuf;

use std::{collections::BTreeMap, sync::Arc};

use heapster_shared::{
    entity::{Entity, Level},
    row::{Row, RowBatch},
    schema::Layout,
    tick::rfc3339,
};

use super::{
    cluster::Addressed,
    options::{Format, Options},
    partition,
    records::{Compression, Records},
};
use crate::sinks::{LabelRules, weak_cache::WeakCache};

/// Rows and events to records; keeps what it has worked out for what is still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    format: Format,
    compression: Compression,
    topics: [String; 2],
    cluster_name: Option<String>,
    rules: Arc<LabelRules>,
    entities: WeakCache<Entity, EntityText>,
    plans: WeakCache<Layout, Plan>,
    /// The message that is being put together.
    message: Vec<u8>,
    /// Records by topic and place of the partition.
    open: BTreeMap<(usize, usize), Records>,
    done: Encoded,
}

/// What became of some rows and events.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// Batches of limited size, those of one partition in their order.
    pub(super) batches: Vec<Addressed>,
    /// Samples that no message can carry, because they are infinite.
    pub(super) infinite: u64,
}

/// What is the same in all messages of an entity.
#[derive(Debug)]
struct EntityText {
    key: String,
    hash: u32,
    /// In the form of the messages.
    labels: Vec<u8>,
}

/// How many partitions there are of samples and of events, and how large a batch may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) partitions: [usize; 2],
    pub(super) batch_bytes: usize,
}

/// The topic of samples and that of events, by their places.
const SAMPLES: usize = 0;
const EVENTS: usize = 1;

#[derive(Debug)]
enum Plan {
    Json(Arc<[json::SamplePlan]>),
    Protobuf(Arc<[protobuf::SamplePlan]>),
}

impl Encoder {
    pub(super) fn new(options: &Options, rules: Arc<LabelRules>) -> Self {
        Self {
            format: options.format,
            compression: options.compression,
            topics: [options.timeseriestopic.clone(), options.eventstopic.clone()],
            cluster_name: options.cluster_name.clone(),
            rules,
            entities: WeakCache::default(),
            plans: WeakCache::default(),
            message: Vec::new(),
            open: BTreeMap::new(),
            done: Encoded::default(),
        }
    }

    /// Appends the records of a batch of rows.
    pub(super) fn push_rows(&mut self, batch: &RowBatch, limits: Limits) {
        for block in &batch.blocks {
            let (format, rules) = (self.format, &self.rules);
            let plan = self.plans.get(block.layout(), |layout| match format {
                Format::Json => Plan::Json(json::plan(layout, rules)),
                Format::Protobuf => Plan::Protobuf(protobuf::plan(layout, rules)),
            });
            let plan = match plan {
                Plan::Json(plan) => Plan::Json(Arc::clone(plan)),
                Plan::Protobuf(plan) => Plan::Protobuf(Arc::clone(plan)),
            };
            for row in block.rows() {
                self.push_row(&batch.cluster, &row, &plan, limits);
            }
        }
    }

    fn push_row(&mut self, cluster: &str, row: &Row<'_>, plan: &Plan, limits: Limits) {
        let Self { format, rules, cluster_name, entities, message, open, done, .. } = self;
        let cluster = cluster_name.as_deref().unwrap_or(cluster);
        let entity = entities.get(&row.head.entity, |entity| {
            let labels = match format {
                Format::Json => json::labels(cluster, entity, rules),
                Format::Protobuf => protobuf::labels(cluster, entity, rules),
            };
            let key = key(cluster, entity);
            EntityText { hash: partition::hash(key.as_bytes()), key, labels }
        });
        let place = partition::place(entity.hash, limits.partitions[SAMPLES]);
        let records = open.entry((SAMPLES, place)).or_default();
        let mut put = |message: &[u8], samples| {
            records.push(entity.key.as_bytes(), message, row.head.time_ms, samples);
        };
        done.infinite += match plan {
            Plan::Json(plan) => {
                let time = rfc3339(row.head.time_ms);
                json::messages(row, plan, &time, &entity.labels, message, &mut put)
            }
            Plan::Protobuf(plan) => {
                protobuf::message(cluster, row, plan, &entity.labels, message, &mut put)
            }
        };
        if records.bytes() >= limits.batch_bytes {
            self.end_batch(SAMPLES, place);
        }
    }

    fn end_batch(&mut self, topic: usize, place: usize) {
        let Some(records) = self.open.get_mut(&(topic, place)) else { return };
        if records.bytes() == 0 {
            return;
        }
        let batch = records.finish(self.compression);
        let partition = i32::try_from(place).unwrap_or(i32::MAX);
        let topic = self.topics[topic].clone();
        self.done.batches.push(Addressed { topic, partition, batch });
    }

    /// What was appended since the last call.
    pub(super) fn finish(&mut self) -> Encoded {
        let open: Vec<(usize, usize)> = self.open.keys().copied().collect();
        for (topic, place) in open {
            self.end_batch(topic, place);
        }
        std::mem::take(&mut self.done)
    }
}

/// The key of an entity: what it is, and the names that tell it from others, for as long as it has
/// them.
fn key(cluster: &str, entity: &Entity) -> String {
    let mut parts = vec![cluster, entity.level.label()];
    match entity.level {
        Level::Cluster => {}
        Level::Namespace | Level::Node => parts.push(&entity.name),
        Level::Pod => parts.extend([entity.namespace().unwrap_or_default(), &entity.name]),
        Level::PodContainer => {
            let pod = entity.at(Level::Pod).map_or("", |pod| pod.name.as_str());
            parts.extend([entity.namespace().unwrap_or_default(), pod, &entity.name]);
        }
        Level::SysContainer => {
            let node = entity.at(Level::Node).map_or("", |node| node.name.as_str());
            parts.extend([node, &entity.name]);
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
