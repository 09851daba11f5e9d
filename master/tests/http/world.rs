//! A server on a port of its own, over a model with rows and parts that say what a test wants.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix::Actor as _;
use async_trait::async_trait;
use heapster_master::{
    access::Door,
    actors::{
        Offer,
        model::{ModelActor, ModelHandle},
    },
    core::model::Limits,
    delivery::Payload,
    http::{self, AppState, Bounds},
    status::{
        ActorStatus, BuddyStatus, ClusterState, ClusterStatus, DroppedSamples, HostStatus,
        SinkStatus, StatusSource,
    },
};
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    event::ObserverState,
    host::{DiscoveryState, Host, HostState},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, ValueType, table},
    tag, tick,
    tick::Tick,
};
use serde_json::Value;

/// What the parts say; `stuck` ones say nothing, ever.
#[derive(Clone, Default)]
pub(crate) struct Parts {
    pub(crate) clusters: Vec<ClusterStatus>,
    pub(crate) buddies: Vec<BuddyStatus>,
    pub(crate) sinks: Vec<SinkStatus>,
    pub(crate) actors: Vec<ActorStatus>,
    pub(crate) stuck: bool,
}

impl Parts {
    async fn wait_if_stuck(&self) {
        if self.stuck {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl StatusSource for Parts {
    async fn clusters(&self) -> Vec<ClusterStatus> {
        self.wait_if_stuck().await;
        self.clusters.clone()
    }

    async fn buddies(&self) -> Vec<BuddyStatus> {
        self.wait_if_stuck().await;
        self.buddies.clone()
    }

    async fn sinks(&self) -> Vec<SinkStatus> {
        self.wait_if_stuck().await;
        self.sinks.clone()
    }

    async fn actors(&self) -> Vec<ActorStatus> {
        self.wait_if_stuck().await;
        self.actors.clone()
    }
}

/// A part of each kind, with something wrong with most of them.
pub(crate) fn troubled_parts(now_ms: i64) -> Parts {
    let state = |ok: bool, error: &str| HostState {
        host_id: "h".into(),
        ok,
        error: error.into(),
        latency_ms: 12,
        tick_unix_ms: now_ms,
        source: "cadvisor".into(),
    };
    let host =
        |name: &str, state| HostStatus { host: Host::named(name), state, polled_by: "b1".into() };
    let cluster = ClusterStatus {
        name: "lab".into(),
        state: ClusterState::Ok,
        manager: "static".into(),
        buddies: 1,
        entities: 6,
        tick_unix_ms: now_ms,
        received_unix_ms: now_ms,
        rows: 12,
        samples: 120,
        rejected_rows: 1,
        events: 9,
        hosts: vec![
            host("node-a", Some(state(true, ""))),
            host("node-b", Some(state(false, "connection refused"))),
        ],
        discoveries: vec![DiscoveryState {
            name: "static:hosts.json".into(),
            ok: false,
            error: "line 3, column 1: <unfinished>".into(),
            hosts: 2,
            listed_unix_ms: now_ms - 60_000,
        }],
        disputes: Vec::new(),
    };
    Parts {
        clusters: vec![cluster],
        buddies: vec![buddy(now_ms)],
        sinks: vec![
            sink("influxdb:http://db", "failing", "no route to \"db\""),
            sink("log", "ok", ""),
        ],
        actors: vec![ActorStatus {
            path: "supervisor".into(),
            mailbox_bound: 16,
            mailbox_depth: 2,
            restarts: 1,
            last_exit: String::new(),
            state: Value::Null,
        }],
        stuck: false,
    }
}

fn buddy(now_ms: i64) -> BuddyStatus {
    BuddyStatus {
        id: "b1".into(),
        instance: "1".into(),
        cluster: "lab".into(),
        roles: vec!["polls".into()],
        assignment: None,
        manager: "static".into(),
        duplicate: String::new(),
        duplicate_unix_ms: 0,
        software: "heapster/0".into(),
        peer: "127.0.0.1:1".into(),
        credential: String::new(),
        connected: true,
        connected_unix_ms: now_ms,
        heard_unix_ms: now_ms,
        clock_offset_ms: -20,
        delivered_sequence: 7,
        received_bytes: 1_000,
        received_frames: 8,
        retried_frames: 0,
        slowed_ms: 1500,
        rejected_frames: 0,
        spool_bytes: 0,
        dropped_frames: 0,
        damaged_frames: 2,
        spool_error: "No space left on device".into(),
        observers: vec![ObserverState {
            name: "kubernetes".into(),
            ok: false,
            error: "the API server says 403: events is forbidden".into(),
            observed: 20,
            deduplicated: 4,
            sent: 9,
            dropped: 7,
            heard_unix_ms: now_ms,
        }],
        last_error: String::new(),
    }
}

pub(crate) fn sink(name: &str, state: &str, last_error: &str) -> SinkStatus {
    SinkStatus {
        name: name.into(),
        kind: name.split(':').next().unwrap().into(),
        required: false,
        state: state.into(),
        accepted: 10,
        accepted_rows: 2,
        filtered: 4,
        held: 0,
        merged: 0,
        delivered: 8,
        rejected: 1,
        dropped: 1,
        dropped_by_reason: DroppedSamples { queue_full: 1, ..DroppedSamples::default() },
        given_back: 0,
        retries: 2,
        queue_bytes: 0,
        queue_limit_bytes: 1 << 20,
        oldest_unix_ms: 0,
        lag_ms: 0,
        written_unix_ms: 0,
        last_error: last_error.into(),
        last_error_unix_ms: 1,
    }
}

/// Three ticks of a cluster with one node, one pod of one container, and one free container whose
/// name is a path.
pub(crate) struct Rows {
    pub(crate) cluster: &'static str,
    /// Time of the newest rows.
    pub(crate) now_ms: i64,
}

/// The name of the free container.
pub(crate) const SERVICE: &str = "/system.slice/docker.service";

impl Rows {
    fn entities(&self) -> Vec<Arc<Entity>> {
        let mut table = EntityTable::default();
        let started = self.now_ms - 600_000;
        let mut define =
            |parent: Option<&Arc<Entity>>, level, name: &str, labels: &[(&str, &str)]| {
                table.intern(Definition {
                    parent: parent.cloned(),
                    level,
                    name: name.into(),
                    uid: if level == Level::Pod { "u1".into() } else { "".into() },
                    start_time_ms: started,
                    labels: labels.iter().copied().collect::<Labels>(),
                })
            };
        let node_labels = [(tag::LABELS, "arch:amd64")];
        let node = define(None, Level::Node, "node-a", &node_labels);
        let pod_labels =
            [(tag::NAMESPACE_NAME, "default"), (tag::NAMESPACE_ID, "n1"), (tag::LABELS, "app:web")];
        let pod = define(Some(&node), Level::Pod, "web-1", &pod_labels);
        let image = [(tag::CONTAINER_BASE_IMAGE, "busybox")];
        vec![
            define(Some(&pod), Level::PodContainer, "<main>", &image),
            define(Some(&node), Level::SysContainer, SERVICE, &[]),
            define(None, Level::Namespace, "default", &[]),
            define(None, Level::Cluster, "", &[]),
            node,
            pod,
        ]
    }

    /// The batches, oldest first.
    pub(crate) fn batches(&self) -> Vec<RowBatch> {
        let fields = vec![
            Field::plain(table::CPU_USAGE.def()),
            Field::plain(table::MEMORY_USAGE.def()),
            Field::plain(table::CPU_NODE_CAPACITY.def()),
            Field::plain(table::CPU_NODE_UTILIZATION.def()),
            Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
            Field::resource(table::FILESYSTEM_USAGE.def(), "logs"),
        ];
        let layout = Arc::new(Layout::new(fields));
        let entities = self.entities();
        (0..3_i64)
            .map(|tick| {
                let time_ms = self.now_ms - (2 - tick) * 15_000;
                let mut block = Block::new(Arc::clone(&layout));
                for entity in &entities {
                    let interval_ms = if tick == 0 { 0 } else { 15_000 };
                    let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms };
                    let ints = [7_500_000_000 * tick, 4096 + tick];
                    let mut cells = ints.map(Cell::int).to_vec();
                    cells.extend([4000.0, 0.25].map(Cell::real));
                    cells.extend([100, 200].map(Cell::int));
                    let increase = if tick == 0 { Cell::ABSENT } else { Cell::int(7_500_000_000) };
                    block.push(head, &cells, &[increase]);
                }
                RowBatch { cluster: self.cluster.into(), tick: Tick(time_ms), blocks: vec![block] }
            })
            .collect()
    }
}

/// One row of each of this many nodes.
pub(crate) fn many_nodes(count: usize, now_ms: i64) -> RowBatch {
    let mut table = EntityTable::default();
    let layout = Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]);
    let mut block = Block::new(Arc::new(layout));
    for number in 0..count {
        let entity = table.intern(Definition {
            parent: None,
            level: Level::Node,
            name: format!("n{number}").into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        });
        let head = RowHead { entity, time_ms: now_ms, interval_ms: 0 };
        block.push(head, &[Cell::int(1)], &[]);
    }
    RowBatch { cluster: "big".into(), tick: Tick(now_ms), blocks: vec![block] }
}

/// A server and a client for it.
pub(crate) struct World {
    base: String,
    client: reqwest::Client,
    pub(crate) state: AppState,
    pub(crate) now_ms: i64,
}

impl World {
    /// Serves rows of these clusters.
    pub(crate) async fn new(clusters: &[&'static str], parts: Parts) -> Self {
        Self::bounded(clusters, parts, Bounds::default()).await
    }

    /// The same, of which each client may take so much.
    pub(crate) async fn bounded(clusters: &[&'static str], parts: Parts, bounds: Bounds) -> Self {
        // Plain HTTP only, but the client wants a provider all the same. A second call is an error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now_ms = tick::unix_ms();
        let model = ModelHandle::new(ModelActor::new(Limits::default()).start());
        for cluster in clusters {
            for batch in (Rows { cluster, now_ms }).batches() {
                let offer = Offer::unasked(Payload::Rows(Arc::new(batch)));
                model.addr().unwrap().send(offer).await.unwrap();
            }
        }
        let state = AppState::new(Arc::new(parts), model);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        actix::spawn(
            http::serve(listener, state.clone(), Arc::new(Door::wide_open()), bounds).unwrap(),
        );
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { base, client, state, now_ms }
    }

    /// Serves rows of the cluster `lab`, of which nothing else is known.
    pub(crate) async fn lab() -> Self {
        Self::new(&["lab"], Parts::default()).await
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    /// Gives the model a further batch.
    pub(crate) async fn offer(&self, batch: RowBatch) {
        let offer = Offer::unasked(Payload::Rows(Arc::new(batch)));
        self.state.model.addr().unwrap().send(offer).await.unwrap();
    }

    pub(crate) async fn request(&self, method: &str, path: &str) -> reqwest::Response {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base)).send().await.unwrap()
    }

    /// As the page of this origin makes it.
    pub(crate) async fn request_from(
        &self,
        method: &str,
        path: &str,
        origin: &str,
    ) -> reqwest::Response {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.header("origin", origin).send().await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> (u16, String) {
        let response = self.request("GET", path).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The JSON of an answer that is right.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.text(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The sentence of an answer that is an error.
    pub(crate) async fn error(&self, path: &str) -> (u16, String) {
        let (status, text) = self.text(path).await;
        assert!(status >= 400, "{path}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        (status, answer["error"].as_str().unwrap().to_owned())
    }
}

/// Values of a series.
pub(crate) fn values(series: &Value) -> Vec<Value> {
    series["metrics"].as_array().unwrap().iter().map(|point| point["value"].clone()).collect()
}

/// The type of a metric's values, for tests that go through all of them.
pub(crate) fn is_double(name: &str) -> bool {
    table::by_name(name).is_some_and(|def| def.value_type == ValueType::Double)
}
