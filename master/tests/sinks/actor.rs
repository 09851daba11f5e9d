//! The sink's actor, with sinks made for its hard cases.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use heapster_master::{
    delivery::{EventBatch, Outcome, Payload},
    sinks::{CommonOptions, Configured, Sink, SinkError, Written},
};
use heapster_shared::{tick::Tick, units::ByteSize};

use crate::support::{entities, offer, rows, samples, settled, start_configured, status, until};

type Script = dyn FnMut(&[Payload]) -> Result<Written, SinkError> + Send;

/// A sink that does as a closure says.
struct Scripted(Mutex<Box<Script>>);

#[async_trait]
impl Sink for Scripted {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        // A script may panic.
        let mut script = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        script(payloads)
    }
}

fn configured(
    options: CommonOptions,
    script: impl FnMut(&[Payload]) -> Result<Written, SinkError> + Send + 'static,
) -> Configured {
    let sink = Arc::new(Scripted(Mutex::new(Box::new(script))));
    Configured { name: "scripted".into(), kind: "scripted".into(), options, sink }
}

fn fast() -> CommonOptions {
    CommonOptions {
        flush_interval: Duration::from_millis(20),
        retry_first: Duration::from_millis(5),
        retry_longest: Duration::from_millis(20),
        ..CommonOptions::default()
    }
}

fn tick(payload: &Payload) -> i64 {
    match payload {
        Payload::Rows(batch) => batch.tick.0,
        other => panic!("{other:?}"),
    }
}

fn taken(payloads: &[Payload]) -> Result<Written, SinkError> {
    let delivered = payloads.iter().map(samples).sum();
    Ok(Written { delivered, ..Written::default() })
}

/// Of five payloads in one batch one is refused: its neighbours are written, and only it is lost.
#[actix::test]
async fn one_bad_payload_does_not_cost_its_neighbours() {
    let entities = entities();
    let bad = tick(&rows(&entities, 2));
    let sink = start_configured(configured(fast(), move |payloads| {
        if payloads.iter().any(|payload| tick(payload) == bad) {
            return Err(SinkError::Permanent { message: "bad".into() });
        }
        taken(payloads)
    }));
    let mut outcomes = Vec::new();
    for number in 0..5 {
        outcomes.push(offer(&sink, rows(&entities, number)).await);
    }
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let outcome = settled(outcome).await;
        let rejected = matches!(outcome, Outcome::Rejected { .. });
        assert_eq!(rejected, number == 2, "{number}: {outcome:?}");
    }
    let status = status(&sink).await;
    assert_eq!(status.rejected, samples(&rows(&entities, 2)));
    assert_eq!(status.delivered + status.rejected, status.accepted);
}

/// A bug in a sink costs the batch that shows it, not the sink.
#[actix::test]
async fn a_panic_of_a_sink_counts_against_its_batch() {
    let entities = entities();
    let first = tick(&rows(&entities, 0));
    let sink = start_configured(configured(fast(), move |payloads| {
        assert!(payloads.iter().all(|payload| tick(payload) != first), "made to panic");
        taken(payloads)
    }));
    let outcome = settled(offer(&sink, rows(&entities, 0)).await).await;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
    assert_eq!(settled(offer(&sink, rows(&entities, 1)).await).await, Outcome::Delivered);
}

/// The peer's own wish counts for more than our backoff, which would be over much sooner.
#[actix::test]
async fn the_wait_that_a_peer_asks_for_is_kept() {
    let wait = Duration::from_millis(300);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let sink = start_configured(configured(fast(), move |payloads| {
        let mut calls = seen.lock().unwrap();
        calls.push(Instant::now());
        if calls.len() == 1 {
            return Err(SinkError::Transient { message: "busy".into(), retry_after: Some(wait) });
        }
        taken(payloads)
    }));
    assert_eq!(settled(offer(&sink, rows(&entities(), 0)).await).await, Outcome::Delivered);
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 2);
    assert!(calls[1] - calls[0] >= wait, "{:?}", calls[1] - calls[0]);
}

/// A required sink whose queue is full gives the oldest back, so that its sender keeps it.
#[actix::test]
async fn a_full_queue_of_a_required_sink_asks_for_the_oldest_again() {
    let entities = entities();
    let options = CommonOptions { required: true, queue_bytes: ByteSize(64 << 10), ..fast() };
    let sink = start_configured(configured(options, |_| {
        Err(SinkError::Transient { message: "away".into(), retry_after: None })
    }));
    let mut outcomes = Vec::new();
    for number in 0..200 {
        outcomes.push(offer(&sink, rows(&entities, number)).await);
    }
    let newest = outcomes.pop().unwrap();
    let outcome = settled(outcomes.remove(0)).await;
    let Outcome::Retry { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("scripted") && reason.contains("full"), "{reason}");
    drop(newest);
    let status = status(&sink).await;
    assert!(status.given_back > 0 && status.dropped == 0, "nothing is lost: {status:?}");
    assert!(status.queue_bytes <= status.queue_limit_bytes, "{status:?}");
}

/// Several batches go out while the first is still being written.
#[actix::test]
async fn concurrency_writes_several_batches_at_once() {
    struct Gate(tokio::sync::Barrier);
    #[async_trait]
    impl Sink for Gate {
        async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
            self.0.wait().await;
            taken(payloads)
        }
    }
    let options = CommonOptions { concurrency: 3, batch_samples: 1, ..fast() };
    let sink = Arc::new(Gate(tokio::sync::Barrier::new(3)));
    let gate = Configured { name: "gate".into(), kind: "gate".into(), options, sink };
    let sink = start_configured(gate);
    let mut outcomes = Vec::new();
    for number in 0..3 {
        outcomes.push(offer(&sink, rows(&entities(), number)).await);
    }
    for outcome in outcomes {
        assert_eq!(settled(outcome).await, Outcome::Delivered);
    }
}

/// Events are none of the business of a sink that does not take them: they are no loss to it.
#[actix::test]
async fn events_pass_by_a_sink_that_takes_none() {
    let sink = start_configured(configured(fast(), |payloads| panic!("{payloads:?}")));
    let events = EventBatch { cluster: "lab".into(), events: vec![Default::default()] };
    let outcome = settled(offer(&sink, Payload::Events(Arc::new(events))).await).await;
    assert_eq!(outcome, Outcome::Delivered);
    assert_eq!(status(&sink).await.accepted, 0);
}

/// A restart by its supervisor goes on counting where the actor before it stopped.
#[actix::test]
async fn counters_outlive_the_actor() {
    use actix::Actor;
    use heapster_master::actors::sink::SinkActor;

    let runtime = tokio::runtime::Handle::current();
    let factory = SinkActor::factory(configured(fast(), taken), runtime);
    let first = factory().start();
    let payload = rows(&entities(), 0);
    assert_eq!(settled(offer(&first, payload.clone()).await).await, Outcome::Delivered);
    drop(first);
    let second = factory().start();
    let status = until(&second, |status| status.state == "ok").await;
    assert_eq!(status.delivered, samples(&payload));
    let end = Payload::RoundEnd { cluster: "lab".into(), tick: Tick(0) };
    drop(offer(&second, end).await);
}
