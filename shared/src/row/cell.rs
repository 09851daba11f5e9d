//! One value in eight bytes.

use std::fmt;

use crate::schema::ValueType;

/// One value, or none. Whether the bits are an integer or a double is said by the field's
/// [`ValueType`]; the two are never mixed in a column.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell(u64);

/// The bits of the smallest integer, and of the double `-0.0`; both are moved out of the way.
const ABSENT_BITS: u64 = 1 << 63;

impl Cell {
    /// No value.
    pub const ABSENT: Self = Self(ABSENT_BITS);

    /// An integer; `i64::MIN` is no value.
    #[must_use]
    pub const fn int(value: i64) -> Self {
        Self(value.cast_unsigned())
    }

    /// A double; a NaN is no value, and `-0.0` becomes `0.0`.
    #[must_use]
    pub fn real(value: f64) -> Self {
        if value.is_nan() {
            Self::ABSENT
        } else if value == 0.0 {
            Self(0)
        } else {
            Self(value.to_bits())
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.0 == ABSENT_BITS
    }

    /// The value of an integer field.
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        (!self.is_absent()).then_some(self.0.cast_signed())
    }

    /// The value of a double field.
    #[must_use]
    pub fn as_real(self) -> Option<f64> {
        (!self.is_absent()).then(|| f64::from_bits(self.0))
    }

    /// The value of a field of either type, as a double.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_real(self, value_type: ValueType) -> Option<f64> {
        match value_type {
            ValueType::Int64 => self.as_int().map(|value| value as f64),
            ValueType::Double => self.as_real(),
        }
    }

    /// The value of a field of either type, as JSON.
    #[must_use]
    pub fn to_json(self, value_type: ValueType) -> serde_json::Value {
        match value_type {
            ValueType::Int64 => self.as_int().into(),
            ValueType::Double => self.as_real().into(),
        }
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_absent() {
            return f.write_str("absent");
        }
        write!(f, "{}i|{}", self.0.cast_signed(), f64::from_bits(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_no_number() {
        assert!(Cell::real(f64::NAN).is_absent());
        assert!(!Cell::real(-0.0).is_absent());
        assert_eq!(Cell::real(-0.0).as_real(), Some(0.0));
        assert_eq!(Cell::int(-1).as_int(), Some(-1));
        assert_eq!(Cell::int(i64::MAX).as_int(), Some(i64::MAX));
        assert_eq!(Cell::ABSENT.as_int(), None);
        assert_eq!(Cell::int(3).to_real(ValueType::Int64), Some(3.0));
    }
}
