//! The recent past of one node: chunks of rows in the order in which they came, and the newest row
//! of each entity, from which they are read backwards. Folding the oldest chunk is forgetting it.

use std::{collections::VecDeque, sync::Arc};

use heapster_shared::{row::Row, schema::Layout};

use super::{
    code::{ChunkWriter, RowState, groups},
    slot::Slot,
};

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is in.
    Taken,
    /// A newer one of its entity was there already.
    Late,
    /// One of the same time was there already.
    Repeated,
}

/// The rows of one batch, as `code` writes them.
#[derive(Debug)]
struct Chunk {
    tick_ms: i64,
    rows: Box<[u8]>,
    layouts: Box<[Arc<Layout>]>,
}

impl Chunk {
    /// Memory beyond the value itself.
    fn bytes(&self) -> usize {
        self.rows.len() + size_of_val(&*self.layouts)
    }
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Ring {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    chunks: VecDeque<Chunk>,
    /// Number of the oldest chunk.
    first_chunk: u64,
    /// No entity's newest row is of an earlier tick than this.
    idle_since_ms: i64,
    /// Memory of slots and chunks beyond their own values.
    bytes: usize,
}

impl Ring {
    /// The entity in this slot.
    pub(super) fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The entities of the ring.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }

    /// Memory that the ring takes beyond its own value.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.slots.capacity() * size_of::<Option<Slot>>()
            + self.free.capacity() * size_of::<u32>()
            + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Tick of the oldest chunk.
    pub(super) fn oldest_tick_ms(&self) -> Option<i64> {
        self.chunks.front().map(|chunk| chunk.tick_ms)
    }

    /// Adds the first row of an entity, and the place that it got.
    pub(super) fn add(
        &mut self,
        row: &Row<'_>,
        layout: &Arc<Layout>,
        tick_ms: i64,
        writer: &mut ChunkWriter,
    ) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        writer.add(index, row, layout, None);
        let slot = Slot::new(row, layout, tick_ms, self.open_number());
        self.bytes += slot.bytes();
        self.idle_since_ms = self.idle_since_ms.min(tick_ms);
        self.slots[index as usize] = Some(slot);
        index
    }

    /// A new place. There are many rings, so that little is taken ahead of need.
    fn grow(&mut self) -> u32 {
        let places = self.slots.len();
        if places == self.slots.capacity() {
            self.slots.reserve_exact((places / 8).max(4));
        }
        self.slots.push(None);
        u32::try_from(places).unwrap_or(u32::MAX)
    }

    /// Adds a further row of the entity in this slot.
    pub(super) fn push(
        &mut self,
        index: u32,
        row: &Row<'_>,
        layout: &Arc<Layout>,
        tick_ms: i64,
        writer: &mut ChunkWriter,
    ) -> Verdict {
        let chunk = self.open_number();
        let Some(Some(slot)) = self.slots.get_mut(index as usize) else { return Verdict::Late };
        match row.head.time_ms.cmp(&slot.time_ms) {
            std::cmp::Ordering::Less => return Verdict::Late,
            std::cmp::Ordering::Equal => return Verdict::Repeated,
            std::cmp::Ordering::Greater => {}
        }
        writer.add(index, row, layout, Some(slot));
        self.bytes -= slot.bytes();
        slot.replace(row, layout, tick_ms, chunk);
        self.bytes += slot.bytes();
        self.idle_since_ms = self.idle_since_ms.min(tick_ms);
        Verdict::Taken
    }

    /// The number that the next chunk will have.
    fn open_number(&self) -> u64 {
        self.first_chunk + self.chunks.len() as u64
    }

    /// Makes a chunk of the rows that were written.
    pub(super) fn seal(&mut self, tick_ms: i64, writer: &mut ChunkWriter) {
        let (rows, layouts) = writer.finish();
        if rows.is_empty() {
            return;
        }
        let chunk = Chunk { tick_ms, rows, layouts };
        self.bytes += chunk.bytes();
        self.chunks.push_back(chunk);
    }

    /// Folds the chunks of ticks before this one; says how many.
    pub(super) fn fold_before(&mut self, tick_ms: i64) -> u64 {
        let mut folded = 0;
        while self.oldest_tick_ms().is_some_and(|oldest| oldest < tick_ms) {
            self.bytes -= self.chunks.pop_front().map_or(0, |chunk| chunk.bytes());
            folded += 1;
        }
        self.first_chunk += folded;
        folded
    }

    /// Drops the entities whose newest row is of a tick before this one. Their rows have to be
    /// folded already; else they stay.
    pub(super) fn drop_before(&mut self, tick_ms: i64) -> Vec<(u32, Slot)> {
        let mut dropped = Vec::new();
        if tick_ms <= self.idle_since_ms {
            return dropped;
        }
        let first_chunk = self.first_chunk;
        let gone = |slot: &mut Slot| slot.tick_ms < tick_ms && slot.last_chunk < first_chunk;
        for (index, place) in (0..).zip(&mut self.slots) {
            if let Some(slot) = place.take_if(gone) {
                self.bytes -= slot.bytes();
                self.free.push(index);
                dropped.push((index, slot));
            }
        }
        let newest = self.slots.iter().flatten().map(|slot| slot.tick_ms);
        self.idle_since_ms = newest.min().unwrap_or(tick_ms);
        dropped
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len() && self.chunks.is_empty()
    }

    /// Calls `visit` with each row kept of an entity, newest first.
    pub(super) fn history(&self, index: u32, mut visit: impl FnMut(&RowState)) {
        let Some(slot) = self.slot(index) else { return };
        let mut state = slot.row();
        if slot.last_chunk < self.first_chunk {
            return visit(&state);
        }
        for chunk in self.chunks.iter().rev() {
            let mut groups: Vec<_> = groups(&chunk.rows).collect();
            groups.reverse();
            for group in groups {
                for place in group.places(index).into_iter().rev() {
                    let before = group.row_before(place, &mut state, &chunk.layouts);
                    visit(&state);
                    let Some(before) = before else { return };
                    state = before;
                }
            }
        }
    }

    /// Memory that the history takes, what is kept of each entity left out.
    #[cfg(test)]
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| size_of::<Chunk>() + chunk.bytes()).sum()
    }

    /// Number of chunks.
    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}
