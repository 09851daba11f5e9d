//! `metrics.k8s.io/v1beta1`: what `kubectl top` and the HorizontalPodAutoscaler ask, in the place of
//! metrics-server.
//!
//! ```text
//! poller ──readings, rows──▶ MetricsStore ─┐
//!                                          ├──▶ query ──▶ objects ──▶ body ──▶ server ◀── API server
//! API server ──watches──▶ ClusterMetadata ─┘                           auth ──────┘
//! ```
//!
//! It works from what this buddy polls, whether the master is there or not. `usage` says what a CPU
//! rate is, `auth` who gets an answer, `server` what a client may cost.

mod auth;
mod body;
mod certificate;
mod discovery;
#[doc(hidden)]
pub mod door;
mod handler;
mod limits;
mod objects;
mod openapi;
mod options;
mod quantity;
mod query;
mod request;
mod server;
mod stalled;
mod status;
mod store;
mod table;
mod usage;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use heapster_shared::{spec::Spec, tls::KeyFiles};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{auth::Gate, certificate::Certificate, handler::Handler};
pub use self::{limits::ConnectionLimits, options::MetricsArgs, store::MetricsStore};
use crate::{
    kubernetes::{Cluster, Connector},
    poller::Clock,
};

/// The metrics API, checked and not started.
pub struct MetricsApi {
    address: SocketAddr,
    connector: Connector,
    certificate: Arc<Certificate>,
    store: Arc<MetricsStore>,
    limits: ConnectionLimits,
}

impl MetricsApi {
    /// Checks the options, and reads the certificate; `None` where it is not wanted. The API server
    /// is that of the first discovery of Kubernetes, unless the options name another one.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn build(
        args: MetricsArgs,
        discoveries: &[Spec],
        clock: Clock,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = args.metrics_listen else { return Ok(None) };
        let discovered = || discoveries.iter().find(|spec| spec.kind == "kubernetes").cloned();
        let own = args.metrics_api_server;
        let is_own = own.is_some();
        let default =
            || Spec { kind: "kubernetes".into(), location: String::new(), options: vec![] };
        let mut spec = own.or_else(discovered).unwrap_or_else(default);
        if spec.kind != "kubernetes" {
            let known = &["kubernetes"];
            return Err(spec.unknown_kind("API server", known)).context("--metrics-api-server");
        }
        let connector = Connector::take(&mut spec).context("--metrics-api-server")?;
        if let Some((name, _)) = spec.options.first().filter(|_| is_own) {
            let known = Connector::OPTIONS.join("`, `");
            anyhow::bail!(
                "--metrics-api-server: unknown option `{name}`; the known ones are `{known}`"
            );
        }
        let files = args.metrics_tls_cert.zip(args.metrics_tls_key);
        let files = files.map(|(certificate, key)| KeyFiles { certificate, key });
        let certificate = Certificate::load(files);
        let certificate = certificate.map_err(anyhow::Error::msg).context("--metrics-tls-cert")?;
        Ok(Some(Self {
            address,
            connector,
            certificate: Arc::new(certificate),
            store: Arc::new(MetricsStore::new(clock)),
            limits: ConnectionLimits::default(),
        }))
    }

    /// The same with other bounds of connections.
    #[must_use]
    pub const fn limited(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the poller puts what is served.
    #[must_use]
    pub fn store(&self) -> &Arc<MetricsStore> {
        &self.store
    }

    /// Begins to serve, until it is stopped; gives the address that it listens on.
    ///
    /// # Errors
    /// A sentence: the port is taken, or there is no way to the API server.
    pub async fn start(self, stop: CancellationToken) -> anyhow::Result<SocketAddr> {
        let Self { address, connector, certificate, store, limits } = self;
        let cluster = Cluster::shared(&connector).await.map_err(anyhow::Error::msg)?;
        cluster.watch_nodes();
        cluster.watch_pods();
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--metrics-listen {address}: cannot listen"))?;
        let address = listener.local_addr()?;
        let tls = server::tls(Arc::clone(&certificate))?;
        let gate = Arc::new(Gate::new(cluster.client().clone()));
        tokio::spawn(certificate.follow(stop.clone()));
        tokio::spawn(Arc::clone(&gate).follow_trust(stop.clone()));
        let handler = Arc::new(Handler::new(store, cluster, gate, address.port()));
        tokio::spawn(server::serve(listener, tls, handler, limits, stop));
        tracing::info!(%address, "serving metrics.k8s.io");
        Ok(address)
    }
}
