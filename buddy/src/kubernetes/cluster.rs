//! One cluster: its client, what is known of it, and the watches that keep that true.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use kube::Client;
use tokio::sync::watch::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    connect::Connector,
    intern::Interner,
    metadata::ClusterMetadata,
    sinks::{Namespaces, Nodes, Pods},
    state::{Board, WatchState},
    transport::HoldOff,
    watch::{Sink, Watch},
    wire::{NamespaceObject, NodeObject, Object, PodObject},
};

/// The clusters of this process that somebody holds.
static CLUSTERS: Mutex<Vec<(Connector, Weak<Cluster>)>> = Mutex::new(Vec::new());

/// A cluster. Everything that is built for the same API server has the same one, see
/// [`Cluster::shared`], so that there is one client and one watch of each resource. The watches end
/// when the last holder lets go of it.
pub struct Cluster {
    client: Client,
    hold_off: HoldOff,
    /// The only node that is of interest, where there is one.
    node: Option<String>,
    metadata: Arc<ClusterMetadata>,
    watched: Watched,
    stop: CancellationToken,
    _stop_in_the_end: DropGuard,
}

/// What may be watched, and how that goes.
#[derive(Debug)]
struct Watched {
    nodes: Watchable,
    pods: Watchable,
    namespaces: Watchable,
}

#[derive(Debug)]
struct Watchable {
    begun: AtomicBool,
    board: Arc<Board>,
}

impl Watchable {
    fn of<T: Object>() -> Self {
        Self { begun: AtomicBool::new(false), board: Arc::new(Board::new(T::RESOURCE)) }
    }
}

impl Cluster {
    /// The cluster to which a connector leads: the one that is held already where there is one.
    /// Reads files, and sends nothing. Needs a runtime, which is to outlive the cluster.
    ///
    /// # Errors
    /// A sentence, when there is no way to make a client: files are missing or wrong.
    pub async fn shared(connector: &Connector) -> Result<Arc<Self>, String> {
        if let Some(cluster) = held(connector) {
            return Ok(cluster);
        }
        let hold_off = HoldOff::default();
        let client = connector.connect(hold_off.clone()).await?;
        let node = connector.node().map(str::to_owned);
        let opened = Arc::new(Self::new(client, hold_off, node));
        let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been faster.
        let known = clusters.iter().filter(|(known, _)| known == connector);
        if let Some(cluster) = known.filter_map(|(_, cluster)| cluster.upgrade()).next() {
            return Ok(cluster);
        }
        clusters.retain(|(_, cluster)| cluster.strong_count() > 0);
        clusters.push((connector.clone(), Arc::downgrade(&opened)));
        Ok(opened)
    }

    fn new(client: Client, hold_off: HoldOff, node: Option<String>) -> Self {
        let stop = CancellationToken::new();
        Self {
            client,
            hold_off,
            node,
            metadata: Arc::default(),
            watched: Watched {
                nodes: Watchable::of::<NodeObject>(),
                pods: Watchable::of::<PodObject>(),
                namespaces: Watchable::of::<NamespaceObject>(),
            },
            _stop_in_the_end: stop.clone().drop_guard(),
            stop,
        }
    }

    /// A client of its API server, for whatever is no watch. It does not retry.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// What is known of the cluster.
    #[must_use]
    pub const fn metadata(&self) -> &Arc<ClusterMetadata> {
        &self.metadata
    }

    /// Begins to watch the nodes, unless they are watched already.
    pub fn watch_nodes(&self) {
        let metadata = Arc::clone(&self.metadata);
        self.begin::<NodeObject, _>(&self.watched.nodes, || Nodes { metadata, listed: Vec::new() });
    }

    /// Begins to watch pods and namespaces, unless they are watched already.
    pub fn watch_pods(&self) {
        let metadata = Arc::clone(&self.metadata);
        self.begin::<NamespaceObject, _>(&self.watched.namespaces, || Namespaces {
            metadata,
            listed: Vec::new(),
        });
        let metadata = Arc::clone(&self.metadata);
        self.begin::<PodObject, _>(&self.watched.pods, || Pods {
            metadata,
            interner: Interner::default(),
            listed: Vec::new(),
        });
    }

    fn begin<T: Object, S>(&self, watchable: &Watchable, sink: impl FnOnce() -> S)
    where
        S: Sink<T> + 'static,
    {
        if watchable.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        self.spawn::<T, _>(self.watch(&watchable.board, sink()), self.stop.clone());
    }

    /// A watch of this cluster that is not begun.
    pub(super) fn watch<S>(&self, board: &Arc<Board>, sink: S) -> Watch<S> {
        Watch::new(self.client.clone(), self.hold_off.clone(), Arc::clone(board), sink)
            .of_node(self.node.as_deref())
    }

    /// Runs a watch until it is stopped.
    pub(super) fn spawn<T: Object, S>(&self, watch: Watch<S>, stop: CancellationToken)
    where
        S: Sink<T> + 'static,
    {
        tokio::spawn(async move {
            tokio::select! {
                () = watch.run::<T>() => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// How the watches do that were begun.
    #[must_use]
    pub fn watch_states(&self) -> Vec<WatchState> {
        let Watched { nodes, pods, namespaces } = &self.watched;
        let begun = [nodes, pods, namespaces].into_iter();
        let begun = begun.filter(|watchable| watchable.begun.load(Ordering::Relaxed));
        begun.map(|watchable| watchable.board.state()).collect()
    }

    /// Until each resource that is watched by now has been listed once.
    pub async fn first_lists(&self) {
        let Watched { nodes, pods, namespaces } = &self.watched;
        let watched = [nodes, pods, namespaces];
        for watched in watched.into_iter().filter(|it| it.begun.load(Ordering::Relaxed)) {
            // The sender does not go while the cluster is held.
            let _ = watched.board.turns().wait_for(|_| watched.board.state().synced).await;
        }
    }

    /// How the watch of the nodes does.
    #[must_use]
    pub fn node_watch_state(&self) -> WatchState {
        self.watched.nodes.board.state()
    }

    /// Sees another number whenever the watch of the nodes begins or ceases to fail, and after its
    /// first list.
    #[must_use]
    pub fn node_watch_turns(&self) -> Receiver<u64> {
        self.watched.nodes.board.turns()
    }
}

fn held(connector: &Connector) -> Option<Arc<Cluster>> {
    let clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = clusters.iter().filter(|(known, _)| known == connector);
    known.filter_map(|(_, cluster)| cluster.upgrade()).next()
}
