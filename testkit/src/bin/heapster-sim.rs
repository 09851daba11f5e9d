//! A simulated cluster as a program, for demos and benches.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use heapster_shared::units::parse_duration;
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::Authority,
    sim::{Addressing, Behaviour, CertificateNames, Flavour, KubeletTls, SimCluster, SimConfig},
};
use tokio::signal::unix::{SignalKind, signal};

/// Simulates the hosts of a cluster: each answers as cAdvisor and as a kubelet does.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Number of hosts.
    #[arg(long, default_value_t = 10)]
    hosts: usize,
    /// Pods on each host.
    #[arg(long, default_value_t = 30)]
    pods: usize,
    /// Containers in each pod.
    #[arg(long, default_value_t = 2)]
    containers: usize,
    /// Port of all hosts, each of which has an address of its own; 0 for any that is free.
    #[arg(long, default_value_t = 4194)]
    port: u16,
    /// Put all hosts behind this one address, each with a port of its own from `--port` on.
    #[arg(long, value_name = "ADDRESS")]
    one_address: Option<Ipv4Addr>,
    /// Write the hosts to this file, for `--discovery static:FILE`.
    #[arg(long, value_name = "FILE")]
    write_hosts: Option<PathBuf>,
    /// The form of that file.
    #[arg(long, value_enum, default_value_t = HostsFormat::Heapster)]
    hosts_format: HostsFormat,
    /// Let the last N hosts that are still healthy behave otherwise, such as `2=slow:3s`; repeatable.
    #[arg(long, value_name = "N=BEHAVIOUR", value_parser = parse_share)]
    behave: Vec<(usize, Behaviour)>,
    /// The same seed gives the same cluster.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How far momentary rates lie from the mean, in thousandths.
    #[arg(long, default_value_t = 20)]
    wobble: u32,
    /// How often a host samples its containers; 0 for at each request.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    housekeeping: Duration,
    /// Containers of plain Docker instead of Kubernetes.
    #[arg(long)]
    docker: bool,
    /// Give each pod a sandbox container, which has the pod's network.
    #[arg(long)]
    sandboxes: bool,
    #[command(flatten)]
    kubernetes: KubernetesOptions,
}

#[derive(clap::Args)]
struct KubernetesOptions {
    /// Serve the cluster's Kubernetes API too. Kubelets speak TLS and plain HTTP on one port, and
    /// pods have sandboxes.
    #[arg(long, conflicts_with = "docker")]
    kubernetes: bool,
    /// Write a kubeconfig here; it holds for as long as this program runs.
    #[arg(long, value_name = "FILE", requires = "kubernetes")]
    kubeconfig: Option<PathBuf>,
    /// Port of the API server on the loopback address; 0 for any that is free.
    #[arg(long, default_value_t = 0, requires = "kubernetes")]
    api_port: u16,
    /// What the kubelets' certificates are valid for.
    #[arg(long, value_enum, default_value_t = Names::Both, requires = "kubernetes")]
    kubelet_names: Names,
    /// Pass requests for `metrics.k8s.io` on to this server, on TLS, for `kubectl top`.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "kubernetes")]
    metrics_api: Option<SocketAddr>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Names {
    /// The names of their nodes.
    NodeName,
    /// Their addresses.
    Address,
    /// Names and addresses.
    Both,
}

impl KubernetesOptions {
    /// Certificates and tokens of the cluster, where there is an API server.
    fn tls(&self) -> anyhow::Result<Option<KubeletTls>> {
        if !self.kubernetes {
            return Ok(None);
        }
        let names = match self.kubelet_names {
            Names::NodeName => CertificateNames::NodeName,
            Names::Address => CertificateNames::Address,
            Names::Both => CertificateNames::Both,
        };
        Ok(Some(KubeletTls { authority: Arc::new(Authority::new()?), names, plain_too: true }))
    }

    /// Starts the API server of the hosts, where one is wanted.
    async fn serve(
        &self,
        hosts: &SimCluster,
        tls: Option<KubeletTls>,
    ) -> anyhow::Result<Option<ApiServer>> {
        let Some(tls) = tls else { return Ok(None) };
        let options = ApiServerOptions {
            port: self.api_port,
            authority: Some(tls.authority),
            ..ApiServerOptions::default()
        };
        let api = ApiServer::simulated(hosts, options).await?;
        if let Some(server) = self.metrics_api {
            api.aggregate_metrics(server)?;
        }
        if let Some(path) = &self.kubeconfig {
            let draft = path.with_extension("new");
            std::fs::copy(api.kubeconfig(), &draft)
                .and_then(|_| std::fs::rename(&draft, path))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Some(api))
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum HostsFormat {
    /// Prometheus `file_sd`.
    FileSd,
    /// The Go Heapster's hosts file, with ports.
    Heapster,
}

fn parse_share(text: &str) -> Result<(usize, Behaviour), String> {
    let (count, behaviour) =
        text.split_once('=').ok_or("write it as N=BEHAVIOUR, such as 2=slow:3s")?;
    let count = count.parse().map_err(|_| format!("`{count}` is no number of hosts"))?;
    Ok((count, behaviour.parse()?))
}

impl Options {
    fn config(&self, tls: Option<KubeletTls>) -> SimConfig {
        let addressing = match self.one_address {
            Some(address) => Addressing::PerHostPort { address, first_port: self.port },
            None => Addressing::PerHostAddress { port: self.port },
        };
        SimConfig {
            hosts: self.hosts,
            pods_per_host: self.pods,
            containers_per_pod: self.containers,
            addressing,
            seed: self.seed,
            wobble_per_mille: self.wobble,
            housekeeping: self.housekeeping,
            flavour: if self.docker { Flavour::Docker } else { Flavour::Kubernetes },
            sandboxes: self.sandboxes || self.kubernetes.kubernetes,
            tls,
            ..SimConfig::default()
        }
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stderr)]
async fn main() -> ExitCode {
    match simulate(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heapster-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn simulate(options: &Options) -> anyhow::Result<()> {
    let tls = options.kubernetes.tls()?;
    let cluster = SimCluster::start(options.config(tls.clone())).await?;
    let mut healthy = options.hosts;
    for (count, behaviour) in &options.behave {
        for _ in 0..*count {
            healthy = healthy.checked_sub(1).context("--behave names more hosts than there are")?;
            cluster.set_behaviour(healthy, *behaviour);
        }
    }
    if let Some(path) = &options.write_hosts {
        write_hosts(&cluster, path, options.hosts_format)?;
    }
    let api = options.kubernetes.serve(&cluster, tls).await?;
    announce(&cluster);
    if let Some(api) = &api {
        announce_api(api, options.kubernetes.kubeconfig.as_deref());
    }
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for signals"),
        _ = terminated.recv() => Ok(()),
    }
}

/// Readers never see half a file.
fn write_hosts(cluster: &SimCluster, path: &PathBuf, format: HostsFormat) -> anyhow::Result<()> {
    let text = match format {
        HostsFormat::FileSd => cluster.file_sd_json(),
        HostsFormat::Heapster => cluster.hosts_json(),
    };
    let draft = path.with_extension("new");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[allow(clippy::print_stdout)]
fn announce(cluster: &SimCluster) {
    let hosts = cluster.hosts();
    if let (Some(first), Some(last)) = (hosts.first(), hosts.last()) {
        println!(
            "{} hosts answer, from http://{}:{}/ to http://{}:{}/",
            hosts.len(),
            first.address,
            first.port,
            last.address,
            last.port
        );
    }
}

#[allow(clippy::print_stdout)]
fn announce_api(api: &ApiServer, kubeconfig: Option<&Path>) {
    let own = api.kubeconfig();
    println!("API server: {}", api.url());
    println!("kubeconfig: {}", kubeconfig.unwrap_or(&own).display());
    println!("service account: {} (ca.crt, token, namespace)", api.folder().display());
}
