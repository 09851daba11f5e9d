//! The blocks that one poll fills, one a layout.

use std::sync::Arc;

use heapster_shared::{
    row::{Block, Cell, RowHead},
    schema::{Field, Layout, LayoutCache},
};

/// Collects rows by layout.
pub(super) struct Blocks<'a> {
    layouts: &'a mut LayoutCache,
    blocks: Vec<Block>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(layouts: &'a mut LayoutCache) -> Self {
        Self { layouts, blocks: Vec::new() }
    }

    pub(super) fn layouts(&mut self) -> &mut LayoutCache {
        self.layouts
    }

    /// The layout of these fields; `last` where it still fits.
    pub(super) fn layout(&mut self, last: Option<&Arc<Layout>>, fields: &[Field]) -> Arc<Layout> {
        layout_of(self.layouts, last, fields)
    }

    pub(super) fn push(
        &mut self,
        layout: Arc<Layout>,
        head: RowHead,
        cells: &[Cell],
        increases: &[Cell],
    ) {
        let found = self.blocks.iter().position(|block| Arc::ptr_eq(block.layout(), &layout));
        let place = found.unwrap_or_else(|| {
            self.blocks.push(Block::new(layout));
            self.blocks.len() - 1
        });
        self.blocks[place].push(head, cells, increases);
    }

    pub(super) fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }
}

/// The layout of these fields. An entity mostly has the fields that it had before, and to compare
/// them is cheaper than to hash them.
pub(super) fn layout_of(
    layouts: &mut LayoutCache,
    last: Option<&Arc<Layout>>,
    fields: &[Field],
) -> Arc<Layout> {
    match last {
        Some(layout) if layout.measured() == fields => Arc::clone(layout),
        _ => layouts.layout(fields),
    }
}
