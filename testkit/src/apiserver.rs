//! A Kubernetes API server for tests, demos and benches: good enough for `kubectl` and for clients
//! that list and watch, and as bad as a test wants it.
//!
//! It is built from what a real server answered. Its objects are those of the recorded cluster
//! ([`ApiServer::recorded`]) or of simulated hosts ([`ApiServer::simulated`]), whose pods are worked
//! out page by page and never held.
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! use heapster_testkit::{
//!     apiserver::{ApiServer, ApiServerOptions, Fault},
//!     sim::{SimCluster, SimConfig},
//! };
//!
//! let hosts = SimCluster::start(SimConfig { hosts: 3, ..SimConfig::default() }).await?;
//! let api = ApiServer::simulated(&hosts, ApiServerOptions::default()).await?;
//! let kubeconfig = api.kubeconfig(); // contexts `admin`, `heapster`, `anonymous`
//! api.fail("watch pods", Fault::Status(500), Some(2));
//! api.cut_watches();
//! # Ok(())
//! # }
//! ```

mod faults;
mod follow;
mod kubeconfig;
mod list;
mod object;
mod proxy;
mod request;
mod resources;
mod respond;
mod reviews;
mod seed;
mod selector;
mod server;
mod shared;
mod store;
mod table;
mod watch;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use anyhow::{Context, ensure};
pub use faults::Fault;
use kubeconfig::Credentials;
use resources::Resource;
use serde_json::Value;
pub use shared::ApiServerOptions;
use shared::Shared;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    authority::Authority,
    peer::free_ports,
    sim::{SimCluster, World},
};

/// The most hosts whose pods are listed in the order of their names.
const MOST_HOSTS: usize = 1 << 16;

/// A running API server; it stops when it is dropped.
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    credentials: Credentials,
    folder: TempDir,
    server: Option<JoinHandle<()>>,
    follower: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Starts one with the objects of the recorded cluster: a node, three pods, and their events.
    ///
    /// # Errors
    /// When the port is taken or TLS cannot be set up.
    pub async fn recorded(options: ApiServerOptions) -> anyhow::Result<Self> {
        Self::start(None, options).await
    }

    /// Starts one whose nodes and pods are those of simulated hosts, whatever becomes of them.
    ///
    /// # Errors
    /// When the port is taken, TLS cannot be set up, or there are too many hosts.
    pub async fn simulated(hosts: &SimCluster, options: ApiServerOptions) -> anyhow::Result<Self> {
        ensure!(hosts.hosts().len() <= MOST_HOSTS, "an API server has at most {MOST_HOSTS} hosts");
        Self::start(Some(Arc::new(hosts.world())), options).await
    }

    async fn start(world: Option<Arc<World>>, options: ApiServerOptions) -> anyhow::Result<Self> {
        let authority = match &options.authority {
            Some(authority) => Arc::clone(authority),
            None => Arc::new(Authority::new()?),
        };
        let port = if options.port == 0 { free_ports::<1>()?[0] } else { options.port };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let shared = Arc::new(Shared::new(world, options, authority)?);
        let credentials = Credentials::new(&shared.authority)?;
        let folder = tempfile::tempdir()?;
        let mut server =
            Self { shared, address, credentials, folder, server: None, follower: None };
        server.write_kubeconfig(server.folder.path())?;
        server.restart().await?;
        if let Some(world) = &server.shared.world {
            let task = follow::follow(Arc::clone(&server.shared), Arc::clone(world));
            server.follower = Some(tokio::spawn(task));
        }
        Ok(server)
    }
}

/// Where it is and whom it knows.
impl ApiServer {
    /// `https://127.0.0.1:PORT`, or with `http`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.shared.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Tokens, certificates and the policy.
    #[must_use]
    pub fn authority(&self) -> &Arc<Authority> {
        &self.shared.authority
    }

    /// A kubeconfig with the contexts `admin` (current), `heapster` and `anonymous`.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The folder of the kubeconfig, which also has what a service account's volume has: `ca.crt`,
    /// `token` and `namespace`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the kubeconfig and the files that it names to another folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_kubeconfig(&self, folder: &Path) -> anyhow::Result<()> {
        self.credentials.write(folder, &self.url())
    }

    /// The bearer token of the service account `kube-system/heapster`.
    #[must_use]
    pub fn service_token(&self) -> &'static str {
        kubeconfig::SERVICE_TOKEN
    }
}

/// Its objects.
impl ApiServer {
    /// Adds an object, or replaces the one of its kind, namespace and name.
    ///
    /// # Errors
    /// When there is no such kind, or the object has no name.
    pub fn put(&self, mut object: Value) -> anyhow::Result<()> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let resource =
            resources::by_kind(kind).with_context(|| format!("no kind of object is `{kind}`"))?;
        let name = object.pointer("/metadata/name").and_then(Value::as_str).context("no name")?;
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
        let key = namespace.map_or_else(|| name.to_owned(), |space| format!("{space}/{name}"));
        if let Some(members) = object.as_object_mut() {
            members.remove("kind");
            members.remove("apiVersion");
        }
        self.shared.change(|store| store.put(resource, key, object));
        Ok(())
    }

    /// An object by the plural of its kind and `NAMESPACE/NAME`, or `NAME` where it has no
    /// namespace; without kind and API version.
    #[must_use]
    pub fn get(&self, plural: &str, key: &str) -> Option<Value> {
        let resource = resources::by_plural(plural)?;
        let entry = self.shared.store().get(resource, key)?;
        Some(entry.value(resource, self.shared.world()))
    }

    /// Changes an object; false where there is none.
    pub fn modify(&self, plural: &str, key: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some((resource, mut object)) = self.known(plural).zip(self.get(plural, key)) else {
            return false;
        };
        change(&mut object);
        self.shared.change(|store| store.put(resource, key.to_owned(), object));
        true
    }

    /// Deletes an object; false where there is none.
    pub fn delete(&self, plural: &str, key: &str) -> bool {
        let Some(resource) = self.known(plural) else { return false };
        self.shared.change(|store| store.remove(resource, key))
    }

    fn known(&self, plural: &str) -> Option<&'static Resource> {
        resources::by_plural(plural)
    }

    /// The version of the latest change.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.shared.store().version()
    }

    /// Lets versions pass in which nothing changed that anybody here watches.
    pub fn pass_versions(&self, versions: u64) {
        self.shared.change(|store| store.pass(versions));
    }

    /// Forgets what changed: whoever continues from an older version gets 410.
    pub fn compact(&self) {
        self.shared.store().compact();
    }
}

/// What a test does to it.
impl ApiServer {
    /// Breaks the connections of all watches.
    pub fn cut_watches(&self) {
        self.shared.cut.send_modify(|times| *times += 1);
    }

    /// Watches that are open.
    #[must_use]
    pub fn open_watches(&self) -> usize {
        self.shared.open_watches.load(Ordering::Relaxed)
    }

    /// Makes requests fail: all of them (`*`), or those of a kind, such as `list pods`, `watch
    /// nodes`, `get nodes/proxy`, `create tokenreviews`, `list pods.metrics.k8s.io` or `get /apis`;
    /// so many times, or until [`ApiServer::heal`].
    pub fn fail(&self, requests: &str, fault: Fault, times: Option<usize>) {
        self.shared.traffic().add(requests, fault, times);
    }

    /// Lets no more requests fail.
    pub fn heal(&self) {
        self.shared.traffic().heal();
    }

    /// Requests of a kind that came, failed ones too.
    #[must_use]
    pub fn requests(&self, kind: &str) -> usize {
        self.shared.traffic().count(kind)
    }

    /// Paths and queries of the latest requests, oldest first.
    #[must_use]
    pub fn request_targets(&self) -> Vec<String> {
        self.shared.traffic().targets()
    }

    /// Registers a server, on TLS, for `metrics.k8s.io/v1beta1`: what comes for that group is passed
    /// on to it.
    ///
    /// # Errors
    /// When the registration cannot be written.
    pub fn aggregate_metrics(&self, server: SocketAddr) -> anyhow::Result<()> {
        let mut target = self.shared.aggregated.lock().unwrap_or_else(PoisonError::into_inner);
        *target = Some(proxy::aggregated_base(server));
        drop(target);
        self.shared.change(seed::api_service)
    }

    /// Closes the port and every connection.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // It was called off; its port is free when it has ended.
            let _ = server.await;
        }
    }

    /// Listens again on the same port, with the same objects; every connection is closed.
    ///
    /// # Errors
    /// When the port was taken by somebody else.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address)
            .await
            .with_context(|| format!("cannot listen on {}", self.address))?;
        self.server = Some(tokio::spawn(server::serve(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for task in [&self.server, &self.follower].into_iter().flatten() {
            task.abort();
        }
    }
}
