//! A way in for fuzzing and benches: the frames of rows, without a server, and what its lines mean.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::{answer, encoder::Encoder, options::Options};

/// An encoder as the sink keeps one: takes rows, gives the bytes of their frames.
pub fn encoder() -> impl FnMut(&RowBatch) -> usize {
    let mut encoder = Encoder::new(&Options::default(), Arc::default());
    move |batch| {
        encoder.begin("_INBOX.0123456789abcdef0123456789abcdef", 1 << 20);
        encoder.push_rows(batch);
        encoder.finish().text.len()
    }
}

/// Reads a line, and an answer: never panics, whatever the server says.
#[must_use]
pub fn read(line: &str, head: &[u8], body: &[u8]) -> String {
    format!("{:?} {:?}", answer::line(line), answer::ack(head, body, "NATS at h"))
}
