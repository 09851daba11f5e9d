//! What of a payload a sink is to be given: filters that every sink has, applied before its queue.
//!
//! What is asked of a metric is asked once for each layout, and what is asked of an entity once for
//! each entity. A payload of which everything is wanted is handed on as it is; of others the rows
//! and columns that are wanted are copied.

mod options;
mod patterns;

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Block, Cell, RowBatch},
    schema::{Layout, Projection},
};

pub use options::FilterOptions;
pub(super) use options::NAMES;

use super::weak_cache::WeakCache;
use crate::delivery::{EventBatch, Payload};

/// Chooses what a sink is given.
#[derive(Debug)]
pub struct Selection {
    options: FilterOptions,
    asks_of_entities: bool,
    /// Nothing is left out.
    idle: bool,
    layouts: WeakCache<Layout, Columns>,
    entities: WeakCache<Entity, bool>,
}

/// Which fields of a layout are wanted.
#[derive(Clone, Debug)]
enum Columns {
    All,
    None,
    Some(Arc<Projection>),
}

impl Selection {
    /// Chooses by these options.
    #[must_use]
    pub fn new(options: FilterOptions) -> Self {
        Self {
            asks_of_entities: options.asks_of_entities(),
            idle: options == FilterOptions::default(),
            options,
            layouts: WeakCache::default(),
            entities: WeakCache::default(),
        }
    }

    /// Whether everything is wanted.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.idle
    }

    /// What of a payload is wanted; `None` for nothing of it.
    pub fn select(&mut self, payload: Payload) -> Option<Payload> {
        if self.idle {
            return Some(payload);
        }
        match payload {
            Payload::Rows(batch) => {
                let wanted = self.options.wants_cluster(&batch.cluster);
                wanted.then(|| self.rows(batch)).flatten().map(Payload::Rows)
            }
            Payload::Events(batch) => self.events(batch).map(Payload::Events),
            Payload::RoundEnd { cluster, tick } => {
                let wanted = self.options.wants_cluster(&cluster);
                wanted.then_some(Payload::RoundEnd { cluster, tick })
            }
        }
    }

    fn rows(&mut self, batch: Arc<RowBatch>) -> Option<Arc<RowBatch>> {
        if batch.blocks.iter().all(|block| self.is_wanted_whole(block)) {
            return Some(batch);
        }
        let blocks: Vec<Block> =
            batch.blocks.iter().filter_map(|block| self.block(block)).collect();
        let (cluster, tick) = (Arc::clone(&batch.cluster), batch.tick);
        (!blocks.is_empty()).then(|| Arc::new(RowBatch { cluster, tick, blocks }))
    }

    fn is_wanted_whole(&mut self, block: &Block) -> bool {
        matches!(self.columns(block.layout()), Columns::All)
            && block.rows().all(|row| self.wants_entity(&row.head.entity))
    }

    /// The rows and columns of a block that are wanted.
    fn block(&mut self, block: &Block) -> Option<Block> {
        let columns = self.columns(block.layout());
        let mut chosen = match &columns {
            Columns::None => return None,
            Columns::All => Block::with_capacity(Arc::clone(block.layout()), block.len()),
            Columns::Some(some) => Block::with_capacity(Arc::clone(&some.layout), block.len()),
        };
        for row in block.rows().filter(|row| self.wants_entity(&row.head.entity)) {
            let head = row.head.clone();
            match &columns {
                Columns::Some(some) => {
                    let cells = some.fields.iter().map(|field| row.cells[*field]);
                    // A row of which nothing is left would still cost its labels.
                    if !cells.clone().all(Cell::is_absent) {
                        let increases = some.increases.iter().map(|at| row.increases[*at]);
                        chosen.push_whole(head, cells, increases);
                    }
                }
                _ => {
                    let (cells, increases) = (row.cells.iter(), row.increases.iter());
                    chosen.push_whole(head, cells.copied(), increases.copied());
                }
            }
        }
        (!chosen.is_empty()).then_some(chosen)
    }

    fn columns(&mut self, layout: &Arc<Layout>) -> Columns {
        let options = &self.options;
        let choose = |layout: &Layout| {
            let fields = layout.fields();
            match fields.iter().filter(|field| options.wants_field(field)).count() {
                0 => Columns::None,
                all if all == fields.len() => Columns::All,
                _ => Columns::Some(Arc::new(layout.project(|field| options.wants_field(field)))),
            }
        };
        self.layouts.get(layout, choose).clone()
    }

    fn wants_entity(&mut self, entity: &Arc<Entity>) -> bool {
        let options = &self.options;
        !self.asks_of_entities || *self.entities.get(entity, |entity| options.wants_entity(entity))
    }

    /// Of events the cluster and the namespace are asked.
    fn events(&self, batch: Arc<EventBatch>) -> Option<Arc<EventBatch>> {
        if !self.options.wants_cluster(&batch.cluster) {
            return None;
        }
        let wanted = |namespace: &str| {
            self.options.wants_namespace(Some(namespace).filter(|name| !name.is_empty()))
        };
        if batch.events.iter().all(|event| wanted(&event.object_namespace)) {
            return Some(batch);
        }
        let events = batch.events.iter().filter(|event| wanted(&event.object_namespace));
        let events: Vec<_> = events.cloned().collect();
        let cluster = Arc::clone(&batch.cluster);
        (!events.is_empty()).then(|| Arc::new(EventBatch { cluster, events }))
    }
}

#[cfg(test)]
mod tests;
