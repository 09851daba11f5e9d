//! How a server is to be, and what its connections and watches share with the test's own hands.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::sync::watch;

use super::{faults::Traffic, proxy::Clients, seed, store::Store};
use crate::{authority::Authority, sim::World};

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct ApiServerOptions {
    /// Serves TLS; otherwise plain HTTP, without client certificates.
    pub tls: bool,
    /// The port on the loopback address; 0 for any that is free.
    pub port: u16,
    /// Who may do what; a new authority when there is none.
    pub authority: Option<Arc<Authority>>,
    /// How often watchers that allow it are sent bookmarks.
    pub bookmarks: Duration,
    /// Whether watches may begin with all objects (`sendInitialEvents`), which the recorded version
    /// did not know; it is refused otherwise, as by servers that have it switched off.
    pub streaming_lists: bool,
    /// Changes that are remembered; watchers that missed more get 410.
    pub kept_changes: usize,
}

impl Default for ApiServerOptions {
    fn default() -> Self {
        Self {
            tls: true,
            port: 0,
            authority: None,
            bookmarks: Duration::from_secs(60),
            streaming_lists: false,
            kept_changes: 20_000,
        }
    }
}

/// What connections, watches and the test's own hands share.
pub(super) struct Shared {
    pub(super) options: ApiServerOptions,
    pub(super) authority: Arc<Authority>,
    pub(super) world: Option<Arc<World>>,
    pub(super) store: Mutex<Store>,
    pub(super) traffic: Mutex<Traffic>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) clients: Clients,
    /// Where `metrics.k8s.io` is served, as the beginning of a URL.
    pub(super) aggregated: Mutex<Option<String>>,
    /// The version of the latest change.
    pub(super) changed: watch::Sender<u64>,
    /// Counts the times that all watches were cut.
    pub(super) cut: watch::Sender<u64>,
    pub(super) open_watches: AtomicUsize,
}

impl Shared {
    /// What is there before anybody connects.
    pub(super) fn new(
        world: Option<Arc<World>>,
        options: ApiServerOptions,
        authority: Arc<Authority>,
    ) -> anyhow::Result<Self> {
        let mut store = Store::new(world.clone(), options.kept_changes);
        seed::authentication(&mut store, &authority)?;
        let version = match &world {
            None => seed::recorded(&mut store)?,
            Some(_) => {
                seed::namespaces(&mut store)?;
                0
            }
        };
        store.begin(version);
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
        let tls = options.tls.then(|| authority.cluster.server_config(&names)).transpose()?;
        Ok(Self {
            clients: Clients::new(&authority)?,
            options,
            authority,
            world,
            store: Mutex::new(store),
            traffic: Mutex::default(),
            tls: tls.map(Arc::new),
            aggregated: Mutex::default(),
            changed: watch::Sender::default(),
            cut: watch::Sender::default(),
            open_watches: AtomicUsize::new(0),
        })
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn world(&self) -> Option<&World> {
        self.world.as_deref()
    }

    /// Changes the store and wakes the watches.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let (result, version) = {
            let mut store = self.store();
            (change(&mut store), store.version())
        };
        self.changed.send_replace(version);
        result
    }

    pub(super) fn is_aggregating(&self) -> bool {
        self.aggregated.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Without simulated kubelets there may be real ones.
    pub(super) fn kubelets_have_tls(&self) -> bool {
        self.world.as_ref().is_none_or(|world| world.kubelets_have_tls())
    }

    pub(super) fn count_watch(self: &Arc<Self>) -> OpenWatch {
        self.open_watches.fetch_add(1, Ordering::Relaxed);
        OpenWatch(Arc::clone(self))
    }
}

/// Counts a watch for as long as it is open.
pub(super) struct OpenWatch(Arc<Shared>);

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.open_watches.fetch_sub(1, Ordering::Relaxed);
    }
}
