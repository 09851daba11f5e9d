//! A way in for fuzzing and benches: the events of rows, without a server, and what its answers mean.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::{answer, encoder::Encoder};

/// An encoder as the sink keeps one: takes rows, gives the bytes of their events.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let mut encoder = Encoder::new(Arc::default(), 1 << 20);
    move |batch| encoder.rows([batch]).0.iter().map(|body| body.text.len()).sum()
}

/// How many events an answer speaks of.
#[must_use]
pub fn answered(body: &[u8]) -> usize {
    answer::items(body).len()
}
