//! One column of a block as it lies in the message: values of each row without copies.

use heapster_proto::v1;
use heapster_shared::row::Cell;

use super::error::{DecodeError, ensure};

/// The values of a column: one a row, one for all, or none at all for zeros.
#[derive(Clone, Copy)]
enum Values<'a, T> {
    Same(T),
    Each(&'a [T]),
}

impl<'a, T: Copy + Default> Values<'a, T> {
    fn new(values: &'a [T], rows: usize, what: &str) -> Result<Self, DecodeError> {
        match values {
            [] => Ok(Self::Same(T::default())),
            [one] => Ok(Self::Same(*one)),
            each => {
                ensure!(
                    each.len() == rows,
                    "{} {what} for {rows} rows; there must be one a row, one for all, or none",
                    each.len()
                );
                Ok(Self::Each(each))
            }
        }
    }

    fn at(self, row: usize) -> T {
        match self {
            Self::Same(value) => value,
            Self::Each(values) => values[row],
        }
    }
}

/// A column whose lengths are those of its block.
#[derive(Clone, Copy)]
pub(super) struct ColumnView<'a> {
    ints: Values<'a, i64>,
    reals: Values<'a, f64>,
    absent: &'a [u8],
    increases: Option<&'a [i64]>,
}

impl<'a> ColumnView<'a> {
    pub(super) fn new(column: &'a v1::Column, rows: usize) -> Result<Self, DecodeError> {
        let bitmap = column.absent.len();
        ensure!(
            bitmap == 0 || bitmap == rows.div_ceil(8),
            "`absent` has {bitmap} bytes for {rows} rows"
        );
        let increases = match column.increases.as_slice() {
            [] => None,
            increases => {
                let count = increases.len();
                ensure!(count == rows, "{count} increases for {rows} rows");
                Some(increases)
            }
        };
        Ok(Self {
            ints: Values::new(&column.ints, rows, "integers")?,
            reals: Values::new(&column.reals, rows, "reals")?,
            absent: &column.absent,
            increases,
        })
    }

    /// The integer of a row, if it is there.
    pub(super) fn int(&self, row: usize) -> Option<i64> {
        (!self.is_absent(row)).then(|| self.ints.at(row))
    }

    /// The double of a row, if it is there.
    pub(super) fn real(&self, row: usize) -> Cell {
        if self.is_absent(row) { Cell::ABSENT } else { Cell::real(self.reals.at(row)) }
    }

    /// The increase of a row, as far as it is known.
    pub(super) fn increase(&self, row: usize) -> Cell {
        self.increases.map_or(Cell::ABSENT, |increases| known_increase(increases[row]))
    }

    fn is_absent(&self, row: usize) -> bool {
        self.absent.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }
}

/// A counter that went back has no increase.
pub(super) fn known_increase(increase: i64) -> Cell {
    if increase < 0 { Cell::ABSENT } else { Cell::int(increase) }
}
