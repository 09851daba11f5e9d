//! The columns of a block, read together row by row.

use heapster_shared::row::Cell;

use super::{
    error::{DecodeError, ensure},
    wire::{ColumnView, NotPlain, Packed},
};

/// Integers: one for all rows, or one a row.
#[derive(Clone, Copy, Debug)]
enum Ints<'a> {
    Same(i64),
    Each(Packed<'a>),
}

/// Doubles: one for all rows, or one a row.
#[derive(Clone, Copy, Debug)]
enum Reals<'a> {
    Same(f64),
    Each(&'a [u8]),
}

/// A column whose lengths are those of its block. Each of its rows is to be read or passed over,
/// in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnReader<'a> {
    ints: Ints<'a>,
    reals: Reals<'a>,
    absent: &'a [u8],
    increases: Option<Packed<'a>>,
    row: usize,
    is_broken: bool,
}

fn check(count: usize, rows: usize, what: &str) -> Result<(), DecodeError> {
    ensure!(
        count <= 1 || count == rows,
        "{count} {what} for {rows} rows; there must be one a row, one for all, or none"
    );
    Ok(())
}

impl<'a> ColumnReader<'a> {
    pub(super) fn new(column: ColumnView<'a>, rows: usize) -> Result<Self, DecodeError> {
        let bitmap = column.absent.len();
        ensure!(
            bitmap == 0 || bitmap == rows.div_ceil(8),
            "`absent` has {bitmap} bytes for {rows} rows"
        );
        let (ints, reals) = (column.ints.len(), column.reals.len() / 8);
        check(ints, rows, "integers")?;
        check(reals, rows, "reals")?;
        let increases = column.increases.len();
        ensure!(increases == 0 || increases == rows, "{increases} increases for {rows} rows");
        let mut reader = Self {
            ints: Ints::Each(column.ints),
            reals: Reals::Each(column.reals),
            absent: column.absent,
            increases: (increases > 0).then_some(column.increases),
            row: 0,
            is_broken: false,
        };
        if ints <= 1 {
            reader.ints = Ints::Same(if ints == 1 { reader.number(column.ints) } else { 0 });
        }
        if reals <= 1 {
            reader.reals = Reals::Same(real_at(column.reals, 0));
        }
        Ok(reader)
    }

    fn number(&mut self, mut packed: Packed<'_>) -> i64 {
        packed.next().unwrap_or_else(|NotPlain| {
            self.is_broken = true;
            0
        })
    }

    /// Whether a number was more than 64 bits.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The next row's integer, if it is there.
    #[inline]
    pub(super) fn int(&mut self) -> Option<i64> {
        let is_absent = self.is_absent();
        self.row += 1;
        let int = match &mut self.ints {
            Ints::Same(value) => *value,
            Ints::Each(packed) => match packed.next() {
                Ok(value) => value,
                Err(NotPlain) => {
                    self.is_broken = true;
                    0
                }
            },
        };
        (!is_absent).then_some(int)
    }

    /// The increase of the row whose integer is read next, if it is known.
    #[inline]
    pub(super) fn increase(&mut self) -> Cell {
        let Some(increases) = &mut self.increases else { return Cell::ABSENT };
        match increases.next() {
            Ok(increase) => known_increase(increase),
            Err(NotPlain) => {
                self.is_broken = true;
                Cell::ABSENT
            }
        }
    }

    /// The next row's double, if it is there.
    #[inline]
    pub(super) fn real(&mut self) -> Cell {
        let (row, is_absent) = (self.row, self.is_absent());
        self.row += 1;
        let real = match self.reals {
            Reals::Same(value) => value,
            Reals::Each(bytes) => real_at(bytes, row),
        };
        if is_absent { Cell::ABSENT } else { Cell::real(real) }
    }

    /// Passes over a row.
    pub(super) fn skip(&mut self) {
        self.increase();
        self.int();
    }

    #[inline]
    fn is_absent(&self) -> bool {
        self.absent.get(self.row / 8).is_some_and(|byte| byte >> (self.row % 8) & 1 == 1)
    }
}

#[inline]
fn real_at(bytes: &[u8], row: usize) -> f64 {
    let bytes = bytes.get(row * 8..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
}

/// A counter that went back has no increase.
#[inline]
pub(super) fn known_increase(increase: i64) -> Cell {
    if increase < 0 { Cell::ABSENT } else { Cell::int(increase) }
}

/// The columns of a block as its rows need them.
pub(super) struct Columns<'a> {
    pub(super) time: Option<ColumnReader<'a>>,
    pub(super) interval: Option<ColumnReader<'a>>,
    pub(super) fields: Vec<ColumnReader<'a>>,
}

impl Columns<'_> {
    /// Passes over a row, of which the times are read already.
    pub(super) fn skip(&mut self) {
        self.fields.iter_mut().for_each(ColumnReader::skip);
    }

    pub(super) fn check(&self) -> Result<(), DecodeError> {
        let all = self.time.iter().chain(&self.interval).chain(&self.fields);
        if all.into_iter().any(ColumnReader::is_broken) {
            return Err(too_wide("columns"));
        }
        Ok(())
    }
}

pub(super) fn optional<'a>(
    name: &str,
    column: Option<ColumnView<'a>>,
    rows: usize,
) -> Result<Option<ColumnReader<'a>>, DecodeError> {
    let reader = column.map(|column| ColumnReader::new(column, rows)).transpose();
    reader.map_err(|error| error.at(name))
}

/// A number does not fit.
pub(super) fn too_wide(what: &str) -> DecodeError {
    DecodeError::Malformed(format!("{what}: a number of more than 64 bits"))
}
