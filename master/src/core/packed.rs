//! Cells in few bytes, for what is kept of each entity: most values are far smaller than 64 bits.
//!
//! ```text
//! cells = size..., value...     sizes of four bits, the first of two in the lower ones
//! size  = 0 to 8 bytes          ABSENT for no value, which takes none
//! value = its lowest bytes, the lowest first
//! ```
//!
//! How many cells there are is not kept, for whoever keeps them knows the layout. The bytes have room
//! for a little growth, so that it is not at each poll that memory is asked for.

use heapster_shared::row::Cell;

const ABSENT: u8 = 9;

/// Sizes that bytes come in: what a larger value takes is there already for most.
const GRAIN: usize = 16;

/// Bytes to spare from which on a smaller piece of memory is taken.
const MUCH: usize = 2 * GRAIN;

/// Room for a value that is not there: an entity's first row has no increases, and all rows that
/// moved at the second would leave holes where they were.
const ROOM_FOR_ABSENT: usize = 3;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct PackedCells(Box<[u8]>);

impl PackedCells {
    /// Cells packed.
    pub(crate) fn new(cells: &[Cell], more: &[Cell]) -> Self {
        let mut packed = Self::default();
        packed.set(cells, more);
        packed
    }

    /// Replaces the cells by these, one list after the other.
    pub(crate) fn set(&mut self, cells: &[Cell], more: &[Cell]) {
        let used = write(&mut self.0, cells, more);
        if used.is_some_and(|used| used + MUCH > self.0.len()) {
            return;
        }
        let wanted = room(cells, more).next_multiple_of(GRAIN);
        if used.is_none() || wanted + MUCH <= self.0.len() {
            self.0 = vec![0; wanted].into_boxed_slice();
            write(&mut self.0, cells, more);
        }
    }

    /// Reads the first cells of so many; all are absent where none were ever packed.
    pub(crate) fn read(&self, count: usize, cells: &mut [Cell]) {
        let Some((sizes, mut rest)) = self.0.split_at_checked(count.div_ceil(2)) else {
            return cells.fill(Cell::ABSENT);
        };
        for (index, cell) in cells.iter_mut().enumerate() {
            let size = sizes[index / 2] >> (index % 2 * 4) & 15;
            *cell = value(size, rest);
            rest = &rest[step(size)..];
        }
    }

    /// The cell at a place among so many.
    pub(crate) fn get(&self, count: usize, place: usize) -> Cell {
        let Some((sizes, rest)) = self.0.split_at_checked(count.div_ceil(2)) else {
            return Cell::ABSENT;
        };
        let size = |index: usize| sizes[index / 2] >> (index % 2 * 4) & 15;
        let start = (0..place).map(|index| step(size(index))).sum::<usize>();
        value(size(place), &rest[start..])
    }

    /// Memory beyond the value itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

/// Bytes that cells take, and may take soon.
fn room(cells: &[Cell], more: &[Cell]) -> usize {
    let values = cells.iter().chain(more).map(|cell| match size(bits(*cell)) {
        ABSENT => ROOM_FOR_ABSENT,
        size => usize::from(size),
    });
    (cells.len() + more.len()).div_ceil(2) + values.sum::<usize>()
}

/// Writes cells over what was there before; the bytes used, or nothing when there are too few.
fn write(bytes: &mut [u8], cells: &[Cell], more: &[Cell]) -> Option<usize> {
    let room = bytes.len();
    let (sizes, values) = bytes.split_at_mut_checked((cells.len() + more.len()).div_ceil(2))?;
    sizes.fill(0);
    let mut writer = Writer { sizes, values, index: 0 };
    cells.iter().try_for_each(|cell| writer.put(*cell))?;
    more.iter().try_for_each(|cell| writer.put(*cell))?;
    Some(room - writer.values.len())
}

/// What is left of the bytes that cells are written to.
struct Writer<'a> {
    sizes: &'a mut [u8],
    values: &'a mut [u8],
    index: usize,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, cell: Cell) -> Option<()> {
        let bits = bits(cell);
        let size = size(bits);
        self.sizes[self.index / 2] |= size << (self.index % 2 * 4);
        self.index += 1;
        let bytes = bits.to_le_bytes();
        let values = std::mem::take(&mut self.values);
        match values.first_chunk_mut() {
            // What is too much is written over by the next value.
            Some(place) => *place = bytes,
            None => values.get_mut(..step(size))?.copy_from_slice(&bytes[..step(size)]),
        }
        self.values = &mut values[step(size)..];
        Some(())
    }
}

/// The bits of a cell, those for no value included.
fn bits(cell: Cell) -> u64 {
    cell.as_int().unwrap_or(i64::MIN).cast_unsigned()
}

#[inline]
fn size(bits: u64) -> u8 {
    let bytes = (u64::BITS - bits.leading_zeros()).div_ceil(8) as u8;
    // No value is the one bit that no integer uses.
    if bits == i64::MIN.cast_unsigned() { ABSENT } else { bytes }
}

/// Bytes that a value of this size takes.
#[inline]
const fn step(size: u8) -> usize {
    if size > 8 { 0 } else { size as usize }
}

/// The value of this size at the start of the bytes.
#[inline]
fn value(size: u8, bytes: &[u8]) -> Cell {
    const fn mask(size: u32) -> u64 {
        if size == 0 { 0 } else { u64::MAX >> (u64::BITS - 8 * size) }
    }
    const MASKS: [u64; 9] =
        [mask(0), mask(1), mask(2), mask(3), mask(4), mask(5), mask(6), mask(7), mask(8)];
    let Some(mask) = MASKS.get(usize::from(size)) else { return Cell::ABSENT };
    let word = bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        word
    });
    Cell::int((u64::from_le_bytes(word) & mask).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            3 => (any::<i64>(), 0..64_u32).prop_map(|(value, shift)| Cell::int(value >> shift)),
            1 => any::<f64>().prop_map(Cell::real),
            1 => Just(Cell::ABSENT),
            1 => Just(Cell::int(0)),
        ]
    }

    proptest! {
        /// Whatever was there before: what is put in comes out, at once or cell by cell.
        #[test]
        fn cells_come_back(rows in prop::collection::vec(
            (prop::collection::vec(cell(), 0..40), prop::collection::vec(cell(), 0..9)), 1..6,
        )) {
            let mut packed = PackedCells::default();
            for (cells, more) in rows {
                packed.set(&cells, &more);
                let all = [cells.clone(), more].concat();
                let mut read = vec![Cell::int(7); all.len()];
                packed.read(all.len(), &mut read);
                prop_assert_eq!(&read, &all);
                read.truncate(cells.len());
                packed.read(all.len(), &mut read);
                prop_assert_eq!(&read, &cells, "some of the cells");
                for (place, cell) in all.iter().enumerate() {
                    prop_assert_eq!(packed.get(all.len(), place), *cell);
                }
            }
        }
    }

    #[test]
    fn where_none_were_packed_all_are_absent() {
        let mut read = [Cell::int(7); 3];
        PackedCells::default().read(3, &mut read);
        assert_eq!(read, [Cell::ABSENT; 3]);
        assert_eq!(PackedCells::default().get(3, 2), Cell::ABSENT);
    }

    /// Small values take little, a value that grows by a byte no other memory, and what large values
    /// took is given back.
    #[test]
    fn memory_follows_the_values() {
        let row = |value: i64| [Cell::int(value); 16];
        let mut packed = PackedCells::new(&row(255), &[]);
        assert_eq!(packed.heap_bytes(), 32);
        let place = packed.0.as_ptr();
        let mut grown = row(255);
        grown[3] = Cell::int(256);
        packed.set(&grown, &[]);
        assert_eq!((packed.heap_bytes(), packed.0.as_ptr()), (32, place));
        packed.set(&row(i64::MAX), &[]);
        assert_eq!(packed.heap_bytes(), 144);
        packed.set(&row(0), &[]);
        assert_eq!(packed.heap_bytes(), 16);
    }

    /// The second row of an entity, which has increases, lies where the first one did.
    #[test]
    fn there_is_room_for_increases_that_come_later() {
        let cells = [Cell::int(1 << 24); 8];
        let mut packed = PackedCells::new(&cells, &[Cell::ABSENT; 8]);
        let place = packed.0.as_ptr();
        packed.set(&cells, &[Cell::int(1 << 20); 8]);
        assert_eq!((packed.heap_bytes(), packed.0.as_ptr()), (64, place));
        packed.set(&cells, &[Cell::ABSENT; 8]);
        assert_eq!(packed.0.as_ptr(), place, "nor does it move for values that are absent once");
    }
}
