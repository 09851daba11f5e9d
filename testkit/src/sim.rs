//! A simulated cluster: thousands of hosts that answer as cAdvisor and kubelets do, from one small
//! process, with counters whose true rates are known.
//!
//! Each host has a loopback address of its own (`127.x.y.z`) and all share a port, or all share an
//! address and each has a port. Nothing is stored for each container: what a host says follows from
//! the seed, the host's number and the time, so that 5,000 hosts of 60 containers cost little
//! memory, and so that anyone who knows the configuration knows the truth ([`Truth`]).
//!
//! ```text
//! identity (who)  ┐
//! truth (how much)├─▶ view (one host, one instant) ─▶ cadvisor_v1, cadvisor_v2, kubelet ─▶ server
//! behaviour (how) ┘                                    objects ─▶ world ─▶ an API server
//! ```

mod behaviour;
mod cadvisor_v1;
mod cadvisor_v2;
mod cluster;
mod identity;
mod indent;
mod json;
mod kubelet;
mod kubelet_metrics;
mod machine;
mod objects;
mod server;
mod tls;
mod truth;
mod view;
mod workload;
mod world;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

pub use behaviour::Behaviour;
pub use cluster::{SimCluster, SimHost};
pub use identity::{container_name, host_name, namespace, pod_name};
pub use truth::{Thing, Truth};
pub use workload::PodState;
pub(crate) use world::{NodeVersion, PodMark, PodVersion, World};

use crate::authority::Authority;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Number of hosts.
    pub hosts: usize,
    /// Pods on each host.
    pub pods_per_host: usize,
    /// Containers in each pod.
    pub containers_per_pod: usize,
    /// Where the hosts answer.
    pub addressing: Addressing,
    /// The other source of variety: same seed, same cluster.
    pub seed: u64,
    /// How far a counter's momentary rate may be from its true mean rate, in thousandths of it.
    /// Below 1000, so that counters never go back by themselves; 0 for counters that are exact.
    pub wobble_per_mille: u32,
    /// How often a host samples each container; between two samples it repeats the last one, as
    /// cAdvisor does. Zero for a new sample at each request.
    pub housekeeping: Duration,
    /// How long the containers ran before the simulation started.
    pub age: Duration,
    /// Who manages the containers, as cAdvisor sees it.
    pub flavour: Flavour,
    /// Whether each pod has a sandbox (`POD`) container, which is where its network is measured.
    pub sandboxes: bool,
    /// Serves TLS as kubelets do; without it all is plain and everybody is answered.
    pub tls: Option<KubeletTls>,
}

/// How hosts serve TLS, on the port that they have.
#[derive(Clone, Debug)]
pub struct KubeletTls {
    /// Signs the certificates, knows the clients and says what they may do.
    pub authority: Arc<Authority>,
    /// What the certificates are valid for.
    pub names: CertificateNames,
    /// Whether whoever speaks plain HTTP is answered too, without credentials, as on a kubelet's
    /// read-only port.
    pub plain_too: bool,
}

/// What a kubelet's serving certificate is valid for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CertificateNames {
    /// The name of its node alone, as kubelets have that sign their own.
    #[default]
    NodeName,
    /// Its address alone.
    Address,
    /// Both.
    Both,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            hosts: 1,
            pods_per_host: 30,
            containers_per_pod: 2,
            addressing: Addressing::PerHostAddress { port: 0 },
            seed: 1,
            wobble_per_mille: 20,
            housekeeping: Duration::from_secs(1),
            age: Duration::from_secs(3600),
            flavour: Flavour::Kubernetes,
            sandboxes: false,
            tls: None,
        }
    }
}

impl SimConfig {
    /// Containers of one host, sandboxes left out.
    #[must_use]
    pub fn containers_per_host(&self) -> usize {
        self.pods_per_host * self.containers_per_pod
    }
}

/// Where the hosts answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    /// An address of `127.0.0.0/8` for each host, one port for all of them.
    PerHostAddress {
        /// The port; 0 for any that is free.
        port: u16,
    },
    /// One address for all of them, a port for each.
    PerHostPort {
        /// The address.
        address: Ipv4Addr,
        /// The port of the first host, the next one for the next; 0 for any that are free.
        first_port: u16,
    },
}

/// Who manages the containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// Kubernetes over Docker: `/kubepods/...` with the labels `io.kubernetes.*`.
    Kubernetes,
    /// Docker alone: `/docker/ID`, a name as alias.
    Docker,
}
