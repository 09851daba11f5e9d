//! The discovery `kubernetes`: the nodes of a cluster.
//!
//! The nodes are watched, by a watch that everything in this process has in common (see
//! `crate::kubernetes`), so that asking for the list costs the API server nothing. Nodes that are
//! not ready are listed too, with why: their kubelets may well answer.

mod hosts;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
    tick::unix_ms,
    units,
};
use serde::Deserialize;
use tokio::sync::watch::Receiver;

use self::hosts::Mapping;
use super::{Discovery, DiscoveryError, Kind};
use crate::kubernetes::{Cluster, Connector, LabelSelector};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "kubernetes",
    summary: "the nodes of a Kubernetes cluster: the one that this program runs in, that of a kubeconfig, or that of an API server's address",
    samples: &[
        "kubernetes",
        "kubernetes:?kubeconfig=/etc/heapster/kubeconfig&context=prod",
        "kubernetes:https://10.0.0.1:6443?token_file=/etc/heapster/token&ca=/etc/heapster/ca.pem",
        "kubernetes:?selector=kubernetes.io/os=linux&skip_virtual=true&labels=topology.kubernetes.io/zone",
        "kubernetes:?address_types=Hostname,InternalIP",
        "kubernetes:in-cluster?node=node-a",
    ],
    build,
};

/// The first list is waited for this long, which is less than the caller waits.
const FIRST_LIST_WITHIN: Duration = Duration::from_secs(20);
/// A watch that fails for longer than this is worth a word: a server that restarts is not.
const PATIENCE: Duration = Duration::from_secs(60);

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Only nodes whose labels satisfy this, in the words of `kubectl -l`. Default: all nodes.
    #[serde(default)]
    selector: String,
    /// Leaves out virtual kubelets (`type=virtual-kubelet`), which are no machines. Default: false.
    #[serde(default, deserialize_with = "units::flag")]
    skip_virtual: bool,
    /// The types of addresses to try, the most preferred first, joined by commas.
    /// Default: `InternalIP,ExternalIP,InternalDNS,ExternalDNS,Hostname`.
    #[serde(default)]
    address_types: String,
    /// Labels of the node to put on its rows, joined by commas; `*` for all. Default: none.
    #[serde(default)]
    labels: String,
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let connector = Connector::take(&mut spec)?;
    let options: Options = spec.options().map_err(|SpecError(error)| {
        let own = Connector::OPTIONS.join("`, `");
        SpecError(format!("{error}; or, of the connection, `{own}`"))
    })?;
    let wrong = |what: String| SpecError(format!("{}: {what}", spec.name()));
    let selector = LabelSelector::parse(&options.selector)
        .map_err(|error| wrong(format!("`selector`: {error}")))?;
    let mapping =
        Mapping::new(selector, options.skip_virtual, &options.address_types, &options.labels);
    Ok(Box::new(Kubernetes { connector, mapping: mapping.map_err(wrong)?, open: None }))
}

struct Kubernetes {
    connector: Connector,
    mapping: Mapping,
    open: Option<Open>,
}

/// The cluster, once there is a way to it.
struct Open {
    cluster: Arc<Cluster>,
    changes: Receiver<u64>,
    turns: Receiver<u64>,
}

impl Kubernetes {
    async fn open(&mut self) -> Result<&mut Open, String> {
        if self.open.is_none() {
            let cluster = Cluster::shared(&self.connector).await?;
            cluster.watch_nodes();
            let changes = cluster.metadata().node_changes();
            let turns = cluster.node_watch_turns();
            self.open = Some(Open { cluster, changes, turns });
        }
        self.open.as_mut().ok_or_else(|| "the cluster is not open".to_owned())
    }
}

impl Open {
    /// Waits for the first list.
    async fn first_list(&mut self) -> Result<(), String> {
        let metadata = Arc::clone(self.cluster.metadata());
        let listed = self.changes.wait_for(|_| metadata.has_nodes());
        if tokio::time::timeout(FIRST_LIST_WITHIN, listed).await.is_ok() {
            return Ok(());
        }
        let state = self.cluster.node_watch_state();
        if state.last_error.is_empty() {
            Err(format!("no list of nodes within {} s", FIRST_LIST_WITHIN.as_secs()))
        } else {
            Err(format!("no list of nodes yet: {}", state.last_error))
        }
    }

    /// An error when the list may be old.
    fn check_age(&self) -> Result<(), String> {
        let state = self.cluster.node_watch_state();
        let failing_ms = unix_ms() - state.failing_since_unix_ms;
        let patience_ms = i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
        if state.failing_since_unix_ms == 0 || failing_ms < patience_ms {
            return Ok(());
        }
        Err(format!(
            "the nodes cannot be watched since {} s: {}",
            failing_ms / 1_000,
            state.last_error
        ))
    }
}

#[async_trait]
impl Discovery for Kubernetes {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        let open = self.open().await.map_err(DiscoveryError)?;
        open.first_list().await.map_err(DiscoveryError)?;
        open.check_age().map_err(DiscoveryError)?;
        // Before reading: what changes from now on is a change.
        open.changes.mark_unchanged();
        open.turns.mark_unchanged();
        let nodes = open.cluster.metadata().nodes();
        let mut hosts = self.mapping.hosts(&nodes);
        // One buddy on each node: where that is so, nodes are often not reached from others.
        let is_local = self.connector.node().is_some();
        hosts.iter_mut().for_each(|host| host.local = is_local);
        Ok(hosts)
    }

    async fn changed(&mut self) {
        let Some(open) = &mut self.open else { return std::future::pending().await };
        // Neither sender goes while the cluster is held.
        tokio::select! {
            _ = open.changes.changed() => {}
            _ = open.turns.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("kubernetes:?selector=a in (b", "`selector`: `a in (b` has no closing parenthesis"),
            (
                "kubernetes:?address_types=IP",
                "unknown type of address `IP`; the known ones are Int",
            ),
            ("kubernetes:?address_types=,", "`address_types` names none"),
            ("kubernetes:?skip_virtual=perhaps", "neither true nor false"),
            ("kubernetes:?nodes=a", "unknown option `nodes`"),
            ("kubernetes:?nodes=a", "of the connection, `kubeconfig`, `context`"),
            ("kubernetes:?node=", "`node` is empty"),
            ("kubernetes:?token=a", "go with an address"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
