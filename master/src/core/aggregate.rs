//! Sums over namespaces and over the cluster, one round at a time.
//!
//! A namespace is the sum of its pods. The cluster is the sum of its namespaces, or of its nodes
//! where it has no pods at all. What is summed are the metrics that the schema lists for those
//! levels. A round closes when every polling buddy has ended it, or at its deadline; rows that come
//! later are not for this module any more. A round of which rows are known to be missing, because
//! another master had them or a buddy that sent some did not come to the end of it, has no sums:
//! they would show a dip that never was. Only the newest row of an entity counts in a round, so a
//! batch that is delivered twice is counted once.

mod round;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, LazyLock},
    time::Duration,
};

use heapster_shared::{
    entity::{Definition, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, FieldLabels, Layout, MetricDef, ValueType, table::METRICS},
    tick::{Resolution, Tick},
};
use round::Round;

use crate::core::entities::Entities;

/// What is left for hosts that answer at the very end of their deadline.
const GRACE: Duration = Duration::from_secs(3);
/// Rounds open at a time; one more closes the oldest.
const MAX_OPEN: usize = 64;
/// Closed rounds remembered, so that what comes late does not open them again.
const MAX_CLOSED: usize = 4096;

/// The metrics that are summed.
static SUMMED: LazyLock<Vec<&'static MetricDef>> = LazyLock::new(|| {
    let summable = |def: &&MetricDef| {
        def.levels.contains(&Level::Cluster)
            && def.levels.contains(&Level::Namespace)
            && def.value_type == ValueType::Int64
            && def.labels == FieldLabels::None
    };
    METRICS.iter().filter(summable).collect()
});

/// Where the summed metrics are in the rows of a layout.
type Columns = Box<[Option<usize>]>;

/// The rounds of one cluster that are open.
#[derive(Debug)]
pub struct Aggregator {
    cluster: Arc<str>,
    resolution: Resolution,
    open: BTreeMap<Tick, Round>,
    closed: BTreeSet<Tick>,
    closed_order: VecDeque<Tick>,
    /// The one that closed last, for its memory.
    spare: Option<Round>,
}

/// A round that is over.
#[derive(Debug)]
pub struct ClosedRound {
    /// Its tick.
    pub tick: Tick,
    /// The rows of the namespaces and of the cluster; none where nothing was measured.
    pub sums: Option<RowBatch>,
}

impl Aggregator {
    /// No rounds yet.
    #[must_use]
    pub const fn new(cluster: Arc<str>, resolution: Resolution) -> Self {
        Self {
            cluster,
            resolution,
            open: BTreeMap::new(),
            closed: BTreeSet::new(),
            closed_order: VecDeque::new(),
            spare: None,
        }
    }

    /// Counts the rows of pods and nodes that a buddy sent, unless their round is closed.
    pub fn add(&mut self, tick: Tick, buddy: &str, blocks: &[Block], now_ms: i64) {
        let Some(round) = self.round(tick, now_ms) else { return };
        round.sent_by(buddy);
        let counts = |level| matches!(level, Level::Pod | Level::Node);
        for block in blocks {
            let mut columns = None;
            for row in block.rows().filter(|row| counts(row.head.entity.level)) {
                round.count(&row, columns.get_or_insert_with(|| summed_columns(block.layout())));
            }
        }
    }

    /// Rows of this round may be missing.
    pub fn miss(&mut self, tick: Tick, now_ms: i64) {
        if let Some(round) = self.round(tick, now_ms) {
            round.misses_rows = true;
        }
    }

    /// A buddy has ended its round.
    pub fn end(&mut self, tick: Tick, buddy: &str, now_ms: i64) {
        if let Some(round) = self.round(tick, now_ms) {
            round.ended.insert(buddy.to_owned());
        }
    }

    /// Closes the rounds that all of these buddies have ended, that are past their deadline, or
    /// that are too many, oldest first. `misses` tells of a tick whether hosts had no buddy then,
    /// given those that have ended its round.
    pub fn close(
        &mut self,
        polling: &BTreeSet<String>,
        misses: impl Fn(Tick, &BTreeSet<String>) -> bool,
        entities: &mut Entities,
        now_ms: i64,
    ) -> Vec<ClosedRound> {
        let excess = self.open.len().saturating_sub(MAX_OPEN);
        let is_over = |round: &Round| {
            now_ms >= round.deadline_ms
                || (!round.ended.is_empty() && polling.is_subset(&round.ended))
        };
        let rounds = self.open.iter().enumerate();
        let over: Vec<Tick> = rounds
            .filter(|(place, (_, round))| *place < excess || is_over(round))
            .map(|(_, (tick, _))| *tick)
            .collect();
        for tick in &over {
            if let Some(round) = self.open.get_mut(tick) {
                round.misses_rows |= misses(*tick, &round.ended);
            }
        }
        over.into_iter().filter_map(|tick| self.close_one(tick, entities)).collect()
    }

    fn round(&mut self, tick: Tick, now_ms: i64) -> Option<&mut Round> {
        if self.closed.contains(&tick) {
            return None;
        }
        let deadline_ms = self.deadline_ms(tick, now_ms);
        let Self { open, spare, .. } = self;
        let renewed = || spare.take().unwrap_or_default().renewed(deadline_ms);
        Some(open.entry(tick).or_insert_with(renewed))
    }

    /// A round that comes as it happens has until a little after the next tick. What a buddy sends
    /// long after, or with a clock that is wrong, has as long from its first row.
    fn deadline_ms(&self, tick: Tick, now_ms: i64) -> i64 {
        let resolution_ms = i64::from(self.resolution.ms());
        let grace_ms = i64::try_from(GRACE.as_millis()).unwrap_or(0);
        let age_ms = now_ms.saturating_sub(tick.0);
        let start_ms = if (0..resolution_ms).contains(&age_ms) { tick.0 } else { now_ms };
        start_ms + resolution_ms + grace_ms
    }

    fn close_one(&mut self, tick: Tick, entities: &mut Entities) -> Option<ClosedRound> {
        let round = self.open.remove(&tick)?;
        self.closed.insert(tick);
        self.closed_order.push_back(tick);
        if self.closed_order.len() > MAX_CLOSED
            && let Some(forgotten) = self.closed_order.pop_front()
        {
            self.closed.remove(&forgotten);
        }
        let sums = self.sums(&round, tick, entities);
        self.spare = Some(round);
        Some(ClosedRound { tick, sums })
    }

    fn sums(&self, round: &Round, tick: Tick, entities: &mut Entities) -> Option<RowBatch> {
        if round.is_incomplete() {
            return None;
        }
        let sums = round.sums(SUMMED.len());
        let total = if sums.namespaces.is_empty() {
            sums.nodes?
        } else {
            let mut total = absent(SUMMED.len());
            sums.namespaces.values().for_each(|sum| add(&mut total, &sum.values));
            total
        };
        let mut block = Block::with_capacity(layout(entities), sums.namespaces.len() + 1);
        let mut push = |level, name: &str, uid: &str, values: &[Cell]| {
            let entity = entities.intern(sum_definition(level, name, uid));
            block.push(RowHead { entity, time_ms: tick.0, interval_ms: 0 }, values, &[]);
        };
        for (name, sum) in &sums.namespaces {
            push(Level::Namespace, name, sum.uid, &sum.values);
        }
        push(Level::Cluster, &self.cluster, "", &total);
        Some(RowBatch { cluster: Arc::clone(&self.cluster), tick, blocks: vec![block] })
    }
}

fn summed_columns(layout: &Layout) -> Columns {
    SUMMED.iter().map(|def| layout.index_of(def)).collect()
}

fn absent(width: usize) -> Vec<Cell> {
    vec![Cell::ABSENT; width]
}

/// Adds what is there; a sum of nothing stays absent.
fn add(sums: &mut [Cell], values: &[Cell]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        if let Some(value) = value.as_int() {
            *sum = Cell::int(sum.as_int().unwrap_or(0).saturating_add(value));
        }
    }
}

fn layout(entities: &mut Entities) -> Arc<Layout> {
    let fields: Vec<Field> = SUMMED.iter().map(|def| Field::plain(def)).collect();
    entities.layout(&fields)
}

fn sum_definition(level: Level, name: &str, uid: &str) -> Definition {
    Definition {
        parent: None,
        level,
        name: name.into(),
        uid: uid.into(),
        start_time_ms: 0,
        labels: Labels::default(),
    }
}

#[cfg(test)]
mod tests;
