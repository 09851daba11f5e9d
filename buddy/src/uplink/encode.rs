//! Rows as frames: what one segment has defined so far, and each entity's row before.
//!
//! A row goes as differences where each of its counters grew by what it is known to have grown by,
//! and where each integer that has a value now had one in the row before; else it goes as it is.
//! So a reader needs no rule for values that come and go.

mod block;
mod define;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use heapster_proto::v1::{self, block::Form, frame::Kind};
use heapster_shared::{
    Map,
    entity::Entity,
    row::{Block, Cell, Row, RowBatch},
    schema::{Layout, ValueType},
    tick::Tick,
};

use block::BlockWriter;

/// Layouts of one segment, as the protocol says.
const MOST_LAYOUTS: u32 = 4_096;

/// What the master takes, as far as it matters for writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteLimits {
    pub(super) frame_bytes: usize,
    pub(super) entities: u32,
    pub(super) labels: usize,
    pub(super) label_bytes: usize,
}

/// Until a master has said what it takes.
impl Default for WriteLimits {
    fn default() -> Self {
        Self { frame_bytes: 256 << 10, entities: 200_000, labels: 64, label_bytes: 4 << 10 }
    }
}

/// Writes the frames of one segment.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    limits: WriteLimits,
    /// By the address of the entity: a change makes a new value. Each is held, so that its address
    /// is not used again.
    entities: Map<usize, Defined>,
    layouts: Map<usize, (Arc<Layout>, u32)>,
    last_entity: u32,
    last_layout: u32,
}

/// An entity of the segment.
#[derive(Debug)]
struct Defined {
    entity: Arc<Entity>,
    id: u32,
    before: Option<RowBefore>,
}

/// The newest row of an entity: measured fields only.
#[derive(Debug)]
struct RowBefore {
    layout: u32,
    cells: Box<[Cell]>,
}

impl SegmentWriter {
    pub(super) fn new(limits: WriteLimits) -> Self {
        Self {
            limits,
            entities: Map::default(),
            layouts: Map::default(),
            last_entity: 0,
            last_layout: 0,
        }
    }

    /// Whether the segment has defined nearly as many entities or layouts as the master takes.
    pub(super) const fn is_full(&self) -> bool {
        self.last_entity >= self.limits.entities / 4 * 3 || self.last_layout >= MOST_LAYOUTS / 4 * 3
    }

    /// The rows as frames, what they refer to first.
    pub(super) fn rows(&mut self, batch: &RowBatch) -> Vec<Kind> {
        let mut kinds = Vec::new();
        self.define(batch, &mut kinds);
        let mut message =
            v1::Batch { tick_unix_ms: batch.tick.0.unsigned_abs(), ..v1::Batch::default() };
        let mut room = self.limits.frame_bytes;
        for block in &batch.blocks {
            let row_bytes = most_bytes_of_row(block.layout());
            let mut first = 0;
            while first < block.len() {
                if room < row_bytes && !message.blocks.is_empty() {
                    let blocks = std::mem::take(&mut message.blocks);
                    kinds.push(Kind::Batch(v1::Batch { blocks, ..message }));
                    room = self.limits.frame_bytes;
                }
                let rows = (room / row_bytes).clamp(1, block.len() - first);
                self.block(batch.tick, block, first..first + rows, &mut message.blocks);
                room = room.saturating_sub(rows * row_bytes);
                first += rows;
            }
        }
        if !message.blocks.is_empty() {
            kinds.push(Kind::Batch(message));
        }
        kinds
    }

    /// Ends the entities that nobody else holds any more: they are gone, or were redefined.
    pub(super) fn end_unused(&mut self) -> Option<Kind> {
        let mut ended = Vec::new();
        self.entities.retain(|_, defined| {
            let used = Arc::strong_count(&defined.entity) > 1;
            if !used {
                ended.push(defined.id);
            }
            used
        });
        ended.sort_unstable();
        (!ended.is_empty()).then(|| Kind::Define(v1::Define { ended, ..v1::Define::default() }))
    }

    /// Writes these rows of a block: as they are, as differences, or some so and some so.
    fn block(
        &mut self,
        tick: Tick,
        block: &Block,
        rows: Range<usize>,
        blocks: &mut Vec<v1::Block>,
    ) {
        let layout = block.layout();
        let layout_id = self.layouts.get(&address(layout)).map_or(0, |(_, id)| *id);
        let mut absolute = BlockWriter::new(tick, layout, layout_id, Form::Absolute, rows.len());
        let mut difference =
            BlockWriter::new(tick, layout, layout_id, Form::Difference, rows.len());
        for index in rows {
            let row = block.row(index);
            let Some(defined) = self.entities.get_mut(&address(&row.head.entity)) else { continue };
            let measured = &row.cells[..layout.measured().len()];
            let before = defined.before.as_mut().filter(|before| before.layout == layout_id);
            match before {
                Some(before) => {
                    if has_differences(&row, &before.cells) {
                        difference.push(defined.id, &row, Some(&before.cells));
                    } else {
                        absolute.push(defined.id, &row, None);
                    }
                    before.cells.copy_from_slice(measured);
                }
                None => {
                    absolute.push(defined.id, &row, None);
                    let cells = measured.into();
                    defined.before = Some(RowBefore { layout: layout_id, cells });
                }
            }
        }
        blocks.extend([absolute, difference].into_iter().filter_map(BlockWriter::finish));
    }
}

/// Whether the row can be written as differences, and still be read exactly.
fn has_differences(row: &Row<'_>, before: &[Cell]) -> bool {
    let mut counters = row.layout.counters().iter().zip(row.increases).peekable();
    for (index, field) in row.layout.measured().iter().enumerate() {
        let increase = counters.next_if(|(counter, _)| **counter == index).map(|(_, grown)| *grown);
        if field.metric.value_type() == ValueType::Double || row.cells[index].is_absent() {
            continue;
        }
        let (Some(now), Some(earlier)) = (row.cells[index].as_int(), before[index].as_int()) else {
            return false;
        };
        let Some(difference) = now.checked_sub(earlier) else { return false };
        let as_known = |grown: Cell| row.head.interval_ms > 0 && grown.as_int() == Some(difference);
        if !increase.is_none_or(as_known) {
            return false;
        }
    }
    true
}

/// A bound for the bytes of one row: each number and each increase at its longest.
fn most_bytes_of_row(layout: &Layout) -> usize {
    64 + 24 * layout.measured().len()
}

fn address<T>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).addr()
}
