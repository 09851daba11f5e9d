//! Blocks and frames as bytes, without messages in between.
//!
//! A column is looked at once: its numbers are written as they come, and shortened where they all
//! turn out to be the same. What comes out is what the generated code would write, byte for byte,
//! because a master counts credit by that.

use bytes::Bytes;
use heapster_proto::v1::{Frame, block::Form, frame::Kind};
use heapster_shared::row::Cell;
use prost::{
    Message,
    encoding::{WireType, encode_key, encoded_len_varint},
};

use super::rows::{FieldKind, RowsOfForm};

/// Says of one row's increase that it is not known.
const UNKNOWN: i64 = -1;

/// A frame as it is sent.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Its number; 0 for definitions.
    pub sequence: u64,
    /// The frame.
    pub bytes: Bytes,
}

impl Encoded {
    /// A message as a frame of this number.
    #[must_use]
    pub fn new(sequence: u64, kind: Kind) -> Self {
        let bytes = Frame { sequence, kind: Some(kind) }.encode_to_vec().into();
        Self { sequence, bytes }
    }

    /// A batch that is encoded already, in a frame of this number.
    pub(super) fn batch(sequence: u64, batch: &[u8]) -> Self {
        const FRAME_SEQUENCE: u32 = 1;
        const FRAME_BATCH: u32 = 4;
        let head = 2 + encoded_len_varint(sequence) + encoded_len_varint(batch.len() as u64);
        let mut bytes = Vec::with_capacity(head + batch.len());
        put_number(&mut bytes, FRAME_SEQUENCE, sequence);
        put_bytes(&mut bytes, FRAME_BATCH, batch);
        Self { sequence, bytes: bytes.into() }
    }
}

/// Writes blocks; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(super) struct BlockEncoder {
    block: Vec<u8>,
    column: Vec<u8>,
    packed: Vec<u8>,
    absent: Vec<u8>,
}

/// Begins a batch.
pub(super) fn put_tick(batch: &mut Vec<u8>, tick_unix_ms: u64) {
    const BATCH_TICK: u32 = 1;
    put_number(batch, BATCH_TICK, tick_unix_ms);
}

impl BlockEncoder {
    /// Adds these rows to a batch, as one block; nothing where there are none.
    pub(super) fn put(
        &mut self,
        batch: &mut Vec<u8>,
        layout: u32,
        fields: &[FieldKind],
        rows: &RowsOfForm,
    ) {
        const BATCH_BLOCKS: u32 = 2;
        const BLOCK_LAYOUT: u32 = 1;
        const BLOCK_FORM: u32 = 2;
        const BLOCK_ENTITIES: u32 = 3;
        const BLOCK_TIME: u32 = 4;
        const BLOCK_INTERVAL: u32 = 5;
        if rows.ids.is_empty() {
            return;
        }
        self.block.clear();
        put_number(&mut self.block, BLOCK_LAYOUT, u64::from(layout));
        put_number(&mut self.block, BLOCK_FORM, rows.form as u64);
        self.packed.clear();
        let mut last_id = 0_u32;
        for id in &rows.ids {
            let step = id.wrapping_sub(last_id).cast_signed();
            put_varint(&mut self.packed, zigzag(i64::from(step)));
            last_id = *id;
        }
        put_bytes(&mut self.block, BLOCK_ENTITIES, &self.packed);
        self.whole_column(BLOCK_TIME, &rows.times);
        self.whole_column(BLOCK_INTERVAL, &rows.intervals);
        let mut counter = 0;
        for (place, field) in fields.iter().enumerate() {
            self.field_column(rows, fields.len(), place, *field, counter);
            counter += usize::from(field.is_counter);
        }
        put_bytes(batch, BATCH_BLOCKS, &self.block);
    }

    /// A column in which each row has an integer.
    fn whole_column(&mut self, tag: u32, values: &[i64]) {
        self.column.clear();
        self.ints(values.iter().copied());
        put_bytes(&mut self.block, tag, &self.column);
    }

    /// The column of the field at this place, the so-and-so-many-th counter if it is one.
    fn field_column(
        &mut self,
        rows: &RowsOfForm,
        width: usize,
        place: usize,
        field: FieldKind,
        counter: usize,
    ) {
        const BLOCK_COLUMNS: u32 = 6;
        const COLUMN_ABSENT: u32 = 3;
        self.column.clear();
        let cells = rows.cells[place..].iter().step_by(width);
        if field.is_real {
            self.reals(cells.clone().map(|cell| cell.as_real().unwrap_or(0.0)));
        } else {
            self.ints(cells.clone().map(|cell| cell.as_int().unwrap_or(0)));
        }
        self.note_absent(cells.copied());
        if !self.absent.is_empty() {
            put_bytes(&mut self.column, COLUMN_ABSENT, &self.absent);
        }
        if field.is_counter && !field.is_real && rows.form == Form::Absolute {
            let increases = rows.increases[counter..].iter().step_by(rows.counters);
            self.increases(increases.copied());
        }
        put_bytes(&mut self.block, BLOCK_COLUMNS, &self.column);
    }

    /// One value stands for all where they are the same, and none at all for zeros.
    fn ints(&mut self, mut values: impl Iterator<Item = i64>) {
        const COLUMN_INTS: u32 = 1;
        self.packed.clear();
        let Some(first) = values.next() else { return };
        let mut differs = 0;
        put_varint(&mut self.packed, zigzag(first));
        let first_ends = self.packed.len();
        for value in values {
            differs |= value ^ first;
            put_varint(&mut self.packed, zigzag(value));
        }
        if differs == 0 {
            self.packed.truncate(if first == 0 { 0 } else { first_ends });
        }
        if !self.packed.is_empty() {
            put_bytes(&mut self.column, COLUMN_INTS, &self.packed);
        }
    }

    fn reals(&mut self, mut values: impl Iterator<Item = f64>) {
        const COLUMN_REALS: u32 = 2;
        self.packed.clear();
        let Some(first) = values.next() else { return };
        let mut differ = false;
        self.packed.extend_from_slice(&first.to_le_bytes());
        for value in values {
            differ |= value.to_bits() != first.to_bits();
            self.packed.extend_from_slice(&value.to_le_bytes());
        }
        if !differ {
            self.packed.truncate(if first == 0.0 { 0 } else { size_of::<f64>() });
        }
        if !self.packed.is_empty() {
            put_bytes(&mut self.column, COLUMN_REALS, &self.packed);
        }
    }

    /// One bit a row, where any row has no value.
    fn note_absent(&mut self, cells: impl ExactSizeIterator<Item = Cell>) {
        self.absent.clear();
        let rows = cells.len();
        for (place, _) in cells.enumerate().filter(|(_, cell)| cell.is_absent()) {
            if self.absent.is_empty() {
                self.absent.resize(rows.div_ceil(8), 0);
            }
            self.absent[place / 8] |= 1 << (place % 8);
        }
    }

    fn increases(&mut self, increases: impl Iterator<Item = Cell>) {
        const COLUMN_INCREASES: u32 = 4;
        self.packed.clear();
        let mut any = false;
        for increase in increases {
            let known = increase.as_int().filter(|grown| *grown >= 0);
            any |= known.is_some();
            put_varint(&mut self.packed, zigzag(known.unwrap_or(UNKNOWN)));
        }
        if any {
            put_bytes(&mut self.column, COLUMN_INCREASES, &self.packed);
        }
    }
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn put_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

/// A field with a number; none where it is 0.
fn put_number(buffer: &mut Vec<u8>, tag: u32, value: u64) {
    if value > 0 {
        encode_key(tag, WireType::Varint, buffer);
        put_varint(buffer, value);
    }
}

/// A field with a length, even where that is 0.
fn put_bytes(buffer: &mut Vec<u8>, tag: u32, content: &[u8]) {
    encode_key(tag, WireType::LengthDelimited, buffer);
    put_varint(buffer, content.len() as u64);
    buffer.extend_from_slice(content);
}
