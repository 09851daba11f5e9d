//! Rows as frames: what one segment has defined so far, and each entity's row before.
//!
//! A row goes as differences where each of its counters grew by what it is known to have grown by,
//! and where each integer that has a value now had one in the row before; else it goes as it is.
//! So a reader needs no rule for values that come and go.

mod checkpoint;
mod define;
mod entities;
mod events;
mod limits;
mod rows;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use heapster_proto::v1::{self, block::Form, frame::Kind};
use heapster_shared::{
    Map, Set,
    row::{Block, Row, RowBatch},
    schema::Layout,
    tick::Tick,
};

use entities::{Entities, Newest};
pub(super) use events::event_batches;
pub use limits::WriteLimits;
use rows::{NewestRows, RowsOfForm};
use wire::BlockEncoder;
pub use wire::Encoded;

/// Layouts of one segment, as the protocol says.
const MOST_LAYOUTS: u32 = 4_096;

/// Room for a frame's head, and that of its batch.
const HEAD_BYTES: usize = 32;

/// Entities that have ended are as good as none up to this number.
const FEW_ENDED: usize = 4_096;

/// Writes the frames of one segment. What a master would refuse the whole segment for, such as an
/// entity without a name, costs only the rows that need it.
#[derive(Debug)]
pub struct SegmentWriter {
    limits: WriteLimits,
    entities: Entities,
    /// By address, each held; without an id where the master would not take it.
    layouts: Map<usize, (Arc<Layout>, Option<u32>)>,
    /// By id of the layout, less one.
    newest: Vec<NewestRows>,
    left_out: u64,
    last_tick: Tick,
    pass: Pass,
}

/// What is at hand while rows are written, kept for its room.
#[derive(Debug)]
struct Pass {
    /// Of each row of the batch: the id of its entity; 0 where it is left out.
    ids: Vec<u32>,
    absolute: RowsOfForm,
    difference: RowsOfForm,
    encoder: BlockEncoder,
    batch: Vec<u8>,
    /// Number of the rows that no entity may be among twice.
    group: u32,
}

impl Default for Pass {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            absolute: RowsOfForm::new(Form::Absolute),
            difference: RowsOfForm::new(Form::Difference),
            encoder: BlockEncoder::default(),
            batch: Vec::new(),
            group: 0,
        }
    }
}

impl SegmentWriter {
    /// A segment in which nothing is defined yet.
    #[must_use]
    pub fn new(limits: WriteLimits) -> Self {
        Self {
            limits,
            entities: Entities::default(),
            layouts: Map::default(),
            newest: Vec::new(),
            left_out: 0,
            last_tick: Tick(0),
            pass: Pass::default(),
        }
    }

    /// Whether a new segment is better: this one has defined nearly as many layouts as the master
    /// takes, or entities, of which a fifth is gone, or most of what it has defined is gone. What
    /// lives would have to be defined again, so a segment that only has much of it goes on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let most_layouts = MOST_LAYOUTS as usize / 4 * 3;
        let (defined, alive) = (self.entities.last_id(), self.entities.alive());
        let is_worth_it = defined as usize / 5 * 4 >= alive;
        defined >= self.limits.entities / 4 * 3 && is_worth_it
            || self.layouts.len() >= most_layouts
            || defined as usize >= 2 * alive + FEW_ENDED
    }

    /// Whether what these rows refer to still finds room in the segment. Where it does not even
    /// in an empty one, the rows past the limit are left out.
    #[must_use]
    pub fn has_room_for(&self, batch: &RowBatch) -> bool {
        let layouts = self.layouts.len() + batch.blocks.len() <= MOST_LAYOUTS as usize;
        let room = self.limits.entities.saturating_sub(self.entities.last_id()) as usize;
        // Each row may bring its entity and the whole that it is a part of, and all one node.
        if !layouts || batch.row_count().saturating_mul(2) < room {
            return layouts;
        }
        let rows = batch.blocks.iter().flat_map(Block::rows);
        let lineages = rows.flat_map(|row| {
            std::iter::successors(Some(&row.head.entity), |entity| entity.parent.as_ref())
        });
        let new = lineages.filter(|entity| self.entities.find(entity).is_none());
        new.map(address).collect::<Set<usize>>().len() <= room
    }

    /// Rows that were left out, since the master would have refused the whole segment for them.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Memory that it takes, that of the entities themselves not counted.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entities.size() + self.newest.iter().map(NewestRows::size).sum::<usize>()
    }

    /// The rows as frames, what they refer to first; numbered from the last sequence on.
    pub fn rows(&mut self, batch: &RowBatch, last_sequence: &mut u64) -> Vec<Encoded> {
        let mut frames = Vec::new();
        let mut pass = std::mem::take(&mut self.pass);
        self.define(batch, &mut pass.ids, &mut frames);
        self.last_tick = batch.tick;
        begin_batch(&mut pass.batch, batch.tick);
        let empty = pass.batch.len();
        for blocks in by_layout(batch) {
            let Some((_, first)) = blocks.first() else { continue };
            let layout = first.layout();
            let row_bytes = most_bytes_of_row(layout.measured().len());
            let mut left = blocks.iter().map(|(_, block)| block.len()).sum();
            let mut rows = blocks.iter().flat_map(|(place, block)| (*place..).zip(block.rows()));
            while left > 0 {
                let room =
                    |batch: &[u8]| self.limits.frame_bytes.saturating_sub(batch.len() + HEAD_BYTES);
                if room(&pass.batch) < row_bytes && pass.batch.len() > empty {
                    frames.push(finish_batch(&pass.batch, last_sequence));
                    begin_batch(&mut pass.batch, batch.tick);
                }
                let count = (room(&pass.batch) / row_bytes).clamp(1, left);
                self.block(&mut pass, batch.tick, layout, rows.by_ref().take(count));
                left -= count;
            }
        }
        if pass.batch.len() > empty {
            frames.push(finish_batch(&pass.batch, last_sequence));
        }
        self.pass = pass;
        frames
    }

    /// Ends entities that nobody else holds any more: they are gone, or were redefined.
    pub fn end_unused(&mut self) -> Option<Encoded> {
        let gone = self.entities.end_unused();
        for (_, newest) in &gone {
            self.free(*newest);
        }
        let ended: Vec<u32> = gone.into_iter().map(|(id, _)| id).collect();
        let define = Kind::Define(v1::Define { ended, ..v1::Define::default() });
        let any = matches!(&define, Kind::Define(define) if !define.ended.is_empty());
        any.then(|| Encoded::new(0, define))
    }

    fn free(&mut self, newest: Newest) {
        let rows = usize::from(newest.layout).checked_sub(1).and_then(|at| self.newest.get_mut(at));
        if let Some(rows) = rows {
            rows.free_place(newest.place);
        }
    }

    /// Writes rows of one layout, each with its place in the batch, as one block: as they are, as
    /// differences, or some so and some so.
    fn block<'r>(
        &mut self,
        pass: &mut Pass,
        tick: Tick,
        layout: &Arc<Layout>,
        rows: impl Iterator<Item = (usize, Row<'r>)>,
    ) {
        let Some(layout_id) = self.layouts.get(&address(layout)).and_then(|(_, id)| *id) else {
            self.left_out += rows.count() as u64;
            return;
        };
        pass.begin_group();
        for (place_in_batch, row) in rows {
            let id = pass.ids[place_in_batch];
            if id == 0 {
                self.left_out += 1;
                continue;
            }
            let (place, has_before) = self.place(id, layout_id);
            let newest = &mut self.newest[layout_id as usize - 1];
            if newest.joins(place, pass.group) {
                // A second row of an entity must be read after its first, whatever their forms.
                pass.finish_group(layout_id, newest);
                pass.begin_group();
                newest.joins(place, pass.group);
            }
            let is_difference =
                has_before && newest.differences(place, &row, &mut pass.difference.cells);
            if is_difference {
                pass.difference.push_head(id, &row, tick);
            } else {
                pass.absolute.push_head(id, &row, tick);
                pass.absolute.cells.extend_from_slice(&row.cells[..newest.fields().len()]);
            }
            newest.keep(place, &row);
        }
        pass.finish_group(layout_id, &self.newest[layout_id as usize - 1]);
    }

    /// Where the newest row of an entity is to be, and whether there is one of this layout.
    fn place(&mut self, id: u32, layout_id: u32) -> (u32, bool) {
        let newest = self.entities.newest(id);
        if u32::from(newest.layout) == layout_id {
            return (newest.place, true);
        }
        self.free(newest);
        let place = self.newest[layout_id as usize - 1].take_place(id);
        // Layouts are 4,096 at most.
        self.entities.set_newest(id, Newest { layout: layout_id as u16, place });
        (place, false)
    }
}

impl Pass {
    fn begin_group(&mut self) {
        self.absolute.clear();
        self.difference.clear();
        // Where the number comes again after all others, rows part in two blocks for nothing.
        self.group = self.group.wrapping_add(1);
    }

    fn finish_group(&mut self, layout_id: u32, newest: &NewestRows) {
        for rows in [&self.absolute, &self.difference] {
            self.encoder.put(&mut self.batch, layout_id, newest.fields(), rows);
        }
    }
}

/// The blocks of each layout, in the order in which layouts come; each with the place of its first row
/// in the batch.
fn by_layout(batch: &RowBatch) -> Vec<Vec<(usize, &Block)>> {
    let mut groups: Vec<Vec<(usize, &Block)>> = Vec::new();
    let mut place = 0;
    for block in &batch.blocks {
        let is_its = |group: &&mut Vec<(usize, &Block)>| {
            group.first().is_some_and(|(_, first)| Arc::ptr_eq(first.layout(), block.layout()))
        };
        match groups.iter_mut().find(is_its) {
            Some(group) => group.push((place, block)),
            None => groups.push(vec![(place, block)]),
        }
        place += block.len();
    }
    groups
}

fn begin_batch(batch: &mut Vec<u8>, tick: Tick) {
    batch.clear();
    wire::put_tick(batch, tick.0.unsigned_abs());
}

fn finish_batch(batch: &[u8], last_sequence: &mut u64) -> Encoded {
    *last_sequence += 1;
    Encoded::batch(*last_sequence, batch)
}

/// A bound for the bytes of one row, alone in its block: each number and each increase at its
/// longest, and the heads of its columns.
const fn most_bytes_of_row(fields: usize) -> usize {
    64 + 32 * fields
}

fn address<T>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).addr()
}
