//! What is kept of the frames that a segment has let go of: definitions, and the frames of a
//! checkpoint in place of all rows; both packed.

use std::io;

use bytes::Bytes;

use super::LogFrame;

/// So much is packed at once.
const PACK_BYTES: usize = 128 << 10;
/// Quick rather than small: what is packed is packed once, and repeats itself a lot.
const LEVEL: i32 = 1;

/// What a replay has to begin with, where frames were let go of.
#[derive(Clone, Debug, Default)]
pub struct Prelude {
    definitions: Packed,
    /// Definitions that are not packed yet.
    loose: Vec<Bytes>,
    loose_bytes: usize,
    checkpoint: Packed,
    /// A checkpoint that is about to be written to disk.
    fresh: Vec<Bytes>,
    /// The checkpoint is of this frame.
    through: u64,
}

impl Prelude {
    /// A checkpoint alone: the definitions are in the file of the segment before.
    pub(crate) fn of_checkpoint(frames: Vec<LogFrame>) -> Self {
        let through = frames.last().map_or(0, |frame| frame.sequence);
        let fresh = frames.into_iter().map(|frame| frame.bytes).collect();
        Self { fresh, through, ..Self::default() }
    }

    /// What is left in memory of one that is on disk.
    pub(super) fn stored(through: u64) -> Self {
        Self { through, ..Self::default() }
    }

    /// Takes over frames that are let go of, and the checkpoint that goes in place of their rows.
    pub(super) fn take(&mut self, frames: Vec<LogFrame>, checkpoint: Packed) {
        let numbered = frames.iter().rev().find(|frame| frame.sequence > 0);
        self.through = numbered.map_or(self.through, |frame| frame.sequence);
        for frame in frames.into_iter().filter(|frame| frame.sequence == 0) {
            self.loose_bytes += frame.bytes.len();
            self.loose.push(frame.bytes);
            if self.loose_bytes >= PACK_BYTES {
                self.definitions.push(&std::mem::take(&mut self.loose));
                self.loose_bytes = 0;
            }
        }
        self.checkpoint = checkpoint;
    }

    /// The last frame that it stands for.
    pub(crate) const fn through(&self) -> u64 {
        self.through
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let loose = self.loose_bytes + self.loose.len() * size_of::<Bytes>();
        let fresh: usize = self.fresh.iter().map(|frame| frame.len() + size_of::<Bytes>()).sum();
        self.definitions.bytes + self.checkpoint.bytes + loose + fresh
    }

    /// Bytes that the checkpoint takes where it is not packed.
    pub(super) const fn checkpoint_bytes(&self) -> usize {
        self.checkpoint.unpacked_bytes
    }

    /// One part of its frames after the other; `None` past the last.
    ///
    /// # Errors
    /// When a pack is broken.
    pub(crate) fn part(&self, index: usize) -> io::Result<Option<PreludePart>> {
        let define = |frames| PreludePart { is_checkpoint: false, frames };
        let checkpoint = |frames| PreludePart { is_checkpoint: true, frames };
        let definitions = self.definitions.packs.len();
        match index.checked_sub(definitions) {
            None => Ok(self.definitions.part(index)?.map(define)),
            Some(0) => Ok(Some(define(self.loose.clone()))),
            Some(1) => Ok(Some(checkpoint(self.fresh.clone()))),
            Some(after) => Ok(self.checkpoint.part(after - 2)?.map(checkpoint)),
        }
    }
}

/// Some frames of a prelude.
#[derive(Debug)]
pub struct PreludePart {
    /// Of the checkpoint; else definitions.
    pub is_checkpoint: bool,
    /// As they are sent.
    pub frames: Vec<Bytes>,
}

/// Frames, compressed a part at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    packs: Vec<Pack>,
    bytes: usize,
    unpacked_bytes: usize,
}

impl Packed {
    /// Packs frames that are kept together.
    pub(super) fn new(frames: Vec<LogFrame>) -> Self {
        let mut packed = Self::default();
        let (mut part, mut part_bytes) = (Vec::new(), 0);
        for frame in frames {
            part_bytes += frame.bytes.len();
            part.push(frame.bytes);
            if part_bytes >= PACK_BYTES {
                packed.push(&std::mem::take(&mut part));
                part_bytes = 0;
            }
        }
        if !part.is_empty() {
            packed.push(&part);
        }
        packed
    }

    /// Memory that it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, frames: &[Bytes]) {
        let pack = Pack::new(frames);
        self.bytes += pack.content.len() + size_of_val(pack.lengths.as_slice()) + size_of::<Pack>();
        self.unpacked_bytes += frames.iter().map(Bytes::len).sum::<usize>();
        self.packs.push(pack);
    }

    fn part(&self, index: usize) -> io::Result<Option<Vec<Bytes>>> {
        self.packs.get(index).map(Pack::unpack).transpose()
    }
}

/// Frames one after the other.
#[derive(Clone, Debug)]
struct Pack {
    lengths: Vec<usize>,
    content: Vec<u8>,
    is_compressed: bool,
}

impl Pack {
    /// Where they cannot be compressed they stay as they are.
    fn new(frames: &[Bytes]) -> Self {
        let lengths = frames.iter().map(Bytes::len).collect();
        let all = frames.concat();
        match zstd::bulk::compress(&all, LEVEL) {
            Ok(mut content) => {
                content.shrink_to_fit();
                Self { lengths, content, is_compressed: true }
            }
            Err(error) => {
                tracing::debug!(%error, "frames cannot be packed");
                Self { lengths, content: all, is_compressed: false }
            }
        }
    }

    fn unpack(&self) -> io::Result<Vec<Bytes>> {
        let size = self.lengths.iter().sum();
        let mut all = if self.is_compressed {
            Bytes::from(zstd::bulk::decompress(&self.content, size)?)
        } else {
            Bytes::copy_from_slice(&self.content)
        };
        if all.len() != size {
            return Err(io::Error::other("packed frames have changed in length"));
        }
        Ok(self.lengths.iter().map(|length| all.split_to(*length)).collect())
    }
}
