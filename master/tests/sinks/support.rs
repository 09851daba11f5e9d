//! Rows to write, sinks to write them with, and waiting for what they do.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Addr};
use heapster_master::{
    actors::{Drain, Observe, Offer, sink::SinkActor},
    delivery::{Origin, Outcome, Payload, Ticket},
    sinks::{self, Configured},
    status::SinkStatus,
};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tag,
    tick::Tick,
};
use serde_json::Number;
use tokio::{runtime::Handle, sync::oneshot};

/// The longest that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// 2026-11-22T11:00:00Z.
pub(crate) const START_MS: i64 = 1_795_345_200_000;

/// Starts a sink's actor from a spec.
pub(crate) fn start(spec: &str) -> Addr<SinkActor> {
    start_configured(sinks::configure(spec.parse().unwrap()).unwrap_or_else(|e| panic!("{e}")))
}

pub(crate) fn start_configured(configured: Configured) -> Addr<SinkActor> {
    SinkActor::factory(configured, Handle::current())().start()
}

/// Offers a payload with a ticket; gives where its outcome will be.
pub(crate) async fn offer(sink: &Addr<SinkActor>, payload: Payload) -> oneshot::Receiver<Outcome> {
    let (ticket, outcome) = Ticket::new();
    sink.send(Offer::new(payload, Origin::fresh("test".into()), Some(ticket))).await.unwrap();
    outcome
}

/// The outcome of a ticket, in time.
pub(crate) async fn settled(outcome: oneshot::Receiver<Outcome>) -> Outcome {
    tokio::time::timeout(PATIENCE, outcome).await.expect("no outcome in time").unwrap()
}

pub(crate) async fn status(sink: &Addr<SinkActor>) -> SinkStatus {
    let observed = sink.send(Observe::<SinkStatus>::default());
    tokio::time::timeout(PATIENCE, observed).await.expect("no status in time").unwrap()
}

/// Waits until the status is as it should be.
pub(crate) async fn until(
    sink: &Addr<SinkActor>,
    wanted: impl Fn(&SinkStatus) -> bool,
) -> SinkStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = status(sink).await;
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "still {status:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Drains a sink, and checks that it ends in time.
pub(crate) async fn drain(sink: &Addr<SinkActor>, within: Duration) {
    let deadline = Instant::now() + within;
    let drained = sink.send(Drain { deadline });
    tokio::time::timeout(within + PATIENCE, drained).await.expect("no end of the drain").unwrap();
}

/// A node and two containers, with labels that are hard to write.
pub(crate) fn entities() -> Vec<Arc<Entity>> {
    let mut entities = EntityTable::default();
    let mut define = |parent: Option<&Arc<Entity>>, level, name: &str, labels: &[(&str, &str)]| {
        entities.intern(Definition {
            parent: parent.cloned(),
            level,
            name: name.into(),
            uid: format!("uid-{name}").into(),
            start_time_ms: START_MS - 60_000,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    };
    let node = define(None, Level::Node, "node-a", &[(tag::LABELS, "arch:amd64")]);
    let pod_labels = [(tag::NAMESPACE_NAME, "default"), (tag::LABELS, "app:web,tier:a b=c")];
    let pod = define(Some(&node), Level::Pod, "web-1", &pod_labels);
    let hard = [(tag::CONTAINER_BASE_IMAGE, "C:\\dir\\,\"größe\" \\ x")];
    let main = define(Some(&pod), Level::PodContainer, "main", &hard);
    let side = define(Some(&pod), Level::PodContainer, "side car", &[]);
    vec![node, main, side]
}

/// A batch of rows of these entities, taken for the tick of this number; every value differs.
pub(crate) fn rows(entities: &[Arc<Entity>], number: i64) -> Payload {
    let mut block = Block::new(Arc::new(Layout::new(vec![
        Field::plain(table::CPU_USAGE.def()),
        Field::plain(table::MEMORY_USAGE.def()),
        Field::plain(table::NETWORK_RX_RATE.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
        Field::resource(table::FILESYSTEM_USAGE.def(), "Volume:a b"),
    ])));
    let tick = Tick(START_MS + number * 15_000);
    for (index, entity) in (0_i64..).zip(entities) {
        let base = number * 1000 + index;
        let head = RowHead {
            entity: Arc::clone(entity),
            time_ms: tick.0 + 100 + index,
            interval_ms: 15_000,
        };
        #[allow(clippy::cast_precision_loss)]
        let cells = [
            Cell::int(base * 1_000_000_007),
            Cell::int(base + 5),
            Cell::real(base as f64 / 7.0),
            Cell::int(-base),
            if index == 0 { Cell::ABSENT } else { Cell::int(1 << 40) },
        ];
        block.push(head, &cells, &[Cell::int(base * 15_000_000)]);
    }
    Payload::Rows(Arc::new(RowBatch { cluster: "lab".into(), tick, blocks: vec![block] }))
}

pub(crate) fn samples(payload: &Payload) -> u64 {
    match payload {
        Payload::Rows(batch) => batch.sample_count() as u64,
        other => panic!("no rows: {other:?}"),
    }
}

/// What tells one sample from all others: measurement, field, tags, time in milliseconds.
pub(crate) type SampleKey = (String, String, BTreeMap<String, String>, i64);

/// What a database should have of these payloads, worked out without the encoder.
pub(crate) fn expected(payloads: &[Payload], with_fields: bool) -> BTreeMap<SampleKey, Number> {
    let mut samples = BTreeMap::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { continue };
        for row in batch.blocks.iter().flat_map(Block::rows) {
            for (field, cell) in row.samples() {
                let name = field.metric.name();
                let (measurement, key) = match name.split_once('/') {
                    Some(parts) if with_fields => parts,
                    _ => (name, "value"),
                };
                let mut tags = tags(&row.head.entity, &batch.cluster);
                for (name, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
                    tags.insert(name.into(), value.into());
                }
                let value = cell.to_json(field.metric.value_type());
                let value = value.as_number().unwrap().clone();
                let key = (measurement.into(), key.into(), tags, row.head.time_ms);
                assert!(samples.insert(key, value).is_none(), "two samples with one key");
            }
        }
    }
    samples
}

fn tags(entity: &Entity, cluster: &str) -> BTreeMap<String, String> {
    let left_out = [tag::NAMESPACE_ID, tag::POD_ID, tag::HOSTNAME, tag::HOST_ID];
    let mut tags = BTreeMap::from([("cluster_name".to_owned(), cluster.to_owned())]);
    tag::visit(entity, |name, value| {
        if !left_out.contains(&name) {
            tags.insert(name.into(), value.into());
        }
    });
    tags
}
