//! What the enrichment remembers of a large cluster, in bytes.

use std::sync::{Arc, OnceLock};

use compact_str::format_compact;
use heapster_shared::{entity::Labels, host::Host, row::Cell, schema::Field, schema::table};

use super::{
    super::{Enricher, HostMemory, LabelRules},
    cluster::{namespace, node, pod, spec},
};
use crate::{
    kubernetes::ClusterMetadata,
    source::{Layouts, PodName, Readings, Subject},
};

const HOSTS: usize = 500;
const PODS: usize = 30;

/// Resident memory of this process that is no file's, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1_024
}

fn pod_name(host: usize, pod: usize) -> PodName {
    PodName {
        namespace: "ns".into(),
        name: format_compact!("checkout-service-6948c85555-{host:04}{pod:02}"),
        uid: format_compact!("ed87ce48-1a23-4f9d-b7dc-{host:06}{pod:06}"),
    }
}

/// Replicas share their labels; each pod has a reading of its own and two containers.
fn cluster() -> ClusterMetadata {
    let labels = Labels::from_iter([("app.kubernetes.io/name", "checkout"), ("tier", "web")]);
    let labels = Arc::new(labels);
    let specs = ["checkout", "istio-proxy"].map(|name| spec(name, [Some(1), None], [None; 2]));
    let known = |host: usize, number: usize| {
        let PodName { name, uid, .. } = pod_name(host, number);
        let mut pod = pod(&name, &uid, &specs, 0);
        pod.node = format!("node-{host}").into();
        pod.labels = Arc::clone(&labels);
        pod.owner = None;
        pod
    };
    let pods = (0..HOSTS).flat_map(|host| (0..PODS).map(move |number| (host, number)));
    let pods = pods.map(|(host, number)| known(host, number)).collect();
    let mut nodes = Vec::new();
    for host in 0..HOSTS {
        let mut node = node();
        node.name = format_compact!("node-{host}");
        nodes.push(node);
    }
    ClusterMetadata::of(nodes, vec![namespace("ns", "uid-ns")], pods)
}

fn readings(host: usize, layouts: &Layouts) -> Readings {
    let layout = layouts.layout(&[Field::plain(table::MEMORY_USAGE.def())]);
    let mut readings = Readings::default();
    let mut push = |subject| {
        readings.push(Arc::new(subject), Arc::clone(&layout), (1000, 0), &[Cell::int(1)]);
    };
    for number in 0..PODS {
        let (pod, labels) = (Arc::new(pod_name(host, number)), Labels::default());
        push(Subject::Pod { pod: pod.clone(), labels: labels.clone() });
        for name in ["checkout", "istio-proxy"] {
            let (pod, labels, uid) = (pod.clone(), labels.clone(), "".into());
            push(Subject::PodContainer { pod, name: name.into(), uid, labels });
        }
    }
    push(Subject::Node { labels: Labels::default() });
    readings
}

/// The stated limit: 600 bytes a pod with two containers, beside what the API server says of them and
/// what their source remembers.
#[test]
fn a_pod_with_two_containers_is_remembered_in_little() {
    let known = Arc::new(OnceLock::from(Arc::new(cluster())));
    let mut enricher = Enricher::new(known, LabelRules::default());
    let layouts = Layouts::default();
    let hosts: Vec<_> = (0..HOSTS)
        .map(|host| (Arc::new(Host::named(&format!("node-{host}"))), readings(host, &layouts)))
        .collect();
    let mut memories: Vec<_> = hosts.iter().map(|_| HostMemory::default()).collect();
    let before = resident_bytes();
    for _ in 0..2 {
        for ((host, readings), memory) in hosts.iter().zip(&mut memories) {
            assert_eq!(enricher.enrich(memory, host, readings).len(), 3 * PODS + 1);
        }
    }
    let bytes = (resident_bytes() - before) / (HOSTS * PODS);
    assert!(bytes < 600, "{bytes} bytes a pod with two containers");
    assert!(bytes > 250, "{bytes} bytes a pod cannot be: nothing was measured");
    assert!(enricher.len() < 10, "{} layouts and labels: replicas share theirs", enricher.len());
}
