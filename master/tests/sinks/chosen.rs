//! What a sink's actor makes of filters and of an interval of its own, before the queue.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use heapster_master::{
    actors::sink::SinkActor,
    delivery::{EventBatch, Outcome, Payload},
    sinks::{CommonOptions, Configured, Sink, SinkError, Written},
};
use heapster_shared::{row::Block, spec::Spec, tick::Tick};

use crate::support::{
    START_MS, drain, entities, offer, rows, samples, settled, start_configured, status, until,
};

/// A sink that keeps what it is given.
#[derive(Default)]
struct Keeper(Mutex<Vec<Payload>>);

#[async_trait]
impl Sink for Keeper {
    async fn write(&self, payloads: &[Payload]) -> Result<Written, SinkError> {
        self.0.lock().unwrap().extend_from_slice(payloads);
        let delivered = payloads.iter().map(Payload::samples).sum();
        Ok(Written { delivered, ..Written::default() })
    }

    fn takes_events(&self) -> bool {
        true
    }
}

impl Keeper {
    /// Time and number of samples of each row.
    fn rows(&self) -> Vec<(i64, usize)> {
        let payloads = self.0.lock().unwrap();
        let batches = payloads.iter().filter_map(|payload| match payload {
            Payload::Rows(batch) => Some(batch),
            _ => None,
        });
        let rows = batches.flat_map(|batch| batch.blocks.iter().flat_map(Block::rows));
        rows.map(|row| (row.head.time_ms - START_MS, row.samples().count())).collect()
    }
}

fn start(options: &str) -> (actix::Addr<SinkActor>, Arc<Keeper>) {
    let mut spec: Spec = format!("keeper?flush_interval=1ms&{options}").parse().unwrap();
    let options = CommonOptions::take_from(&mut spec).unwrap();
    let sink = Arc::new(Keeper::default());
    let kept: Arc<dyn Sink> = Arc::clone(&sink) as _;
    let configured =
        Configured { name: "keeper".into(), kind: "keeper".into(), options, sink: kept };
    (start_configured(configured), sink)
}

fn end(number: i64) -> Payload {
    Payload::RoundEnd { cluster: "lab".into(), tick: Tick(START_MS + number * 15_000) }
}

/// What is not wanted costs no queue and is settled at once; what is left of a payload is written.
#[actix::test]
async fn filters_come_before_the_queue() {
    let entities = entities();
    let (sink, kept) = start("required=true&include_levels=node&include_metrics=memory/*");
    let payload = rows(&entities, 0);
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    assert_eq!(kept.rows(), [(100, 1)]);
    let state = status(&sink).await;
    assert_eq!((state.accepted, state.accepted_rows, state.delivered), (1, 1, 1));
    assert_eq!(state.filtered, samples(&payload) - 1);

    let (sink, kept) = start("required=true&exclude_clusters=lab");
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let events = EventBatch { cluster: "lab".into(), events: vec![Default::default()] };
    let events = Payload::Events(Arc::new(events));
    assert_eq!(settled(offer(&sink, events).await).await, Outcome::Delivered);
    assert_eq!(settled(offer(&sink, end(0)).await).await, Outcome::Delivered);
    let state = status(&sink).await;
    assert_eq!((state.accepted, state.filtered), (0, samples(&payload) + 1));
    assert!(kept.0.lock().unwrap().is_empty() && state.queue_bytes == 0);
}

/// Four rows of a minute become one, at the time of the last, when its round is over; until that is
/// written nobody is told that the four are delivered.
#[actix::test]
async fn an_interval_makes_one_of_several_rows() {
    let entities = entities();
    let (sink, kept) = start("required=true&min_interval=60s");
    let mut outcomes = Vec::new();
    let mut offered = 0;
    for number in 1..=4 {
        let payload = rows(&entities, number);
        offered += samples(&payload);
        outcomes.push(offer(&sink, payload).await);
    }
    assert_eq!(settled(offer(&sink, end(3)).await).await, Outcome::Delivered);
    let state = status(&sink).await;
    assert_eq!((state.held, state.accepted, kept.rows().len()), (offered, offered, 0));
    assert!(state.queue_bytes > 0, "what is held counts with the queue");
    for outcome in &mut outcomes {
        assert!(outcome.try_recv().is_err());
    }
    assert_eq!(settled(offer(&sink, end(4)).await).await, Outcome::Delivered);
    for outcome in outcomes {
        assert_eq!(settled(outcome).await, Outcome::Delivered);
    }
    let times: Vec<i64> = kept.rows().iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [60_100, 60_101, 60_102]);
    let state = until(&sink, |state| state.queue_bytes == 0).await;
    assert_eq!((state.held, state.accepted), (0, state.delivered + state.merged));
}

/// At a stop senders get back what is held, so that the next master makes a whole of it; a sink that
/// nobody waits for writes what it has.
#[actix::test]
async fn a_stop_in_the_middle_of_an_interval_loses_nothing() {
    let entities = entities();
    let (sink, kept) = start("required=true&min_interval=60s");
    let outcome = offer(&sink, rows(&entities, 1)).await;
    drain(&sink, Duration::from_secs(5)).await;
    let outcome = settled(outcome).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert!(kept.rows().is_empty());

    let (sink, kept) = start("min_interval=60s");
    drop(offer(&sink, rows(&entities, 1)).await);
    drain(&sink, Duration::from_secs(5)).await;
    assert_eq!(kept.rows().len(), entities.len());
}
