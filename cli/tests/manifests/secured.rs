//! The pods of docs/kubernetes.md, running: the real programs with what is rendered, files lying where
//! volumes would be, ports and the cluster being those of the test.

use std::time::{Duration, Instant};

use heapster_testkit::{
    http::Request,
    peer::{Influxdb, free_ports},
    real_peer,
};
use serde_json::Value;

use super::{
    guide,
    keys::Keys,
    lab::Lab,
    placed::{Placed, Running},
    render,
    running::{is_ok, probes, wait},
    workload::{Container, containers},
};

const SOON: Duration = Duration::from_secs(60);
/// Where the master of the manifests looks for the database.
const DATABASE: &str = "http://heapster-influxdb.heapster.svc:8086";

/// The ports of the test.
struct Ports {
    http: u16,
    grpc: u16,
    metrics: u16,
}

impl Ports {
    fn new() -> Self {
        let [http, grpc, metrics] = free_ports().unwrap();
        Self { http, grpc, metrics }
    }

    /// The only container of ours among these documents, at these ports.
    fn place(&self, container: &Container<'_>, keys: &Keys) -> Placed {
        let mut placed = Placed::new(container, keys);
        for (from, port) in [(8082, self.http), (8085, self.grpc), (4443, self.metrics)] {
            placed.replace(&format!("0.0.0.0:{from}"), &format!("127.0.0.1:{port}"));
        }
        placed
    }

    /// A master, up.
    fn master(&self, documents: &[Value], keys: &Keys, database: &str) -> Running {
        let mut placed = self.place(&own(documents), keys);
        placed.replace(DATABASE, database);
        placed.set("HEAPSTER_RESOLUTION", "1s");
        let mut master = placed.start();
        master.line("waiting for buddies", SOON).unwrap();
        master
    }

    /// A buddy of a simulated cluster. It asks for the name that its URL has, at the port of the test.
    fn buddy(&self, documents: &[Value], keys: &Keys, lab: &Lab, node: &str) -> Placed {
        let mut placed = self.place(&own(documents), keys);
        let url = placed.environment["HEAPSTER_MASTER"].clone();
        let name = url.strip_prefix("https://").and_then(|rest| rest.strip_suffix(":8085"));
        placed.set("HEAPSTER_MASTER_NAME", name.expect("https://NAME:8085"));
        placed.set("HEAPSTER_MASTER", &format!("https://127.0.0.1:{}", self.grpc));
        within(&mut placed, lab);
        placed.replace("node-a", node);
        placed
    }

    /// Asks the master's API.
    fn ask(&self, keys: &Keys, token: &str, path: &str) -> (u16, Value) {
        let authorities = keys.read("ca.crt");
        let headers = vec![format!("authorization: Bearer {token}")];
        let request = Request { authorities, headers, ..Request::default() };
        let answer = request.send(&format!("https://127.0.0.1:{}{path}", self.http)).unwrap();
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }
}

/// The container of ours.
fn own(documents: &[Value]) -> Container<'_> {
    let mut own = containers("running", documents).into_iter().filter(Container::is_own);
    let first = own.next().unwrap();
    assert!(own.next().is_none());
    first
}

/// What a pod knows of its cluster by itself.
fn within(placed: &mut Placed, lab: &Lab) {
    placed.replace("kubernetes:in-cluster?", &format!("{}&", lab.kubernetes()));
    placed.replace("kubernetes:in-cluster", &lab.kubernetes());
    placed.set("HEAPSTER_SOURCE", &lab.kubelets(&placed.environment["HEAPSTER_SOURCE"]));
}

/// From nothing to a graph, as the guide has it: with its keys and its overlays the master is ready by
/// its probes, knows the buddy by its token, and has rows in the database; who looks needs a token.
#[tokio::test(flavor = "multi_thread")]
async fn the_guide_leads_from_nothing_to_a_graph() {
    let Some(keys) = Keys::of_the_guide() else { return };
    let influxdb = real_peer!(Influxdb::start());
    let overlays = guide::overlays();
    let overlay = |part: &str| {
        let mut named = overlays.iter().filter(|(line, _)| line.starts_with(part));
        &named.next().unwrap_or_else(|| panic!("no overlay {part}")).1
    };
    let (central, cluster) = (overlay("`central/"), overlay("`cluster/"));
    let (lab, ports) = (Lab::start().await, Ports::new());
    let master = ports.master(central, &keys, &influxdb.url());
    let buddy = ports.buddy(cluster, &keys, &lab, "").start();
    let both = || format!("{}\n{}", master.output(), buddy.output());

    for (container, port) in [(own(central), ports.http), (own(cluster), ports.metrics)] {
        for (path, secure) in probes(&container) {
            assert!(secure, "{}: a probe in plain text", container.title);
            wait(&buddy, || is_ok(port, &path, secure));
        }
    }
    let me = keys.read("me.token");
    let has_nodes = || ports.ask(&keys, &me, "/api/v1/model/nodes/").1.as_array().map(Vec::len);
    wait(&buddy, || has_nodes() == Some(2));
    let (_, buddies) = ports.ask(&keys, &me, "/api/v1/buddies");
    assert!(buddies.to_string().contains("\"credential\":\"lab\""), "{buddies}");
    for stranger in ["", "nobody", &keys.read("lab.token")] {
        let status = ports.ask(&keys, stranger, "/api/v1/model/nodes/").0;
        assert!(matches!(status, 401 | 403), "{status}");
    }
    let statement = "SELECT count(value) FROM \"cpu/usage_rate\" WHERE type = 'node'";
    let deadline = Instant::now() + SOON;
    loop {
        let answer = influxdb.query("k8s", statement).await.unwrap_or_default();
        if answer.pointer("/results/0/series/0").is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "{}", both());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The pods of the DaemonSet get to the master too; one with another cluster's token, or with another
/// authority, does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_gets_in_by_its_token_alone() {
    let (Some(keys), Some(others)) = (Keys::of_the_guide(), Keys::of_the_guide()) else { return };
    let (lab, ports) = (Lab::start().await, Ports::new());
    let master = ports.master(&render::render("master"), &keys, DATABASE);
    let daemonset = render::render("daemonset");
    let buddy = |cluster: &str| {
        let mut placed = ports.buddy(&daemonset, &keys, &lab, "sim-00000");
        placed.set("HEAPSTER_CLUSTER", cluster);
        placed
    };
    let cases = [
        ("another", "", "does not name the cluster \"another\""),
        ("lab", "token", "the token is not in the master's credentials"),
        ("lab", "ca.crt", "is not signed by the authority in"),
    ];
    for (cluster, wrong, told) in cases {
        let placed = buddy(cluster);
        if let Some(content) = others.secret("heapster-buddy-keys").unwrap().get(wrong) {
            std::fs::write(placed.folder.path().join("keys").join(wrong), content).unwrap();
        }
        let mut process = placed.start();
        if let Err(error) = process.line(told, SOON) {
            panic!("{wrong} of others, {cluster}: {error}\n{}", process.output());
        }
    }
    let process = buddy("lab").start();
    let me = keys.read("me.token");
    let nodes = || ports.ask(&keys, &me, "/api/v1/model/nodes/").1;
    wait(&process, || nodes() == serde_json::json!(["sim-00000"]));
    drop(master);
}

/// The all-in-one needs no keys: its page is on loopback, and the probes of its pod are answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_all_in_one_runs_without_keys() {
    let Some(keys) = Keys::of_the_guide() else { return };
    let (lab, ports) = (Lab::start().await, Ports::new());
    let documents = render::render("all-in-one");
    let container = own(&documents);
    let mut placed = ports.place(&container, &keys);
    placed.replace("127.0.0.1:8082", &format!("127.0.0.1:{}", ports.http));
    placed.set("HEAPSTER_RESOLUTION", "1s");
    within(&mut placed, &lab);
    let process = placed.start();
    for (path, secure) in probes(&container) {
        assert!(secure, "{path} in plain text");
        wait(&process, || is_ok(ports.metrics, &path, secure));
    }
    wait(&process, || is_ok(ports.http, "/api/v1/model/nodes/sim-00001/metrics/", false));
}
