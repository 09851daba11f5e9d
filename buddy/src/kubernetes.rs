//! Everything that talks to the API server of Kubernetes.
//!
//! ```text
//! Connector ──▶ Cluster ──▶ watches of nodes, pods, namespaces ──▶ ClusterMetadata ──▶ readers
//!    spec          │ one a server
//!                  └──────▶ EventWatch ──▶ events
//! ```
//!
//! `watch` says how a watch behaves when the API server does not; `wire` what of its objects is
//! read; `model` what of that is kept. The sources that ask kubelets are given hosts by the discovery
//! `kubernetes`, and know of this only the client, for kubelets that are asked by a kubeconfig.

mod cluster;
mod connect;
#[doc(hidden)]
pub mod door;
mod events;
mod ids;
mod intern;
mod metadata;
mod model;
mod owner;
mod quantity;
mod selector;
mod sinks;
mod state;
mod transport;
mod trouble;
mod watch;
mod wire;

pub(crate) use self::trouble::sentence;
pub use self::{
    cluster::Cluster,
    connect::Connector,
    events::{EventCounts, EventWatch},
    ids::{ContainerId, HexId, PodUid},
    metadata::{ClusterMetadata, PodsOnNode},
    model::{
        Amounts, ContainerInfo, ContainerKind, ContainerSpec, NamespaceInfo, NodeAddress, NodeInfo,
        Owner, Phase, PodInfo,
    },
    selector::LabelSelector,
    state::WatchState,
};
