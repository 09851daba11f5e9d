//! Numbers as few bytes: varints of zigzag differences, and doubles as the bytes that changed.

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

/// Appends a number of either sign.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Appends the bytes between the zero bytes at both ends, after a byte that says how many zero
/// bytes there are in front (high half) and behind (low half).
pub(super) fn put_middle(out: &mut Vec<u8>, value: u64) {
    let front = value.leading_zeros() / 8;
    let behind = if value == 0 { 0 } else { value.trailing_zeros() / 8 };
    out.push((front << 4 | behind) as u8);
    let bytes = value.to_be_bytes();
    out.extend_from_slice(&bytes[front as usize..8 - behind as usize]);
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

    pub(super) fn signed(&mut self) -> i64 {
        unzigzag(self.varint())
    }

    pub(super) fn middle(&mut self) -> u64 {
        let ends = self.byte();
        let (front, behind) = (ends >> 4, ends & 15);
        let mut value = 0;
        for _ in 0..8u8.saturating_sub(front + behind) {
            value = value << 8 | u64::from(self.byte());
        }
        value << (8 * (u32::from(behind) % 8))
    }

    /// The next bytes, as a reader of their own.
    pub(super) fn part(&mut self, length: usize) -> Reader<'a> {
        let (part, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Reader(part)
    }

    /// The next bytes as they are.
    pub(super) fn slice(&mut self, length: usize) -> &'a [u8] {
        self.part(length).0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values: Vec<(u64, i64, u64, u8)>) {
            let mut bytes = Vec::new();
            for (unsigned, signed, middle, shift) in &values {
                put_varint(&mut bytes, *unsigned);
                put_signed(&mut bytes, *signed);
                put_middle(&mut bytes, middle << (shift % 64));
            }
            let mut reader = Reader::new(&bytes);
            for (unsigned, signed, middle, shift) in &values {
                prop_assert_eq!(reader.varint(), *unsigned);
                prop_assert_eq!(reader.signed(), *signed);
                prop_assert_eq!(reader.middle(), middle << (shift % 64));
            }
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn small_numbers_are_one_byte() {
        let mut bytes = Vec::new();
        put_signed(&mut bytes, -64);
        put_middle(&mut bytes, 0);
        assert_eq!(bytes, [127, 0x80]);
        assert_eq!((zigzag(i64::MIN), unzigzag(u64::MAX)), (u64::MAX, i64::MIN));
    }
}
