//! Answers the frames of a stream, in order, and gives their credit back.
//!
//! Neighbours with the same outcome are answered together; what is ready is sent as soon as the
//! next frame is not. When the buddy is gone the task goes on until the last outcome is in the
//! ledger, so that what was delivered is not routed again when the buddy comes back.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
};

use heapster_proto::v1::{Credit, Delivery, Receipt, delivery, receipt};
use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    oneshot,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::warn;

use super::{Outbox, credit::CreditLine};
use crate::{
    actors::{buddy::BuddyRecord, ledger::Ledger},
    delivery::Outcome,
};

/// When a buddy may send a frame again that a sink could not take.
const RETRY_AFTER_MS: u32 = 5000;
/// Entities named in one receipt; the rest is counted only.
const MAX_REFUSED: usize = 1000;

/// A frame that waits for its answer.
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) bytes: usize,
    pub(super) fate: Fate,
    /// Entities whose rows were refused.
    pub(super) refused: Vec<u32>,
    /// Why.
    pub(super) reason: &'static str,
}

/// What becomes of a frame.
pub(super) enum Fate {
    /// It needs no answer.
    Free,
    /// It was routed.
    New { outcome: oneshot::Receiver<Outcome>, ledger: Arc<Ledger>, record: Arc<BuddyRecord> },
    /// It came before, and was routed then.
    Known { ledger: Arc<Ledger> },
}

impl Entry {
    /// A frame that needs no answer.
    pub(super) const fn uncounted(bytes: usize) -> Self {
        Self { sequence: 0, bytes, fate: Fate::Free, refused: Vec::new(), reason: "" }
    }

    /// Waits until it is known what became of the frame, notes it, and makes the answer.
    async fn settled(self) -> Option<Delivery> {
        let sequence = self.sequence;
        let outcome = match self.fate {
            Fate::Free => return None,
            Fate::Known { ledger } if ledger.outcome(sequence).await => Outcome::Delivered,
            Fate::Known { .. } => retry(),
            Fate::New { outcome, ledger, record } => {
                let outcome = outcome.await.unwrap_or_else(|_| retry());
                ledger.settle(sequence, !matches!(outcome, Outcome::Retry { .. }));
                note(&record, sequence, &outcome, &self.refused, self.reason);
                outcome
            }
        };
        Some(answer(sequence, outcome, self.refused, self.reason))
    }
}

fn retry() -> Outcome {
    Outcome::Retry { reason: "the frame was not taken".to_owned() }
}

fn note(record: &BuddyRecord, sequence: u64, outcome: &Outcome, refused: &[u32], reason: &str) {
    match outcome {
        Outcome::Delivered => {
            record.delivered_sequence.fetch_max(sequence, Relaxed);
            if !refused.is_empty() {
                record.failed(&format!(
                    "{} rows of frame {sequence} refused: {reason}",
                    refused.len()
                ));
            }
        }
        Outcome::Retry { reason } => {
            record.retried_frames.fetch_add(1, Relaxed);
            record.failed(reason);
        }
        Outcome::Rejected { reason } => {
            record.rejected_frames.fetch_add(1, Relaxed);
            record.failed(reason);
            warn!(buddy = record.identity.buddy_id, sequence, reason, "a frame was rejected");
        }
    }
}

fn answer(sequence: u64, outcome: Outcome, mut refused: Vec<u32>, why_refused: &str) -> Delivery {
    let (outcome, message, retry_after_ms) = match outcome {
        Outcome::Delivered if refused.is_empty() => {
            (delivery::Outcome::Delivered, String::new(), 0)
        }
        Outcome::Delivered => (delivery::Outcome::Delivered, why_refused.to_owned(), 0),
        Outcome::Retry { reason } => (delivery::Outcome::Retry, reason, RETRY_AFTER_MS),
        Outcome::Rejected { reason } => (delivery::Outcome::Rejected, reason, 0),
    };
    if outcome == delivery::Outcome::Delivered {
        refused.truncate(MAX_REFUSED);
    } else {
        refused.clear();
    }
    Delivery {
        first_sequence: sequence,
        last_sequence: sequence,
        outcome: outcome.into(),
        message,
        retry_after_ms,
        rejected_entities: refused,
    }
}

/// The task that answers.
pub(super) struct Receipts {
    outbox: Outbox,
    credit: Arc<CreditLine>,
    closing: CancellationToken,
    /// The buddy is gone, or does not read.
    deaf: bool,
    delivery: Option<Delivery>,
    freed: usize,
}

impl Receipts {
    pub(super) const fn new(
        outbox: Outbox,
        credit: Arc<CreditLine>,
        closing: CancellationToken,
    ) -> Self {
        Self { outbox, credit, closing, deaf: false, delivery: None, freed: 0 }
    }

    /// Answers until the queue ends.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Entry>) {
        self.send(receipt::Kind::Credit(Credit { bytes: self.credit.granted() })).await;
        loop {
            let entry = match queue.try_recv() {
                Ok(entry) => entry,
                Err(TryRecvError::Empty) => {
                    self.flush().await;
                    let Some(entry) = queue.recv().await else { return };
                    entry
                }
                Err(TryRecvError::Disconnected) => return self.flush().await,
            };
            self.take(entry).await;
        }
    }

    async fn take(&mut self, entry: Entry) {
        let bytes = entry.bytes;
        let mut settled = pin!(entry.settled());
        let delivery = match futures::poll!(settled.as_mut()) {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => {
                self.flush().await;
                settled.await
            }
        };
        self.freed += bytes;
        let Some(delivery) = delivery else { return };
        match &mut self.delivery {
            Some(open) if goes_on(open, &delivery) => open.last_sequence = delivery.last_sequence,
            _ => {
                self.send_delivery().await;
                self.delivery = Some(delivery);
            }
        }
    }

    async fn flush(&mut self) {
        self.send_delivery().await;
        let freed = std::mem::take(&mut self.freed);
        if freed > 0 {
            // Before the buddy learns of it, so that it never has more than is known here.
            self.credit.give(freed);
            let bytes = u64::try_from(freed).unwrap_or(u64::MAX);
            self.send(receipt::Kind::Credit(Credit { bytes })).await;
        }
    }

    async fn send_delivery(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            self.send(receipt::Kind::Delivery(delivery)).await;
        }
    }

    async fn send(&mut self, kind: receipt::Kind) {
        if self.deaf {
            return;
        }
        let receipt: Result<Receipt, Status> = Ok(Receipt { kind: Some(kind) });
        self.deaf = tokio::select! {
            sent = self.outbox.send(receipt) => sent.is_err(),
            () = self.closing.cancelled() => true,
        };
    }
}

/// Whether the second is the first one's neighbour, with the same to say.
fn goes_on(first: &Delivery, second: &Delivery) -> bool {
    first.last_sequence.checked_add(1) == Some(second.first_sequence)
        && first.outcome == second.outcome
        && first.message == second.message
        && first.rejected_entities.is_empty()
        && second.rejected_entities.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, ledger: &Arc<Ledger>) -> Entry {
        Entry {
            sequence,
            bytes: 10,
            fate: Fate::Known { ledger: Arc::clone(ledger) },
            refused: Vec::new(),
            reason: "",
        }
    }

    /// Runs of one outcome become one receipt, in order, and all credit comes back at the end.
    #[tokio::test]
    async fn neighbours_are_answered_together() {
        let ledger = Arc::new(Ledger::default());
        for sequence in [1, 2, 3, 5] {
            ledger.admit(sequence);
            ledger.settle(sequence, true);
        }
        let (outbox, mut sent) = mpsc::channel(64);
        let (entries, queue) = mpsc::channel(64);
        let credit = Arc::new(CreditLine::new(1000));
        assert!(credit.take(60));
        for sequence in 1..=5 {
            entries.try_send(entry(sequence, &ledger)).ok().unwrap();
        }
        entries.try_send(Entry::uncounted(10)).ok().unwrap();
        drop(entries);
        Receipts::new(outbox, Arc::clone(&credit), CancellationToken::new()).run(queue).await;
        let mut said = Vec::new();
        while let Some(Ok(Receipt { kind: Some(kind) })) = sent.recv().await {
            said.push(match kind {
                receipt::Kind::Credit(credit) => format!("credit {}", credit.bytes),
                receipt::Kind::Delivery(delivery) => format!(
                    "{}-{} {:?}",
                    delivery.first_sequence,
                    delivery.last_sequence,
                    delivery.outcome()
                ),
            });
        }
        assert_eq!(
            said,
            ["credit 1000", "1-3 Delivered", "4-4 Retry", "5-5 Delivered", "credit 60"]
        );
        assert!(credit.take(1000));
    }
}
