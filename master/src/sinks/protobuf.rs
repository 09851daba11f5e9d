//! Protocol Buffers by hand, for sinks that write many small messages of few shapes: straight into
//! the bytes of a request, without a value for each message in between.

/// The type that a field has on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wire {
    /// A number of variable length.
    Varint = 0,
    /// Eight bytes.
    Fixed64 = 1,
    /// A length and as many bytes.
    Bytes = 2,
}

/// The key of a field, for numbers below 16, which take one byte.
pub(super) const fn key(number: u8, wire: Wire) -> u8 {
    number << 3 | wire as u8
}

/// Bytes that a number takes.
pub(super) const fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Bytes that a field of this many bytes takes, its key and length included.
pub(super) const fn field_len(bytes: usize) -> usize {
    1 + varint_len(bytes as u64) + bytes
}

/// Appends a number.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a field with a number; of 0 too, which receivers take for absent.
pub(super) fn varint_field(number: u8, value: u64, out: &mut Vec<u8>) {
    out.push(key(number, Wire::Varint));
    varint(value, out);
}

/// Appends the key and the length of a field, whose bytes are to follow.
pub(super) fn open(number: u8, bytes: usize, out: &mut Vec<u8>) {
    out.push(key(number, Wire::Bytes));
    varint(bytes as u64, out);
}

/// Appends a field of bytes or text.
pub(super) fn bytes_field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    open(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends a field with a double.
pub(super) fn double_field(number: u8, value: f64, out: &mut Vec<u8>) {
    fixed64_field(number, value.to_bits(), out);
}

/// Appends a field with eight bytes.
pub(super) fn fixed64_field(number: u8, bits: u64, out: &mut Vec<u8>) {
    out.push(key(number, Wire::Fixed64));
    out.extend_from_slice(&bits.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers are as another encoder writes them, in as many bytes as was said.
        #[test]
        fn numbers_are_as_they_should_be(value: u64) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            varint(value, &mut ours);
            prost::encoding::encode_varint(value, &mut theirs);
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(ours.len(), varint_len(value));
        }
    }

    #[test]
    fn lengths_grow_where_they_should() {
        let lengths = [0, 127, 128, (1 << 14) - 1, 1 << 14, u64::MAX].map(varint_len);
        assert_eq!(lengths, [1, 1, 2, 2, 3, 10]);
        assert_eq!(field_len(128), 131);
    }
}
