//! Definitions: entities, parents first, and layouts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use heapster_proto::v1::{self, field::What, frame::Kind};
use heapster_shared::{
    Set,
    entity::{Entity, Labels, Level},
    row::RowBatch,
    schema::{self, CustomMetric, Field, Layout, Metric, ValueType},
    tag,
};
use prost::Message;

use super::{Encoded, MOST_LAYOUTS, SegmentWriter, WriteLimits, address, rows::NewestRows};

/// Fields of one layout, as the protocol says.
const MOST_FIELDS: usize = 4_096;
/// The latest start that a master believes: the year 2200.
const LATEST_MS: u64 = 7_258_118_400_000;

/// Definitions that are not yet in a frame.
struct Pending<'a> {
    define: v1::Define,
    bytes: usize,
    most_bytes: usize,
    frames: &'a mut Vec<Encoded>,
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
            self.frames.push(Encoded::new(0, Kind::Define(define)));
        }
    }
}

impl SegmentWriter {
    /// Defines what the rows refer to and the segment does not have yet; gives the id of each row's
    /// entity, 0 where the row has to be left out.
    pub(super) fn define(
        &mut self,
        batch: &RowBatch,
        ids: &mut Vec<u32>,
        frames: &mut Vec<Encoded>,
    ) {
        let define = v1::Define::default();
        let most_bytes = self.limits.frame_bytes.saturating_sub(64);
        let mut pending = Pending { define, bytes: 0, most_bytes, frames };
        ids.clear();
        for block in &batch.blocks {
            let Some(layout) = self.define_layout(block.layout(), &mut pending) else {
                ids.resize(ids.len() + block.len(), 0);
                continue;
            };
            let mut id = 0;
            for row in block.rows() {
                let entity = &row.head.entity;
                id = match self.next_id(id, layout).filter(|id| self.entities.is(*id, entity)) {
                    Some(next) => next,
                    None => self.define_entity(entity, &mut pending),
                };
                ids.push(id);
            }
        }
        pending.flush();
    }

    /// The entity whose rows of this layout began after those of this one: most often its rows are
    /// next in the batch too, which saves looking for it.
    fn next_id(&self, id: u32, layout: u32) -> Option<u32> {
        if id == 0 {
            return None;
        }
        let newest = self.entities.newest(id);
        let rows = (u32::from(newest.layout) == layout).then(|| &self.newest[layout as usize - 1]);
        rows?.id_at(newest.place + 1)
    }

    fn define_layout(&mut self, layout: &Arc<Layout>, pending: &mut Pending<'_>) -> Option<u32> {
        if let Some((_, id)) = self.layouts.get(&address(layout)) {
            return *id;
        }
        let id = self.newest.len() as u32 + 1;
        let wire = wire_layout(id, layout, &self.limits);
        let fits = id <= MOST_LAYOUTS && is_legal(&wire);
        if fits {
            self.newest.push(NewestRows::new(layout));
            pending.layout(wire);
        }
        let id = fits.then_some(id);
        self.layouts.insert(address(layout), (Arc::clone(layout), id));
        id
    }

    /// The id of an entity; 0 where the master would not take it, or what it is a part of.
    fn define_entity(&mut self, entity: &Arc<Entity>, pending: &mut Pending<'_>) -> u32 {
        if let Some(id) = self.entities.find(entity) {
            return id;
        }
        let parent = match &entity.parent {
            Some(parent) => Some(self.define_entity(parent, pending)).filter(|id| *id > 0),
            None => Some(0),
        };
        let id = self.entities.last_id() + 1;
        let fits = parent.filter(|_| id <= self.limits.entities);
        let wire = fits.and_then(|parent| wire_entity(id, parent, entity, &self.limits));
        let Some(wire) = wire else {
            self.entities.refuse(entity);
            return 0;
        };
        pending.entity(wire);
        self.entities.define(entity);
        id
    }
}

fn wire_entity(id: u32, parent: u32, entity: &Entity, limits: &WriteLimits) -> Option<v1::Entity> {
    let labels = labels(&entity.labels, limits);
    let namespace = labels.get(tag::NAMESPACE_NAME).filter(|name| !name.is_empty());
    let is_named = !entity.name.is_empty() && (entity.level != Level::Pod || namespace.is_some());
    let start = u64::try_from(entity.start_time_ms).ok().filter(|start| *start <= LATEST_MS);
    is_named.then(|| v1::Entity {
        id,
        parent,
        level: level(entity.level).into(),
        name: cut(&entity.name, limits.label_bytes).to_owned(),
        uid: cut(&entity.uid, limits.label_bytes).to_owned(),
        start_time_unix_ms: start.unwrap_or(0),
        labels,
    })
}

/// Whether a master takes the layout: not too wide, its fields distinct, its metrics well named.
fn is_legal(layout: &v1::Layout) -> bool {
    let mut distinct = Set::default();
    layout.fields.len() <= MOST_FIELDS
        && layout.fields.iter().all(|field| {
            let (known, custom) = match &field.what {
                Some(What::Metric(id)) => (*id, None),
                Some(What::Custom(custom)) => (0, Some(custom)),
                None => return false,
            };
            let named = custom.is_none_or(|custom| CustomMetric::is_legal_name(&custom.name));
            let custom = custom.map(Message::encode_to_vec);
            let labels: BTreeMap<&String, &String> = field.labels.iter().collect();
            named && distinct.insert((known, custom, labels))
        })
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

fn wire_layout(id: u32, layout: &Layout, limits: &WriteLimits) -> v1::Layout {
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
/// The namespace goes first, since a pod is nothing without it.
fn labels(labels: &Labels, limits: &WriteLimits) -> HashMap<String, String> {
    let fits = |name: &str| !name.is_empty() && name.len() < limits.label_bytes;
    let is_namespace = |name: &str| name == tag::NAMESPACE_NAME;
    let first = labels.iter().filter(|(name, _)| is_namespace(name));
    let others = labels.iter().filter(|(name, _)| !is_namespace(name));
    let fitting = first.chain(others).filter(|(name, _)| fits(name));
    let pairs = fitting.take(limits.labels).map(|(name, value)| {
        (name.to_owned(), cut(value, limits.label_bytes - name.len()).to_owned())
    });
    pairs.collect()
}

/// The text up to so many bytes, at a boundary of characters.
pub(super) fn cut(text: &str, most_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(most_bytes)]
}
