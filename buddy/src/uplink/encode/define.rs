//! Definitions: entities, parents first, and layouts.

use std::{collections::HashMap, sync::Arc};

use heapster_proto::v1::{self, field::What, frame::Kind};
use heapster_shared::{
    entity::{Entity, Labels, Level},
    row::RowBatch,
    schema::{self, Field, Metric, ValueType},
};
use prost::Message;

use super::{Defined, SegmentWriter, WriteLimits, address};

/// Definitions that are not yet in a frame.
struct Pending<'a> {
    define: v1::Define,
    bytes: usize,
    most_bytes: usize,
    kinds: &'a mut Vec<Kind>,
}

impl Pending<'_> {
    fn entity(&mut self, entity: v1::Entity) {
        self.count(entity.encoded_len());
        self.define.entities.push(entity);
    }

    fn layout(&mut self, layout: v1::Layout) {
        self.count(layout.encoded_len());
        self.define.layouts.push(layout);
    }

    fn count(&mut self, bytes: usize) {
        let bytes = bytes + 8;
        if self.bytes + bytes > self.most_bytes {
            self.flush();
        }
        self.bytes += bytes;
    }

    fn flush(&mut self) {
        let define = std::mem::take(&mut self.define);
        self.bytes = 0;
        if !define.entities.is_empty() || !define.layouts.is_empty() {
            self.kinds.push(Kind::Define(define));
        }
    }
}

impl SegmentWriter {
    /// Defines what the rows refer to and the segment does not have yet.
    pub(super) fn define(&mut self, batch: &RowBatch, kinds: &mut Vec<Kind>) {
        let define = v1::Define::default();
        let most_bytes = self.limits.frame_bytes.saturating_sub(64);
        let mut pending = Pending { define, bytes: 0, most_bytes, kinds };
        for block in &batch.blocks {
            if !self.layouts.contains_key(&address(block.layout())) {
                self.last_layout += 1;
                let id = self.last_layout;
                self.layouts.insert(address(block.layout()), (Arc::clone(block.layout()), id));
                pending.layout(layout(id, block.layout(), &self.limits));
            }
            for row in block.rows() {
                self.define_entity(&row.head.entity, &mut pending);
            }
        }
        pending.flush();
    }

    fn define_entity(&mut self, entity: &Arc<Entity>, pending: &mut Pending<'_>) -> u32 {
        if let Some(defined) = self.entities.get(&address(entity)) {
            return defined.id;
        }
        let parent = entity.parent.as_ref().map_or(0, |parent| self.define_entity(parent, pending));
        self.last_entity += 1;
        let id = self.last_entity;
        pending.entity(v1::Entity {
            id,
            parent,
            level: level(entity.level).into(),
            name: cut(&entity.name, self.limits.label_bytes).to_owned(),
            uid: cut(&entity.uid, self.limits.label_bytes).to_owned(),
            start_time_unix_ms: u64::try_from(entity.start_time_ms).unwrap_or(0),
            labels: labels(&entity.labels, &self.limits),
        });
        let defined = Defined { entity: Arc::clone(entity), id, before: None };
        self.entities.insert(address(entity), defined);
        id
    }
}

const fn level(level: Level) -> v1::Level {
    match level {
        Level::Cluster => v1::Level::Cluster,
        Level::Namespace => v1::Level::Namespace,
        Level::Node => v1::Level::Node,
        Level::Pod => v1::Level::Pod,
        Level::PodContainer => v1::Level::PodContainer,
        Level::SysContainer => v1::Level::SysContainer,
    }
}

fn layout(id: u32, layout: &schema::Layout, limits: &WriteLimits) -> v1::Layout {
    let fields = layout.measured().iter().map(|known| field(known, limits)).collect();
    v1::Layout { id, fields }
}

fn field(field: &Field, limits: &WriteLimits) -> v1::Field {
    let what = match &field.metric {
        Metric::Known(def) => What::Metric(def.id.0),
        Metric::Custom(custom) => What::Custom(v1::CustomMetric {
            name: cut(custom_name(&custom.name), limits.label_bytes).to_owned(),
            cumulative: custom.kind == schema::Kind::Cumulative,
            real: custom.value_type == ValueType::Double,
            unit: cut(&custom.unit, limits.label_bytes).to_owned(),
        }),
    };
    let labels = field.labels.as_ref().map(|known| labels(known, limits)).unwrap_or_default();
    v1::Field { what: Some(what), labels }
}

/// Without `custom/`, which the reader puts in front.
fn custom_name(name: &str) -> &str {
    name.strip_prefix("custom/").unwrap_or(name)
}

/// The labels, cut to what the master takes: it would refuse the whole segment for one of them.
fn labels(labels: &Labels, limits: &WriteLimits) -> HashMap<String, String> {
    let fitting = labels.iter().filter(|(name, _)| name.len() < limits.label_bytes);
    let pairs = fitting.take(limits.labels).map(|(name, value)| {
        (name.to_owned(), cut(value, limits.label_bytes - name.len()).to_owned())
    });
    pairs.collect()
}

/// The text up to so many bytes, at a boundary of characters.
fn cut(text: &str, most_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(most_bytes)]
}
