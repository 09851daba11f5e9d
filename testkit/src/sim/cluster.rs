//! The cluster: binds every host's address, starts the hosts, and stops them when it is dropped.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
};

use anyhow::{Context, bail, ensure};
use heapster_shared::{schema::MetricId, tick::unix_ms};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{
    Addressing, Behaviour, SimConfig, Thing, Truth, host_name,
    server::{HostServer, Shared},
    tls::Gate,
    truth::millis,
    world::World,
};

/// The second byte of the first host's address: `127.16.0.1`.
const FIRST_NET: usize = 16;
/// Hosts whose addresses differ in the last byte only.
const HOSTS_PER_BLOCK: usize = 250;
/// The most hosts that there are addresses for.
const MOST_HOSTS: usize = 200 * 250 * HOSTS_PER_BLOCK;
/// A free port of the first address may be taken on another one.
const PORT_ATTEMPTS: usize = 20;

/// A running simulated cluster; it stops when it is dropped.
#[derive(Debug)]
pub struct SimCluster {
    shared: Arc<Shared>,
    hosts: Vec<SimHost>,
    behaviours: Vec<watch::Sender<Behaviour>>,
    /// Aborted when dropped.
    _servers: JoinSet<()>,
}

/// A host of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimHost {
    /// Its name.
    pub name: String,
    /// Where it answers.
    pub address: Ipv4Addr,
    /// The port there, for every kind of endpoint.
    pub port: u16,
}

impl SimCluster {
    /// Binds all addresses and starts to answer, in the runtime of the caller.
    ///
    /// # Errors
    /// When the configuration makes no sense, when an address is taken, or when the process may not
    /// open enough sockets.
    pub async fn start(config: SimConfig) -> anyhow::Result<Self> {
        ensure!(config.hosts <= MOST_HOSTS, "no more than {MOST_HOSTS} hosts can be simulated");
        ensure!(config.wobble_per_mille < 1000, "the wobble must stay below 1000 thousandths");
        allow_sockets(config.hosts)?;
        let listeners = bind_all(&config).await?;
        // Kubernetes has start times to the second; so nothing is lost in its objects.
        let epoch_ms = (unix_ms() - millis(config.age)) / 1000 * 1000;
        let gate = config.tls.as_ref().map(Gate::new).transpose()?;
        let gate = gate.map(|gate| gate.for_hosts(config.hosts));
        let shared = Arc::new(Shared {
            gate,
            truth: Truth::new(config, epoch_ms),
            answers: 0.into(),
            answer_bytes: 0.into(),
            polls: OnceLock::new(),
        });
        let mut cluster =
            Self { shared, hosts: Vec::new(), behaviours: Vec::new(), _servers: JoinSet::new() };
        for (address, listener) in listeners {
            cluster.start_host(address, listener);
        }
        Ok(cluster)
    }

    fn start_host(&mut self, address: SocketAddr, listener: TcpListener) {
        let host = self.hosts.len();
        let (sender, behaviour) = watch::channel(Behaviour::Healthy);
        let server = HostServer { shared: Arc::clone(&self.shared), host, behaviour };
        self._servers.spawn(server.run(address, listener));
        self.behaviours.push(sender);
        let IpAddr::V4(ip) = address.ip() else { unreachable!("only IPv4 addresses are bound") };
        self.hosts.push(SimHost { name: host_name(host), address: ip, port: address.port() });
    }

    /// From now on keeps when each host is polled.
    pub fn log_polls(&self) {
        self.shared.polls.get_or_init(|| self.hosts.iter().map(|_| Mutex::default()).collect());
    }

    /// When a host was polled since [`SimCluster::log_polls`], in milliseconds since 1970.
    #[must_use]
    pub fn polls(&self, host: usize) -> Vec<i64> {
        let polls = self.shared.polls.get().and_then(|polls| polls.get(host));
        polls.map_or_else(Vec::new, |polls| {
            polls.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// The hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[SimHost] {
        &self.hosts
    }

    /// The hosts as the Go Heapster's hosts file has them, and their ports, which it did not know.
    #[must_use]
    pub fn hosts_json(&self) -> String {
        let item = |host: &SimHost| serde_json::json!({ "name": host.name, "ip": host.address, "port": host.port });
        let items: Vec<_> = self.hosts.iter().map(item).collect();
        serde_json::json!({ "items": items }).to_string()
    }

    /// The hosts as a Prometheus `file_sd` file, the name as label `instance`.
    #[must_use]
    pub fn file_sd_json(&self) -> String {
        let group = |host: &SimHost| {
            serde_json::json!({
                "targets": [format!("{}:{}", host.address, host.port)],
                "labels": { "instance": host.name },
            })
        };
        serde_json::Value::Array(self.hosts.iter().map(group).collect()).to_string()
    }

    /// Makes a host behave so from now on.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn set_behaviour(&self, host: usize, behaviour: Behaviour) {
        self.behaviours[host].send_replace(behaviour);
    }

    /// How a host behaves.
    ///
    /// # Panics
    /// When there is no such host.
    #[must_use]
    pub fn behaviour(&self, host: usize) -> Behaviour {
        *self.behaviours[host].borrow()
    }

    /// What is true of the cluster.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.shared.truth
    }

    /// The true mean rate, as [`Truth::rate`] has it.
    #[must_use]
    pub fn true_rate(&self, host: usize, thing: Thing, metric: MetricId) -> Option<f64> {
        self.shared.truth.rate(host, thing, metric)
    }

    /// What a host gives in a sample of a true time, as [`Truth::value`] has it.
    #[must_use]
    pub fn true_value(
        &self,
        host: usize,
        thing: Thing,
        metric: MetricId,
        time_ms: i64,
    ) -> Option<u64> {
        self.shared.truth.value(host, self.behaviour(host), thing, metric, time_ms)
    }

    /// What an API server has to know of the hosts.
    pub(crate) fn world(&self) -> World {
        let behaviours = self.behaviours.iter().map(watch::Sender::subscribe).collect();
        World::new(Arc::clone(&self.shared), self.hosts.clone(), behaviours)
    }

    /// Requests answered with 200 so far, of all hosts.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }
}

/// Raises the limit of open files, so that each host can listen and hold a few connections.
fn allow_sockets(hosts: usize) -> anyhow::Result<()> {
    let wanted = 3 * hosts as u64 + 256;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if allowed < hosts as u64 * 2 {
        bail!(
            "{hosts} hosts need {wanted} open files, and {allowed} are allowed: raise `ulimit -Hn`"
        );
    }
    limit.current = Some(allowed);
    setrlimit(Resource::Nofile, limit).context("the limit of open files cannot be raised")
}

async fn bind_all(config: &SimConfig) -> anyhow::Result<Vec<(SocketAddr, TcpListener)>> {
    let any_port = config.addressing == Addressing::PerHostAddress { port: 0 };
    for _ in 0..PORT_ATTEMPTS {
        match try_bind_all(config).await {
            Err((_, error)) if any_port && error.kind() == io::ErrorKind::AddrInUse => {}
            Err((address, error)) => bail!("cannot listen on {address}: {error}"),
            Ok(listeners) => return Ok(listeners),
        }
    }
    bail!("no port is free on all of {} addresses: name one with `port`", config.hosts)
}

async fn try_bind_all(
    config: &SimConfig,
) -> Result<Vec<(SocketAddr, TcpListener)>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<(SocketAddr, TcpListener)> = Vec::with_capacity(config.hosts);
    for host in 0..config.hosts {
        let first_port = listeners.first().map(|(address, _)| address.port());
        let wanted = address_of(config.addressing, host, first_port);
        let listener = TcpListener::bind(wanted).await.map_err(|error| (wanted, error))?;
        let bound = listener.local_addr().map_err(|error| (wanted, error))?;
        listeners.push((bound, listener));
    }
    Ok(listeners)
}

/// The address of a host, without its port.
pub(super) fn host_address(addressing: Addressing, host: usize) -> Ipv4Addr {
    match addressing {
        Addressing::PerHostAddress { .. } => {
            let byte = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
            let block = host / HOSTS_PER_BLOCK;
            let (net, middle, last) = (block / 250, block % 250, host % HOSTS_PER_BLOCK);
            Ipv4Addr::new(127, byte(FIRST_NET + net), byte(middle), byte(last + 1))
        }
        Addressing::PerHostPort { address, .. } => address,
    }
}

fn address_of(addressing: Addressing, host: usize, first_port: Option<u16>) -> SocketAddr {
    match addressing {
        Addressing::PerHostAddress { port } => {
            let address = host_address(addressing, host);
            (address, if port == 0 { first_port.unwrap_or(0) } else { port }).into()
        }
        Addressing::PerHostPort { address, first_port: 0 } => (address, 0).into(),
        Addressing::PerHostPort { address, first_port } => {
            let port = usize::from(first_port) + host;
            // Past the last port there is none: 0 would silently be any.
            (address, u16::try_from(port).unwrap_or(u16::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_host_has_an_address_of_its_own() {
        let addressing = Addressing::PerHostAddress { port: 4194 };
        let addresses: HashSet<_> =
            (0..70_000).map(|host| address_of(addressing, host, None)).collect();
        assert_eq!(addresses.len(), 70_000);
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        assert_eq!(address_of(addressing, 0, None).to_string(), "127.16.0.1:4194");
    }
}
