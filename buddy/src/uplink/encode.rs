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
    Map, Set,
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
pub struct WriteLimits {
    /// Of one encoded frame.
    pub frame_bytes: usize,
    /// Defined in one segment.
    pub entities: u32,
    /// Of one entity or field.
    pub labels: usize,
    /// Of one label's name and value together, and of any other name.
    pub label_bytes: usize,
}

/// Until a master has said what it takes.
impl Default for WriteLimits {
    fn default() -> Self {
        Self { frame_bytes: 256 << 10, entities: 200_000, labels: 64, label_bytes: 4 << 10 }
    }
}

/// Writes the frames of one segment. What a master would refuse the whole segment for, such as an
/// entity without a name, costs only the rows that need it.
#[derive(Debug)]
pub struct SegmentWriter {
    limits: WriteLimits,
    /// By the address of the entity: a change makes a new value. Each is held, so that its address
    /// is not used again.
    entities: Map<usize, Defined>,
    /// Without an id where the master would not take it.
    layouts: Map<usize, (Arc<Layout>, Option<u32>)>,
    last_entity: u32,
    last_layout: u32,
    /// Number of the blocks that are being written.
    last_block: u64,
    left_out: u64,
}

/// An entity of the segment; without an id where the master would not take it.
#[derive(Debug)]
struct Defined {
    entity: Arc<Entity>,
    id: Option<u32>,
    /// Number of the blocks that have its newest row.
    in_block: u64,
    before: Option<RowBefore>,
}

/// The newest row of an entity: measured fields only.
#[derive(Debug)]
struct RowBefore {
    layout: u32,
    cells: Box<[Cell]>,
}

impl SegmentWriter {
    /// A segment in which nothing is defined yet.
    #[must_use]
    pub fn new(limits: WriteLimits) -> Self {
        Self {
            limits,
            entities: Map::default(),
            layouts: Map::default(),
            last_entity: 0,
            last_layout: 0,
            last_block: 0,
            left_out: 0,
        }
    }

    /// Whether the segment has defined nearly as many entities or layouts as the master takes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let most_layouts = MOST_LAYOUTS as usize / 4 * 3;
        self.last_entity >= self.limits.entities / 4 * 3 || self.layouts.len() >= most_layouts
    }

    /// Whether what these rows refer to still finds room in the segment. Where it does not even
    /// in an empty one, the rows past the limit are left out.
    #[must_use]
    pub fn has_room_for(&self, batch: &RowBatch) -> bool {
        let layouts = self.layouts.len() + batch.blocks.len() <= MOST_LAYOUTS as usize;
        let room = self.limits.entities.saturating_sub(self.last_entity) as usize;
        // Each row may bring its entity and the whole that it is a part of, and all one node.
        if !layouts || batch.row_count().saturating_mul(2) < room {
            return layouts;
        }
        let rows = batch.blocks.iter().flat_map(Block::rows);
        let lineages = rows.flat_map(|row| row.head.entity.lineage());
        let new: Set<usize> = lineages
            .map(|entity| std::ptr::from_ref(entity).addr())
            .filter(|address| !self.entities.contains_key(address))
            .collect();
        new.len() <= room
    }

    /// Rows that were left out, since the master would have refused the whole segment for them.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The rows as frames, what they refer to first.
    pub fn rows(&mut self, batch: &RowBatch) -> Vec<Kind> {
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
    pub fn end_unused(&mut self) -> Option<Kind> {
        let mut ended = Vec::new();
        self.entities.retain(|_, defined| {
            let used = Arc::strong_count(&defined.entity) > 1;
            if !used {
                ended.extend(defined.id);
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
        let Some(layout_id) = self.layouts.get(&address(layout)).and_then(|(_, id)| *id) else {
            self.left_out += rows.len() as u64;
            return;
        };
        let mut absolute = BlockWriter::new(tick, layout, layout_id, Form::Absolute, rows.len());
        let mut difference =
            BlockWriter::new(tick, layout, layout_id, Form::Difference, rows.len());
        self.last_block += 1;
        for index in rows.clone() {
            let row = block.row(index);
            let defined = self.entities.get_mut(&address(&row.head.entity));
            let Some((id, defined)) = defined.and_then(|defined| Some((defined.id?, defined)))
            else {
                self.left_out += 1;
                continue;
            };
            if std::mem::replace(&mut defined.in_block, self.last_block) == self.last_block {
                // A second row of an entity must be read after its first, whatever their forms.
                for (writer, form) in
                    [(&mut absolute, Form::Absolute), (&mut difference, Form::Difference)]
                {
                    let new = BlockWriter::new(tick, layout, layout_id, form, rows.len());
                    blocks.extend(std::mem::replace(writer, new).finish());
                }
                self.last_block += 1;
                defined.in_block = self.last_block;
            }
            let measured = &row.cells[..layout.measured().len()];
            let before = defined.before.as_mut().filter(|before| before.layout == layout_id);
            match before {
                Some(before) => {
                    if has_differences(&row, &before.cells) {
                        difference.push(id, &row, Some(&before.cells));
                    } else {
                        absolute.push(id, &row, None);
                    }
                    before.cells.copy_from_slice(measured);
                }
                None => {
                    absolute.push(id, &row, None);
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

/// A bound for the bytes of one row, alone in its block: each number and each increase at its
/// longest, and the heads of its columns.
fn most_bytes_of_row(layout: &Layout) -> usize {
    64 + 32 * layout.measured().len()
}

fn address<T>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).addr()
}
