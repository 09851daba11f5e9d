//! The primitive types of Kafka's protocol, in their older form without tagged fields, which every
//! broker since 0.11 reads.

/// An answer that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unreadable;

/// Appends primitives.
pub(super) trait Put {
    fn put_i8(&mut self, value: i8);
    fn put_i16(&mut self, value: i16);
    fn put_i32(&mut self, value: i32);
    fn put_i64(&mut self, value: i64);
    fn put_bytes(&mut self, value: &[u8]);
    fn put_string(&mut self, value: &str);
    fn put_count(&mut self, count: usize);
    fn put_varint(&mut self, value: i64);
}

impl Put for Vec<u8> {
    fn put_i8(&mut self, value: i8) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i16(&mut self, value: i16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    /// With the length in front.
    fn put_bytes(&mut self, value: &[u8]) {
        self.put_count(value.len());
        self.extend_from_slice(value);
    }

    /// Names and passwords, which are checked to be short where they come in; what is longer than
    /// the format has room for is cut.
    fn put_string(&mut self, value: &str) {
        let length = value.floor_char_boundary(value.len().min(i16::MAX.unsigned_abs().into()));
        self.put_i16(i16::try_from(length).unwrap_or(i16::MAX));
        self.extend_from_slice(&value.as_bytes()[..length]);
    }

    /// Of an array, or of bytes.
    fn put_count(&mut self, count: usize) {
        self.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    /// A number in as few bytes as it needs, small negative ones too.
    fn put_varint(&mut self, value: i64) {
        let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.push(rest as u8);
    }
}

/// How many bytes a number takes as one of variable length.
pub(super) const fn varint_bytes(value: i64) -> usize {
    let zigzag = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    (70 - (zigzag | 1).leading_zeros() as usize) / 7
}

/// Reads primitives off the beginning of an answer; never further than it goes.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        self.take(N)?.try_into().map_err(|_| Unreadable)
    }

    pub(super) fn i8(&mut self) -> Result<i8, Unreadable> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Unreadable> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Unreadable> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Unreadable> {
        self.array().map(i64::from_be_bytes)
    }

    /// A text; empty where there is none.
    pub(super) fn string(&mut self) -> Result<String, Unreadable> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// Bytes; none where there are none.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(length)
    }

    /// The things of an array.
    pub(super) fn each<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        // Nothing is set aside for a number that is only claimed.
        let mut things = Vec::new();
        for _ in 0..count {
            things.push(read(self)?);
        }
        Ok(things)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_variable_length_are_those_of_the_protocol() {
        for (value, bytes) in [
            (0, vec![0]),
            (-1, vec![1]),
            (1, vec![2]),
            (63, vec![0x7e]),
            (64, vec![0x80, 1]),
            (-65, vec![0x81, 1]),
            (300, vec![0xd8, 4]),
        ] {
            let mut out = Vec::new();
            out.put_varint(value);
            assert_eq!(out, bytes, "{value}");
        }
    }

    proptest! {
        #[test]
        fn the_length_of_a_number_is_known_before(value: i64) {
            let mut out = Vec::new();
            out.put_varint(value);
            prop_assert_eq!(out.len(), varint_bytes(value));
        }

        /// An array that claims to be long ends where the answer does.
        #[test]
        fn no_answer_is_read_past_its_end(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader(&bytes);
            let _ = reader.each(|reader| reader.string());
            let _ = Reader(&bytes).bytes();
        }
    }
}
