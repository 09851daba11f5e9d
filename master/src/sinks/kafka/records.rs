//! Batches of records as brokers keep them: version 2, from Kafka 0.11 on.

mod compression;
mod crc32c;

pub(super) use compression::Compression;

use super::wire::{Put, varint_bytes};

/// The records of one batch to be.
#[derive(Debug, Default)]
pub(super) struct Records {
    text: Vec<u8>,
    count: u32,
    samples: u64,
    first_ms: i64,
    newest_ms: i64,
}

/// A batch that is ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
    pub(super) samples: u64,
}

/// From the start of a batch to its records.
const HEAD_BYTES: usize = 61;
/// What the length of a batch does not count: its first offset and the length itself.
const UNCOUNTED_BYTES: usize = 12;
/// Where that begins which the checksum is of.
const CHECKED_FROM: usize = 21;

impl Records {
    /// Appends a record of some samples.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8], time_ms: i64, samples: u32) {
        if self.count == 0 {
            (self.first_ms, self.newest_ms) = (time_ms, time_ms);
        }
        self.newest_ms = self.newest_ms.max(time_ms);
        let later_ms = time_ms.wrapping_sub(self.first_ms);
        let number = i64::from(self.count);
        let (key_length, value_length) = (key.len() as i64, value.len() as i64);
        let numbers = [later_ms, number, key_length, value_length].map(varint_bytes);
        // Its attributes and the number of its headers take a byte each.
        let length = numbers.iter().sum::<usize>() + key.len() + value.len() + 2;
        let out = &mut self.text;
        out.put_varint(length as i64);
        out.put_i8(0);
        out.put_varint(later_ms);
        out.put_varint(number);
        out.put_varint(key_length);
        out.extend_from_slice(key);
        out.put_varint(value_length);
        out.extend_from_slice(value);
        out.put_varint(0);
        self.count += 1;
        self.samples += u64::from(samples);
    }

    /// Bytes before compression.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The batch of these records, and none left here.
    pub(super) fn finish(&mut self, compression: Compression) -> Batch {
        let packed = compression.pack(&self.text);
        let mut out = Vec::with_capacity(HEAD_BYTES + packed.len());
        let last = i32::try_from(self.count).unwrap_or(i32::MAX) - 1;
        out.put_i64(0);
        out.put_count(HEAD_BYTES - UNCOUNTED_BYTES + packed.len());
        out.put_i32(-1);
        out.put_i8(2);
        out.put_i32(0);
        out.put_i16(compression.code());
        out.put_i32(last);
        out.put_i64(self.first_ms);
        out.put_i64(self.newest_ms);
        // Nobody who numbers what it writes.
        out.put_i64(-1);
        out.put_i16(-1);
        out.put_i32(-1);
        out.put_i32(last + 1);
        out.extend_from_slice(&packed);
        let checksum = crc32c::of(&out[CHECKED_FROM..]);
        out[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
        let batch = Batch { bytes: out, records: self.count, samples: self.samples };
        self.text.clear();
        (self.count, self.samples) = (0, 0);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte for byte what the published format says of two records.
    #[test]
    fn a_batch_is_as_published() {
        let mut records = Records::default();
        records.push(b"k", b"value", 1_000, 3);
        records.push(b"k", b"w", 998, 1);
        let batch = records.finish(Compression::None);
        let text = [
            &[24, 0, 0, 0, 2, b'k', 10][..],
            b"value",
            &[0],
            // two milliseconds earlier, and the second of the batch
            &[16, 0, 3, 2, 2, b'k', 2, b'w', 0],
        ]
        .concat();
        assert_eq!(&batch.bytes[HEAD_BYTES..], text);
        assert_eq!(batch.bytes[8..12], (49 + text.len() as i32).to_be_bytes());
        assert_eq!(batch.bytes[16], 2);
        assert_eq!(batch.bytes[23..27], 1_i32.to_be_bytes());
        assert_eq!(batch.bytes[27..35], 1_000_i64.to_be_bytes());
        assert_eq!((batch.records, batch.samples, records.bytes()), (2, 4, 0));
        let checksum = u32::from_be_bytes(batch.bytes[17..21].try_into().unwrap());
        assert_eq!(checksum, crc32c::of(&batch.bytes[21..]));
    }
}
