//! Frames and rows read from the bytes of the message where they lie: of values there are
//! thousands in a frame, and to decode each into a generated type first would cost more than all
//! that is done with it.
//!
//! Read here is what encoders write: a field once (repeated messages apart) and numbers packed.
//! Protobuf allows more, such as one list in two parts; that is [`NotPlain`], and the generated
//! types bring it into the plain form ([`plain_form`]).

use heapster_proto::v1;
use prost::Message as _;

use super::error::DecodeError;

/// Columns of a block that are looked at: a layout has fewer fields.
const MAX_COLUMNS: usize = 4096;

/// Protobuf allows it but no encoder writes it, or it is no protobuf at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotPlain;

/// The frame as the generated types write it.
pub(super) fn plain_form(frame: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match v1::Frame::decode(frame) {
        Ok(frame) => Ok(frame.encode_to_vec()),
        Err(error) => Err(DecodeError::Malformed(format!("it is no Frame: {error}"))),
    }
}

/// What a field of a message holds.
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed number; the protocol has none outside of lists.
    Fixed,
}

/// The fields of a message in their order.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Value<'a>), NotPlain> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| NotPlain)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(NotPlain),
        };
        if key < 8 || key > u64::from(u32::MAX) { Err(NotPlain) } else { Ok((key >> 3, value)) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], NotPlain> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(NotPlain)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), NotPlain>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

/// Takes a number off the front.
#[inline]
fn varint(bytes: &mut &[u8]) -> Result<u64, NotPlain> {
    match *bytes {
        [one, rest @ ..] if *one < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*one))
        }
        [one, two, rest @ ..] if *two < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*one & 0x7f) | u64::from(*two) << 7)
        }
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &mut &[u8]) -> Result<u64, NotPlain> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            // Of the tenth byte one bit is left.
            if index == 9 && *byte > 1 {
                return Err(NotPlain);
            }
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(NotPlain)
}

/// Sets what may come once.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), NotPlain> {
    place.replace(value).map_or(Ok(()), |_| Err(NotPlain))
}

/// The outside of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameView<'a> {
    pub(super) sequence: u64,
    /// None where it is newer than this program.
    pub(super) kind: Option<KindView<'a>>,
}

/// What a frame holds, as bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum KindView<'a> {
    Open(&'a [u8]),
    Define(&'a [u8]),
    Batch(BatchView<'a>),
    Events(&'a [u8]),
    RoundEnd(&'a [u8]),
}

impl<'a> FrameView<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Result<Self, NotPlain> {
        let (mut sequence, mut kind) = (None, None);
        for field in Fields(frame) {
            match field? {
                (1, Value::Number(number)) => once(&mut sequence, number)?,
                (2, Value::Bytes(bytes)) => once(&mut kind, KindView::Open(bytes))?,
                (3, Value::Bytes(bytes)) => once(&mut kind, KindView::Define(bytes))?,
                (4, Value::Bytes(bytes)) => {
                    once(&mut kind, KindView::Batch(BatchView::new(bytes)?))?;
                }
                (5, Value::Bytes(bytes)) => once(&mut kind, KindView::Events(bytes))?,
                (6, Value::Bytes(bytes)) => once(&mut kind, KindView::RoundEnd(bytes))?,
                (1..=6, _) => return Err(NotPlain),
                _ => {}
            }
        }
        Ok(Self { sequence: sequence.unwrap_or(0), kind })
    }
}

/// A batch: its tick, and its blocks one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchView<'a> {
    pub(super) tick_unix_ms: u64,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Looks at all that is in it, so that reading it block by block finds nothing that is not plain.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, NotPlain> {
        let mut tick = None;
        let mut columns = Vec::new();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Number(number)) => once(&mut tick, number)?,
                (2, Value::Bytes(block)) => drop(BlockView::new(block, &mut columns)?),
                (1 | 2, _) => return Err(NotPlain),
                _ => {}
            }
        }
        Ok(Self { tick_unix_ms: tick.unwrap_or(0), bytes })
    }

    /// The bytes of each block.
    pub(super) fn blocks(self) -> impl Iterator<Item = &'a [u8]> {
        Fields(self.bytes).filter_map(|field| match field {
            Ok((2, Value::Bytes(block))) => Some(block),
            _ => None,
        })
    }
}

/// A block but for its columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlockView<'a> {
    pub(super) layout: u32,
    pub(super) form: i32,
    pub(super) entities: Packed<'a>,
    pub(super) time_ms: Option<ColumnView<'a>>,
    pub(super) interval_ms: Option<ColumnView<'a>>,
    /// Columns that it has, which may be more than are looked at.
    pub(super) columns: usize,
}

impl<'a> BlockView<'a> {
    /// Reads a block, and its columns into a list that was used before.
    pub(super) fn new(
        block: &'a [u8],
        columns: &mut Vec<ColumnView<'a>>,
    ) -> Result<Self, NotPlain> {
        let mut view = Self::default();
        let (mut layout, mut form, mut entities) = (None, None, None);
        columns.clear();
        for field in Fields(block) {
            match field? {
                (1, Value::Number(number)) => once(&mut layout, truncated(number))?,
                (2, Value::Number(number)) => {
                    once(&mut form, truncated(number).cast_signed())?;
                }
                (3, Value::Bytes(bytes)) => once(&mut entities, Packed::new(bytes)?)?,
                (4, Value::Bytes(bytes)) => once(&mut view.time_ms, ColumnView::new(bytes)?)?,
                (5, Value::Bytes(bytes)) => once(&mut view.interval_ms, ColumnView::new(bytes)?)?,
                (6, Value::Bytes(bytes)) => {
                    let column = ColumnView::new(bytes)?;
                    if columns.len() < MAX_COLUMNS {
                        columns.push(column);
                    }
                    view.columns += 1;
                }
                (1..=6, _) => return Err(NotPlain),
                _ => {}
            }
        }
        view.layout = layout.unwrap_or(0);
        view.form = form.unwrap_or(0);
        view.entities = entities.unwrap_or_default();
        Ok(view)
    }
}

/// Numbers of 32 bits are sent as ones of 64.
#[allow(clippy::cast_possible_truncation)]
const fn truncated(number: u64) -> u32 {
    number as u32
}

/// The lists of a column.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ColumnView<'a> {
    pub(super) ints: Packed<'a>,
    pub(super) reals: &'a [u8],
    pub(super) absent: &'a [u8],
    pub(super) increases: Packed<'a>,
}

impl<'a> ColumnView<'a> {
    fn new(column: &'a [u8]) -> Result<Self, NotPlain> {
        let (mut ints, mut reals, mut absent, mut increases) = (None, None, None, None);
        for field in Fields(column) {
            match field? {
                (1, Value::Bytes(bytes)) => once(&mut ints, Packed::new(bytes)?)?,
                (2, Value::Bytes(bytes)) if bytes.len() % 8 == 0 => once(&mut reals, bytes)?,
                (3, Value::Bytes(bytes)) => once(&mut absent, bytes)?,
                (4, Value::Bytes(bytes)) => once(&mut increases, Packed::new(bytes)?)?,
                (1..=4, _) => return Err(NotPlain),
                _ => {}
            }
        }
        Ok(Self {
            ints: ints.unwrap_or_default(),
            reals: reals.unwrap_or_default(),
            absent: absent.unwrap_or_default(),
            increases: increases.unwrap_or_default(),
        })
    }
}

/// Signed numbers one after the other, as yet unread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, NotPlain> {
        let is_whole = bytes.last().is_none_or(|last| *last < 0x80);
        is_whole.then_some(Self(bytes)).ok_or(NotPlain)
    }

    /// Numbers that are left.
    pub(super) fn len(self) -> usize {
        self.0.iter().filter(|byte| **byte < 0x80).count()
    }

    /// Takes the next number; an error when there is none, or it has more than 64 bits.
    #[inline]
    pub(super) fn next(&mut self) -> Result<i64, NotPlain> {
        varint(&mut self.0).map(|number| (number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The same of 32 bits.
    #[inline]
    pub(super) fn next_i32(&mut self) -> Result<i32, NotPlain> {
        let number = truncated(varint(&mut self.0)?);
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}
