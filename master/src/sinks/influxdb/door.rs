//! A way in for fuzzing: the lines of rows, without a database, and what its answers mean.

use heapster_shared::row::RowBatch;
use reqwest::{StatusCode, header};

use super::{answer::Answer, encoder::Encoder, plan::Schema};

/// Bytes after which a body is full.
const BODY_BYTES: usize = 64 << 10;

/// The bodies that the rows become, with or without fields.
#[must_use]
pub fn lines(batch: &RowBatch, with_fields: bool) -> Vec<Vec<u8>> {
    let schema = Schema { with_fields, without_counters: false };
    let encoded = Encoder::new(schema, None, BODY_BYTES).encode([batch]);
    encoded.bodies.into_iter().map(|body| body.text).collect()
}

/// What an answer says.
#[must_use]
pub fn says(status: u16, retry_after: &[u8], body: &[u8]) -> Option<String> {
    let mut headers = header::HeaderMap::new();
    headers.insert(header::RETRY_AFTER, header::HeaderValue::from_bytes(retry_after).ok()?);
    let status = StatusCode::from_u16(status).ok()?;
    Some(Answer::new(status, &headers, body, jiff::Timestamp::UNIX_EPOCH).says)
}
