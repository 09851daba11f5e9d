//! Answers the frames of a stream, each when it is known what became of it, and gives their credit
//! back.
//!
//! Neighbours with the same outcome are answered together; what is ready is sent as soon as nothing
//! else is. A frame that sinks hold for long waits apart (`parked`), without its credit. When the
//! buddy is gone there is nobody to answer; what becomes of the frames the ledger learns all the same.

mod parked;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
};

use futures::FutureExt;
use heapster_proto::v1::{Credit, Delivery, Receipt, delivery, receipt};
use parked::{Answered, Parked};
use tokio::sync::{mpsc, oneshot};
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
    /// It was routed to some sinks.
    Routed { outcome: oneshot::Receiver<Outcome>, ledger: Arc<Ledger>, record: Arc<BuddyRecord> },
    /// It came before, and every sink has it or holds it.
    Known { ledger: Arc<Ledger>, record: Arc<BuddyRecord> },
}

impl Entry {
    /// A frame with a number.
    pub(super) const fn new(sequence: u64, bytes: usize, fate: Fate) -> Self {
        Self { sequence, bytes, fate, refused: Vec::new(), reason: "" }
    }

    /// A frame that needs no answer.
    pub(super) const fn uncounted(bytes: usize) -> Self {
        Self::new(0, bytes, Fate::Free)
    }

    /// Waits until it is known what became of the frame, notes it, and makes the answer.
    async fn settled(self) -> Option<Delivery> {
        let sequence = self.sequence;
        let (outcome, ledger, record) = match self.fate {
            Fate::Free => return None,
            Fate::Known { ledger, record } => (Outcome::Delivered, ledger, record),
            Fate::Routed { outcome, ledger, record } => {
                let outcome = tokio::select! {
                    biased;
                    outcome = outcome => outcome.unwrap_or_else(|_| retry("it was not taken")),
                    () = ledger.relieved(sequence) => Outcome::Delivered,
                };
                (outcome, ledger, record)
            }
        };
        // Other sinks may hold it since it came before.
        let outcome = match outcome {
            // What a sink gave back that is one no more, nobody lacks.
            Outcome::Retry { .. } if !ledger.is_delivered(sequence) => outcome,
            Outcome::Retry { .. } => Outcome::Delivered,
            _ if ledger.outcome(sequence).await => outcome,
            _ => retry("a sink that held it could not write it"),
        };
        note(&record, sequence, &outcome, &self.refused, self.reason);
        Some(answer(sequence, outcome, self.refused, self.reason))
    }
}

fn retry(reason: &str) -> Outcome {
    Outcome::Retry { reason: reason.to_owned() }
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
    parked: Parked,
    delivery: Option<Delivery>,
    freed: usize,
}

/// What happens next.
enum Step {
    Came(Entry),
    NoMoreCome,
    Answered(Answered),
    CreditDue,
    Gone,
}

impl Receipts {
    pub(super) fn new(outbox: Outbox, credit: Arc<CreditLine>, closing: CancellationToken) -> Self {
        let parked = Parked::default();
        Self { outbox, credit, closing, deaf: false, parked, delivery: None, freed: 0 }
    }

    /// Answers until the queue ends and all is answered, or nobody is there to be answered.
    pub(super) async fn run(mut self, queue: mpsc::Receiver<Entry>) {
        self.send(receipt::Kind::Credit(Credit { bytes: self.credit.granted() })).await;
        let mut queue = Some(queue);
        while !self.deaf && (queue.is_some() || !self.parked.is_empty()) {
            let ready = self.step(&mut queue).now_or_never();
            let step = match ready {
                Some(step) => step,
                None => {
                    self.flush().await;
                    self.step(&mut queue).await
                }
            };
            match step {
                Step::Came(entry) => self.take(entry).await,
                Step::NoMoreCome => queue = None,
                Step::Answered(answered) => {
                    self.freed += answered.bytes;
                    self.say(answered.delivery).await;
                }
                Step::CreditDue => self.freed += self.parked.take_credit_due(),
                Step::Gone => return,
            }
        }
        self.flush().await;
    }

    /// Waits for what happens next; may be called off at any time.
    async fn step(&mut self, queue: &mut Option<mpsc::Receiver<Entry>>) -> Step {
        let credit_due = self.parked.credit_due();
        let came = async {
            match queue {
                Some(queue) => queue.recv().await.map_or(Step::NoMoreCome, Step::Came),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.outbox.closed() => Step::Gone,
            () = self.closing.cancelled() => Step::Gone,
            answered = self.parked.next() => Step::Answered(answered),
            came = came => came,
            () = credit_due => Step::CreditDue,
        }
    }

    async fn take(&mut self, entry: Entry) {
        let (sequence, bytes) = (entry.sequence, entry.bytes);
        let mut settled = entry.settled().boxed();
        match futures::poll!(settled.as_mut()) {
            Poll::Ready(delivery) => {
                self.freed += bytes;
                self.say(delivery).await;
            }
            Poll::Pending => self.parked.add(sequence, bytes, settled),
        }
    }

    async fn say(&mut self, delivery: Option<Delivery>) {
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
