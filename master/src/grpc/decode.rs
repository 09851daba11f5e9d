//! Reads the frames of an Ingest stream into the rows that the rest of the master speaks.
//!
//! One reader per stream, used by the stream's own task: its state (definitions, and the last row
//! of each entity) is the segment's and ends with it, decoding spreads over all cores as streams
//! do, and an actor gets rows that are ready to share. What does not follow the protocol ends the
//! stream with an error that names the frame and the field; a single row that cannot be read
//! costs only that row.

mod blocks;
mod columns;
pub(super) mod crowd;
mod definitions;
mod error;
mod kept;
mod members;
mod plan;
mod segment;
#[cfg(test)]
mod tests;
mod wire;

use blocks::Refused;
pub use definitions::Definitions;
use definitions::LATEST_MS;
pub(super) use definitions::labels;
pub use error::DecodeError;
use error::{ensure, ensure_within};
use heapster_proto::v1::{self, open::Purpose};
use heapster_shared::{event::Event, row::Block, tick::Tick};
use segment::{BatchReading, Segment};
use wire::{BatchView, BlockView, FrameView, KindView, NotPlain};

use super::convert;
use crate::{
    actors::{cluster::Resolved, session::StreamPurpose},
    args::LimitArgs,
};

/// What a stream may ask of the master's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the first four are those of the protocol's message Limits
pub struct ReaderLimits {
    pub max_frame_bytes: usize,
    pub max_entities: usize,
    pub max_labels: usize,
    pub max_label_bytes: usize,
    /// Fields of a layout.
    pub max_fields: usize,
    /// Layouts of a segment.
    pub max_layouts: usize,
    /// Cells of one frame: a column of one value may stand for any number of rows.
    pub max_cells: usize,
    /// Values remembered for the differences of later rows.
    pub max_kept: usize,
}

impl From<&LimitArgs> for ReaderLimits {
    fn from(args: &LimitArgs) -> Self {
        let max_entities = usize::try_from(args.max_entities).unwrap_or(usize::MAX);
        Self {
            max_frame_bytes: args.max_frame_bytes.bytes(),
            max_entities,
            max_labels: usize::try_from(args.max_labels).unwrap_or(usize::MAX),
            max_label_bytes: args.max_label_bytes.bytes(),
            max_fields: 4096,
            max_layouts: 4096,
            max_cells: args.max_frame_bytes.bytes(),
            max_kept: max_entities.saturating_mul(64),
        }
    }
}

/// A frame.
#[derive(Debug)]
pub struct ReadFrame {
    /// Its number; 0 for Open and Define, which have none.
    pub sequence: u64,
    /// What it holds.
    pub content: Content,
}

/// What a frame holds.
#[derive(Debug)]
pub enum Content {
    /// A segment starts.
    Open(Opening),
    /// Definitions, to be resolved and given to [`SegmentReader::define`].
    Define(Definitions),
    /// Rows.
    Rows(DecodedRows),
    /// Events.
    Events(Vec<Event>),
    /// A round is over.
    RoundEnd(Tick),
    /// Something newer than this program, to be answered and left alone.
    Unknown,
}

/// The first frame of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields are those of the protocol's message Open
pub struct Opening {
    pub session_id: String,
    pub instance_id: String,
    pub purpose: StreamPurpose,
    pub delivered_through: u64,
}

/// The rows of a frame.
#[derive(Debug)]
pub struct DecodedRows {
    /// The tick of the rows.
    pub tick: Tick,
    /// Rows that were read.
    pub blocks: Vec<Block>,
    /// Entities, by their ids in the segment, whose rows were refused.
    pub refused: Vec<u32>,
    /// Why the last of them was.
    pub reason: &'static str,
}

/// Reads the frames of one stream.
pub struct SegmentReader {
    limits: ReaderLimits,
    frames: u64,
    opened: bool,
    last_sequence: Option<u64>,
    segment: Segment,
}

impl SegmentReader {
    /// A reader that expects an Open.
    #[must_use]
    pub fn new(limits: ReaderLimits) -> Self {
        Self { limits, frames: 0, opened: false, last_sequence: None, segment: Segment::default() }
    }

    /// Reads the next frame, encoded as it came.
    ///
    /// # Errors
    /// When the stream is no good from here on; says which frame, counted from 1, and why.
    pub fn read(&mut self, frame: &[u8]) -> Result<ReadFrame, DecodeError> {
        self.frames += 1;
        let number = self.frames;
        let (max, bytes) = (self.limits.max_frame_bytes, frame.len());
        let nameless = |error: DecodeError| error.at(&format!("frame {number}"));
        if bytes > max {
            let what = format!("{bytes} bytes are more than max_frame_bytes ({max})");
            return Err(nameless(DecodeError::Limit(what)));
        }
        let plain;
        let view = match FrameView::new(frame) {
            Ok(view) => view,
            Err(NotPlain) => {
                self.uncrowded(frame, &crowd::FRAME).map_err(nameless)?;
                plain = wire::plain_form(frame).map_err(nameless)?;
                FrameView::new(&plain).map_err(|NotPlain| nameless(broken()))?
            }
        };
        let sequence = view.sequence;
        let content = self.content(view).map_err(|error| match sequence {
            0 => nameless(error),
            _ => error.at(&format!("frame {number} (sequence {sequence})")),
        })?;
        Ok(ReadFrame { sequence, content })
    }

    /// The memory that what it remembers of the segment takes, at the most.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.segment.size_bytes()
    }

    /// Takes the answer to [`Content::Define`].
    pub fn define(&mut self, definitions: Definitions, resolved: Resolved) {
        self.segment.define(definitions, resolved);
    }

    fn content(&mut self, frame: FrameView<'_>) -> Result<Content, DecodeError> {
        let Some(kind) = frame.kind else {
            ensure!(self.opened, "the first frame must be an Open");
            if frame.sequence != 0 {
                self.number(frame.sequence)?;
            }
            return Ok(Content::Unknown);
        };
        ensure!(
            self.opened || matches!(kind, KindView::Open(_)),
            "the first frame must be an Open"
        );
        if matches!(kind, KindView::Open(_) | KindView::Define(_)) {
            ensure!(frame.sequence == 0, "Open and Define carry the sequence 0");
        } else {
            self.number(frame.sequence)?;
        }
        match kind {
            KindView::Open(open) => self.open(message(open)?).map(Content::Open),
            KindView::Define(define) => {
                self.uncrowded(define, &crowd::DEFINE)?;
                self.segment.check(message(define)?, &self.limits).map(Content::Define)
            }
            KindView::Batch(batch) => self.batch(batch).map(Content::Rows),
            KindView::Events(events) => {
                self.uncrowded(events, &crowd::EVENTS)?;
                convert::events(message(events)?, &self.limits).map(Content::Events)
            }
            KindView::RoundEnd(end) => {
                tick(message::<v1::RoundEnd>(end)?.tick_unix_ms).map(Content::RoundEnd)
            }
        }
    }

    /// Whether a message takes no more memory than one of its size should.
    fn uncrowded(&self, message: &[u8], shape: &crowd::Shape) -> Result<(), DecodeError> {
        let fits = crowd::fits(message, shape, self.limits.max_frame_bytes);
        ensure_within!(fits, "it has too many parts, most of which say nothing");
        Ok(())
    }

    /// Within a segment each sequence is the one before and one.
    fn number(&mut self, sequence: u64) -> Result<(), DecodeError> {
        ensure!(sequence != 0, "Batch, Events and RoundEnd carry a sequence from 1");
        if let Some(last) = self.last_sequence {
            ensure!(
                last.checked_add(1) == Some(sequence),
                "the sequence after {last} must be one more; to send a frame again open a segment anew"
            );
        }
        self.last_sequence = Some(sequence);
        Ok(())
    }

    fn open(&mut self, open: v1::Open) -> Result<Opening, DecodeError> {
        let longest = open.session_id.len().max(open.instance_id.len());
        ensure_within!(
            longest <= self.limits.max_label_bytes,
            "an id is longer than max_label_bytes"
        );
        ensure!(!open.instance_id.is_empty(), "`instance_id` is empty");
        let purpose = match Purpose::try_from(open.purpose) {
            Ok(Purpose::Live) => StreamPurpose::Live,
            Ok(Purpose::Backfill) => StreamPurpose::Backfill,
            _ => {
                return Err(DecodeError::Malformed(
                    "`purpose` is neither LIVE nor BACKFILL".into(),
                ));
            }
        };
        self.opened = true;
        self.last_sequence = None;
        self.segment = Segment::default();
        Ok(Opening {
            session_id: open.session_id,
            instance_id: open.instance_id,
            purpose,
            delivered_through: open.delivered_through,
        })
    }

    fn batch(&mut self, batch: BatchView<'_>) -> Result<DecodedRows, DecodeError> {
        let tick = tick(batch.tick_unix_ms)?;
        let mut blocks = Vec::new();
        let mut columns = Vec::new();
        let limits = &self.limits;
        let refused = Refused::default();
        let mut reading = BatchReading { tick_ms: tick.0, limits, refused, cells: 0 };
        for (index, block) in batch.blocks().enumerate() {
            let block = BlockView::new(block, &mut columns).map_err(|NotPlain| broken());
            let rows = block.and_then(|block| self.segment.block(&block, &columns, &mut reading));
            let rows = rows.map_err(|error| error.at(&format!("block {index}")))?;
            if !rows.is_empty() {
                blocks.push(rows);
            }
        }
        let Refused { mut entities, reason } = reading.refused;
        entities.sort_unstable();
        entities.dedup();
        Ok(DecodedRows { tick, blocks, refused: entities, reason })
    }
}

fn broken() -> DecodeError {
    DecodeError::Malformed("it is no message of protobuf".to_owned())
}

fn message<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

fn tick(unix_ms: u64) -> Result<Tick, DecodeError> {
    let sane = (1..=LATEST_MS).contains(&unix_ms);
    ensure!(sane, "`tick_unix_ms` {unix_ms} is no time between 1970 and 2200");
    Ok(Tick(unix_ms.cast_signed()))
}

/// The limits that tests use.
#[cfg(test)]
pub(super) const fn test_limits() -> ReaderLimits {
    ReaderLimits {
        max_frame_bytes: 1 << 20,
        max_entities: 1000,
        max_labels: 8,
        max_label_bytes: 256,
        max_fields: 64,
        max_layouts: 16,
        max_cells: 100_000,
        max_kept: 64_000,
    }
}
