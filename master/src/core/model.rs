//! The recent past in memory, behind the API and the page: every metric of every entity for
//! fifteen minutes, or less where that would not fit under the ceiling.
//!
//! ```text
//! Model ── ClusterModel ── Node ── Ring ── slot an entity: its newest row
//!                                      └── chunk a batch: what changed, backwards, see `code`
//! ```
//!
//! - A ring's chunks are only ever appended and forgotten ("folded"), so that what is read is what
//!   was written, to the bit.
//! - Of two rows of an entity with the same time the first stays; an older one than the newest is
//!   refused. Both are counted.
//! - At the ceiling the oldest tick goes first, of all nodes and clusters alike. When nothing is
//!   left to fold, entities that are not known yet are refused.

mod bits;
mod bytes;
mod cluster;
mod code;
mod column;
mod names;
mod overview;
mod query;
mod ring;
mod slot;
mod subject;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use heapster_shared::row::{Row, RowBatch};
use serde::Serialize;
use utoipa::ToSchema;

pub use cluster::ClusterModel;
pub use overview::{NewestRow, NodeNow, Overview, Page, Top};
pub use query::{Missing, Names, Point, QueryError, Range, Series};
use ring::Verdict;
pub use subject::Subject;

/// How much the model keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long rows are kept.
    pub retention: Duration,
    /// Bytes that all clusters together may take.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { retention: Duration::from_secs(15 * 60), max_bytes: 512 << 20 }
    }
}

/// Rows by what became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct RowCounts {
    /// Taken in.
    pub taken: u64,
    /// Values of those that were taken in, derived ones included.
    pub samples: u64,
    /// Older than the newest row of their entity, or than the retention.
    pub late: u64,
    /// Of the same time as the newest row of their entity.
    pub repeated: u64,
    /// Of a new entity when the ceiling was reached.
    pub refused: u64,
    /// Further ahead of the clock than the retention.
    pub ahead: u64,
}

/// What the model holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct ModelStats {
    /// Clusters.
    pub clusters: usize,
    /// Entities.
    pub entities: usize,
    /// Batches kept, counted once for each node in them.
    pub chunks: usize,
    /// Bytes in use.
    pub bytes: usize,
    /// Bytes that may be in use.
    pub max_bytes: usize,
    /// How long rows are kept, in seconds.
    pub retention_seconds: u64,
    /// Chunks given up before their time because of the ceiling.
    pub folded_early: u64,
    /// Rows since the start.
    pub rows: RowCounts,
    /// When rows came last, in milliseconds since 1970; 0 for never.
    pub received_unix_ms: i64,
}

/// The recent past of all clusters.
#[derive(Debug)]
pub struct Model {
    limits: Limits,
    clusters: BTreeMap<Arc<str>, ClusterModel>,
    rows: RowCounts,
    folded_early: u64,
    received_unix_ms: i64,
}

impl Model {
    /// An empty model.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clusters: BTreeMap::new(),
            rows: RowCounts::default(),
            folded_early: 0,
            received_unix_ms: 0,
        }
    }

    /// Takes in a batch that came at `now_ms`; says what became of its rows.
    pub fn take(&mut self, batch: &RowBatch, now_ms: i64) -> RowCounts {
        let counts = self.take_rows(batch, now_ms);
        self.rows += counts;
        if counts.taken > 0 {
            self.received_unix_ms = now_ms;
        }
        self.keep_under_ceiling();
        counts
    }

    fn take_rows(&mut self, batch: &RowBatch, now_ms: i64) -> RowCounts {
        let rows = batch.row_count() as u64;
        if batch.tick.0 < self.horizon(now_ms) {
            return RowCounts { late: rows, ..RowCounts::default() };
        }
        if batch.tick.0 > now_ms.saturating_add(self.retention_ms()) {
            return RowCounts { ahead: rows, ..RowCounts::default() };
        }
        let grow = self.bytes() < self.limits.max_bytes;
        if !self.clusters.contains_key(&batch.cluster) {
            if !grow || rows == 0 {
                return RowCounts { refused: rows, ..RowCounts::default() };
            }
            self.clusters.insert(Arc::clone(&batch.cluster), ClusterModel::default());
        }
        let Some(cluster) = self.clusters.get_mut(&batch.cluster) else {
            return RowCounts::default();
        };
        cluster.received_unix_ms = now_ms;
        cluster.take(batch, grow)
    }

    /// Folds what is older than the retention and drops what has no newer row; to be called about
    /// once a tick.
    pub fn expire(&mut self, now_ms: i64) {
        let horizon = self.horizon(now_ms);
        self.clusters.retain(|_, cluster| {
            cluster.expire(horizon);
            cluster.entity_count() > 0
        });
        self.keep_under_ceiling();
    }

    fn keep_under_ceiling(&mut self) {
        while self.bytes() > self.limits.max_bytes {
            let oldest = self.clusters.values().filter_map(ClusterModel::oldest_tick_ms).min();
            let Some(oldest) = oldest else { return };
            for cluster in self.clusters.values_mut() {
                self.folded_early += cluster.fold_before(oldest.saturating_add(1));
            }
        }
    }

    fn retention_ms(&self) -> i64 {
        i64::try_from(self.limits.retention.as_millis()).unwrap_or(i64::MAX)
    }

    fn horizon(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.retention_ms())
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.clusters.values().map(ClusterModel::bytes).sum()
    }

    /// What the model holds.
    #[must_use]
    pub fn stats(&self) -> ModelStats {
        ModelStats {
            clusters: self.clusters.len(),
            entities: self.clusters.values().map(ClusterModel::entity_count).sum(),
            chunks: self.clusters.values().map(ClusterModel::chunk_count).sum(),
            bytes: self.bytes(),
            max_bytes: self.limits.max_bytes,
            retention_seconds: self.limits.retention.as_secs(),
            folded_early: self.folded_early,
            rows: self.rows,
            received_unix_ms: self.received_unix_ms,
        }
    }

    /// Names of the clusters, in order.
    #[must_use]
    pub fn cluster_names(&self) -> Vec<String> {
        self.clusters.keys().map(ToString::to_string).collect()
    }

    /// The cluster of this name, or without a name the only one.
    ///
    /// # Errors
    /// When there is none of the name, or none or several without a name.
    pub fn cluster(&self, name: Option<&str>) -> Result<&ClusterModel, QueryError> {
        if let Some(name) = name {
            let found = self.clusters.get(name);
            return found.ok_or_else(|| {
                Missing::new(&format!("cluster `{name}`"), self.cluster_names()).into()
            });
        }
        let mut clusters = self.clusters.values();
        match (clusters.next(), clusters.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(QueryError::Empty),
            _ => Err(QueryError::SeveralClusters(self.cluster_names())),
        }
    }
}

impl RowCounts {
    fn add(&mut self, verdict: Option<Verdict>, row: &Row<'_>) {
        match verdict {
            Some(Verdict::Taken) => {
                self.taken += 1;
                self.samples += row.cells.iter().filter(|cell| !cell.is_absent()).count() as u64;
            }
            Some(Verdict::Late) => self.late += 1,
            Some(Verdict::Repeated) => self.repeated += 1,
            None => self.refused += 1,
        }
    }
}

impl std::ops::AddAssign for RowCounts {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.samples += other.samples;
        self.late += other.late;
        self.repeated += other.repeated;
        self.refused += other.refused;
        self.ahead += other.ahead;
    }
}
