//! The sinks `gcm` and `stackdriver` against a stand-in for Google, which reads every request with
//! Google's own message definitions and refuses what its documented rules refuse.

use std::{collections::BTreeMap, sync::Arc};

use heapster_master::delivery::{EventBatch, Outcome, Payload};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    event::Event,
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tag,
    tick::{self, Tick},
};
use heapster_testkit::{peer::GoogleCloud, real_peer};
use serde_json::Value;

use crate::support::{offer, settled, start, status, until};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";
const RESOURCE_EXHAUSTED: u32 = 8;
const UNAVAILABLE: u32 = 14;

fn spec(google: &GoogleCloud, kind: &str, credentials: &str) -> String {
    let url = google.url();
    format!(
        "{kind}:?endpoint={url}&logging_endpoint={url}&credentials={credentials}&metadata_host={}\
         &cluster_location=europe-west1&{FAST}",
        google.address()
    )
}

fn account(google: &GoogleCloud, kind: &str) -> String {
    spec(google, kind, &google.credentials("account"))
}

/// A node with a pod of a container and a container of its own, begun a minute before `now_ms`.
fn entities(now_ms: i64) -> Vec<Arc<Entity>> {
    let mut entities = EntityTable::default();
    let mut define = |parent: Option<&Arc<Entity>>, level, name: &str, labels: &[(&str, &str)]| {
        entities.intern(Definition {
            parent: parent.cloned(),
            level,
            name: name.into(),
            uid: format!("uid-{name}").into(),
            start_time_ms: now_ms - 60_000,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    };
    let node = define(None, Level::Node, "node-a", &[(tag::HOST_ID, "4711")]);
    let pod = define(Some(&node), Level::Pod, "web-1", &[(tag::NAMESPACE_NAME, "shop")]);
    let image = "x".repeat(3000);
    let labels = [(tag::CONTAINER_BASE_IMAGE, image.as_str())];
    let container = define(Some(&pod), Level::PodContainer, "main", &labels);
    let system = define(Some(&node), Level::SysContainer, "kubelet", &[]);
    let namespace = define(None, Level::Namespace, "shop", &[]);
    vec![node, pod, container, system, namespace]
}

fn layout() -> Arc<Layout> {
    Arc::new(Layout::new(vec![
        Field::plain(table::CPU_USAGE.def()),
        Field::plain(table::MEMORY_USAGE.def()),
        Field::plain(table::MEMORY_WORKING_SET.def()),
        Field::plain(table::NETWORK_RX.def()),
        Field::plain(table::RESTART_COUNT.def()),
        Field::plain(table::CPU_NODE_UTILIZATION.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), "Volume:a \"b\""),
    ]))
}

/// A row of each entity, taken at this time.
fn rows(layout: &Arc<Layout>, entities: &[Arc<Entity>], time_ms: i64) -> Payload {
    let mut block = Block::new(Arc::clone(layout));
    for (index, entity) in (0..).zip(entities) {
        let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms: 15_000 };
        let cells = [
            Cell::int(time_ms % 1_000_000 * 1_000_000),
            Cell::int(1000 + index),
            Cell::int(900 + index),
            Cell::int(time_ms % 1_000_000),
            Cell::int(3),
            Cell::real(0.25),
            Cell::int(77),
        ];
        block.push(head, &cells, &[Cell::int(15_000_000), Cell::int(15)]);
    }
    Payload::Rows(Arc::new(RowBatch {
        cluster: "lab".into(),
        tick: Tick(time_ms),
        blocks: vec![block],
    }))
}

/// The points of each series: metric, labels, resource, its labels.
type Series = BTreeMap<(String, String, String, String), Vec<Value>>;

async fn series(google: &GoogleCloud) -> Series {
    let state = google.state().await.unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let one = |series: &Value| {
        let key = &series["key"];
        let key = (text(&key[0]), text(&key[1]), text(&key[2]), text(&key[3]));
        (key, series["points"].as_array().unwrap().clone())
    };
    state["series"].as_array().unwrap().iter().map(one).collect()
}

/// The points of the only series of this metric that speaks of this.
fn points<'a>(series: &'a Series, metric: &str, about: &str) -> &'a [Value] {
    let about = |key: &(String, String, String, String)| {
        key.0 == metric && format!("{} {} {}", key.1, key.2, key.3).contains(about)
    };
    let found: Vec<_> = series.iter().filter(|(key, _)| about(key)).collect();
    assert_eq!(found.len(), 1, "{metric}: {found:?}");
    found[0].1
}

/// Every sample becomes a point of the right resource, with its value, its time and the start of its
/// entity; metrics are described with their units.
#[actix::test]
async fn samples_are_custom_metrics() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let (layout, entities) = (layout(), entities(now_ms));
    let sink = start(&account(&google, "gcm"));
    let mut offered = 0;
    for time_ms in [now_ms - 30_000, now_ms - 15_000] {
        let payload = rows(&layout, &entities, time_ms);
        offered += payload.samples();
        assert_eq!(settled(offer(&sink, payload).await).await, Outcome::Delivered);
    }
    let status = status(&sink).await;
    assert_eq!((status.delivered, status.rejected), (offered, 0), "{}", status.last_error);

    let series = series(&google).await;
    assert_eq!(series.values().map(Vec::len).sum::<usize>() as u64, offered);
    let custom = |name: &str| format!("custom.googleapis.com/kubernetes.io/{name}");
    let usage = points(&series, &custom("cpu/usage"), "k8s_container");
    assert_eq!(usage[0]["start"], now_ms - 60_000);
    assert_eq!(usage[1]["end"], now_ms - 15_000);
    assert_eq!(usage[1]["value"], (now_ms - 15_000) % 1_000_000 * 1_000_000);
    let volume = points(&series, &custom("filesystem/usage"), "k8s_pod");
    assert_eq!((&volume[0]["value"], &volume[0]["start"]), (&77.into(), &Value::Null));
    points(&series, &custom("memory/usage"), "\"container_name\":\"kubelet\"");
    points(&series, &custom("memory/usage"), "\"namespace_name\":\"shop\",\"type\":\"ns\"");

    let state = google.state().await.unwrap();
    let descriptors = state["descriptors"].as_array().unwrap();
    let described =
        |name: &str| descriptors.iter().find(|one| one["type"] == custom(name)).unwrap();
    assert_eq!(
        (&described("memory/usage")["unit"], described("memory/usage")["metricKind"].as_str()),
        (&"By".into(), Some("GAUGE"))
    );
    assert_eq!(described("cpu/usage")["metricKind"], "CUMULATIVE");
    assert!(descriptors.iter().all(|one| one["description"] != "auto created"));
    assert_eq!(state["grants"].as_array().unwrap().len(), 1, "a token is kept");
}

/// What Google has a name for is written under it, in its units; nothing else is.
#[actix::test]
async fn samples_have_the_names_of_google() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let sink = start(&account(&google, "stackdriver"));
    let payload = rows(&layout(), &entities(now_ms), now_ms - 15_000);
    assert_eq!(settled(offer(&sink, payload).await).await, Outcome::Delivered);
    assert_eq!(status(&sink).await.rejected, 0, "{}", status(&sink).await.last_error);

    let series = series(&google).await;
    let seconds = points(&series, "kubernetes.io/container/cpu/core_usage_time", "main");
    #[allow(clippy::cast_precision_loss)]
    let expected = ((now_ms - 15_000) % 1_000_000) as f64 / 1000.0;
    assert_eq!(seconds[0]["value"], expected);
    let evictable = points(&series, "kubernetes.io/node/memory/used_bytes", "\"evictable\"");
    assert_eq!(evictable[0]["value"], 100);
    points(&series, "kubernetes.io/node_daemon/memory/used_bytes", "\"non-evictable\"");
    let restarts = points(&series, "kubernetes.io/container/restart_count", "main");
    assert_eq!(
        (&restarts[0]["value"], &restarts[0]["start"]),
        (&3.into(), &(now_ms - 60_000).into())
    );
    points(&series, "kubernetes.io/pod/volume/used_bytes", r#""volume_name":"a \"b\"""#);
    assert!(series.keys().all(|key| key.0.starts_with("kubernetes.io/")));
    assert_eq!(series.len(), 5 + 2 + 4 + 3);
}

/// Old and new names side by side, and the rest as custom metrics: no sample is counted twice.
#[actix::test]
async fn all_names_go_together() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let options = "use_old_resources=true&use_new_resources=true&custom=true";
    let sink = start(&format!("{}&{options}", account(&google, "stackdriver")));
    let payload = rows(&layout(), &entities(now_ms)[..1], now_ms - 15_000);
    let offered = payload.samples();
    let outcome = settled(offer(&sink, payload).await).await;
    // The stand-in, as Google today, knows no metrics of the old resource.
    assert_eq!(outcome, Outcome::Delivered);
    let status = status(&sink).await;
    assert_eq!(status.delivered + status.rejected, offered);
    assert!(status.delivered > 0 && status.rejected > 0, "{}", status.last_error);
}

/// Groups of machines are scaled by metrics of the machines.
#[actix::test]
async fn autoscaling_has_metrics_of_machines() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let sink = start(&format!("{}&metrics=autoscaling", account(&google, "gcm")));
    let payload = rows(&layout(), &entities(now_ms), now_ms - 15_000);
    assert_eq!(settled(offer(&sink, payload).await).await, Outcome::Delivered);
    let series = series(&google).await;
    let name = "custom.googleapis.com/kubernetes.io/cpu/node_utilization";
    assert_eq!(points(&series, name, "\"instance_id\":\"4711\"")[0]["value"], 0.25);
    assert_eq!(series.len(), 1);
}

/// Rows that come all at once are several requests in the order of their times; those that are too
/// close or too late for Google are not sent to be refused.
#[actix::test]
async fn a_backlog_is_in_order_and_apart() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let (layout, entities) = (layout(), entities(now_ms));
    let spec = account(&google, "gcm").replace("flush_interval=1ms", "flush_interval=200ms");
    let sink = start(&spec);
    let mut outcomes = Vec::new();
    for age_s in [50, 44, 38, 32, 26, 20, 35] {
        let payload = rows(&layout, &entities, now_ms - age_s * 1000);
        outcomes.push(offer(&sink, payload).await);
    }
    for outcome in outcomes {
        assert_eq!(settled(outcome).await, Outcome::Delivered);
    }
    let a_row = rows(&layout, &entities, now_ms).samples();
    let status = status(&sink).await;
    assert_eq!((status.delivered, status.rejected), (3 * a_row, a_row), "{}", status.last_error);
    assert!(status.last_error.contains("older than the last one"), "{}", status.last_error);
    for points in series(&google).await.values() {
        let ages: Vec<i64> =
            points.iter().map(|point| (now_ms - point["end"].as_i64().unwrap()) / 1000).collect();
        assert_eq!(ages, [50, 38, 26]);
    }
}

/// A counter that goes back begins anew, at a time after the last point.
#[actix::test]
async fn a_counter_that_goes_back_has_a_new_start() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let layout = Arc::new(Layout::new(vec![Field::plain(table::NETWORK_RX.def())]));
    let node = &entities(now_ms)[..1];
    let sink = start(&account(&google, "gcm"));
    for (age_s, value, increase) in
        [(45, 500, Cell::int(15)), (30, 20, Cell::ABSENT), (15, 30, Cell::int(10))]
    {
        let time_ms = now_ms - age_s * 1000;
        let mut block = Block::new(Arc::clone(&layout));
        let head = RowHead { entity: Arc::clone(&node[0]), time_ms, interval_ms: 15_000 };
        block.push(head, &[Cell::int(value)], &[increase]);
        let batch = RowBatch { cluster: "lab".into(), tick: Tick(time_ms), blocks: vec![block] };
        let outcome = settled(offer(&sink, Payload::Rows(Arc::new(batch))).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{}", status(&sink).await.last_error);
    }
    let series = series(&google).await;
    let rx = points(&series, "custom.googleapis.com/kubernetes.io/network/rx", "node");
    let starts: Vec<_> = rx.iter().map(|point| point["start"].as_i64().unwrap()).collect();
    assert_eq!(starts, [now_ms - 60_000, now_ms - 44_999, now_ms - 44_999]);
}

/// Tokens that are taken back, quotas that are used up and servers that are away cost time, and
/// nothing is lost or written twice.
#[actix::test]
async fn what_passes_is_waited_for() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let (layout, entities) = (layout(), entities(now_ms));
    let sink = start(&account(&google, "gcm"));
    let first = rows(&layout, &entities, now_ms - 45_000);
    assert_eq!(settled(offer(&sink, first.clone()).await).await, Outcome::Delivered);
    google.revoke_tokens().await.unwrap();
    for code in [RESOURCE_EXHAUSTED, UNAVAILABLE] {
        google.fail_next("/timeSeries", code).await.unwrap();
    }
    let second = rows(&layout, &entities, now_ms - 30_000);
    assert_eq!(settled(offer(&sink, second.clone()).await).await, Outcome::Delivered);
    let status = until(&sink, |status| status.state == "ok").await;
    assert!(status.retries >= 3, "{status:?}");
    assert_eq!((status.delivered, status.rejected), (first.samples() + second.samples(), 0));
    // Once more, as after a lost acknowledgement.
    assert_eq!(settled(offer(&sink, second).await).await, Outcome::Delivered);
    assert!(series(&google).await.values().all(|points| points.len() == 2));
}

/// Of a request that is refused in part, the rest is there, and both are counted.
#[actix::test]
async fn a_partial_refusal_is_counted() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let (layout, entities) = (layout(), entities(now_ms));
    let (early, late) = (start(&account(&google, "gcm")), start(&account(&google, "gcm")));
    let node = rows(&layout, &entities[..1], now_ms - 30_000);
    assert_eq!(settled(offer(&early, node.clone()).await).await, Outcome::Delivered);
    // Another sink does not know of it, and comes too soon after it.
    let all = rows(&layout, &entities, now_ms - 25_000);
    assert_eq!(settled(offer(&late, all.clone()).await).await, Outcome::Delivered);
    let status = status(&late).await;
    assert_eq!(status.rejected, node.samples());
    assert_eq!(status.delivered, all.samples() - node.samples());
    assert!(status.last_error.contains("more frequently"), "{}", status.last_error);
}

/// A user's credentials, federation with impersonation, and the machine's own.
#[actix::test]
async fn credentials_of_every_kind_are_good() {
    let google = real_peer!(GoogleCloud::start());
    let now_ms = tick::unix_ms();
    let (layout, entities) = (layout(), entities(now_ms));
    let kinds = [google.credentials("user"), google.credentials("federated"), "metadata".into()];
    for (number, credentials) in (0..).zip(kinds) {
        let spec = spec(&google, "gcm", &credentials);
        // Where the metadata server is asked for everything, the location too.
        let sink = start(&spec.replace("&cluster_location=europe-west1", ""));
        let payload = rows(&layout, &entities[..1], now_ms - 55_000 + number * 15_000);
        let outcome = settled(offer(&sink, payload).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{}", status(&sink).await.last_error);
    }
    let state = google.state().await.unwrap();
    let grants = ["refresh_token", "exchange", "impersonation", "metadata"];
    assert_eq!(state["grants"], Value::from(grants.to_vec()));
    let series = series(&google).await;
    let zones: Vec<_> = series.keys().filter(|key| key.3.contains("europe-west1-b")).collect();
    assert!(!zones.is_empty(), "the machine's zone is the location");
}

/// Events are entries of their log; one that is written again is the same entry.
#[actix::test]
async fn events_are_log_entries() {
    let google = real_peer!(GoogleCloud::start());
    let event = |uid: &str, kind: &str, object: &str| Event {
        uid: uid.into(),
        last_unix_ms: tick::unix_ms(),
        count: 2,
        kind: kind.into(),
        message: "says \"no\"".into(),
        object_kind: object.into(),
        object_namespace: "shop".into(),
        object_name: "web-1".into(),
        ..Event::default()
    };
    let events =
        vec![event("u1", "Warning", "Pod"), event("u2", "Normal", "Node"), event("", "", "Job")];
    let payload = Payload::Events(Arc::new(EventBatch { cluster: "lab".into(), events }));
    let sink = start(&format!("{}&events=true&metrics=none", account(&google, "gcm")));
    for _ in 0..2 {
        assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    }
    assert_eq!((status(&sink).await.delivered, status(&sink).await.rejected), (6, 0));
    let state = google.state().await.unwrap();
    let entries = state["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["severity"], "WARNING");
    assert_eq!(entries[0]["resource"]["labels"]["pod_name"], "web-1");
    assert_eq!(entries[0]["jsonPayload"]["message"], "says \"no\"");
    assert_eq!(entries[1]["resource"]["type"], "k8s_node");
}
