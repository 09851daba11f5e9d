//! How much of a node is spoken for, as the scheduler sees it.
//!
//! All pods that are bound to the node and have not ended count, whether they run already or not:
//! what is reserved is gone for others. Of one pod counts what it may hold at one time: its
//! containers and sidecars together, or an init container with the sidecars that started before it,
//! whichever is more.

use std::sync::Arc;

use heapster_shared::row::Cell;

use crate::kubernetes::{Amounts, ContainerKind, ContainerSpec, NodeInfo, PodInfo};

/// One cell a metric of [`super::layouts::OF_NODE`]; absent where nothing is known.
pub(super) type NodeCells = [Cell; super::layouts::OF_NODE.len()];

/// What is known of a node; of its pods where there was a list of them.
pub(super) fn node_cells(node: Option<&NodeInfo>, pods: Option<&[Arc<PodInfo>]>) -> NodeCells {
    let [cpu_capacity, memory_capacity] = amounts(node.map(|node| node.capacity));
    let [cpu_allocatable, memory_allocatable] = amounts(node.map(|node| node.allocatable));
    let sum = |amount: fn(&ContainerSpec) -> Option<i64>| {
        let Some(pods) = pods else { return Cell::ABSENT };
        let running = pods.iter().filter(|pod| !pod.is_finished());
        Cell::int(running.map(|pod| held(pod, amount)).fold(0, i64::saturating_add))
    };
    [
        cpu_capacity,
        cpu_allocatable,
        memory_capacity,
        memory_allocatable,
        sum(|spec| spec.requests.cpu_millicores),
        sum(|spec| spec.limits.cpu_millicores),
        sum(|spec| spec.requests.memory_bytes),
        sum(|spec| spec.limits.memory_bytes),
    ]
}

/// CPU and memory.
fn amounts(amounts: Option<Amounts>) -> [Cell; 2] {
    let amounts = amounts.unwrap_or_default();
    #[allow(clippy::cast_precision_loss)]
    let cell =
        |amount: Option<i64>| amount.map_or(Cell::ABSENT, |amount| Cell::real(amount as f64));
    [cell(amounts.cpu_millicores), cell(amounts.memory_bytes)]
}

/// The most that a pod holds at one time. Init containers and sidecars come first, in the order in
/// which they start.
fn held(pod: &PodInfo, amount: fn(&ContainerSpec) -> Option<i64>) -> i64 {
    let (mut together, mut most) = (0_i64, 0_i64);
    for container in &pod.containers {
        let with_it = together.saturating_add(amount(&container.spec).unwrap_or(0));
        match container.spec.kind {
            ContainerKind::Init => most = most.max(with_it),
            ContainerKind::Main | ContainerKind::Sidecar => together = with_it,
        }
    }
    most.max(together)
}
