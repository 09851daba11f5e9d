//! Tests of the journal: what each stream is given, and when.

use std::time::Duration;

use heapster_proto::v1::{Delivery, Frame, delivery::Outcome, frame::Kind, open::Purpose};
use heapster_shared::tick::Tick;
use prost::Message;

use super::{Journal, NoFrame, WriteLimits};
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

/// After a cut the segment is replayed whole, from its start, and says what was delivered; the
/// sequence goes on without a gap.
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
    assert_eq!(given(&journal, Purpose::Backfill), "o1>2 1 2 3 4");
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
    journal.cut_backfill(None);
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1");
    journal.cut_backfill(Some("sequence 1 is broken"));
    assert_eq!(given(&journal, Purpose::Backfill), "");
    assert_eq!((journal.spool_state().frames, journal.rejected_frames()), (0, 1));
}

/// Segments of two starts have frames of the same numbers. When the spool drops one that is being
/// sent, what the master still answers to it says nothing of the next: the stream starts anew.
#[test]
fn answers_to_a_dropped_segment_are_not_taken_for_another() {
    let directory = tempfile::tempdir().unwrap();
    let earlier = Journal::new("i0".into(), 1 << 20);
    (1..=3).for_each(|round| write(&earlier, round));
    assert_eq!(earlier.save(directory.path()).unwrap(), 3);

    let journal = Journal::new("i1".into(), 1_500);
    assert_eq!(journal.restore(directory.path()).unwrap(), 3);
    write(&journal, 4);
    start(&journal);
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1 2 3");
    let mut round = 4;
    while journal.spool_state().dropped_frames < 3 {
        round += 1;
        write(&journal, round);
    }
    let left = journal.spool_state().frames;
    assert_eq!(journal.next(Purpose::Backfill), Err(NoFrame::End));
    settle(&journal, Purpose::Backfill, 1, 3, Outcome::Delivered);
    assert_eq!(journal.spool_state().frames, left, "nobody has delivered these");
    journal.cut_backfill(None);
    assert_eq!(given(&journal, Purpose::Backfill), "o1>0 1");
}
