//! What becomes of a window that has closed.

use std::{cmp::Reverse, sync::Arc};

use heapster_shared::{row::RowBatch, tick::Tick};

use super::Window;

/// Values of one batch: what a window makes may be far more than one write should carry.
const BATCH_CELLS: usize = 10_000;

/// The rows of a window, and the tickets of those that they were made of.
#[derive(Debug)]
pub struct Closed<T> {
    /// The rows, in batches of limited size.
    pub batches: Vec<RowBatch>,
    /// To be settled in this order when all of them are written: newest tick first.
    pub tickets: Vec<T>,
    /// Samples that the rows were made of.
    pub samples: u64,
    /// The cluster.
    pub cluster: Arc<str>,
    /// Whether it is of the past.
    pub late: bool,
    /// Whether it had to go before its time, for want of room.
    pub early: bool,
}

impl<T> Window<T> {
    pub(super) fn closed(mut self) -> Closed<T> {
        let mut batches: Vec<RowBatch> = Vec::new();
        let mut cells = BATCH_CELLS;
        for block in self.groups.blocks(BATCH_CELLS) {
            if cells >= BATCH_CELLS {
                let (cluster, tick) = (Arc::clone(&self.cluster), Tick(self.newest_tick));
                batches.push(RowBatch { cluster, tick, blocks: Vec::new() });
                cells = 0;
            }
            cells += block.len() * block.layout().fields().len();
            if let Some(batch) = batches.last_mut() {
                batch.blocks.push(block);
            }
        }
        // Of the same tick the last that came first, too.
        self.tickets.reverse();
        self.tickets.sort_by_key(|(tick, _)| Reverse(*tick));
        let tickets = self.tickets.into_iter().map(|(_, ticket)| ticket).collect();
        let Self { samples, cluster, late, .. } = self;
        Closed { batches, tickets, samples, cluster, late, early: false }
    }
}
