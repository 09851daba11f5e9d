//! `/metrics/containers`, asked and scraped by a real Prometheus.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tag,
    tick::{Tick, unix_ms},
};
use heapster_testkit::{peer::Prometheus, real_peer};
use serde_json::Value;

use crate::http::world::{Parts, World};

const MEMORY: &str = "heapster_pod_memory_usage_bytes";

#[actix::test]
async fn it_shows_what_is_asked_for() {
    let world = World::new(&["lab", "two"], Parts::default()).await;
    let ask = async |parameters: &str| {
        let (status, text) = world.text(&format!("/metrics/containers?{parameters}")).await;
        assert_eq!(status, 200, "{text}");
        text
    };
    let all = ask("").await;
    let line = format!(
        "heapster_container_memory_usage_bytes{{cluster_name=\"lab\",\
         container_base_image=\"busybox\",container_name=\"<main>\",labels=\"app:web\",\
         namespace_name=\"default\",nodename=\"node-a\",pod_id=\"u1\",pod_name=\"web-1\"}} 4098 {}\n",
        world.now_ms
    );
    assert!(all.contains(&line), "{all}");
    assert!(all.contains("# TYPE heapster_node_cpu_usage_seconds_total counter\n"));
    assert!(all.contains("cluster_name=\"two\""));
    assert!(!ask("cluster=lab").await.contains("cluster_name=\"two\""));
    let some = ask("level=node,ns").await;
    assert!(some.contains("heapster_node_") && some.contains("heapster_namespace_"));
    assert!(!some.contains("heapster_pod_"));
    let some = ask("namespace=default").await;
    assert!(some.contains("heapster_pod_") && !some.contains("heapster_node_"));
    assert_eq!(ask("namespace=other").await, "");
    assert_eq!(ask("max_age=0s").await, "", "all that is older is left out");
    for (parameters, part) in [
        ("cluster=no", "there is no cluster `no`"),
        ("level=pods", "level: there is no `pods`; there are cluster, ns"),
        ("max_age=soon", "max_age: "),
        ("timestamps=maybe", "the parameters cannot be read"),
    ] {
        let (status, error) = world.error(&format!("/metrics/containers?{parameters}")).await;
        assert!((400..500).contains(&status) && error.contains(part), "{parameters}: {error}");
    }
}

/// Two pods of a node.
struct Pods {
    entities: Vec<Arc<Entity>>,
    layout: Arc<Layout>,
}

impl Pods {
    fn new() -> Self {
        let mut table = EntityTable::default();
        let mut define = |parent: Option<Arc<Entity>>, level, name: &str| {
            let labels = [(tag::NAMESPACE_NAME, "default")];
            table.intern(Definition {
                parent,
                level,
                name: name.into(),
                uid: "".into(),
                start_time_ms: 0,
                labels: labels.iter().copied().collect::<Labels>(),
            })
        };
        let node = define(None, Level::Node, "node-a");
        let entities =
            ["stays", "goes"].map(|name| define(Some(Arc::clone(&node)), Level::Pod, name));
        let layout = Arc::new(Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]));
        Self { entities: entities.into(), layout }
    }

    /// The rows of the first so many pods now; the value is the time's.
    fn batch(&self, count: usize) -> RowBatch {
        let time_ms = unix_ms();
        let mut block = Block::new(Arc::clone(&self.layout));
        for entity in &self.entities[..count] {
            let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms: 0 };
            block.push(head, &[Cell::int(time_ms)], &[]);
        }
        RowBatch { cluster: "lab".into(), tick: Tick(time_ms), blocks: vec![block] }
    }
}

fn names(series: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> =
        series.iter().map(|one| one["metric"]["pod_name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

fn config(address: &str) -> String {
    let job = |name: &str, timestamps: bool| {
        format!(
            "- job_name: {name}\n  metrics_path: /metrics/containers\n  scrape_interval: 500ms\n  \
             scrape_timeout: 500ms\n  params:\n    max_age: [1s]\n    timestamps: ['{timestamps}']\n  \
             static_configs:\n  - targets: ['{address}']\n"
        )
    };
    format!("scrape_configs:\n{}{}", job("own", true), job("none", false))
}

/// Values keep their own times where they are given; where they are not, a pod that is gone is gone
/// at once, and not five minutes later.
#[actix::test]
async fn prometheus_scrapes_it() {
    let world = World::new(&[], Parts::default()).await;
    let address = world.url().trim_start_matches("http://").to_owned();
    let prometheus = real_peer!(Prometheus::start_with(&config(&address)));
    let pods = Pods::new();
    let count_of = async |count: usize, done: &dyn Fn(&[Value]) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            world.offer(pods.batch(count)).await;
            let query = format!("{MEMORY}{{job=\"none\"}}");
            let series = prometheus.query(&query, unix_ms()).await.unwrap();
            if done(&series) {
                return;
            }
            assert!(Instant::now() < deadline, "still {series:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    count_of(2, &|series| names(series) == ["goes", "stays"]).await;
    count_of(1, &|series| names(series) == ["stays"]).await;

    let now = unix_ms();
    let own = prometheus.query(&format!("{MEMORY}{{job=\"own\"}}[1m]"), now).await.unwrap();
    assert_eq!(names(&own), ["goes", "stays"]);
    for sample in own.iter().flat_map(|series| series["values"].as_array().unwrap()) {
        let time_ms = (sample[0].as_f64().unwrap() * 1e3).round();
        let value: f64 = sample[1].as_str().unwrap().parse().unwrap();
        assert_eq!(time_ms, value, "a row has its own time");
    }
    let help = prometheus.metadata(MEMORY).await.unwrap();
    assert_eq!((help["type"].as_str(), help["unit"].as_str()), (Some("gauge"), Some("bytes")));
    let up = prometheus.query("min(min_over_time(up[1m]))", now).await.unwrap();
    assert_eq!(up[0]["value"][1], "1", "no scrape failed");
}
