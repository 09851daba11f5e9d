//! What the master holds stays within its bounds, and nobody is starved, whatever sinks and buddies
//! do. Bytes are counted where they are held; docs/reliability.md has the formula.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures::future::join_all;
use heapster_proto::v1::{block::Form::Absolute, delivery::Outcome};
use heapster_shared::units::ByteSize;
use tokio::time::timeout;

use super::{
    frames::{CONTAINER, MEASURED, TICK, batch, container, row},
    gate::Gate,
    harness::{Bench, Buddy, Recorder, eventually, hello, with_sinks},
};

/// Small bounds, so that they are met soon.
const QUEUE: ByteSize = ByteSize(64 << 10);
/// More than any payload here takes.
const PAYLOAD_BYTES: usize = 4 << 10;
/// What is fresh arrives within this time, whatever else is going on.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn buddy_of(bench: &Bench, cluster: &str, id: &str) -> Buddy {
    let hello = heapster_proto::v1::Hello { cluster: cluster.into(), ..hello(id, "one") };
    bench.hello(hello).await.unwrap()
}

fn ticks_of(sink: &Recorder, cluster: &str) -> Vec<i64> {
    let rows = sink.rows();
    rows.iter().filter(|rows| &*rows.cluster == cluster).map(|rows| rows.tick.0).collect()
}

fn tick(n: u64) -> i64 {
    i64::try_from(TICK + n * 15_000).unwrap()
}

/// Sends a frame, and waits until it is with the sinks that work.
async fn passes(bench: &Bench, stream: &super::harness::Ingest, cluster: &str, n: u64) {
    let _ = stream.frames.send(frame(n)).await;
    let arrived = eventually("a fresh row arrives", async || {
        [&bench.required, &bench.optional]
            .iter()
            .all(|sink| ticks_of(sink, cluster).contains(&tick(n)))
    });
    timeout(AT_ONCE, arrived).await.unwrap_or_else(|_| panic!("row {n} was held up"));
}

fn frame(n: u64) -> heapster_proto::v1::Frame {
    heapster_proto::v1::Frame { sequence: n, kind: Some(container(n)) }
}

fn assert_bounded(gate: &Gate) {
    let (peak, limit) = (gate.room.peak(), gate.room.limit());
    assert!(peak > limit / 2, "{peak} of {limit} bytes are no test");
    assert!(peak <= limit + PAYLOAD_BYTES, "{peak} of {limit} bytes were held");
}

/// One buddy sends as fast as it can while a required sink hangs: the sink's queue stays within its
/// bound, another buddy's rows are with the other sinks at once, and wait in the queue of the one
/// that hangs without being pushed out.
#[test]
fn a_flood_starves_nobody() {
    let gate = Gate::shut(QUEUE);
    let shut = gate.clone();
    with_sinks(
        &[],
        move |arbiters| vec![shut.child("gate", arbiters)],
        async move |bench| {
            let flood = buddy_of(&bench, "flood", "flood").await;
            let mut stream = flood.stream(0).await;
            let over = Arc::new(AtomicBool::new(false));
            let until = Arc::clone(&over);
            let flooding = tokio::spawn(async move {
                for n in 1..20_000 {
                    if until.load(Relaxed) || stream.frames.send(frame(n)).await.is_err() {
                        return;
                    }
                    while let Ok(received) = timeout(Duration::ZERO, stream.receive()).await {
                        received.unwrap();
                    }
                }
            });
            eventually("it floods", async || ticks_of(&bench.optional, "flood").len() > 200).await;
            let quiet = buddy_of(&bench, "quiet", "quiet").await;
            let stream = quiet.stream(0).await;
            for n in 1..=10 {
                passes(&bench, &stream, "quiet", n).await;
            }
            eventually("it went on", async || ticks_of(&bench.optional, "flood").len() > 500).await;
            over.store(true, Relaxed);
            flooding.await.unwrap();
            assert_bounded(&gate);
            gate.open();
            let all: Vec<i64> = (1..=10).map(tick).collect();
            eventually("what waited is written", async || {
                let written = gate.written();
                let quiet = written.iter().filter(|(cluster, _)| cluster == "quiet");
                quiet.map(|(_, tick)| *tick).collect::<Vec<_>>() == all
            })
            .await;
        },
    );
}

/// Many buddies come back at once, each with a log to send again, while a required sink hangs: what
/// is held is bounded, and a fresh row of one of them is with the other sinks at once.
#[test]
fn many_that_come_back_at_once_are_held_within_the_bounds() {
    const BUDDIES: usize = 1000;
    const FRAMES: u64 = 5;
    let gate = Gate::shut(QUEUE);
    let shut = gate.clone();
    with_sinks(
        &["--drain-time", "100ms"],
        move |arbiters| vec![shut.child("gate", arbiters)],
        async move |bench| {
            // A connection takes 16 streams, and each buddy has two or three.
            let channels = join_all((0..BUDDIES / 5).map(|_| bench.client())).await;
            let come_back = async |index: usize| {
                let client = channels[index % channels.len()].clone();
                let id = format!("buddy-{index}");
                let buddy = Bench::hello_over(client, "", hello(&id, "one")).await.unwrap();
                let stream = buddy.backfill(0).await;
                for n in 1..=FRAMES {
                    let _ = stream.frames.send(frame(n)).await;
                }
                (buddy, stream)
            };
            let back = join_all((0..BUDDIES).map(come_back)).await;
            let fresh = back[7].0.stream(0).await;
            let n = FRAMES + 1;
            let first = batch(n, vec![row(MEASURED, CONTAINER, Absolute, [1, 2])]);
            let frame = heapster_proto::v1::Frame { sequence: n, kind: Some(first) };
            let _ = fresh.frames.send(frame).await;
            let arrived = eventually("a fresh row arrives", async || {
                ticks_of(&bench.required, "lab").contains(&tick(n))
            });
            timeout(AT_ONCE, arrived).await.expect("it was held up by the others' logs");
            eventually("all is with the sinks that work", async || {
                let wanted = BUDDIES * usize::try_from(FRAMES).unwrap();
                ticks_of(&bench.required, "lab").len() > wanted
            })
            .await;
            assert!(gate.room.peak() <= gate.room.limit() + PAYLOAD_BYTES);
            assert!(gate.room.peak() >= gate.room.limit() / 2 - PAYLOAD_BYTES);
            drop(back);
        },
    );
}

/// What buddies define is held to a bound that all share: who passes it is told so, and comes in
/// when others have gone.
#[test]
fn what_streams_remember_is_bounded() {
    // Three entities and their newest rows.
    with_sinks(
        &["--streams-max-bytes", "300"],
        |_| Vec::new(),
        async |bench| {
            let first = buddy_of(&bench, "a", "a").await;
            let mut holding = first.stream(0).await;
            holding.send(1, container(1)).await;
            assert_eq!(holding.answered(1).await.outcome(), Outcome::Delivered);
            let second = buddy_of(&bench, "b", "b").await;
            let turned_away = second.stream(0).await.end().await;
            assert_eq!(turned_away.code(), tonic::Code::ResourceExhausted);
            assert!(turned_away.message().contains("--streams-max-bytes"), "{turned_away}");
            drop(holding);
            eventually("there is room again", async || {
                let mut stream = second.stream(0).await;
                stream.send(1, container(1)).await;
                let answered = timeout(Duration::from_secs(1), async {
                    while stream.deliveries.is_empty() {
                        stream.receive().await?;
                    }
                    Ok::<_, tonic::Status>(())
                });
                matches!(answered.await, Ok(Ok(())))
            })
            .await;
        },
    );
}
