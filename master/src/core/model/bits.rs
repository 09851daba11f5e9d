//! Bits one after another, the lowest of a byte first.

/// Bits that [`BitReader::peek`] gives at least.
const PEEKED: u32 = 57;

/// Appends bits to bytes.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    /// Number of bits pending, fewer than 32 between calls.
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, count: 0 }
    }

    /// Appends the lowest `count` bits; the others have to be zero.
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        if count > 32 {
            self.put(bits & 0xffff_ffff, 32);
            return self.put(bits >> 32, count - 32);
        }
        self.pending |= bits << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Appends a number as so many zero bits and a one, at most 64 of them.
    pub(super) fn put_unary(&mut self, zeros: u32) {
        if zeros >= 32 {
            self.put(0, 32);
            return self.put_unary(zeros - 32);
        }
        self.put(1 << zeros, zeros + 1);
    }

    /// Fills the last byte with zero bits.
    pub(super) fn finish(self) {
        let whole = self.count.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.pending.to_le_bytes()[..whole]);
    }
}

/// Reads what a [`BitWriter`] wrote; past the end all bits are zero.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Number of bits that are read.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next 57 bits or more, zeros above them.
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.position / 8..).unwrap_or_default();
        let word = rest.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word
        });
        u64::from_le_bytes(word) >> (self.position % 8)
    }

    /// The next `count` bits, at most 64.
    pub(super) fn bits(&mut self, count: u32) -> u64 {
        if count > PEEKED - 1 {
            let low = self.bits(32);
            return low | self.bits(count - 32) << 32;
        }
        let bits = self.peek() & ((1 << count) - 1);
        self.position += count as usize;
        bits
    }

    pub(super) fn bit(&mut self) -> bool {
        self.bits(1) == 1
    }

    /// A number that was put as zero bits and a one.
    pub(super) fn unary(&mut self) -> u32 {
        let zeros = self.peek().trailing_zeros();
        if zeros < PEEKED {
            self.position += zeros as usize + 1;
            return zeros;
        }
        self.position += 32;
        if self.position > 8 * self.bytes.len() { 0 } else { (32 + self.unary()).min(64) }
    }

    /// Leaves bits out.
    pub(super) const fn skip(&mut self, count: u32) {
        self.position += count as usize;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back(values: Vec<(u64, u32, u32)>) {
            let mut bytes = Vec::new();
            let mut writer = BitWriter::new(&mut bytes);
            let values: Vec<_> = values
                .into_iter()
                .map(|(bits, count, zeros)| (bits, count % 65, zeros % 65))
                .map(|(bits, count, zeros)| (bits & mask(count), count, zeros))
                .collect();
            for (bits, count, zeros) in &values {
                writer.put(*bits, *count);
                writer.put_unary(*zeros);
            }
            writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (bits, count, zeros) in values {
                prop_assert_eq!(reader.bits(count), bits);
                prop_assert_eq!(reader.unary(), zeros);
            }
            prop_assert!(8 * bytes.len() - reader.position < 8);
        }
    }

    fn mask(count: u32) -> u64 {
        1_u64.checked_shl(count).map_or(u64::MAX, |above| above - 1)
    }

    /// Bytes that end too early give zeros, not a hang.
    #[test]
    fn past_the_end_is_zero() {
        let mut reader = BitReader::new(&[0, 0]);
        assert_eq!((reader.unary(), reader.bits(64), reader.bit()), (0, 0, false));
    }
}
