//! A way in for benches and fuzzing: the requests of rows, without a receiver, and what its answers
//! mean.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::{answer, encoder::Encoder};
use crate::sinks::LabelRules;

/// An encoder as the sink keeps one: takes rows, gives the bytes of their requests before
/// compression.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let mut encoder = Encoder::new(Arc::new(LabelRules::default()), 2 << 20);
    move |batch| encoder.encode([batch]).iter().map(|body| body.text.len()).sum()
}

/// What the message says that comes with success.
#[must_use]
pub fn success(body: &[u8]) -> String {
    format!("{:?}", answer::success(body))
}
