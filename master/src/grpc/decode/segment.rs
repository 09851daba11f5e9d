//! What a segment has defined so far, and the newest rows in it.

use heapster_proto::v1;
use heapster_shared::{Map, row::Block};

use super::{
    ReaderLimits,
    blocks::{LayoutState, Reading, Refused, Scratch},
    definitions::Definitions,
    error::{DecodeError, ensure_within},
    members::Members,
    wire::{BlockView, ColumnView},
};
use crate::actors::cluster::Resolved;

/// The entities and layouts of a segment.
#[derive(Default)]
pub(super) struct Segment {
    members: Members,
    layouts: Map<u32, LayoutState>,
    /// Cells that all layouts keep.
    kept: usize,
    scratch: Scratch,
}

/// What an entity takes beside its newest row, in memory, at the most.
const MEMBER_BYTES: usize = 64;
/// What an integer of a newest row takes, at the most.
const KEPT_BYTES: usize = 9;

/// What the blocks of a batch are read with, and what they gave beside their rows.
pub(super) struct BatchReading<'a> {
    pub(super) tick_ms: i64,
    pub(super) limits: &'a ReaderLimits,
    pub(super) refused: Refused,
    /// Cells so far.
    pub(super) cells: usize,
}

impl Segment {
    /// The memory that it takes, at the most; entities are shared, and not counted here.
    pub(super) fn size_bytes(&self) -> usize {
        let members = self.members.len().saturating_mul(MEMBER_BYTES);
        members.saturating_add(self.kept.saturating_mul(KEPT_BYTES))
    }

    /// Checks definitions against those before.
    pub(super) fn check(
        &self,
        define: v1::Define,
        limits: &ReaderLimits,
    ) -> Result<Definitions, DecodeError> {
        let max = limits.max_layouts;
        ensure_within!(self.layouts.len() + define.layouts.len() <= max, "more than {max} layouts");
        let has_layout = |id: u32| self.layouts.contains_key(&id);
        let definitions = Definitions::read(define, &self.members, &has_layout, limits)?;
        if let Some(id) = definitions.ended.iter().find(|id| !self.members.contains(**id)) {
            return Err(DecodeError::Malformed(format!("ended entity {id} is not defined before")));
        }
        Ok(definitions)
    }

    /// Takes definitions that the cluster has resolved.
    pub(super) fn define(&mut self, definitions: Definitions, resolved: Resolved) {
        let (layouts, ended) = definitions.store(resolved, &mut self.members);
        for wire in layouts {
            self.layouts.insert(wire.id, LayoutState::new(wire));
        }
        if ended.is_empty() {
            return;
        }
        for home in ended.iter().filter_map(|id| self.members.remove(*id)) {
            if let Some(layout) = self.layouts.get_mut(&home.layout) {
                layout.end(home);
            }
        }
        self.layouts.values_mut().for_each(|layout| layout.end_away(&ended));
    }

    /// Reads a block; its columns lie in `columns`.
    pub(super) fn block(
        &mut self,
        block: &BlockView<'_>,
        columns: &[ColumnView<'_>],
        batch: &mut BatchReading<'_>,
    ) -> Result<Block, DecodeError> {
        let Some(layout) = self.layouts.get_mut(&block.layout) else {
            let what = format!("layout {} is not defined in this segment", block.layout);
            return Err(DecodeError::Malformed(what));
        };
        let rows = block.entities.len();
        batch.cells = batch.cells.saturating_add(layout.size_of(rows));
        let max = batch.limits.max_cells;
        ensure_within!(batch.cells <= max, "more than {max} values in one frame");
        let others = self.kept - layout.kept();
        let mut reading = Reading {
            tick_ms: batch.tick_ms,
            members: &mut self.members,
            refused: &mut batch.refused,
            scratch: &mut self.scratch,
            max_kept: batch.limits.max_kept.saturating_sub(others),
        };
        let read = layout.read(block, columns, rows, &mut reading)?;
        self.kept = others + layout.kept();
        self.note_moves();
        Ok(read)
    }

    /// The layouts that entities have left keep their rows there.
    fn note_moves(&mut self) {
        for (id, left) in self.scratch.moved.drain(..) {
            if let Some(layout) = self.layouts.get_mut(&left.layout) {
                layout.leave(id, left);
            }
        }
    }
}
