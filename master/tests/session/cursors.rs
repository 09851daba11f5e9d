//! Each required sink is a cursor of its own over a buddy's log.

use std::time::{Duration, Instant};

use heapster_master::delivery::Outcome;
use heapster_proto::v1::{self, block::Form::Absolute, delivery::Outcome as Answer};
use heapster_shared::units::ByteSize;
use prost::Message;

use super::{
    frames::{CONTAINER, MEASURED, TICK, batch, container, define, row},
    gate::Gate,
    harness::{Ingest, Mode, Recorder, eventually, with_sinks},
};

/// Ticks of the first so many frames.
fn ticks(count: u64) -> Vec<i64> {
    (1..=count).map(|n| i64::try_from(TICK + n * 15_000).unwrap()).collect()
}

fn ticks_of(sink: &Recorder) -> Vec<i64> {
    sink.rows().iter().map(|rows| rows.tick.0).collect()
}

/// Two sinks are required and one of them is away for three frames: they come again to it alone,
/// while what is fresh goes to all at once. The cursors outlive the session.
#[test]
fn what_one_sink_lacks_goes_to_it_alone() {
    let steady = Recorder::new();
    let second = steady.clone();
    let more = move |arbiters: &_| vec![second.child("steady", true, arbiters)];
    with_sinks(&[], more, async move |bench| {
        bench.required.set(Mode::Settle(Outcome::Retry { reason: "away".into() }));
        let buddy = bench.buddy().await;
        let mut live = buddy.stream(0).await;
        for n in 1..=3 {
            live.send(n, container(n)).await;
            assert_eq!(live.answered(n).await.outcome(), Answer::Retry);
        }
        assert_eq!(ticks_of(&steady), ticks(3), "the others do not wait for it");
        bench.required.set(Mode::Settle(Outcome::Delivered));
        live.send(4, container(4)).await;
        assert_eq!(live.answered(4).await.outcome(), Answer::Delivered);
        drop(live);
        // After a cut, all of the segment.
        let buddy = bench.buddy().await;
        let mut backfill = buddy.backfill(0).await;
        for n in 1..=4 {
            backfill.send(n, container(n)).await;
        }
        for n in 1..=4 {
            assert_eq!(backfill.answered(n).await.outcome(), Answer::Delivered);
        }
        let mut had = ticks_of(&bench.required);
        had.sort_unstable();
        assert_eq!(had, ticks(4));
        assert_eq!(ticks_of(&steady), ticks(4));
        assert_eq!(ticks_of(&bench.optional), ticks(4));
        // Nor does the cluster count them again.
        let clusters = heapster_master::status::StatusSource::clusters(&bench.status).await;
        assert_eq!(clusters[0].rows, 4);
    });
}

/// A stream that sends no more than it has credit for.
struct Patient {
    ingest: Ingest,
    used: u64,
}

impl Patient {
    fn new(ingest: Ingest) -> Self {
        let definitions = v1::Frame { sequence: 0, kind: Some(define()) }.encoded_len();
        // The Open has less than a hundred bytes.
        Self { ingest, used: definitions as u64 + 100 }
    }

    async fn send(&mut self, sequence: u64, kind: v1::frame::Kind) {
        let bytes = v1::Frame { sequence, kind: Some(kind.clone()) }.encoded_len() as u64;
        while self.ingest.credit < self.used + bytes {
            self.ingest.receive().await.unwrap();
        }
        self.used += bytes;
        self.ingest.send(sequence, kind).await;
    }
}

/// A required sink that hangs holds the acknowledgements, and neither the credit nor anybody else's
/// rows: several times the credit goes through, and is acknowledged when the sink has it.
#[test]
fn a_sink_that_hangs_uses_up_no_credit() {
    let steady = Recorder::new();
    let second = steady.clone();
    let more = move |arbiters: &_| vec![second.child("steady", true, arbiters)];
    with_sinks(&["--credit-bytes", "1KiB"], more, async move |bench| {
        bench.required.set(Mode::Hold);
        let buddy = bench.buddy().await;
        let mut live = Patient::new(buddy.stream(0).await);
        let count = 60;
        for n in 1..=count {
            live.send(n, container(n)).await;
        }
        assert!(live.used > 2 * 1024, "{} bytes are no test", live.used);
        eventually("the other sinks have all", async || {
            ticks_of(&steady) == ticks(count) && ticks_of(&bench.optional) == ticks(count)
        })
        .await;
        assert!(live.ingest.deliveries.is_empty(), "{:?}", live.ingest.deliveries);
        bench.required.release();
        for n in 1..=count {
            assert_eq!(live.ingest.answered(n).await.outcome(), Answer::Delivered);
        }
        assert_eq!(ticks_of(&bench.required), ticks(count), "each once");
    });
}

/// Receives until a frame is put off.
async fn first_retry(stream: &mut Ingest) {
    while !stream.deliveries.iter().any(|delivery| delivery.outcome() == Answer::Retry) {
        stream.receive().await.unwrap();
    }
}

/// Receives until the first so many frames are answered; those that are put off.
async fn retried(stream: &mut Ingest, count: u64) -> Vec<u64> {
    let mut again = Vec::new();
    for n in 1..=count {
        if stream.answered(n).await.outcome() == Answer::Retry {
            again.push(n);
        }
    }
    again
}

/// A required sink whose queue is full gives back what it cannot hold. The backfill stream then
/// waits with it rather than send it in vain, others have each frame once, and when the sink works
/// again it has each frame once, too.
#[test]
fn a_full_sink_is_fed_again_when_it_is_back() {
    let gate = Gate::shut(ByteSize(64 << 10));
    let shut = gate.clone();
    let more = move |arbiters: &_| vec![shut.child("gate", arbiters)];
    with_sinks(&[], more, async move |bench| {
        let buddy = bench.buddy().await;
        let mut live = buddy.stream(0).await;
        let count = 100;
        for n in 1..=count {
            live.send(n, container(n)).await;
        }
        first_retry(&mut live).await;
        eventually("the others have all", async || ticks_of(&bench.optional) == ticks(count)).await;
        let mut backfill = buddy.backfill(0).await;
        for n in 1..=count {
            backfill.send(n, container(n)).await;
        }
        first_retry(&mut backfill).await;
        gate.open();
        let again = retried(&mut backfill, count).await;
        assert!(again.len() < 10, "the stream waited for room: {again:?}");
        let mut last = buddy.backfill(0).await;
        for n in 1..=count {
            last.send(n, container(n)).await;
        }
        assert!(retried(&mut last, count).await.is_empty());
        let mut written: Vec<i64> = gate.written().into_iter().map(|(_, tick)| tick).collect();
        written.sort_unstable();
        assert_eq!(written, ticks(count));
        assert_eq!(ticks_of(&bench.required), ticks(count));
        assert_eq!(ticks_of(&bench.optional), ticks(count));
    });
}

/// A log in two segments: the first has what one full sink lacks, the second what all lack. The full
/// sink holds up the second for a moment, and not for each frame of the first.
#[test]
fn a_full_sink_holds_up_what_others_lack_for_a_moment_only() {
    let gate = Gate::shut(ByteSize(64 << 10));
    let shut = gate.clone();
    let more = move |arbiters: &_| vec![shut.child("gate", arbiters)];
    with_sinks(&["--drain-time", "100ms"], more, async move |bench| {
        let buddy = bench.buddy().await;
        let mut live = buddy.stream(0).await;
        let count = 150;
        for n in 1..=count {
            live.send(n, container(n)).await;
        }
        first_retry(&mut live).await;
        let mut backfill = buddy.backfill(0).await;
        for n in 1..=count {
            backfill.send(n, container(n)).await;
        }
        backfill.open_for(v1::open::Purpose::Backfill, count).await;
        backfill.send(0, define()).await;
        let absolute = row(MEASURED, CONTAINER, Absolute, [1, 2]);
        backfill.send(count + 1, batch(count + 1, vec![absolute])).await;
        eventually("the others have it", async || ticks_of(&bench.optional) == ticks(count + 1))
            .await;
    });
}

/// A stop ends in time with a sink that hangs: what it holds is not acknowledged.
#[test]
fn a_stop_does_not_wait_for_a_sink_that_hangs() {
    let gate = Gate::shut(ByteSize::mib(1));
    let shut = gate.clone();
    let more = move |arbiters: &_| vec![shut.child("gate", arbiters)];
    with_sinks(&["--drain-time", "500ms"], more, async move |bench| {
        let buddy = bench.buddy().await;
        let mut live = buddy.stream(0).await;
        live.send(1, container(1)).await;
        eventually("the sink holds it", async || gate.room.used() > 0).await;
        let begin = Instant::now();
        bench.stop.cancel();
        assert_eq!(live.end().await.code(), tonic::Code::Unavailable);
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
        let told: Vec<Answer> = live.deliveries.iter().map(v1::Delivery::outcome).collect();
        assert!(!told.contains(&Answer::Delivered), "{told:?}");
    });
}
