//! Work that takes long, where it holds up nobody.

use std::sync::Arc;

use heapster_shared::row::RowBatch;

use super::SinkError;
use crate::delivery::{EventBatch, Payload};

/// Does this on a thread of its own.
///
/// # Errors
/// When it panicked.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| SinkError::Permanent {
        message: format!("encoding failed, which is a fault of this program: {error}"),
    })
}

/// The rows among payloads.
pub(super) fn rows(payloads: &[Payload]) -> Vec<Arc<RowBatch>> {
    let rows = payloads.iter().filter_map(|payload| match payload {
        Payload::Rows(batch) => Some(Arc::clone(batch)),
        Payload::Events(_) | Payload::RoundEnd { .. } => None,
    });
    rows.collect()
}

/// The events among payloads.
pub(super) fn events(payloads: &[Payload]) -> Vec<Arc<EventBatch>> {
    let events = payloads.iter().filter_map(|payload| match payload {
        Payload::Events(batch) => Some(Arc::clone(batch)),
        Payload::Rows(_) | Payload::RoundEnd { .. } => None,
    });
    events.collect()
}
