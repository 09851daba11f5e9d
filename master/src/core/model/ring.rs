//! The recent past of one node: chunks of rows in the order in which they came, one row an entity
//! at their tail, that the oldest chunk's rows are differences to, and one at their head, that the
//! next ones will be. Folding the oldest chunk moves the tails over its rows.

use std::{collections::VecDeque, sync::Arc};

use heapster_shared::{
    entity::Entity,
    row::{Cell, Row},
    schema::Layout,
};

use super::{
    bytes::{Reader, put_signed, put_varint},
    code::{RowState, put_row, read_row, same_layout},
    subject::heap_bytes,
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

/// The rows of one batch: each is the distance to the slot before it, its length, and itself.
#[derive(Debug)]
struct Chunk {
    tick_ms: i64,
    rows: Box<[u8]>,
    layouts: Box<[Arc<Layout>]>,
}

impl Chunk {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.rows.len() + size_of_val(&*self.layouts)
    }

    fn rows(&self) -> impl Iterator<Item = (u32, Reader<'_>)> {
        let mut reader = Reader::new(&self.rows);
        let mut slot = 0_i64;
        std::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            slot = slot.wrapping_add(reader.signed());
            let length = usize::try_from(reader.varint()).unwrap_or(usize::MAX);
            Some((u32::try_from(slot).unwrap_or(u32::MAX), reader.part(length)))
        })
    }
}

/// The chunk that a batch is being written to.
#[derive(Debug, Default)]
struct OpenChunk {
    tick_ms: i64,
    rows: Vec<u8>,
    layouts: Vec<Arc<Layout>>,
    last_slot: i64,
}

/// An entity, its newest row and the row before the oldest chunk.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) entity: Arc<Entity>,
    pub(super) newest: RowState,
    pub(super) increases: Box<[Cell]>,
    tail: Option<RowState>,
    /// Number of the chunk that has the newest row.
    last_chunk: u64,
    newest_tick_ms: i64,
    bytes: usize,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Ring {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    chunks: VecDeque<Chunk>,
    /// Number of the oldest chunk.
    first_chunk: u64,
    open: Option<OpenChunk>,
    /// Encoded row, kept to spare allocations.
    scratch: Vec<u8>,
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

    /// Memory that the ring takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.bytes + self.slots.capacity() * size_of::<Option<Slot>>()
    }

    /// Tick of the oldest chunk.
    pub(super) fn oldest_tick_ms(&self) -> Option<i64> {
        self.chunks.front().map(|chunk| chunk.tick_ms)
    }

    /// Adds the first row of an entity, and the place that it got.
    pub(super) fn add(&mut self, row: &Row<'_>, layout: &Arc<Layout>, tick_ms: i64) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.append(index, row, None, layout, tick_ms);
        let mut slot = Slot {
            entity: Arc::clone(&row.head.entity),
            newest: RowState::of(layout, row),
            increases: row.increases.into(),
            tail: None,
            last_chunk: self.open_number(),
            newest_tick_ms: tick_ms,
            bytes: 0,
        };
        slot.recount(&mut self.bytes);
        self.slots[index as usize] = Some(slot);
        index
    }

    /// Adds a further row of the entity in this slot.
    pub(super) fn push(
        &mut self,
        index: u32,
        row: &Row<'_>,
        layout: &Arc<Layout>,
        tick_ms: i64,
    ) -> Verdict {
        let Some(mut slot) = self.slots.get_mut(index as usize).and_then(Option::take) else {
            return Verdict::Late;
        };
        let verdict = match row.head.time_ms.cmp(&slot.newest.time_ms) {
            std::cmp::Ordering::Less => Verdict::Late,
            std::cmp::Ordering::Equal => Verdict::Repeated,
            std::cmp::Ordering::Greater => Verdict::Taken,
        };
        if verdict == Verdict::Taken {
            let before = Some(&slot.newest).filter(|before| same_layout(&before.layout, layout));
            self.append(index, row, before, layout, tick_ms);
            slot.last_chunk = self.open_number();
            slot.newest_tick_ms = tick_ms;
            slot.replace_newest(row, layout, &mut self.bytes);
        }
        self.slots[index as usize] = Some(slot);
        verdict
    }

    /// The number that the open chunk will have.
    fn open_number(&self) -> u64 {
        self.first_chunk + self.chunks.len() as u64
    }

    fn append(
        &mut self,
        slot: u32,
        row: &Row<'_>,
        before: Option<&RowState>,
        layout: &Arc<Layout>,
        tick_ms: i64,
    ) {
        let expected_bytes = self.chunks.back().map_or(0, |chunk| chunk.rows.len() * 9 / 8);
        let open = self.open.get_or_insert_with(|| OpenChunk {
            tick_ms,
            rows: Vec::with_capacity(expected_bytes),
            ..OpenChunk::default()
        });
        let layout_index = if before.is_some() { 0 } else { open.layout_index(layout) };
        self.scratch.clear();
        put_row(&mut self.scratch, row, before, tick_ms, layout_index);
        put_signed(&mut open.rows, i64::from(slot) - open.last_slot);
        put_varint(&mut open.rows, self.scratch.len() as u64);
        open.rows.extend_from_slice(&self.scratch);
        open.last_slot = i64::from(slot);
    }

    /// Ends the open chunk.
    pub(super) fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        let chunk = Chunk {
            tick_ms: open.tick_ms,
            rows: open.rows.into_boxed_slice(),
            layouts: open.layouts.into_boxed_slice(),
        };
        self.bytes += chunk.bytes();
        self.chunks.push_back(chunk);
    }

    /// Folds the chunks of ticks before this one into the tails; says how many.
    pub(super) fn fold_before(&mut self, tick_ms: i64) -> u64 {
        let mut folded = 0;
        while self.chunks.front().is_some_and(|chunk| chunk.tick_ms < tick_ms) {
            self.fold_oldest();
            folded += 1;
        }
        folded
    }

    fn fold_oldest(&mut self) {
        let Some(chunk) = self.chunks.pop_front() else { return };
        self.first_chunk += 1;
        self.bytes -= chunk.bytes();
        let mut increases = Vec::new();
        for (index, row) in chunk.rows() {
            let Some(Some(slot)) = self.slots.get_mut(index as usize) else { continue };
            let had_layout = slot.tail.as_ref().map(|tail| Arc::as_ptr(&tail.layout));
            read_row(row, &mut slot.tail, chunk.tick_ms, &chunk.layouts, &mut increases);
            let has_layout = slot.tail.as_ref().map(|tail| Arc::as_ptr(&tail.layout));
            if has_layout != had_layout {
                slot.recount(&mut self.bytes);
            }
        }
    }

    /// Drops the entities whose newest row is of a tick before this one, and gives them to
    /// `dropped`. Their rows have to be folded already; else they stay.
    pub(super) fn drop_before(&mut self, tick_ms: i64, mut dropped: impl FnMut(u32, Slot)) {
        let first_chunk = self.first_chunk;
        for (index, place) in (0..).zip(&mut self.slots) {
            let gone =
                |slot: &mut Slot| slot.newest_tick_ms < tick_ms && slot.last_chunk < first_chunk;
            if let Some(slot) = place.take_if(gone) {
                self.bytes -= slot.bytes;
                self.free.push(index);
                dropped(index, slot);
            }
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len() && self.chunks.is_empty()
    }

    /// Calls `visit` with each row kept of an entity, oldest first, and its increases.
    pub(super) fn history(&self, index: u32, mut visit: impl FnMut(&RowState, &[Cell])) {
        let Some(slot) = self.slot(index) else { return };
        if slot.last_chunk < self.first_chunk {
            return visit(&slot.newest, &slot.increases);
        }
        let mut state = slot.tail.clone();
        let mut increases = Vec::new();
        for chunk in &self.chunks {
            for (_, row) in chunk.rows().filter(|(slot, _)| *slot == index) {
                read_row(row, &mut state, chunk.tick_ms, &chunk.layouts, &mut increases);
                if let Some(state) = &state {
                    visit(state, &increases);
                }
            }
        }
    }

    /// Memory that the history takes, what is kept of each entity left out.
    #[cfg(test)]
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }

    /// Number of chunks.
    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}

impl OpenChunk {
    fn layout_index(&mut self, layout: &Arc<Layout>) -> usize {
        let known = self.layouts.iter().rposition(|known| Arc::ptr_eq(known, layout));
        known.unwrap_or_else(|| {
            self.layouts.push(Arc::clone(layout));
            self.layouts.len() - 1
        })
    }
}

impl Slot {
    /// Puts another value of the same entity in the place of the one before.
    fn replace_entity(&mut self, entity: &Arc<Entity>) -> bool {
        if Arc::ptr_eq(&self.entity, entity) {
            return false;
        }
        self.entity = Arc::clone(entity);
        true
    }

    fn replace_newest(&mut self, row: &Row<'_>, layout: &Arc<Layout>, total: &mut usize) {
        let mut resized = self.replace_entity(&row.head.entity);
        if Arc::ptr_eq(&self.newest.layout, layout) {
            let measured = self.newest.cells.len();
            self.newest.cells.copy_from_slice(&row.cells[..measured]);
            self.increases.copy_from_slice(row.increases);
            self.newest.time_ms = row.head.time_ms;
            self.newest.interval_ms = row.head.interval_ms;
            self.newest.start_time_ms = row.head.entity.start_time_ms;
        } else {
            self.newest = RowState::of(layout, row);
            self.increases = row.increases.into();
            resized = true;
        }
        if resized {
            self.recount(total);
        }
    }

    /// Brings the total of the ring up to date after the slot changed its size.
    fn recount(&mut self, total: &mut usize) {
        let tail = self.tail.as_ref().map_or(0, RowState::heap_bytes);
        let rows = self.newest.heap_bytes() + size_of_val(&*self.increases) + tail;
        let bytes = rows + entity_bytes(&self.entity);
        *total = *total + bytes - self.bytes;
        self.bytes = bytes;
    }
}

/// Memory of an entity, its parents not counted: they have rows of their own.
fn entity_bytes(entity: &Entity) -> usize {
    let text = |text: &str| if text.len() > 24 { text.len() } else { 0 };
    let labels = entity.labels.iter().map(|(name, value)| 48 + text(name) + text(value));
    size_of::<Entity>() + heap_bytes(&entity.name) + heap_bytes(&entity.uid) + labels.sum::<usize>()
}
