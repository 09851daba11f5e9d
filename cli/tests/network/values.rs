//! What the API says is what is true.

use heapster_shared::schema::{MetricId, table};
use heapster_testkit::sim::{Thing, container_name, namespace, pod_name};

use crate::support::{Api, Lab, Master, Point, eventually};

const HOSTS: usize = 20;
const PODS: usize = 30;
const CONTAINERS: usize = 2;
/// Of [`Master::start`].
const RESOLUTION_MS: i64 = 1000;

/// Every rate of a series lies within the simulation's wobble of the truth, and the resolution of
/// times and values.
fn assert_near(lab: &Lab, what: &str, points: &[Point], truth: f64) {
    // Intervals are whole milliseconds of about a second; sums round once for each container.
    let allowed = truth * (lab.sim.truth().wobble() + 0.005) + 1.0;
    for (time, rate) in points {
        assert!((rate - truth).abs() <= allowed, "{what} at {time}: {rate}, not {truth}");
    }
}

fn true_rate(lab: &Lab, host: usize, thing: Thing, metric: MetricId) -> f64 {
    lab.sim.true_rate(host, thing, metric).unwrap()
}

/// The true rate of all containers of the pods that are chosen.
fn sum_of_pods(lab: &Lab, metric: MetricId, chosen: impl Fn(usize) -> bool) -> f64 {
    let pods = (0..HOSTS).flat_map(|host| (0..PODS).map(move |pod| (host, pod)));
    let containers = pods.filter(|(_, pod)| chosen(*pod)).flat_map(|(host, pod)| {
        (0..CONTAINERS).map(move |container| (host, Thing::Container { pod, container }))
    });
    containers.map(|(host, thing)| true_rate(lab, host, thing, metric)).sum()
}

/// Names of nodes, namespaces, pods and containers are those of the hosts, and rates at each level
/// are the true ones: of a container, of a pod as the sum of its containers, of a namespace as that
/// of its pods on all hosts, of the cluster as that of its namespaces, and of a node by itself.
#[tokio::test(flavor = "multi_thread")]
async fn names_and_rates_at_every_level_are_true() {
    let lab = Lab::start(HOSTS, PODS, CONTAINERS).await;
    let master = Master::start(&[]);
    let buddy = lab.buddy(&master, "lab", &["--host-timeout", "5s"]);
    let api = master.api();

    let model = "/api/v1/model";
    let whole_ms = wait_for_all_nodes(&api, model);
    let cpu =
        |of: &str| api.points_after(&format!("{model}{of}/metrics/cpu/usage_rate"), whole_ms, 3);
    let cluster = cpu("");
    check_names(&api, model);
    assert_near(&lab, "the cluster", &cluster, sum_of_pods(&lab, table::CPU_USAGE_RATE, |_| true));
    for pod in 0..5 {
        let name = namespace(pod);
        let truth = sum_of_pods(&lab, table::CPU_USAGE_RATE, |other| namespace(other) == name);
        assert_near(&lab, name, &cpu(&format!("/namespaces/{name}")), truth);
    }
    for (host, pod) in [(0, 0), (7, 12), (19, 29)] {
        let node = format!("/nodes/{}", lab.sim.hosts()[host].name);
        assert_near(
            &lab,
            &node,
            &cpu(&node),
            true_rate(&lab, host, Thing::Node, table::CPU_USAGE_RATE),
        );
        let of_pod = format!("/namespaces/{}/pods/{}", namespace(pod), pod_name(host, pod, 0));
        let truth = true_rate(&lab, host, Thing::Pod(pod), table::CPU_USAGE_RATE);
        assert_near(&lab, &of_pod, &cpu(&of_pod), truth);
        for container in 0..CONTAINERS {
            let of = format!("{of_pod}/containers/{}", container_name(container));
            let thing = Thing::Container { pod, container };
            assert_near(&lab, &of, &cpu(&of), true_rate(&lab, host, thing, table::CPU_USAGE_RATE));
        }
        for (metric, name) in [
            (table::NETWORK_RX_RATE, "network/rx_rate"),
            (table::MEMORY_PAGE_FAULTS_RATE, "memory/page_faults_rate"),
        ] {
            let points = api.points(&format!("{model}{node}/metrics/{name}"), 2);
            assert_near(&lab, name, &points, true_rate(&lab, host, Thing::Node, metric));
        }
    }
    drop(buddy);
}

/// Waits until every host has given rows. A host that is slow with its first answers is late for a
/// round, whose sums are those of the others; from the time returned on, in milliseconds since 1970,
/// all are there.
fn wait_for_all_nodes(api: &Api, model: &str) -> i64 {
    let nodes = || api.ask(&format!("{model}/nodes/")).body;
    let are_all = |body: &str| body.matches("sim-").count() == HOSTS;
    eventually(|| are_all(&nodes()).then_some(()), nodes);
    jiff::Timestamp::now().as_millisecond() + RESOLUTION_MS
}

fn check_names(api: &Api, model: &str) {
    let nodes: Vec<String> = (0..HOSTS).map(heapster_testkit::sim::host_name).collect();
    assert_eq!(api.names(&format!("{model}/nodes/")), nodes);
    let mut namespaces: Vec<&str> = (0..5).map(namespace).collect();
    namespaces.sort_unstable();
    assert_eq!(api.names(&format!("{model}/namespaces/")), namespaces);
    let mut wanted = Vec::new();
    for host in 0..HOSTS {
        wanted.extend((0..PODS).step_by(5).map(|pod| pod_name(host, pod, 0)));
    }
    wanted.sort();
    let pods = format!("{model}/namespaces/{}/pods", namespace(0));
    assert_eq!(api.names(&pods), wanted);
    let containers = format!("{pods}/{}/containers", wanted[0]);
    assert_eq!(api.names(&containers), ["app", "proxy"]);
}
