//! What is kept of the frames that a segment has let go of: definitions, packed, and the frames of
//! a checkpoint in place of all rows.

use std::io;

use bytes::Bytes;

use super::LogFrame;

/// So much is packed at once.
const PACK_BYTES: usize = 128 << 10;
/// Quick rather than small: what is packed is packed once, and repeats itself a lot.
const LEVEL: i32 = 1;

/// What a replay has to begin with, where frames were let go of.
#[derive(Debug, Default)]
pub(super) struct Prelude {
    packs: Vec<Pack>,
    /// Definitions that are not packed yet.
    loose: Vec<Bytes>,
    loose_bytes: usize,
    checkpoint: Vec<LogFrame>,
    bytes: usize,
    /// The checkpoint is of this frame.
    through: u64,
}

/// Frames one after the other, compressed.
#[derive(Debug)]
struct Pack {
    lengths: Vec<usize>,
    compressed: Vec<u8>,
}

impl Prelude {
    /// Takes over frames that are let go of, and the checkpoint that goes in place of their rows.
    pub(super) fn take(&mut self, frames: Vec<LogFrame>, checkpoint: Vec<LogFrame>) {
        let numbered = frames.iter().rev().find(|frame| frame.sequence > 0);
        self.through = numbered.map_or(self.through, |frame| frame.sequence);
        for frame in frames.into_iter().filter(|frame| frame.sequence == 0) {
            self.loose_bytes += frame.bytes.len();
            self.loose.push(frame.bytes);
            if self.loose_bytes >= PACK_BYTES {
                self.pack();
            }
        }
        self.checkpoint = checkpoint;
        self.bytes = self.size();
    }

    /// The last frame that it stands for.
    pub(super) const fn through(&self) -> u64 {
        self.through
    }

    /// Memory that it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory that the checkpoint takes.
    pub(super) fn checkpoint_bytes(&self) -> usize {
        self.checkpoint.iter().map(LogFrame::size).sum()
    }

    /// One part of its frames after the other; `None` past the last.
    ///
    /// # Errors
    /// When a pack is broken.
    pub(super) fn part(&self, index: usize) -> io::Result<Option<Vec<Bytes>>> {
        if let Some(pack) = self.packs.get(index) {
            return pack.unpack().map(Some);
        }
        let checkpoint = self.checkpoint.iter().map(|frame| frame.bytes.clone());
        let rest = || self.loose.iter().cloned().chain(checkpoint).collect();
        Ok((index == self.packs.len()).then(rest))
    }

    /// Where it cannot be packed it stays as it is.
    fn pack(&mut self) {
        let lengths = self.loose.iter().map(Bytes::len).collect();
        match zstd::bulk::compress(&self.loose.concat(), LEVEL) {
            Ok(mut compressed) => {
                compressed.shrink_to_fit();
                self.packs.push(Pack { lengths, compressed });
                self.loose = Vec::new();
                self.loose_bytes = 0;
            }
            Err(error) => tracing::debug!(%error, "definitions cannot be packed"),
        }
    }

    fn size(&self) -> usize {
        let packs = self.packs.iter().map(|pack| {
            pack.compressed.len() + size_of_val(pack.lengths.as_slice()) + size_of::<Pack>()
        });
        let loose = self.loose_bytes + size_of_val(self.loose.as_slice());
        packs.sum::<usize>() + loose + self.checkpoint_bytes()
    }
}

impl Pack {
    fn unpack(&self) -> io::Result<Vec<Bytes>> {
        let size = self.lengths.iter().sum();
        let mut all = Bytes::from(zstd::bulk::decompress(&self.compressed, size)?);
        if all.len() != size {
            return Err(io::Error::other("packed definitions have changed in length"));
        }
        Ok(self.lengths.iter().map(|length| all.split_to(*length)).collect())
    }
}
