//! Tests of what a stream is answered, and when its credit comes back.

use std::time::Duration;

use super::*;
use crate::{
    actors::{buddy::Identity, ledger::Admitted, lineup::Lineups},
    delivery::Ticket,
};

/// Longer than a frame keeps its credit.
const LONG: Duration = Duration::from_secs(60);

fn record() -> Arc<BuddyRecord> {
    let identity = Identity {
        buddy_id: "b".into(),
        instance_id: "i".into(),
        cluster: "lab".into(),
        manager: String::new(),
        roles: Vec::new(),
        software: String::new(),
        standby: false,
        assignment_version: None,
        peer: String::new(),
        credential: String::new(),
    };
    Arc::new(BuddyRecord::new(identity, Arc::default(), 0))
}

/// The task with a buddy that reads, and frames of ten bytes.
struct Bench {
    ledger: Arc<Ledger>,
    record: Arc<BuddyRecord>,
    credit: Arc<CreditLine>,
    entries: mpsc::Sender<Entry>,
    sent: mpsc::Receiver<Result<Receipt, Status>>,
}

impl Bench {
    fn start(credit: u64, frames: usize) -> Self {
        let (outbox, sent) = mpsc::channel(2048);
        let (entries, queue) = mpsc::channel(frames);
        let credit = Arc::new(CreditLine::new(credit));
        let receipts = Receipts::new(outbox, Arc::clone(&credit), CancellationToken::new());
        tokio::spawn(receipts.run(queue));
        let ledger = Arc::new(Ledger::new(Lineups::requiring(0).view()));
        Self { ledger, record: record(), credit, entries, sent }
    }

    /// A frame that came before, whatever became of it.
    async fn known(&self, sequence: u64) {
        assert!(self.credit.take(10));
        let (ledger, record) = (Arc::clone(&self.ledger), Arc::clone(&self.record));
        let entry = Entry::new(sequence, 10, Fate::Known { ledger, record });
        self.entries.send(entry).await.ok().unwrap();
    }

    /// A frame that a sink gets; with the sink's ticket.
    async fn routed(&self, sequence: u64) -> Ticket {
        assert!(self.credit.take(10));
        let admitted = self.ledger.admit(sequence).expect("it came before");
        let Admitted { ticket, outcome, .. } = admitted;
        let (ledger, record) = (Arc::clone(&self.ledger), Arc::clone(&self.record));
        let entry = Entry::new(sequence, 10, Fate::Routed { outcome, ledger, record });
        self.entries.send(entry).await.ok().unwrap();
        ticket
    }

    fn is_delivered(&self, sequence: u64) {
        self.ledger.admit(sequence).unwrap().ticket.settle(Outcome::Delivered);
    }

    /// The next receipt, in words.
    async fn said(&mut self) -> String {
        let receipt = tokio::time::timeout(LONG, self.sent.recv()).await.expect("nothing is said");
        match receipt.unwrap().unwrap().kind.unwrap() {
            receipt::Kind::Credit(credit) => format!("credit {}", credit.bytes),
            receipt::Kind::Delivery(delivery) => format!(
                "{}-{} {:?}",
                delivery.first_sequence,
                delivery.last_sequence,
                delivery.outcome()
            ),
        }
    }
}

/// Runs of one outcome become one receipt, and all credit comes back at the end.
#[tokio::test(start_paused = true)]
async fn neighbours_are_answered_together() {
    let mut bench = Bench::start(1000, 64);
    for sequence in [1, 2, 3, 5] {
        bench.is_delivered(sequence);
    }
    for sequence in 1..=5 {
        bench.known(sequence).await;
    }
    assert_eq!(bench.said().await, "credit 1000");
    assert_eq!(bench.said().await, "1-3 Delivered");
    assert_eq!(bench.said().await, "4-4 Retry");
    assert_eq!(bench.said().await, "5-5 Delivered");
    assert_eq!(bench.said().await, "credit 50");
    assert!(bench.credit.take(1000));
}

/// A sink that hangs holds up neither the answers to other frames nor, for long, the credit: the
/// buddy can send what the other sinks want. The answer comes when the sink has spoken.
#[tokio::test(start_paused = true)]
async fn a_frame_that_is_held_holds_up_nothing() {
    let mut bench = Bench::start(20, 64);
    assert_eq!(bench.said().await, "credit 20");
    let held = bench.routed(1).await;
    bench.routed(2).await.settle(Outcome::Delivered);
    assert_eq!(bench.said().await, "2-2 Delivered");
    assert_eq!(bench.said().await, "credit 10");
    assert!(!bench.credit.take(20), "the credit of the first is in use");
    assert_eq!(bench.said().await, "credit 10", "after a while it is not");
    assert!(bench.credit.take(20));
    held.settle(Outcome::Delivered);
    assert_eq!(bench.said().await, "1-1 Delivered");
    assert!(!bench.credit.take(1), "it did not come back twice");
}

/// What a sink holds for ever takes a bounded place in memory: the oldest is to be sent again, and
/// is answered when it comes, since the sink has it by then.
#[tokio::test(start_paused = true)]
async fn the_number_of_frames_that_wait_is_bounded() {
    let mut bench = Bench::start(1 << 20, 64);
    assert_eq!(bench.said().await, "credit 1048576");
    let mut held = Vec::new();
    for sequence in 1..=parked::MOST as u64 + 2 {
        held.push(bench.routed(sequence).await);
    }
    let mut retries = Vec::new();
    while retries.last().is_none_or(|last| last != "2-2 Retry" && last != "1-2 Retry") {
        let said = bench.said().await;
        retries.extend(Some(said).filter(|said| !said.starts_with("credit")));
    }
    bench.known(1).await;
    held.remove(0).settle(Outcome::Delivered);
    while bench.said().await != "1-1 Delivered" {}
}
