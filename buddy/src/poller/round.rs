//! One round: all hosts for one tick, and what became of them.

use std::time::Instant;

use heapster_shared::{row::RowBatch, tick::Tick};

use super::{ask::Failure, elapsed_ms};

/// All hosts have answered for the tick, or have run out of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoundEnd {
    /// The tick.
    pub tick: Tick,
    /// Hosts that answered.
    pub ok: u32,
    /// Hosts that said no, or could not be reached.
    pub failed: u32,
    /// Hosts that did not answer in time.
    pub late: u32,
}

/// A round under way.
pub(super) struct Round {
    pub(super) tick: Tick,
    pub(super) outstanding: usize,
    pub(super) late: u32,
    hosts: usize,
    ok: u32,
    failed: u32,
    rows: usize,
    samples: usize,
    started: Instant,
}

impl Round {
    pub(super) fn new(tick: Tick, hosts: usize) -> Self {
        Self {
            tick,
            outstanding: 0,
            late: 0,
            hosts,
            ok: 0,
            failed: 0,
            rows: 0,
            samples: 0,
            started: Instant::now(),
        }
    }

    pub(super) fn count_rows(&mut self, batch: &RowBatch) {
        self.ok += 1;
        self.rows += batch.row_count();
        self.samples += batch.sample_count();
    }

    pub(super) fn count_failure(&mut self, failure: &Failure) {
        if failure.late {
            self.late += 1;
        } else {
            self.failed += 1;
        }
    }

    /// One host less to wait for; whether it was the last.
    pub(super) fn answered(&mut self) -> bool {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.outstanding == 0
    }

    pub(super) fn end(&self) -> RoundEnd {
        RoundEnd { tick: self.tick, ok: self.ok, failed: self.failed, late: self.late }
    }

    pub(super) fn log(&self) {
        tracing::info!(
            hosts = self.hosts,
            failed = self.failed,
            late = self.late,
            rows = self.rows,
            samples = self.samples,
            took_ms = elapsed_ms(self.started),
            "round complete"
        );
    }
}
