//! The blocks that one poll fills, one a layout.

use std::sync::Arc;

use heapster_shared::{
    row::{Block, Cell, RowHead},
    schema::Layout,
};

/// Collects rows by layout.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    /// How many rows each block of the poll before had: mostly so many it has again.
    expected: Vec<u32>,
}

impl Blocks {
    pub(super) fn push(
        &mut self,
        layout: &Arc<Layout>,
        head: RowHead,
        cells: &[Cell],
        increases: &[Cell],
    ) {
        if self.blocks.is_empty() {
            self.blocks.reserve_exact(self.expected.len());
        }
        let found = self.blocks.iter().position(|block| Arc::ptr_eq(block.layout(), layout));
        let place = found.unwrap_or_else(|| {
            let rows = self.expected.get(self.blocks.len()).map_or(0, |rows| *rows as usize);
            self.blocks.push(Block::with_capacity(Arc::clone(layout), rows));
            self.blocks.len() - 1
        });
        self.blocks[place].push(head, cells, increases);
    }

    /// The blocks of this poll, and makes ready for the next.
    pub(super) fn take(&mut self) -> Vec<Block> {
        self.expected.clear();
        self.expected.extend(self.blocks.iter().map(|block| block.len() as u32));
        std::mem::take(&mut self.blocks)
    }
}
