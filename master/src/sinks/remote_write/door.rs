//! A way in for benches: the requests of rows, without a receiver.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::{Version, encoder::Encoder, request::Writer};
use crate::sinks::LabelRules;

const BODY_BYTES: usize = 1 << 20;

/// An encoder as the sink keeps one, of version 1.0: takes rows, gives the bytes of their requests
/// before compression.
pub fn version_one() -> impl FnMut(&RowBatch) -> usize {
    encoder(Version::One)
}

/// The same for version 2.0.
pub fn version_two() -> impl FnMut(&RowBatch) -> usize {
    encoder(Version::Two)
}

fn encoder(version: Version) -> impl FnMut(&RowBatch) -> usize {
    let mut encoder = Encoder::new(Arc::new(LabelRules::default()), BODY_BYTES, true);
    move |batch| {
        let mut out = Writer::new(version, BODY_BYTES);
        encoder.batch(batch, &mut out);
        out.finish().iter().map(|request| request.head.len() + request.body.text.len()).sum()
    }
}
