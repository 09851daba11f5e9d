//! What the master says of frames.

use std::{ops::RangeInclusive, time::Duration};

use heapster_proto::v1::{Delivery, delivery::Outcome, open::Purpose};
use tokio::time::Instant;

use super::{State, reader::Reader};
use crate::spool::{Fate, SegmentId};

impl State {
    pub(super) fn settle(&mut self, purpose: Purpose, delivery: &Delivery) {
        let (scope, last_sent) = match purpose {
            Purpose::Backfill => (self.backfill.as_ref().map(Reader::segment), u64::MAX),
            // An answer to what was not sent yet must not let go of it.
            _ => (None, self.sent_live),
        };
        let sequences = delivery.first_sequence..=delivery.last_sequence.min(last_sent);
        if sequences.is_empty() || purpose == Purpose::Backfill && scope.is_none() {
            return;
        }
        match delivery.outcome() {
            Outcome::Delivered => {
                self.put_off.reset();
                if !delivery.rejected_entities.is_empty() {
                    let rows = delivery.rejected_entities.len();
                    tracing::warn!(rows, reason = delivery.message, "the master refused rows");
                }
                self.spool.settle(scope, sequences, Fate::Settled);
            }
            Outcome::Rejected => {
                let frames = sequences.end().saturating_sub(*sequences.start()).saturating_add(1);
                self.rejected_frames = self.rejected_frames.saturating_add(frames);
                tracing::warn!(frames, reason = delivery.message, "the master refused frames");
                self.spool.settle(scope, sequences, Fate::Settled);
            }
            Outcome::Retry | Outcome::Unspecified => {
                let asked = Duration::from_millis(u64::from(delivery.retry_after_ms));
                self.retry(scope, sequences, asked);
            }
        }
    }

    fn retry(&mut self, scope: Option<SegmentId>, sequences: RangeInclusive<u64>, asked: Duration) {
        let put_off = &mut self.put_off;
        let until = || Instant::now() + asked.max(put_off.next_wait());
        self.spool.put_off(scope, &sequences, until);
        self.spool.settle(scope, sequences, Fate::Retry);
    }
}
