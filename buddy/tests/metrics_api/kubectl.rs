//! Real `kubectl` through an API server, to a whole buddy whose master is away.

use std::{path::PathBuf, process::Command, time::Duration};

use clap::Parser;
use heapster_buddy::{args::PollingArgs, run::Buddy, uplink::UplinkConfig};
use heapster_shared::{tick::Resolution, tls::ClientTls};
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    peer::free_ports,
    sim::{SimCluster, SimConfig},
};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    polling: PollingArgs,
}

/// What `kubectl` printed and whether it succeeded.
async fn kubectl(api: &ApiServer, arguments: &[&str]) -> (bool, String) {
    let (kubeconfig, home): (PathBuf, PathBuf) = (api.kubeconfig(), api.folder().to_owned());
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = move || {
        let mut command = Command::new("kubectl");
        command.arg("--request-timeout=30s").args(arguments);
        let output = command.env("KUBECONFIG", kubeconfig).env("HOME", home).output().unwrap();
        let stream = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(stream).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Two nodes of three pods of two containers are polled for real. What is asked for through the API
/// server comes from the buddy, though nobody takes its rows.
#[tokio::test(flavor = "multi_thread")]
async fn top_works_while_the_master_is_away() {
    let config = SimConfig { hosts: 2, pods_per_host: 3, ..SimConfig::default() };
    let hosts = SimCluster::start(config).await.unwrap();
    let api = ApiServer::simulated(&hosts, ApiServerOptions::default()).await.unwrap();
    let [port, master] = free_ports().unwrap();
    let kubeconfig = format!("kubernetes:?kubeconfig={}", api.kubeconfig().display());
    let source = format!("cadvisor?port={}", hosts.hosts()[0].port);
    let listen = format!("127.0.0.1:{port}");
    let arguments =
        ["buddy", "--discovery", &kubeconfig, "--source", &source, "--metrics-listen", &listen];
    let polling = Cli::try_parse_from(arguments).unwrap().polling;
    let resolution = Resolution::new(Duration::from_secs(1)).unwrap();
    let master = format!("http://127.0.0.1:{master}");
    let uplink = UplinkConfig::new(&master, true, ClientTls::default(), Some(resolution)).unwrap();
    let buddy = Buddy::build(polling, uplink).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(buddy.run(stop.clone()));

    api.aggregate_metrics(listen.parse().unwrap()).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let pods = loop {
        let (found, pods) = kubectl(&api, &["top", "pod", "-A", "--containers"]).await;
        if found && pods.lines().count() == 1 + 12 {
            break pods;
        }
        assert!(std::time::Instant::now() < deadline, "{pods}");
        assert!(!running.is_finished());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(pods.contains("Mi"), "{pods}");
    let (_, nodes) = kubectl(&api, &["top", "node"]).await;
    assert!(nodes.contains("sim-00000") && nodes.contains("sim-00001"), "{nodes}");
    assert!(nodes.contains('%') && !nodes.contains("<unknown>"), "{nodes}");

    let (_, all) = kubectl(&api, &["get", "pods", "-A", "--show-labels", "--no-headers"]).await;
    let app = all.split(['=', ',']).nth(1).unwrap().trim();
    let key = all.split_whitespace().last().unwrap().split('=').next().unwrap();
    let labelled = all.lines().filter(|line| line.contains(&format!("{key}={app}"))).count();
    let selector = format!("{key}={app}");
    let (found, chosen) = kubectl(&api, &["top", "pod", "-A", "-l", &selector]).await;
    assert!(found && chosen.lines().count() == 1 + labelled, "{selector}: {chosen}\n{all}");

    let raw = "/apis/metrics.k8s.io/v1beta1/nodes";
    let (_, raw) = kubectl(&api, &["get", "--raw", raw]).await;
    assert!(raw.starts_with(r#"{"kind":"NodeMetricsList""#), "{raw}");
    let (_, table) = kubectl(&api, &["get", "nodes.metrics.k8s.io"]).await;
    assert!(table.contains("CPU") && table.contains("WINDOW"), "{table}");
    let (found, denied) = kubectl(&api, &["--context=anonymous", "top", "node"]).await;
    assert!(!found, "{denied}");
    stop.cancel();
    let _ = running.await.unwrap();
}
