//! A way in for fuzzing and benches: the batches of rows, without a broker, and what its answers mean.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::{
    encoder::{Encoder, Limits},
    messages,
    options::{Format, Options},
    records::Compression,
};

/// An encoder as the sink keeps one, for twelve partitions, without compression: takes rows, gives the
/// bytes of their batches.
pub fn encoder(protobuf: bool) -> impl FnMut(&RowBatch) -> usize {
    let format = if protobuf { Format::Protobuf } else { Format::Json };
    let options = Options { format, compression: Compression::None, ..Options::default() };
    let mut encoder = Encoder::new(&options, Arc::default());
    let limits = Limits { partitions: [12, 12], batch_bytes: options.body_bytes.bytes() };
    move |batch| {
        encoder.push_rows(batch, limits);
        encoder.finish().batches.iter().map(|one| one.batch.bytes.len()).sum()
    }
}

/// Reads an answer as each of those that there are: never panics, whatever the broker says.
pub fn read(answer: &[u8]) {
    let _ = messages::read_versions(answer);
    let _ = messages::read_metadata(answer);
    let _ = messages::read_created(answer);
    for version in [3, 7] {
        let _ = messages::read_produced(answer, version);
    }
}
