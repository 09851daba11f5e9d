//! One number a row, for some rows of the same fields: what a field changed by, say. Such numbers
//! are alike in size, so that they are written in about as many bits as they have, and in one bit
//! for all rows where nothing changed.
//!
//! ```text
//! column = 0                                        all are zero
//!        | 1 form(14) code...
//! form   = width(6) unsigned(1) sparse(1) scale(6)
//! code   = [not zero(1), with sparse] size: unary, value: width + max(size - 1, 0) bits
//! ```
//!
//! - With `scale` 63 the values are thousandths, else they are without so many zero bits at their
//!   end: memory comes in pages, CPU time often in microseconds.
//! - Without `unsigned` the values are zigzag. With `sparse` those that are not zero are less one.
//! - A value of at most `width` bits has size 0; of one of `width + size` bits the highest, which
//!   is always one, is left out.

use super::{
    bits::{BitReader, BitWriter},
    bytes::{unzigzag, zigzag},
};

/// Stands for thousands among the scales.
const THOUSANDS: u32 = 63;

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug)]
struct Form {
    width: u32,
    unsigned: bool,
    sparse: bool,
    scale: u32,
}

/// Appends a column; the values are not the same afterwards.
pub(super) fn put_column(out: &mut BitWriter<'_>, values: &mut [i64]) {
    if values.iter().fold(0, |all, value| all | value) == 0 {
        return out.put(0, 1);
    }
    out.put(1, 1);
    let form = choose(values);
    out.put(u64::from(form.width), 6);
    out.put(u64::from(form.unsigned), 1);
    out.put(u64::from(form.sparse), 1);
    out.put(u64::from(form.scale), 6);
    for value in values {
        let code = value.cast_unsigned();
        if !form.sparse {
            put_code(out, code, form.width);
        } else if code == 0 {
            out.put(0, 1);
        } else {
            out.put(1, 1);
            put_code(out, code - 1, form.width);
        }
    }
}

fn put_code(out: &mut BitWriter<'_>, code: u64, width: u32) {
    let bits = bit_length(code);
    let size = bits.saturating_sub(width);
    out.put_unary(size);
    if size == 0 {
        out.put(code, width);
    } else {
        out.put(code & !(1 << (bits - 1)), bits - 1);
    }
}

const fn bit_length(code: u64) -> u32 {
    64 - code.leading_zeros()
}

/// Makes codes of the values, and finds the form that takes about the fewest bits.
fn choose(values: &mut [i64]) -> Form {
    let all = values.iter().fold(0, |all, value| all | value);
    let scale = choose_scale(values, all.trailing_zeros().min(THOUSANDS - 1));
    let unsigned = all >= 0;
    let mut lengths = [0_u32; 65];
    for value in values.iter_mut() {
        let scaled = if scale == THOUSANDS { *value / 1000 } else { *value >> scale };
        let code = if unsigned { scaled.cast_unsigned() } else { zigzag(scaled) };
        *value = code.cast_signed();
        lengths[bit_length(code) as usize] += 1;
    }
    let rows = values.len() as u32;
    let (dense_width, dense_cost) = choose_width(&lengths);
    let zeros = std::mem::take(&mut lengths[0]);
    if zeros == 0 {
        return Form { width: dense_width, unsigned, sparse: false, scale };
    }
    let (width, cost) = choose_width(&lengths);
    let sparse = rows + cost < dense_cost;
    Form { width: if sparse { width } else { dense_width }, unsigned, sparse, scale }
}

/// `zeros` is how many zero bits all values have at their end.
fn choose_scale(values: &[i64], zeros: u32) -> u32 {
    // Thousands save seven bits more than the three zero bits that every thousand has.
    let thousands = (3..10).contains(&zeros) && values.iter().all(|value| value % 1000 == 0);
    if thousands { THOUSANDS } else { zeros }
}

/// The width that numbers of these lengths take the fewest bits with, and how many. It is never far
/// from their mean, for each size above it takes two bits.
fn choose_width(lengths: &[u32; 65]) -> (u32, u32) {
    let occurs = |count: &u32| *count > 0;
    let shortest = lengths.iter().position(occurs).unwrap_or_default();
    let longest = lengths.iter().rposition(occurs).unwrap_or_default();
    let occurring = || (shortest as u32..).zip(&lengths[shortest..=longest]);
    let (count, bits) = occurring()
        .fold((0, 0), |(count, bits), (length, rows)| (count + rows, bits + rows * length));
    let mean = bits / count.max(1);
    let cost = |width: u32| -> u32 {
        let one = |length: u32| match length.saturating_sub(width) {
            0 => 1 + width,
            size => 2 * size + width,
        };
        occurring().map(|(length, rows)| rows * one(length)).sum()
    };
    let widths = mean.saturating_sub(3)..=(mean + 2).min(63);
    widths.map(|width| (width, cost(width))).min_by_key(|(_, cost)| *cost).unwrap_or_default()
}

/// Reads a column of so many rows; gives the value of the one at `wanted`.
pub(super) fn read_column(bits: &mut BitReader<'_>, rows: usize, wanted: usize) -> i64 {
    if !bits.bit() {
        return 0;
    }
    let form = Form {
        width: bits.bits(6) as u32,
        unsigned: bits.bit(),
        sparse: bits.bit(),
        scale: bits.bits(6) as u32,
    };
    for _ in 0..wanted {
        form.skip(bits);
    }
    let value = form.read(bits);
    for _ in wanted + 1..rows {
        form.skip(bits);
    }
    value
}

impl Form {
    fn skip(self, bits: &mut BitReader<'_>) {
        if !self.sparse || bits.bit() {
            let size = bits.unary();
            bits.skip(self.width + size.saturating_sub(1));
        }
    }

    fn read(self, bits: &mut BitReader<'_>) -> i64 {
        if self.sparse && !bits.bit() {
            return 0;
        }
        let code = match bits.unary() {
            0 => bits.bits(self.width),
            size => {
                let below = self.width + size - 1;
                bits.bits(below.min(63)) | 1 << below.min(63)
            }
        };
        let code = code.wrapping_add(u64::from(self.sparse));
        let scaled = if self.unsigned { code.cast_signed() } else { unzigzag(code) };
        if self.scale == THOUSANDS { scaled.wrapping_mul(1000) } else { scaled << self.scale }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(values: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        put_column(&mut writer, &mut values.to_vec());
        writer.finish();
        bytes
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![Just(0), -9..9_i64, 0..1_000_000_000_i64, any::<i64>(), Just(i64::MIN)]
    }

    proptest! {
        /// Whatever the form that is chosen: of any size and sign, in pages, in thousands, mostly
        /// zero or never.
        #[test]
        fn every_value_comes_back(
            values in prop_oneof![
                prop::collection::vec(value(), 1..40),
                prop::collection::vec(-9..99_i64, 1..40),
                prop::collection::vec(1..9_000_000_i64, 1..40),
            ],
            unit in prop::sample::select(vec![1, 8, 1000, 4096, 1 << 62]),
        ) {
            let values: Vec<i64> = values.iter().map(|value| value.wrapping_mul(unit)).collect();
            let bytes = written(&values);
            for (place, value) in values.iter().enumerate() {
                let mut reader = BitReader::new(&bytes);
                prop_assert_eq!(read_column(&mut reader, values.len(), place), *value);
            }
        }
    }

    /// Sixty containers whose memory stays take one bit; those whose memory wanders by up to 64
    /// pages about eight bits each; CPU time in microseconds about twenty.
    #[test]
    fn a_column_takes_what_its_values_need() {
        assert_eq!(written(&[0; 60]).len(), 1);
        let pages: Vec<i64> = (0..60).map(|row| (row * 37 % 129 - 64) * 4096).collect();
        assert!(written(&pages).len() < 70, "{}", written(&pages).len());
        let time: Vec<i64> = (0..60).map(|row| (row * 7_919 + 200_000) * 1000).collect();
        assert!(written(&time).len() < 160, "{}", written(&time).len());
        let rare: Vec<i64> = (0..60).map(|row| i64::from(row == 7) << 20).collect();
        assert!(written(&rare).len() < 16, "{}", written(&rare).len());
    }
}
