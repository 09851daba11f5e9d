//! `metrics.k8s.io` as clients see it: the answers of a recorded metrics-server, who gets one, and
//! real `kubectl` through an API server.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

mod access;
mod answers;
mod connections;
mod kubectl;
mod large;
mod recorded;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use heapster_buddy::{
    metrics_api::{ConnectionLimits, MetricsApi, MetricsArgs, MetricsStore},
    pipeline::{HostPipeline, Plans},
    source::{Layouts, PlainReading, PodName, Readings, Subject},
};
use heapster_shared::{
    entity::Labels,
    host::Host,
    row::Cell,
    schema::{Field, table},
    tick::Resolution,
};
use heapster_testkit::apiserver::{ApiServer, ApiServerOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

const BASE: &str = "/apis/metrics.k8s.io/v1beta1";
/// The bearer token of somebody who may do everything.
const ADMIN: &str = "admin-token";
/// 2026-11-22T11:13:30Z, when metrics-server was asked.
const NOW_MS: i64 = 1_795_346_010_000;

/// A metrics API beside an API server. The clock stands still.
struct Served {
    api: ApiServer,
    store: Arc<MetricsStore>,
    address: SocketAddr,
    _stop: DropGuard,
}

impl Served {
    /// With the recorded cluster.
    async fn recorded() -> Self {
        let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
        Self::beside(api, MetricsArgs::default()).await
    }

    async fn beside(api: ApiServer, options: MetricsArgs) -> Self {
        Self::limited(api, options, ConnectionLimits::default()).await
    }

    async fn limited(api: ApiServer, options: MetricsArgs, limits: ConnectionLimits) -> Self {
        let spec = format!("kubernetes:?kubeconfig={}", api.kubeconfig().display());
        let args = MetricsArgs { metrics_listen: Some(([127, 0, 0, 1], 0).into()), ..options };
        let discoveries = [spec.parse().unwrap()];
        let built = MetricsApi::build(args, &discoveries, Arc::new(|| NOW_MS)).unwrap().unwrap();
        let store = Arc::clone(built.store());
        let stop = CancellationToken::new();
        let address = built.limited(limits).start(stop.clone()).await.unwrap();
        Self { api, store, address, _stop: stop.drop_guard() }
    }

    /// Takes in two polls of a node, so that everything has a rate, and waits until it is ready.
    async fn polled(self, node: &str, used: &[Used]) -> Self {
        self.poll(node, used);
        self.until_ready().await;
        self
    }

    fn poll(&self, node: &str, used: &[Used]) {
        let (mut pipeline, mut plans) = (HostPipeline::default(), Plans::default());
        let (host, layouts) = (Arc::new(Host::named(node)), Layouts::default());
        for is_second in [false, true] {
            let readings = used.iter().map(|used| used.reading(is_second)).collect();
            let readings = Readings::collect(readings, &layouts);
            let blocks = pipeline.advance(&mut plans, &host, &readings);
            self.store.take(&host, &readings, &blocks, Resolution::DEFAULT);
        }
    }

    /// Says that this was all of the round.
    async fn until_ready(&self) {
        self.store.end_round();
        let client = client();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = self.get(&client, "/readyz").send().await.unwrap().text().await.unwrap();
            if text == "ok" {
                return;
            }
            assert!(Instant::now() < deadline, "{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn get(&self, client: &reqwest::Client, path: &str) -> reqwest::RequestBuilder {
        client.get(format!("https://{}{path}", self.address))
    }

    /// What a member of `system:masters` is told, as a person sees it.
    async fn told(&self, path: &str) -> (u16, String) {
        let request = self.get(&client(), path).bearer_auth(ADMIN);
        text(request.header("user-agent", "curl/7.88.1")).await
    }
}

/// The status and the body of an answer.
async fn text(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Believes any server, and shows nothing.
fn client() -> reqwest::Client {
    client_with(None)
}

fn client_with(identity: Option<reqwest::Identity>) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().no_gzip();
    let builder = match identity {
        Some(identity) => builder.identity(identity),
        None => builder,
    };
    builder.build().unwrap()
}

/// What something used between two samples.
struct Used {
    /// Namespace, pod and container; none for the node itself.
    container: Option<[String; 3]>,
    nanocores: i64,
    bytes: i64,
    time_ms: i64,
    window_ms: i64,
}

impl Used {
    fn reading(&self, is_second: bool) -> PlainReading {
        let nanoseconds = (self.nanocores * self.window_ms + 999) / 1000;
        let total = 1_000_000_000 + if is_second { nanoseconds } else { 0 };
        let time_ms = self.time_ms - if is_second { 0 } else { self.window_ms };
        let labels = Labels::default();
        let subject = match &self.container {
            None => Subject::Node { labels },
            Some([namespace, pod, container]) => Subject::PodContainer {
                pod: PodName {
                    namespace: namespace.as_str().into(),
                    name: pod.as_str().into(),
                    uid: "".into(),
                }
                .into(),
                name: container.as_str().into(),
                uid: "".into(),
                labels,
            },
        };
        let values = vec![
            (Field::plain(table::CPU_USAGE.def()), Cell::int(total)),
            (Field::plain(table::MEMORY_WORKING_SET.def()), Cell::int(self.bytes)),
        ];
        PlainReading { subject, time_ms, start_time_ms: 1, values }
    }
}

/// A node and containers (namespace, pod and name) that use a tenth of a core and 1 MiB each.
fn busy(containers: &[[&str; 3]]) -> Vec<Used> {
    let used = |container| Used {
        container,
        nanocores: 100_000_000,
        bytes: 1 << 20,
        time_ms: NOW_MS - 5_000,
        window_ms: 15_000,
    };
    let containers = containers.iter().map(|names| used(Some(names.map(str::to_owned))));
    std::iter::once(used(None)).chain(containers).collect()
}
