//! Rows as requests. Labels are worked out once for each thing and names once for each layout; a
//! sample then costs a few copies.

use std::{sync::Arc, time::Instant};

use heapster_shared::{
    entity::Entity,
    row::{Row, RowBatch},
    schema::Layout,
};

use super::{
    Version,
    metadata::Metadata,
    owner::Owner,
    plan::{Fields, Plan},
    request::{Point, Request, Writer},
    staleness::{STALE, Sighting, Tracker, bit},
};
use crate::{
    delivery::Payload,
    sinks::{LabelRules, weak_cache::WeakCache},
};

/// Payloads to requests; keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    labels: Arc<LabelRules>,
    body_bytes: usize,
    marks_ends: bool,
    owners: WeakCache<Entity, Arc<Owner>>,
    plans: WeakCache<Layout, Plan>,
    metadata: Metadata,
    pub(super) tracker: Tracker,
}

/// What became of some payloads.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) requests: Vec<Request>,
    /// Samples that no series can carry, because another metric of the row has the same name.
    pub(super) clashing: u64,
    /// What the tracker is to be told when all has been written.
    pub(super) markers: u64,
}

impl Encoder {
    /// An encoder that starts a new request after `body_bytes`, and says when series have ended if
    /// `marks_ends`.
    pub(super) fn new(labels: Arc<LabelRules>, body_bytes: usize, marks_ends: bool) -> Self {
        Self {
            labels,
            body_bytes,
            marks_ends,
            owners: WeakCache::default(),
            plans: WeakCache::default(),
            metadata: Metadata::default(),
            tracker: Tracker::default(),
        }
    }

    /// The requests that these payloads become. What was sent late is put before what is newer, so
    /// that no series goes back in time.
    pub(super) fn encode(
        &mut self,
        payloads: &[Payload],
        version: Version,
        now: Instant,
    ) -> Encoded {
        let mut in_order: Vec<&Payload> = payloads.iter().collect();
        in_order.sort_by_key(|payload| match payload {
            Payload::Rows(batch) => (batch.tick, 0),
            Payload::RoundEnd { tick, .. } => (*tick, 1),
            Payload::Events(_) => (heapster_shared::tick::Tick(i64::MAX), 2),
        });
        let mut out = Writer::new(version, self.body_bytes);
        let mut encoded = Encoded::default();
        for payload in in_order {
            match payload {
                Payload::Rows(batch) => encoded.clashing += self.batch(batch, &mut out),
                Payload::RoundEnd { cluster, tick } => self.tracker.round_ended(cluster, *tick),
                Payload::Events(_) => {}
            }
        }
        encoded.markers = self.markers(&mut out);
        if let Some(metadata) = self.metadata.due(now) {
            out.metadata(metadata);
        }
        encoded.requests = out.finish();
        encoded
    }

    /// Appends the series of a batch; says how many samples none of them can carry.
    pub(super) fn batch(&mut self, batch: &RowBatch, out: &mut Writer) -> u64 {
        let Self { labels, owners, plans, metadata, .. } = self;
        let mut clashing = 0;
        for block in &batch.blocks {
            let plan = plans.get(block.layout(), |_| Plan::default());
            for row in block.rows() {
                let owner = owners.get(&row.head.entity, |entity| {
                    Arc::new(Owner::new(&batch.cluster, entity, labels))
                });
                let learn = |family: &Arc<_>| metadata.learn(family);
                let fields = plan.at(owner.level, block.layout(), labels, learn);
                let present = encode_row(&row, owner, fields, out);
                let left_out =
                    fields.clashing.iter().filter(|index| !row.cells[**index].is_absent());
                clashing += left_out.count() as u64;
                if self.marks_ends {
                    let (cluster, tick, time_ms) = (&batch.cluster, batch.tick, row.head.time_ms);
                    self.tracker.saw(&Sighting { cluster, owner, fields, tick, time_ms, present });
                }
            }
        }
        clashing
    }

    fn markers(&self, out: &mut Writer) -> u64 {
        self.tracker.ended(|owner, field, time_ms| {
            let bits = STALE;
            out.point(Point { owner, field, bits, time_ms, start_time_ms: 0, samples: 0 });
        })
    }
}

/// Appends the series of a row; says which of its fields had a value.
fn encode_row(row: &Row<'_>, owner: &Owner, fields: &Fields, out: &mut Writer) -> u64 {
    let (time_ms, start_time_ms) = (row.head.time_ms, row.head.entity.start_time_ms);
    let mut present = 0;
    for (place, field) in fields.fields.iter().enumerate() {
        let Some(value) = row.cells[field.index].to_real(field.value_type) else { continue };
        present |= bit(place);
        let bits = (value / field.family.divisor).to_bits();
        out.point(Point { owner, field, bits, time_ms, start_time_ms, samples: 1 });
    }
    present
}
