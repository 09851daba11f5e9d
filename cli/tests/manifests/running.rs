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
pub(crate) fn probes(container: &Container<'_>) -> Vec<(String, bool)> {
    let probes = PROBES.iter().map(|probe| &container.value[probe]["httpGet"]);
    let probes = probes.map(|probe| {
        (probe["path"].as_str().unwrap().to_owned(), probe["scheme"].as_str() == Some("HTTPS"))
    });
    probes.collect()
}

/// Whether a server answers well at a path, asked by nobody in particular, as a kubelet asks. (By TLS
/// `kubectl` asks, which wants some credentials or other: they are of no use.)
pub(crate) fn is_ok(port: u16, path: &str, secure: bool) -> bool {
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

pub(crate) fn wait(process: &Process, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !met() {
        assert!(Instant::now() < deadline, "{}", process.output());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What serves the metrics API answers the probes of its pod, once it has polled. (A master's are asked
/// in `secured`, with its keys.)
#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered() {
    let lab = Lab::start().await;
    let [metrics] = free_ports().unwrap();
    let metrics_listen = format!("127.0.0.1:{metrics}");
    let (kubernetes, summary) = (lab.kubernetes(), lab.kubelets("summary"));
    let fixed = ["standalone", "--listen", "127.0.0.1:0", "--resolution", "1s"];
    let polling = ["--discovery", &kubernetes, "--source", &summary];
    let process = start(&[&fixed[..], &polling, &["--metrics-listen", &metrics_listen]].concat());
    let mut asked = 0;
    for base in ["buddy", "all-in-one"] {
        let documents = render::render(base);
        for (path, secure) in containers(base, &documents).iter().flat_map(probes) {
            assert!(secure, "{base}: a probe in plain text");
            wait(&process, || is_ok(metrics, &path, secure));
            assert!(!is_ok(metrics, "/no-such-path", secure));
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

/// How many nodes a metrics API tells of, asked as a probe that may see it.
fn node_count(port: u16) -> usize {
    let server = format!("--server=https://127.0.0.1:{port}");
    let login = ["--insecure-skip-tls-verify", "--token=admin-token", "--kubeconfig=/dev/null"];
    let path = "/apis/metrics.k8s.io/v1beta1/nodes";
    let mut kubectl = Command::new("kubectl");
    kubectl.arg(server).args(login).args(["get", "--raw", path]);
    let answer = kubectl.output().unwrap().stdout;
    let list: Value = serde_json::from_slice(&answer).unwrap_or_default();
    list["items"].as_array().map_or(0, Vec::len)
}

/// A rolling update: the new buddy, of the same id, is ready when it has heard from every node, while
/// the old one still answers. When that has ended, the new one has the master's ear, and the nodes
/// have a sample for every tick.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_leaves_no_gap() {
    let lab = Lab::start().await;
    let [http, grpc, old_port, new_port] = free_ports().unwrap();
    let (listen, grpc_listen) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{grpc}"));
    let master = ["master", "--insecure", "--resolution", "1s"];
    let addresses = ["--listen", &listen, "--grpc-listen", &grpc_listen];
    let _master = start(&[&master[..], &addresses].concat());
    let (url, kubernetes) = (format!("http://{grpc_listen}"), lab.kubernetes());
    let summary = lab.kubelets("summary");
    let buddy = |port: u16| {
        let metrics_listen = format!("127.0.0.1:{port}");
        let fixed = ["buddy", "--insecure", "--master", &url, "--buddy-id", "heapster-buddy"];
        let polling = ["--resolution", "1s", "--discovery", &kubernetes, "--source", &summary];
        start(&[&fixed[..], &polling, &["--metrics-listen", &metrics_listen]].concat())
    };
    let api = format!("http://{listen}");
    let samples = || times(&api, "nodes/sim-00000/metrics/memory/working_set");
    let mut old = buddy(old_port);
    wait(&old, || is_ok(old_port, "/readyz", true) && samples().len() > 2);

    let new = buddy(new_port);
    wait(&new, || {
        let is_ready = is_ok(new_port, "/readyz", true);
        assert_eq!(node_count(old_port), 2, "{}", old.output());
        is_ready
    });
    assert_eq!(node_count(new_port), 2, "{}", new.output());
    let (before, is_over) = (samples(), old.terminate(SOON).unwrap());
    assert!(is_over.success(), "{}", old.output());
    wait(&new, || {
        assert_eq!(node_count(new_port), 2, "{}", new.output());
        new.output().contains("connected to the master")
    });
    let first = before[0];
    let known = before.len();
    wait(&new, || samples().len() > known + 5);
    let times = samples();
    let last = times[times.len() - 1];
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest <= Some(2), "{longest:?} s between {first} and {last}: {times:?}");
}

/// When the samples of a metric were taken, in seconds since 1970.
fn times(api: &str, path: &str) -> Vec<i64> {
    let start = "2020-01-01T00:00:00Z";
    let answer = http::get(&format!("{api}/api/v1/model/{path}?start={start}"));
    let answer = answer.ok().map(|answer| answer.body).unwrap_or_default();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let points = answer["metrics"].as_array().cloned().unwrap_or_default();
    let time = |point: &Value| point["timestamp"].as_str()?.parse::<jiff::Timestamp>().ok();
    points.iter().filter_map(time).map(jiff::Timestamp::as_second).collect()
}
