//! A way in for benches: the events of rows, without a server.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::encoder::Encoder;

/// An encoder as the sink keeps one: takes rows, gives the bytes of their events.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let mut encoder = Encoder::new(Arc::default(), 1 << 20);
    move |batch| encoder.rows([batch]).0.iter().map(|body| body.text.len()).sum()
}
