//! Reads the frames of an Ingest stream into the rows that the rest of the master speaks.
//!
//! One reader per stream, used by the stream's own task: its state (definitions, and the last row
//! of each entity) is the segment's and ends with it, decoding spreads over all cores as streams
//! do, and an actor gets rows that are ready to share. What does not follow the protocol ends the
//! stream with an error that names the frame and the field; a single row that cannot be read
//! costs only that row.

mod blocks;
mod columns;
mod definitions;
mod error;
#[cfg(test)]
mod tests;

use blocks::{LayoutState, Refused};
pub use definitions::Definitions;
pub(super) use definitions::labels;
use definitions::{EntityMap, LATEST_MS};
pub use error::DecodeError;
use error::{ensure, ensure_within};
use heapster_proto::v1::{self, frame::Kind, open::Purpose};
use heapster_shared::{Map, event::Event, row::Block, tick::Tick};

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
    entities: EntityMap,
    layouts: Map<u32, LayoutState>,
}

impl SegmentReader {
    /// A reader that expects an Open.
    #[must_use]
    pub fn new(limits: ReaderLimits) -> Self {
        Self {
            limits,
            frames: 0,
            opened: false,
            last_sequence: None,
            entities: EntityMap::default(),
            layouts: Map::default(),
        }
    }

    /// Reads the next frame, which has this many bytes when it is encoded.
    ///
    /// # Errors
    /// When the stream is no good from here on; says which frame, counted from 1, and why.
    pub fn read(&mut self, frame: v1::Frame, bytes: usize) -> Result<Content, DecodeError> {
        self.frames += 1;
        let sequence = frame.sequence;
        self.content(frame, bytes).map_err(|error| match sequence {
            0 => error.at(&format!("frame {}", self.frames)),
            _ => error.at(&format!("frame {} (sequence {sequence})", self.frames)),
        })
    }

    /// Takes the answer to [`Content::Define`].
    pub fn define(&mut self, definitions: Definitions, resolved: Resolved) {
        let (layouts, ended) = definitions.store(resolved, &mut self.entities);
        for wire in layouts {
            self.layouts.insert(wire.id, LayoutState::new(wire));
        }
        for id in &ended {
            self.entities.remove(id);
        }
        self.layouts.values_mut().for_each(|layout| layout.end_all(&ended));
    }

    fn content(&mut self, frame: v1::Frame, bytes: usize) -> Result<Content, DecodeError> {
        let max = self.limits.max_frame_bytes;
        ensure_within!(bytes <= max, "{bytes} bytes are more than max_frame_bytes ({max})");
        let Some(kind) = frame.kind else {
            ensure!(self.opened, "the first frame must be an Open");
            if frame.sequence != 0 {
                self.number(frame.sequence)?;
            }
            return Ok(Content::Unknown);
        };
        let numbered = !matches!(kind, Kind::Open(_) | Kind::Define(_));
        ensure!(self.opened || matches!(kind, Kind::Open(_)), "the first frame must be an Open");
        if numbered {
            self.number(frame.sequence)?;
        } else {
            ensure!(frame.sequence == 0, "Open and Define carry the sequence 0");
        }
        match kind {
            Kind::Open(open) => self.open(open).map(Content::Open),
            Kind::Define(define) => self.definitions(define).map(Content::Define),
            Kind::Batch(batch) => self.batch(&batch).map(Content::Rows),
            Kind::Events(events) => convert::events(events, &self.limits).map(Content::Events),
            Kind::RoundEnd(end) => tick(end.tick_unix_ms).map(Content::RoundEnd),
        }
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
        self.entities = EntityMap::default();
        self.layouts = Map::default();
        Ok(Opening {
            session_id: open.session_id,
            instance_id: open.instance_id,
            purpose,
            delivered_through: open.delivered_through,
        })
    }

    fn definitions(&self, define: v1::Define) -> Result<Definitions, DecodeError> {
        let max = self.limits.max_layouts;
        ensure_within!(self.layouts.len() + define.layouts.len() <= max, "more than {max} layouts");
        let has_layout = |id: u32| self.layouts.contains_key(&id);
        let definitions = Definitions::read(define, &self.entities, &has_layout, &self.limits)?;
        let known = |id: &u32| self.entities.contains_key(id);
        if let Some(id) = definitions.ended.iter().find(|id| !known(id)) {
            return Err(DecodeError::Malformed(format!("ended entity {id} is not defined before")));
        }
        Ok(definitions)
    }

    fn batch(&mut self, batch: &v1::Batch) -> Result<DecodedRows, DecodeError> {
        let tick = tick(batch.tick_unix_ms)?;
        let mut blocks = Vec::with_capacity(batch.blocks.len());
        let mut refused = Refused::default();
        let mut cells = 0_usize;
        let mut kept: usize = self.layouts.values().map(LayoutState::kept).sum();
        for (index, block) in batch.blocks.iter().enumerate() {
            let place = format!("block {index}");
            let Some(layout) = self.layouts.get_mut(&block.layout) else {
                let what =
                    format!("{place}: layout {} is not defined in this segment", block.layout);
                return Err(DecodeError::Malformed(what));
            };
            cells = cells.saturating_add(layout.size_of(block));
            let max = self.limits.max_cells;
            ensure_within!(cells <= max, "{place}: more than {max} values in one frame");
            let others = kept - layout.kept();
            let room = self.limits.max_kept.saturating_sub(others);
            let rows = layout
                .read(block, tick.0, &self.entities, &mut refused, room)
                .map_err(|error| error.at(&place))?;
            kept = others + layout.kept();
            if !rows.is_empty() {
                blocks.push(rows);
            }
        }
        refused.entities.sort_unstable();
        refused.entities.dedup();
        Ok(DecodedRows { tick, blocks, refused: refused.entities, reason: refused.reason })
    }
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
