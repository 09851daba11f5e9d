//! How the records of a batch are packed.

use std::io::Write;

use flate2::{Compression as Level, write::GzEncoder};
use serde::Deserialize;

/// A way to pack records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Compression {
    None,
    #[default]
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// What Java's Snappy puts in front of its blocks: a mark and two versions.
const SNAPPY_HEAD: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

impl Compression {
    /// Its number in the attributes of a batch.
    pub(super) const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The oldest version of a produce request that may carry it.
    pub(in super::super) const fn oldest_produce(self) -> i16 {
        if matches!(self, Self::Zstd) { 7 } else { 3 }
    }

    /// Packs; writing to memory does not fail.
    pub(super) fn pack(self, text: &[u8]) -> Vec<u8> {
        let room = Vec::with_capacity(text.len() / 4);
        match self {
            Self::None => text.to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, Level::fast());
                let _ = encoder.write_all(text);
                encoder.finish().unwrap_or_default()
            }
            Self::Snappy => snappy(text),
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(room);
                let _ = encoder.write_all(text);
                encoder.finish().unwrap_or_default()
            }
            Self::Zstd => zstd::stream::encode_all(text, 1).unwrap_or_default(),
        }
    }
}

fn snappy(text: &[u8]) -> Vec<u8> {
    let mut out = SNAPPY_HEAD.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in text.chunks(SNAPPY_BLOCK_BYTES) {
        // It fails for blocks of gigabytes only.
        let packed = encoder.compress_vec(block).unwrap_or_default();
        let length = u32::try_from(packed.len()).unwrap_or_default();
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    out
}
