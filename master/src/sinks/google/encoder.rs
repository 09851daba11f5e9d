//! Rows as requests of `timeSeries.create`. What an entity and a field say of a series is written once
//! and copied; a sample then costs those copies, two times and a number.

mod pass;
mod requests;
#[cfg(test)]
mod tests;

use std::{hash::RandomState, sync::Arc};

use heapster_shared::{Set, entity::Entity, row::RowBatch, schema::Layout};

use self::pass::Pass;
pub(super) use self::requests::Request;
use super::{
    Place,
    descriptor::Descriptor,
    names::Model,
    pace::{Pace, Seen},
    plan::Plans,
    resource::{EntityText, Wanted},
};
use crate::sinks::{LabelRules, weak_cache::WeakCache};

/// How things are called.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) models: Vec<Model>,
    /// Labels of custom metrics.
    pub(super) labels: Vec<String>,
    pub(super) rules: Arc<LabelRules>,
    /// Instead of that of a row.
    pub(super) cluster_name: Option<String>,
    /// Whether custom metrics are described.
    pub(super) descriptors: bool,
}

/// Rows to requests; keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    schema: Schema,
    place: Arc<Place>,
    hashes: RandomState,
    entities: WeakCache<Entity, Arc<EntityText>>,
    plans: WeakCache<Layout, Arc<Plans>>,
    pace: Pace,
    /// Custom metrics to describe, and all that were ever met.
    undescribed: Vec<Descriptor>,
    met: Set<String>,
}

/// What became of some rows.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// Requests: those of a wave have no series twice and may be sent in any order; a wave comes after
    /// the one before it.
    pub(super) waves: Vec<Vec<Request>>,
    /// Custom metrics to describe before.
    pub(super) descriptors: Vec<Descriptor>,
    /// Samples that were written before.
    pub(super) written: u64,
    /// Entities and times of the rows that are, or are to be, written.
    pub(super) rows: Vec<(u64, i64)>,
    /// Samples that would be refused, by the reason.
    pub(super) refused: Vec<(&'static str, u64)>,
}

/// The most metrics that are remembered as described; a project can have as many.
const MOST_METRICS: usize = 10_000;

impl Encoder {
    pub(super) fn new(schema: Schema, place: Arc<Place>, pace: Pace) -> Self {
        let (entities, plans) = (WeakCache::default(), WeakCache::default());
        let hashes = RandomState::new();
        let (undescribed, met) = (Vec::new(), Set::default());
        Self { schema, place, hashes, entities, plans, pace, undescribed, met }
    }

    /// The requests for some batches, at this time.
    pub(super) fn encode<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a RowBatch>,
        now_ms: i64,
    ) -> Encoded {
        let mut pass = Pass::new(now_ms);
        for batch in batches {
            for block in &batch.blocks {
                let plans = self.plans(block.layout());
                for row in block.rows() {
                    let entity = self.entity(&row.head.entity, &batch.cluster);
                    pass.row(&row, &plans, &entity, &self.pace);
                }
            }
        }
        let mut encoded = pass.finish();
        encoded.descriptors.clone_from(&self.undescribed);
        encoded
    }

    fn plans(&mut self, layout: &Arc<Layout>) -> Arc<Plans> {
        let Self { plans, schema, hashes, undescribed, met, .. } = self;
        let plans = plans.get(layout, |layout| {
            let plans = Plans::new(layout, &schema.models, &schema.wanted(), hashes);
            if met.len() > MOST_METRICS {
                met.clear();
            }
            for descriptor in plans.descriptors.iter().filter(|_| schema.descriptors) {
                if met.insert(descriptor.name.clone()) {
                    undescribed.push(descriptor.clone());
                }
            }
            Arc::new(plans)
        });
        Arc::clone(plans)
    }

    fn entity(&mut self, entity: &Arc<Entity>, cluster: &str) -> Arc<EntityText> {
        let Self { entities, schema, place, hashes, .. } = self;
        let cluster = schema.cluster_name.as_deref().unwrap_or(cluster);
        let text = entities.get(entity, |entity| {
            let wanted = schema.wanted();
            Arc::new(EntityText::new(entity, cluster, place, &schema.models, &wanted, hashes))
        });
        Arc::clone(text)
    }

    /// Remembers rows that were taken.
    pub(super) fn took(&mut self, rows: impl IntoIterator<Item = (u64, Seen)>) {
        self.pace.took(rows);
    }

    /// The write of these rows has ended well.
    pub(super) fn settle(&mut self, rows: &[(u64, i64)]) {
        self.pace.settle(rows);
    }

    /// Remembers that a metric was described.
    pub(super) fn described(&mut self, name: &str) {
        self.undescribed.retain(|descriptor| descriptor.name != name);
    }
}

impl Schema {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { labels: &self.labels, rules: &self.rules }
    }
}

impl Encoded {
    fn refuse(&mut self, why: &'static str, samples: u64) {
        match self.refused.iter_mut().find(|(other, _)| *other == why) {
            Some((_, count)) => *count += samples,
            None => self.refused.push((why, samples)),
        }
    }
}
