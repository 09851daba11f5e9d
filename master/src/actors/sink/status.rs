//! What a sink's actor says of itself.

use heapster_shared::tick;

use super::{SinkActor, queue::Entry};
use crate::status::SinkStatus;

impl SinkActor {
    fn state(&self) -> &'static str {
        if self.draining.is_some() {
            "draining"
        } else if self.backoff.failures() > 0 {
            "retrying"
        } else if self.refused {
            "failing"
        } else if self.ledger().written_unix_ms == 0 {
            "starting"
        } else {
            "ok"
        }
    }

    pub(super) fn status(&self) -> SinkStatus {
        let oldest = self.attempts.values().flatten().chain(self.queue.fronts());
        let oldest_unix_ms = oldest.map(Entry::unix_ms).min().unwrap_or_default();
        let state = self.state().to_owned();
        let ledger = self.ledger();
        SinkStatus {
            name: self.configured.name.clone(),
            kind: self.configured.kind.clone(),
            required: self.configured.options.required,
            state,
            accepted: ledger.accepted,
            accepted_rows: ledger.accepted_rows,
            filtered: ledger.filtered,
            held: self.intake.held_samples(),
            merged: ledger.merged,
            delivered: ledger.delivered,
            rejected: ledger.rejected,
            dropped: ledger.dropped.total(),
            dropped_by_reason: ledger.dropped,
            given_back: ledger.given_back,
            retries: ledger.retries,
            queue_bytes: self.queue.bytes() as u64,
            queue_limit_bytes: self.configured.options.queue_bytes.0,
            oldest_unix_ms,
            lag_ms: match oldest_unix_ms {
                0 => 0,
                oldest => tick::unix_ms().saturating_sub(oldest).max(0),
            },
            written_unix_ms: ledger.written_unix_ms,
            last_error: ledger.last_error.clone(),
            last_error_unix_ms: ledger.last_error_unix_ms,
        }
    }
}
