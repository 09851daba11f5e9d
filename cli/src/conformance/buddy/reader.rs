//! A strict reader of the frames of one segment: what is defined, what may be referred to, and what
//! shape rows have. Pure, and written from the comments of the `.proto`.

use std::collections::{HashMap, HashSet};

use heapster_proto::v1::{self, Define, Entity, Field, Frame, Level, field::What, frame::Kind};
use heapster_shared::schema::{self, MetricId, ValueType, table};

use super::{DEFINITIONS, IDS, LIMITS, ROWS, limits, rows};

/// A breach: of which check, and how.
pub(super) type Breach = (&'static str, String);

/// What a segment has defined so far.
#[derive(Debug, Default)]
pub(super) struct Segment {
    entities: HashMap<u32, Level>,
    ended: HashSet<u32>,
    /// Names of the nodes, by id.
    nodes: HashMap<u32, String>,
    layouts: HashMap<u32, Vec<Column>>,
    /// Entities and layouts of which there was a row.
    seen: HashSet<(u32, u32)>,
}

/// What a column of rows holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Counter,
    Gauge,
    Real,
    /// A metric that this program does not know.
    Unknown,
}

impl Segment {
    /// Reads a frame; the breaches in it.
    pub(super) fn read(&mut self, frame: &Frame) -> Vec<Breach> {
        let mut found = Vec::new();
        match &frame.kind {
            Some(Kind::Open(_)) => *self = Self::default(),
            Some(Kind::Define(define)) => self.define(define, &mut found),
            Some(Kind::Batch(batch)) => {
                if batch.tick_unix_ms == 0 {
                    found.push((ROWS, "a Batch has no tick_unix_ms".to_owned()));
                }
                for block in &batch.blocks {
                    self.block(block, &mut found);
                }
            }
            Some(Kind::RoundEnd(end)) if end.tick_unix_ms == 0 => {
                found.push((ROWS, "a RoundEnd has no tick_unix_ms".to_owned()));
            }
            Some(Kind::Events(events)) if events.events.iter().any(|one| one.uid.is_empty()) => {
                found.push((ROWS, "an Event has no uid".to_owned()));
            }
            _ => {}
        }
        let at = match frame.sequence {
            0 => "in a Define".to_owned(),
            sequence => format!("in the frame of sequence {sequence}"),
        };
        found.into_iter().map(|(check, what)| (check, format!("{at}: {what}"))).collect()
    }

    /// Whether there was a row of a node of this name.
    pub(super) fn has_rows_of(&self, node: &str) -> bool {
        let has_row =
            |id: u32| self.layouts.keys().any(|layout| self.seen.contains(&(id, *layout)));
        self.nodes.iter().any(|(id, name)| name == node && has_row(*id))
    }

    fn define(&mut self, define: &Define, found: &mut Vec<Breach>) {
        for entity in &define.entities {
            self.entity(entity, found);
        }
        if self.entities.len() + self.ended.len() > limits::MAX_ENTITIES as usize {
            let max = limits::MAX_ENTITIES;
            found.push((LIMITS, format!("more than max_entities ({max}) in one segment")));
        }
        for layout in &define.layouts {
            let id = layout.id;
            if id == 0 {
                found.push((IDS, "a layout has the id 0; ids start from 1".to_owned()));
            }
            let columns = layout.fields.iter().map(|field| column(field, found)).collect();
            if self.layouts.insert(id, columns).is_some() {
                found.push((IDS, format!("the layout {id} is defined twice in one segment")));
            }
        }
        for id in &define.ended {
            if self.entities.remove(id).is_none() {
                found.push((DEFINITIONS, format!("the entity {id} ends and is not defined")));
            }
            self.ended.insert(*id);
        }
    }

    fn entity(&mut self, entity: &Entity, found: &mut Vec<Breach>) {
        let (id, level) = (entity.id, entity.level());
        if id == 0 {
            found.push((IDS, "an entity has the id 0; ids start from 1".to_owned()));
        }
        if self.ended.contains(&id) {
            found.push((IDS, format!("the entity {id} has ended, and its id is used again")));
        }
        let parent = (entity.parent != 0).then(|| self.entities.get(&entity.parent));
        match parent {
            Some(None) => {
                let parent = entity.parent;
                found.push((
                    DEFINITIONS,
                    format!("the parent {parent} of entity {id} is not defined before it"),
                ));
            }
            Some(Some(parent)) if !fits(level, *parent) => {
                let (level, parent) = (level.as_str_name(), parent.as_str_name());
                let what = format!("the entity {id} is a {level} and its parent a {parent}");
                found.push((DEFINITIONS, what));
            }
            None if level == Level::PodContainer => {
                found.push((DEFINITIONS, format!("the pod container {id} has no parent")));
            }
            _ => {}
        }
        nameless(entity, found);
        limits::labels(&entity.labels, &format!("entity {id}"), found);
        limits::name(&entity.name, &format!("the name of entity {id}"), found);
        if level == Level::Node {
            self.nodes.insert(id, entity.name.clone());
        }
        if self.entities.insert(id, level).is_some() {
            found.push((IDS, format!("the entity {id} is defined twice in one segment")));
        }
    }

    fn block(&mut self, block: &v1::Block, found: &mut Vec<Breach>) {
        let Some(columns) = self.layouts.get(&block.layout) else {
            let what = format!("a block has the layout {}, which is not defined", block.layout);
            return found.push((DEFINITIONS, what));
        };
        rows::check(block, columns, found);
        let mut id = 0_u32;
        for step in &block.entities {
            id = id.wrapping_add_signed(*step);
            if !self.entities.contains_key(&id) {
                let what = format!(
                    "there is a row of entity {id}, which is not defined in this segment: send its Define first"
                );
                found.push((DEFINITIONS, what));
                continue;
            }
            let is_first = self.seen.insert((id, block.layout));
            if is_first && block.form() == v1::block::Form::Difference {
                let what = format!("the first row of entity {id} in this segment is a DIFFERENCE");
                found.push((ROWS, what));
            }
        }
    }
}

/// Whether one level can be a part of the other.
fn fits(level: Level, parent: Level) -> bool {
    match level {
        _ if parent == Level::Unspecified => true,
        Level::PodContainer => parent == Level::Pod,
        Level::Pod | Level::SysContainer => parent == Level::Node,
        Level::Node | Level::Namespace => parent == Level::Cluster,
        Level::Cluster => false,
        // A level that this program does not know.
        Level::Unspecified => true,
    }
}

fn nameless(entity: &Entity, found: &mut Vec<Breach>) {
    let id = entity.id;
    if entity.level == 0 {
        found.push((DEFINITIONS, format!("the entity {id} has no level")));
    }
    if entity.name.is_empty() {
        found.push((DEFINITIONS, format!("the entity {id} has no name")));
    }
    let namespace = entity.labels.get("namespace_name").map(String::as_str);
    if entity.level() == Level::Pod && namespace.unwrap_or_default().is_empty() {
        found.push((DEFINITIONS, format!("the pod {id} has no label namespace_name")));
    }
}

fn column(field: &Field, found: &mut Vec<Breach>) -> Column {
    limits::labels(&field.labels, "a field of a layout", found);
    match &field.what {
        None => {
            found.push((DEFINITIONS, "a field of a layout names no metric".to_owned()));
            Column::Unknown
        }
        Some(What::Metric(id)) => {
            let Some(metric) = table::by_id(MetricId(*id)) else { return Column::Unknown };
            match (metric.value_type, metric.kind) {
                (ValueType::Double, _) => Column::Real,
                (_, schema::Kind::Cumulative) => Column::Counter,
                (_, schema::Kind::Gauge) => Column::Gauge,
            }
        }
        Some(What::Custom(custom)) => {
            let legal = |c: char| c.is_ascii_alphanumeric() || "_./:-".contains(c);
            if custom.name.is_empty() || !custom.name.chars().all(legal) {
                let what = format!("{:?} is no name of a custom metric", custom.name);
                found.push((DEFINITIONS, what));
            }
            match (custom.real, custom.cumulative) {
                (true, _) => Column::Real,
                (false, true) => Column::Counter,
                (false, false) => Column::Gauge,
            }
        }
    }
}

#[cfg(test)]
mod tests;
