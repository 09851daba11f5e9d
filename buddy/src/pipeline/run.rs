//! What is remembered of one entity from one poll to the next.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{
    Set,
    entity::{Entity, Level},
    row::{Cell, RowHead},
    schema::{Field, Layout, LayoutCache, Metric, ValueType},
};

use super::blocks::layout_of;

/// Start times that are worked out from an uptime move by about this much without a restart.
pub(super) const START_JITTER_MS: i64 = 2_000;

/// Fields of a sample; a row has a few more, and a layout of the protocol 4096 at the most.
const MOST_FIELDS: usize = 4_000;

/// One run of an entity, from its start to its restart.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The newest uid that is known.
    pub(super) uid: CompactString,
    /// The first start time given for this run; 0 for none.
    pub(super) start_time_ms: i64,
    /// The round that last named the entity.
    pub(super) round: u64,
    /// The layout of the newest row, where rows have more fields than samples.
    pub(super) row_layout: Option<Arc<Layout>>,
    newest: Option<Sample>,
    row_time_ms: Option<i64>,
    refused_ms: Option<i64>,
}

/// A sample, and what follows from it and the one before.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) time_ms: i64,
    pub(super) interval_ms: u32,
    pub(super) layout: Arc<Layout>,
    /// One a measured field.
    pub(super) cells: Vec<Cell>,
    /// One a counter.
    pub(super) increases: Vec<Cell>,
    /// Fields that the sample before had, in the same run.
    pub(super) lost: Vec<Field>,
}

impl Sample {
    pub(super) fn head(&self, entity: Arc<Entity>) -> RowHead {
        RowHead { entity, time_ms: self.time_ms, interval_ms: self.interval_ms }
    }

    /// The increase of the counter at this index of the measured fields.
    pub(super) fn increase(&self, field: usize) -> Cell {
        let place = self.layout.counters().binary_search(&field);
        place.map_or(Cell::ABSENT, |place| self.increases[place])
    }

    fn cell_of(&self, field: &Field) -> Cell {
        let place = self.layout.measured().iter().position(|known| known == field);
        place.map_or(Cell::ABSENT, |place| self.cells[place])
    }
}

impl Run {
    /// Takes over what the host says of the entity now. After a restart the samples before are
    /// forgotten, because counters began again.
    pub(super) fn identify(&mut self, uid: &str, start_time_ms: i64) {
        let renamed = !uid.is_empty() && !self.uid.is_empty() && self.uid != uid;
        let moved = start_time_ms != 0
            && self.start_time_ms != 0
            && start_time_ms.abs_diff(self.start_time_ms) > START_JITTER_MS.unsigned_abs();
        if renamed || moved {
            *self = Self { round: self.round, ..Self::default() };
        }
        if self.uid.is_empty() {
            self.uid = uid.into();
        }
        if self.start_time_ms == 0 {
            self.start_time_ms = start_time_ms;
        }
    }

    pub(super) fn newest(&self) -> Option<&Sample> {
        self.newest.as_ref()
    }

    /// Takes a sample, unless it is no newer than the one before; says whether it did. Metrics that
    /// the schema does not have at this level are left out.
    pub(super) fn observe(
        &mut self,
        layouts: &mut LayoutCache,
        level: Level,
        time_ms: i64,
        values: Vec<(Field, Cell)>,
    ) -> bool {
        if !self.is_new(time_ms) {
            return false;
        }
        let (fields, cells): (Vec<Field>, Vec<Cell>) =
            values.into_iter().filter(|(field, _)| belongs(&field.metric, level)).unzip();
        let before = self.newest.take();
        let last = before.as_ref().map(|sample| &sample.layout);
        let (fields, cells) = match last {
            Some(last) if last.measured() == fields => (fields, cells),
            _ => distinct(fields, cells),
        };
        let layout = layout_of(layouts, last, &fields);
        let interval_ms = before.as_ref().map_or(0, |before| interval(before.time_ms, time_ms));
        let increases =
            layout.counters().iter().map(|at| increase(before.as_ref(), &layout, *at, &cells));
        let increases = increases.collect();
        let lost = lost_fields(before.as_ref(), &layout);
        self.newest = Some(Sample { time_ms, interval_ms, layout, cells, increases, lost });
        true
    }

    /// The time from the row before to this one (0 for none); `None` where it is no later.
    pub(super) fn step(&mut self, time_ms: i64) -> Option<u32> {
        let before_ms = self.row_time_ms;
        let since = match before_ms {
            None => 0,
            Some(before_ms) if time_ms > before_ms => interval(before_ms, time_ms),
            Some(before_ms) if self.clock_went_back(time_ms, before_ms) => 0,
            Some(_) => return None,
        };
        self.row_time_ms = Some(time_ms);
        self.refused_ms = None;
        Some(since)
    }

    fn is_new(&mut self, time_ms: i64) -> bool {
        let Some(before_ms) = self.newest.as_ref().map(|sample| sample.time_ms) else {
            return true;
        };
        if time_ms > before_ms {
            self.refused_ms = None;
            return true;
        }
        let went_back = self.clock_went_back(time_ms, before_ms);
        if went_back {
            self.newest = None;
            self.refused_ms = None;
        }
        went_back
    }

    /// A sample from the past is an old one when it comes once. Where samples of the past move on,
    /// the host's clock was set back, and there is nothing to compare with.
    fn clock_went_back(&mut self, time_ms: i64, before_ms: i64) -> bool {
        if time_ms == before_ms {
            return false;
        }
        let moves_on = self.refused_ms.is_some_and(|refused_ms| time_ms > refused_ms);
        self.refused_ms = Some(time_ms);
        moves_on
    }
}

fn belongs(metric: &Metric, level: Level) -> bool {
    match metric {
        Metric::Known(def) => def.levels.contains(&level),
        Metric::Custom(_) => true,
    }
}

/// Each field once, and not more than a row may have: a host may say the same twice, of two disks
/// of one name.
fn distinct(fields: Vec<Field>, cells: Vec<Cell>) -> (Vec<Field>, Vec<Cell>) {
    let mut seen = Set::default();
    let pairs = fields.into_iter().zip(cells);
    pairs.filter(|(field, _)| seen.insert(field.clone())).take(MOST_FIELDS).unzip()
}

/// 0 where it does not fit, which says that there is none.
fn interval(before_ms: i64, now_ms: i64) -> u32 {
    u32::try_from(now_ms.saturating_sub(before_ms)).unwrap_or(0)
}

/// How much an integer counter grew; absent where that is not known.
fn increase(before: Option<&Sample>, layout: &Arc<Layout>, at: usize, cells: &[Cell]) -> Cell {
    let field = &layout.measured()[at];
    let Some(before) = before.filter(|_| field.metric.value_type() == ValueType::Int64) else {
        return Cell::ABSENT;
    };
    let same_layout = Arc::ptr_eq(&before.layout, layout);
    let earlier = if same_layout { before.cells[at] } else { before.cell_of(field) };
    let grown = match (earlier.as_int(), cells[at].as_int()) {
        (Some(earlier), Some(now)) if earlier >= 0 && now >= earlier => now.checked_sub(earlier),
        _ => None,
    };
    grown.map_or(Cell::ABSENT, Cell::int)
}

fn lost_fields(before: Option<&Sample>, layout: &Arc<Layout>) -> Vec<Field> {
    let Some(before) = before.filter(|before| !Arc::ptr_eq(&before.layout, layout)) else {
        return Vec::new();
    };
    let lost = before.layout.fields().iter().filter(|field| !layout.fields().contains(field));
    lost.cloned().collect()
}
