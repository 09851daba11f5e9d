//! Definitions of entities and layouts: checked here, resolved by the cluster.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_proto::v1;
use heapster_shared::{
    Map, Set,
    entity::{Labels, Level},
    schema::{CustomMetric, Field, Kind, Layout, Metric, MetricId, ValueType, table},
    tag,
};

use super::{
    ReaderLimits,
    error::{DecodeError, ensure, ensure_within},
    members::Members,
};
use crate::{
    actors::cluster::{ResolveDefinitions, Resolved},
    core::entities::{Parent, Unresolved},
};

/// The latest time that is believed: the year 2200.
pub(super) const LATEST_MS: u64 = 7_258_118_400_000;

/// Definitions of a frame that the cluster has to resolve.
#[derive(Debug)]
pub struct Definitions {
    /// What to ask the cluster.
    pub request: ResolveDefinitions,
    entity_ids: Vec<u32>,
    foreign: Set<u32>,
    layouts: Vec<(u32, Vec<usize>, usize)>,
    pub(super) ended: Set<u32>,
}

/// A layout of a segment: which columns of the wire are its fields.
pub(super) struct WireLayout {
    pub(super) id: u32,
    pub(super) layout: Arc<Layout>,
    pub(super) columns: Vec<usize>,
    pub(super) width: usize,
}

impl Definitions {
    /// Reads and checks a frame's definitions.
    pub(super) fn read(
        define: v1::Define,
        members: &Members,
        layouts: &dyn Fn(u32) -> bool,
        limits: &ReaderLimits,
    ) -> Result<Self, DecodeError> {
        let mut definitions = Self {
            request: ResolveDefinitions::default(),
            entity_ids: Vec::with_capacity(define.entities.len()),
            foreign: Set::default(),
            layouts: Vec::new(),
            ended: define.ended.into_iter().collect(),
        };
        let total = members.len() + define.entities.len();
        ensure_within!(
            total <= limits.max_entities,
            "more than max_entities ({}) in one segment",
            limits.max_entities
        );
        let mut places: Map<u32, usize> = Map::default();
        for entity in define.entities {
            let id = entity.id;
            definitions
                .entity(entity, members, &mut places, limits)
                .map_err(|error| error.at(&format!("entity {id}")))?;
        }
        for layout in define.layouts {
            let id = layout.id;
            let taken = layouts(id) || definitions.layouts.iter().any(|known| known.0 == id);
            definitions
                .layout(layout, taken, limits)
                .map_err(|error| error.at(&format!("layout {id}")))?;
        }
        Ok(definitions)
    }

    fn entity(
        &mut self,
        entity: v1::Entity,
        known: &Members,
        places: &mut Map<u32, usize>,
        limits: &ReaderLimits,
    ) -> Result<(), DecodeError> {
        let id = entity.id;
        let taken = known.contains(id) || places.contains_key(&id) || self.foreign.contains(&id);
        ensure!(id != 0, "ids start from 1");
        ensure!(!taken, "the id is defined already in this segment");
        ensure!(entity.level != 0, "`level` is missing");
        let parent = match (entity.parent, known.entity(entity.parent)) {
            (0, _) => Some(Parent::None),
            (_, Some(parent)) => Some(Parent::Known(Arc::clone(parent))),
            (parent, None) if known.is_foreign(parent) || self.foreign.contains(&parent) => None,
            (parent, None) => {
                let place = places.get(&parent);
                ensure!(place.is_some(), "its parent {parent} is not defined before it");
                place.map(|place| Parent::Earlier(*place))
            }
        };
        let (Some(level), Some(parent)) = (level(entity.level), parent) else {
            self.foreign.insert(id);
            return Ok(());
        };
        self.check_parent(level, &parent)?;
        let unresolved = unresolved(entity, level, parent, limits)?;
        places.insert(id, self.request.entities.len());
        self.request.entities.push(unresolved);
        self.entity_ids.push(id);
        Ok(())
    }

    fn check_parent(&self, level: Level, parent: &Parent) -> Result<(), DecodeError> {
        let parent = match parent {
            Parent::None => None,
            Parent::Known(parent) => Some(parent.level),
            Parent::Earlier(place) => Some(self.request.entities[*place].level),
        };
        let fits = match level {
            Level::Cluster => parent.is_none(),
            Level::Namespace | Level::Node => matches!(parent, None | Some(Level::Cluster)),
            Level::Pod | Level::SysContainer => matches!(parent, None | Some(Level::Node)),
            Level::PodContainer => parent == Some(Level::Pod),
        };
        let parent = parent.map_or("nothing", Level::label);
        ensure!(fits, "a {level} cannot be a part of {parent}");
        Ok(())
    }

    fn layout(
        &mut self,
        layout: v1::Layout,
        taken: bool,
        limits: &ReaderLimits,
    ) -> Result<(), DecodeError> {
        ensure!(layout.id != 0, "ids start from 1");
        ensure!(!taken, "the id is defined already in this segment");
        let width = layout.fields.len();
        ensure_within!(width <= limits.max_fields, "more than {} fields", limits.max_fields);
        let mut fields = Vec::with_capacity(width);
        let mut columns = Vec::with_capacity(width);
        let mut distinct = Set::default();
        for (column, wire) in layout.fields.into_iter().enumerate() {
            let place = format!("field {column}");
            if let Some(field) = field(wire, limits).map_err(|error| error.at(&place))? {
                ensure!(distinct.insert(field.clone()), "{place}: the same field comes twice");
                fields.push(field);
                columns.push(column);
            }
        }
        self.request.layouts.push(fields);
        self.layouts.push((layout.id, columns, width));
        Ok(())
    }

    /// Puts what the cluster resolved into the segment's tables.
    pub(super) fn store(
        self,
        resolved: Resolved,
        members: &mut Members,
    ) -> (Vec<WireLayout>, Set<u32>) {
        let entities = self.entity_ids.into_iter().zip(resolved.entities);
        entities.for_each(|(id, entity)| members.insert(id, entity));
        self.foreign.into_iter().for_each(|id| members.insert_foreign(id));
        let layouts = self.layouts.into_iter().zip(resolved.layouts);
        let layouts =
            layouts.map(|((id, columns, width), layout)| WireLayout { id, layout, columns, width });
        (layouts.collect(), self.ended)
    }
}

fn level(level: i32) -> Option<Level> {
    match v1::Level::try_from(level).ok()? {
        v1::Level::Unspecified => None,
        v1::Level::Cluster => Some(Level::Cluster),
        v1::Level::Namespace => Some(Level::Namespace),
        v1::Level::Node => Some(Level::Node),
        v1::Level::Pod => Some(Level::Pod),
        v1::Level::PodContainer => Some(Level::PodContainer),
        v1::Level::SysContainer => Some(Level::SysContainer),
    }
}

fn unresolved(
    entity: v1::Entity,
    level: Level,
    parent: Parent,
    limits: &ReaderLimits,
) -> Result<Unresolved, DecodeError> {
    ensure!(!entity.name.is_empty(), "`name` is empty");
    let longest = entity.name.len().max(entity.uid.len());
    ensure_within!(
        longest <= limits.max_label_bytes,
        "its name or uid is longer than max_label_bytes ({})",
        limits.max_label_bytes
    );
    let start = entity.start_time_unix_ms;
    ensure!(start <= LATEST_MS, "`start_time_unix_ms` {start} is past the year 2200");
    let has_namespace = entity.labels.get(tag::NAMESPACE_NAME).is_some_and(|name| !name.is_empty());
    ensure!(level != Level::Pod || has_namespace, "a pod needs the label namespace_name");
    Ok(Unresolved {
        parent,
        level,
        name: CompactString::from(entity.name),
        uid: CompactString::from(entity.uid),
        start_time_ms: start.cast_signed(),
        labels: labels(entity.labels, limits)?,
    })
}

/// Labels within the limits.
pub(in crate::grpc) fn labels(
    labels: std::collections::HashMap<String, String>,
    limits: &ReaderLimits,
) -> Result<Labels, DecodeError> {
    let (count, max) = (labels.len(), limits.max_labels);
    ensure_within!(count <= max, "{count} labels are more than max_labels ({max})");
    for (name, value) in &labels {
        ensure!(!name.is_empty(), "a label has no name");
        ensure_within!(
            name.len() + value.len() <= limits.max_label_bytes,
            "the label {name:.40} is longer than max_label_bytes ({})",
            limits.max_label_bytes
        );
    }
    Ok(labels.into_iter().collect())
}

/// The field, or none where its metric is newer than this program.
fn field(field: v1::Field, limits: &ReaderLimits) -> Result<Option<Field>, DecodeError> {
    let labels = match labels(field.labels, limits)? {
        labels if labels.is_empty() => None,
        labels => Some(Arc::new(labels)),
    };
    let metric = match field.what {
        None => return Err(DecodeError::Malformed("it names no metric".into())),
        Some(v1::field::What::Metric(id)) => {
            ensure!(id != 0, "metric ids start from 1");
            let Some(def) = table::by_id(MetricId(id)) else { return Ok(None) };
            Metric::Known(def)
        }
        Some(v1::field::What::Custom(custom)) => {
            Metric::Custom(Arc::new(custom_metric(custom, limits)?))
        }
    };
    Ok(Some(Field { metric, labels }))
}

fn custom_metric(
    custom: v1::CustomMetric,
    limits: &ReaderLimits,
) -> Result<CustomMetric, DecodeError> {
    let name = custom.name;
    let longest = name.len().max(custom.unit.len());
    ensure_within!(
        longest <= limits.max_label_bytes,
        "its name or unit is longer than max_label_bytes ({})",
        limits.max_label_bytes
    );
    ensure!(
        CustomMetric::is_legal_name(&name),
        "{name:?} is no name of a custom metric: use letters, digits and _-./:"
    );
    Ok(CustomMetric {
        name: format!("custom/{name}").into(),
        kind: if custom.cumulative { Kind::Cumulative } else { Kind::Gauge },
        value_type: if custom.real { ValueType::Double } else { ValueType::Int64 },
        unit: custom.unit.into(),
    })
}
