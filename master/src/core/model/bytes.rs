//! Numbers as few bytes: varints, and zigzag differences of either sign.

/// Maps small numbers of either sign to small unsigned ones.
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The opposite of [`zigzag`].
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Appends seven bits a byte, the lowest first; the high bit says that more follow.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what this module wrote. The bytes are the model's own, so that their end is never met in
/// the middle of a number; past the end everything is zero.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    /// A varint that counts something or is the place of something.
    pub(super) fn number(&mut self) -> usize {
        usize::try_from(self.varint()).unwrap_or(usize::MAX)
    }

    /// The next bytes, as a reader of their own.
    pub(super) fn part(&mut self, length: usize) -> Self {
        let (part, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Self(part)
    }

    /// All bytes that are left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values: Vec<(u64, i64, u8)>) {
            let mut bytes = Vec::new();
            for (unsigned, signed, shift) in &values {
                put_varint(&mut bytes, unsigned >> (shift % 64));
                put_varint(&mut bytes, zigzag(*signed));
            }
            let mut reader = Reader::new(&bytes);
            for (unsigned, signed, shift) in &values {
                prop_assert_eq!(reader.varint(), unsigned >> (shift % 64));
                prop_assert_eq!(unzigzag(reader.varint()), *signed);
            }
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn small_numbers_are_one_byte() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, zigzag(-64));
        assert_eq!(bytes, [127]);
        assert_eq!((zigzag(i64::MIN), unzigzag(u64::MAX)), (u64::MAX, i64::MIN));
    }
}
