//! Tests of the journal: what each stream is given, and when.

mod counters;
mod on_disk;

use std::{sync::Arc, time::Duration};

use heapster_proto::v1::{Delivery, Frame, delivery::Outcome, frame::Kind, open::Purpose};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tick::Tick,
};
use prost::Message;

use super::{Cut, Journal, NoFrame, WriteLimits};
use crate::poller::{Polled, RoundEnd};

fn journal() -> Journal {
    Journal::new("i1".into(), 1 << 20)
}

fn write(journal: &Journal, round: i64) {
    let end = RoundEnd { tick: Tick(round * 15_000), ok: 1, failed: 0, late: 0 };
    journal.write(&Polled::RoundEnd(end));
}

fn start(journal: &Journal) {
    journal.start_session("s".into(), WriteLimits::default());
}

/// What a stream is given until it has to wait: `o3>7` for the Open of segment 3 with so much
/// delivered, else sequences.
fn given(journal: &Journal, purpose: Purpose) -> String {
    let mut frames = Vec::new();
    while let Ok(bytes) = journal.next(purpose) {
        let frame = Frame::decode(bytes).unwrap();
        frames.push(match frame.kind {
            Some(Kind::Open(open)) => format!("o{}>{}", open.segment, open.delivered_through),
            _ => frame.sequence.to_string(),
        });
    }
    frames.join(" ")
}

fn settle(journal: &Journal, purpose: Purpose, first: u64, last: u64, outcome: Outcome) {
    journal.settle(
        purpose,
        &Delivery {
            first_sequence: first,
            last_sequence: last,
            outcome: outcome.into(),
            ..Delivery::default()
        },
    );
}

/// Fresh data never wait behind old: what was written before a session goes as backfill, what
/// comes now goes live; failed attempts to connect do not cut the log in pieces.
#[test]
fn a_session_starts_live_afresh() {
    let journal = journal();
    write(&journal, 1);
    journal.end_session();
    write(&journal, 2);
    assert_eq!(given(&journal, Purpose::Live), "");
    start(&journal);
    write(&journal, 3);
    assert_eq!(given(&journal, Purpose::Live), "o2>0 3");
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1 2");
}

/// After a cut the segment is replayed from its start, less what was let go of, and says what was
/// delivered; the sequence goes on without a gap.
#[test]
fn a_cut_replays_the_segment() {
    let journal = journal();
    start(&journal);
    (1..=4).for_each(|round| write(&journal, round));
    assert_eq!(given(&journal, Purpose::Live), "o1>0 1 2 3 4");
    settle(&journal, Purpose::Live, 1, 2, Outcome::Delivered);
    settle(&journal, Purpose::Live, 4, 4, Outcome::Rejected);
    journal.end_session();
    start(&journal);
    write(&journal, 5);
    assert_eq!(given(&journal, Purpose::Live), "o2>0 5");
    assert_eq!(given(&journal, Purpose::Backfill), "o1>2 2 3 4");
    settle(&journal, Purpose::Backfill, 3, 4, Outcome::Delivered);
    assert_eq!(given(&journal, Purpose::Backfill), "");
    assert_eq!((journal.spool_state().frames, journal.rejected_frames()), (1, 1));
}

/// What the master puts off is closed and replayed when its time has come, and not before; the
/// live stream goes on in a new segment.
#[tokio::test(start_paused = true)]
async fn what_is_put_off_is_replayed_later() {
    let journal = journal();
    start(&journal);
    write(&journal, 1);
    assert_eq!(given(&journal, Purpose::Live), "o1>0 1");
    settle(&journal, Purpose::Live, 1, 1, Outcome::Retry);
    let Err(NoFrame::Wait(Some(retry_at))) = journal.next(Purpose::Backfill) else {
        panic!("no time to wait for")
    };
    tokio::time::sleep_until(retry_at + Duration::from_millis(1)).await;
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1");
    write(&journal, 2);
    assert_eq!(given(&journal, Purpose::Live), "o2>0 2");
    settle(&journal, Purpose::Backfill, 1, 1, Outcome::Delivered);
    assert_eq!(journal.spool_state().frames, 1);
}

/// A segment that the master cannot read is given up, so that it does not stand in the way for
/// ever; one whose stream was merely cut is sent again.
#[test]
fn an_unreadable_segment_is_given_up() {
    let journal = journal();
    write(&journal, 1);
    start(&journal);
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1");
    journal.cut_backfill(Cut::Lost);
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1");
    journal.cut_backfill(Cut::Unreadable("sequence 1 is broken"));
    assert_eq!(given(&journal, Purpose::Backfill), "");
    assert_eq!((journal.spool_state().frames, journal.rejected_frames()), (0, 1));
}

/// A limit may be another one later, or at another master: the rows are put off, with waits that
/// grow, and what lies behind them goes on its way.
#[tokio::test(start_paused = true)]
async fn a_segment_that_passes_a_limit_is_put_off() {
    let journal = journal();
    write(&journal, 1);
    start(&journal);
    write(&journal, 2);
    journal.end_session();
    start(&journal);
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1");
    let mut waits = Vec::new();
    for _ in 0..4 {
        journal.cut_backfill(Cut::Limit("more than 3 entities"));
        assert_eq!((journal.spool_state().frames, journal.rejected_frames()), (2, 0));
        if waits.is_empty() {
            assert_eq!(given(&journal, Purpose::Backfill), "o2>0 2");
            journal.cut_backfill(Cut::Limit("more than 3 entities"));
        }
        let began = tokio::time::Instant::now();
        let mut sent = String::new();
        while !sent.starts_with("o1>0") {
            let Err(NoFrame::Wait(Some(retry_at))) = journal.next(Purpose::Backfill) else {
                panic!("no time to wait for")
            };
            tokio::time::sleep_until(retry_at + Duration::from_millis(1)).await;
            sent = given(&journal, Purpose::Backfill);
            if !sent.starts_with("o1>0") {
                journal.cut_backfill(Cut::Limit("more than 3 entities"));
            }
        }
        waits.push(began.elapsed());
    }
    assert!(waits[3] > waits[0] && waits[3] > Duration::from_secs(4), "{waits:?}");
    settle(&journal, Purpose::Backfill, 1, 1, Outcome::Delivered);
    assert_eq!(journal.spool_state().frames, 1);
}

/// A master that answers what it was not sent yet does not make the journal let go of it.
#[test]
fn answers_to_what_was_not_sent_are_not_taken() {
    let journal = journal();
    start(&journal);
    (1..=3).for_each(|round| write(&journal, round));
    assert_eq!(journal.next(Purpose::Live).map(|_| ()), Ok(()), "the Open");
    assert_eq!(journal.next(Purpose::Live).map(|_| ()), Ok(()), "the first frame");
    settle(&journal, Purpose::Live, 1, 99, Outcome::Delivered);
    settle(&journal, Purpose::Live, 2, 99, Outcome::Rejected);
    assert_eq!((journal.spool_state().frames, journal.rejected_frames()), (2, 0));
    assert_eq!(given(&journal, Purpose::Live), "2 3");
}

/// What is delivered is let go of while the segment goes on; after a cut what is left is replayed from the checkpoint on, whose number is one that was delivered.
#[test]
fn a_replay_begins_with_the_checkpoint() {
    let journal = journal();
    let rows = Rows::new();
    start(&journal);
    for round in 1..=6 {
        journal.write(&rows.of(round));
        write(&journal, round);
        given(&journal, Purpose::Live);
        settle(&journal, Purpose::Live, 1, 9, Outcome::Delivered);
    }
    assert_eq!(journal.spool_state().frames, 3);
    journal.end_session();
    start(&journal);
    let replayed = given(&journal, Purpose::Backfill);
    assert_eq!(replayed, "o1>9 0 8 9 10 11 12");
    settle(&journal, Purpose::Backfill, 10, 12, Outcome::Delivered);
    assert_eq!(journal.spool_state().frames, 0);
}

/// A row of one entity.
struct Rows(Arc<Entity>, Arc<Layout>);

impl Rows {
    fn new() -> Self {
        let entity = EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Node,
            name: "node-a".into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        });
        Self(entity, Arc::new(Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())])))
    }

    fn of(&self, round: i64) -> Polled {
        let Self(entity, layout) = self;
        let mut block = Block::new(Arc::clone(layout));
        let head = RowHead { entity: Arc::clone(entity), time_ms: round * 15_000, interval_ms: 0 };
        block.push(head, &[Cell::int(round)], &[]);
        let tick = Tick(round * 15_000);
        Polled::Rows(RowBatch { cluster: "lab".into(), tick, blocks: vec![block] })
    }
}
