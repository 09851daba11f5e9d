//! What the manifests start, running: probes get their answers, and buddies of single nodes make one
//! cluster.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use heapster_testkit::{http, peer::free_ports, process::Process};
use serde_json::Value;

use super::{
    lab::Lab,
    render,
    workload::{Container, containers},
};

const SOON: Duration = Duration::from_secs(60);
const PROBES: [&str; 2] = ["readinessProbe", "livenessProbe"];

fn start(arguments: &[&str]) -> Process {
    Process::start(Path::new(env!("CARGO_BIN_EXE_heapster")), arguments).unwrap()
}

/// The path and the scheme of each probe of a container.
fn probes(container: &Container<'_>) -> Vec<(String, bool)> {
    let probes = PROBES.iter().map(|probe| &container.value[probe]["httpGet"]);
    let probes = probes.map(|probe| {
        (probe["path"].as_str().unwrap().to_owned(), probe["scheme"].as_str() == Some("HTTPS"))
    });
    probes.collect()
}

/// Whether a server answers well at a path, asked by nobody in particular, as a kubelet asks. (By TLS
/// `kubectl` asks, which wants some credentials or other: they are of no use.)
fn is_ok(port: u16, path: &str, secure: bool) -> bool {
    if !secure {
        return http::get(&format!("http://127.0.0.1:{port}{path}"))
            .is_ok_and(|answer| answer.status == 200);
    }
    let server = format!("--server=https://127.0.0.1:{port}");
    let login = ["--insecure-skip-tls-verify", "--token=nobody", "--kubeconfig=/dev/null"];
    let mut kubectl = Command::new("kubectl");
    kubectl.arg(server).args(login).args(["get", "--raw", path]);
    kubectl.output().unwrap().status.success()
}

fn wait(process: &Process, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !met() {
        assert!(Instant::now() < deadline, "{}", process.output());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A master answers its probes, and so does what serves the metrics API, once it has polled.
#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered() {
    let lab = Lab::start().await;
    let [http, metrics] = free_ports().unwrap();
    let (listen, metrics_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{metrics}"));
    let (kubernetes, summary) = (lab.kubernetes(), lab.kubelets("summary"));
    let fixed = ["standalone", "--listen", &listen, "--resolution", "1s"];
    let polling = ["--discovery", &kubernetes, "--source", &summary];
    let process = start(&[&fixed[..], &polling, &["--metrics-listen", &metrics_listen]].concat());
    let mut asked = 0;
    for base in ["master", "buddy", "all-in-one"] {
        let documents = render::render(base);
        for (path, secure) in containers(base, &documents).iter().flat_map(probes) {
            let port = if secure { metrics } else { http };
            wait(&process, || is_ok(port, &path, secure));
            assert!(!is_ok(port, "/no-such-path", secure));
            asked += 1;
        }
        assert!(documents.is_empty() || asked > 0);
    }
}

/// The newest value of a metric.
fn newest(api: &str, path: &str) -> Option<f64> {
    let answer = http::get(&format!("{api}/api/v1/model/{path}")).ok()?;
    let answer: Value = serde_json::from_str(&answer.body).ok()?;
    answer["metrics"].as_array()?.last()?["value"].as_f64()
}

fn names(api: &str, path: &str) -> Vec<String> {
    let answer = http::get(&format!("{api}/api/v1/model/{path}"));
    answer.ok().and_then(|answer| serde_json::from_str(&answer.body).ok()).unwrap_or_default()
}

/// A buddy a node, as the DaemonSet has it: the master has both nodes with their pods, and the
/// cluster uses what the pods of both use.
#[tokio::test(flavor = "multi_thread")]
async fn buddies_of_single_nodes_make_one_cluster() {
    let lab = Lab::start().await;
    let [http, grpc] = free_ports().unwrap();
    let (listen, grpc_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{grpc}"));
    let master = ["master", "--insecure", "--resolution", "1s"];
    let addresses = ["--listen", &listen, "--grpc-listen", &grpc_listen];
    let master = start(&[&master[..], &addresses].concat());
    let (url, summary) = (format!("http://{grpc_listen}"), lab.kubelets("summary"));
    let buddies: Vec<Process> = ["sim-00000", "sim-00001"]
        .iter()
        .map(|node| {
            let discovery = format!("{}&node={node}", lab.kubernetes());
            let fixed = ["buddy", "--insecure", "--master", &url, "--buddy-id", node];
            let polling = ["--discovery", &discovery, "--source", &summary];
            start(&[&fixed[..], &polling].concat())
        })
        .collect();
    let api = format!("http://127.0.0.1:{http}");
    let cpu = |of: &str| newest(&api, &format!("{of}metrics/cpu/usage_rate"));
    let has_both = || {
        names(&api, "nodes/").len() == 2
            && cpu("").is_some()
            && ["sim-00000", "sim-00001"]
                .iter()
                .all(|node| cpu(&format!("nodes/{node}/")).is_some())
    };
    wait(&master, has_both);
    let pods: usize = names(&api, "namespaces/")
        .iter()
        .map(|namespace| names(&api, &format!("namespaces/{namespace}/pods/")).len())
        .sum();
    assert_eq!(pods, 12, "{}", buddies[0].output());
    // One of two buddies alone would make half of it.
    let is_sum = || {
        let sum: f64 = names(&api, "namespaces/")
            .iter()
            .flat_map(|namespace| {
                let pods = names(&api, &format!("namespaces/{namespace}/pods/"));
                pods.into_iter().map(move |pod| format!("namespaces/{namespace}/pods/{pod}/"))
            })
            .filter_map(|pod| cpu(&pod))
            .sum();
        cpu("").is_some_and(|cluster| (cluster / sum - 1.0).abs() < 0.15)
    };
    wait(&master, is_sum);
}
