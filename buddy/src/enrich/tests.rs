//! Tests of the enrichment as a whole.

mod cluster;
mod histories;
mod memory;

use std::sync::{Arc, OnceLock};

use heapster_shared::{
    entity::Labels,
    host::Host,
    row::Cell,
    schema::{Field, table},
    tag,
};

use super::{Enricher, HostMemory, LabelRules};
use crate::{
    kubernetes::{ClusterMetadata, ContainerKind, Phase, PodInfo},
    source::{Layouts, PlainReading, PodName, Readings, Subject},
};
use cluster::{container, namespace, node, pod, spec};

/// One host, enriched poll by poll.
struct Bench {
    metadata: Arc<ClusterMetadata>,
    enricher: Enricher,
    memory: HostMemory,
    host: Arc<Host>,
    layouts: Layouts,
}

impl Bench {
    fn new(metadata: ClusterMetadata) -> Self {
        Self::with_rules(metadata, LabelRules::default())
    }

    fn with_rules(metadata: ClusterMetadata, rules: LabelRules) -> Self {
        let metadata = Arc::new(metadata);
        let mut host = Host::named("node-a");
        host.labels = Labels::from_iter([(tag::HOST_ID, "uid-node-a"), ("rack", "r1")]);
        Self {
            enricher: Enricher::new(Arc::new(OnceLock::from(Arc::clone(&metadata))), rules),
            metadata,
            memory: HostMemory::default(),
            host: Arc::new(host),
            layouts: Layouts::default(),
        }
    }

    /// The next poll gives these readings.
    fn poll(&mut self, given: &[&Arc<Subject>]) -> Readings {
        let mut readings = Readings::default();
        let fields = [table::MEMORY_USAGE, table::CPU_LIMIT].map(|id| Field::plain(id.def()));
        let layout = self.layouts.layout(&fields);
        for (index, subject) in given.iter().enumerate() {
            let times = (1000 + index as i64, 7);
            let cells = [Cell::int(index as i64), Cell::int(1)];
            readings.push(Arc::clone(subject), Arc::clone(&layout), times, &cells);
            readings.give_cpu_nanocores((index % 2 == 0).then_some(index as u64));
        }
        self.enricher.enrich(&mut self.memory, &self.host, &readings)
    }

    /// The reading that this one became.
    fn one(&mut self, given: &Arc<Subject>) -> PlainReading {
        self.poll(&[given]).to_plain().remove(0)
    }
}

fn name(name: &str, uid: &str) -> Arc<PodName> {
    PodName { namespace: "ns".into(), name: name.into(), uid: uid.into() }.into()
}

fn pod_subject(pod: &str, uid: &str) -> Arc<Subject> {
    Arc::new(Subject::Pod { pod: name(pod, uid), labels: Labels::default() })
}

fn container_subject(pod: &str, uid: &str, container: &str) -> Arc<Subject> {
    let (pod, labels) = (name(pod, uid), Labels::default());
    Arc::new(Subject::PodContainer { pod, name: container.into(), uid: "run-1".into(), labels })
}

fn system(id: &str) -> Arc<Subject> {
    let labels = Labels::from_iter([(tag::POD_ID, "u"), ("container_id", id)]);
    Arc::new(Subject::SysContainer { name: id.into(), uid: id.into(), labels })
}

fn node_subject(labels: &[(&str, &str)]) -> Arc<Subject> {
    Arc::new(Subject::Node { labels: labels.iter().copied().collect() })
}

fn labels_of(subject: &Subject) -> String {
    let (Subject::Node { labels }
    | Subject::Pod { labels, .. }
    | Subject::PodContainer { labels, .. }
    | Subject::SysContainer { labels, .. }) = subject;
    labels.joined(" ")
}

/// Values by metric, integers and doubles alike.
fn values(reading: &PlainReading) -> Vec<(String, f64)> {
    let value = |(field, cell): &(Field, Cell)| {
        let value = cell.to_real(field.metric.value_type());
        (field.metric.name().to_owned(), value.unwrap_or(f64::NAN))
    };
    reading.values.iter().map(value).collect()
}

fn value(reading: &PlainReading, metric: &str) -> Option<f64> {
    values(reading).into_iter().find(|(name, _)| name == metric).map(|(_, value)| value)
}

fn cluster_of(pods: Vec<PodInfo>) -> ClusterMetadata {
    ClusterMetadata::of(vec![node()], vec![namespace("ns", "uid-ns")], pods)
}

/// The CPU rate that the host itself gave stays with its reading, for the metrics API.
#[test]
fn rates_that_hosts_give_are_passed_on() {
    let nothing = ClusterMetadata::of(Vec::new(), Vec::new(), Vec::new());
    let given = [node_subject(&[]), pod_subject("p", "u"), container_subject("p", "u", "main")];
    let enriched = Bench::new(nothing).poll(&given.each_ref());
    let rates: Vec<_> = enriched.iter().map(|(reading, _)| reading.given_cpu_nanocores).collect();
    assert_eq!(rates, [Some(0), None, Some(2)]);
}

/// Each level has what is known of it, and no label of another level. What was measured of limits
/// gives way to what was ordered; what is not ordered is 0, as in the ancestor.
#[test]
fn each_level_has_its_labels_and_values() {
    let web = pod("web", "u1", &[spec("main", [Some(100), None], [Some(500), Some(64)])], 3);
    let mut bench = Bench::new(cluster_of(vec![web]));
    let given = [
        &node_subject(&[(tag::HOST_ID, "machine")]),
        &pod_subject("web", "u1"),
        &container_subject("web", "u1", "main"),
    ];
    let readings = bench.poll(&given).to_plain();
    let [node, pod, main] = &readings[..] else { panic!("{readings:?}") };
    assert_eq!(
        labels_of(&node.subject),
        "host_id:cloud://1 hostname:node-a.example labels:os:linux,rack:r1"
    );
    assert_eq!(
        labels_of(&pod.subject),
        "labels:app:web,tier:a namespace_id:uid-ns owner_kind:Deployment owner_name:web-owner"
    );
    assert_eq!(labels_of(&main.subject), "container_base_image:image-of-main");
    let expected = [
        ("memory/usage", 2.0),
        ("cpu/limit", 500.0),
        ("cpu/request", 100.0),
        ("memory/request", 0.0),
        ("memory/limit", 64.0),
        ("restart_count", 3.0),
    ];
    assert_eq!(values(main), expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((main.time_ms, main.start_time_ms), (1002, 7));
    assert_eq!(values(pod).len(), 2, "a pod's are summed later");
    for (metric, expected) in [
        ("cpu/node_capacity", 2000.0),
        ("cpu/node_allocatable", 1900.0),
        ("memory/node_capacity", 4096.0),
        ("memory/node_allocatable", 4000.0),
        ("cpu/request", 100.0),
        ("cpu/limit", 500.0),
        ("memory/request", 0.0),
        ("memory/limit", 64.0),
    ] {
        assert_eq!(value(node, metric), Some(expected), "{metric}");
    }
}

/// What the API does not know, or knows under this name as another pod, is what the kubelet says.
/// The two names of a static pod are one.
#[test]
fn only_the_pod_itself_is_joined() {
    let mut mirror = pod("etcd-node-a", "api", &[spec("etcd", [None; 2], [None; 2])], 0);
    mirror.kubelet_uid = Some("hash".into());
    let mut bench = Bench::new(cluster_of(vec![mirror]));
    for stranger in [
        pod_subject("new", "u"),
        pod_subject("etcd-node-a", "another"),
        container_subject("new", "u", "main"),
        system("kubelet"),
    ] {
        let readings = bench.poll(&[&stranger]);
        assert_eq!(readings.len(), 1);
        let (reading, cells) = readings.get(0).unwrap();
        assert!(Arc::ptr_eq(&reading.subject, &stranger), "{stranger:?}");
        assert_eq!(cells.len(), 2);
    }
    for uid in ["hash", "api", ""] {
        for given in
            [pod_subject("etcd-node-a", uid), container_subject("etcd-node-a", uid, "etcd")]
        {
            let (Subject::Pod { pod, .. } | Subject::PodContainer { pod, .. }) =
                bench.one(&given).subject
            else {
                panic!("{given:?}")
            };
            assert_eq!(pod.uid, "api", "of {uid:?}");
        }
    }
    // A container that somebody put into the pod to look around.
    let debugger = bench.one(&container_subject("etcd-node-a", "hash", "debugger"));
    assert_eq!(debugger.values.len(), 2);
}

/// The same `Arc`s, in whatever order things come, until something that they follow from changes;
/// then what follows from it has others, and only that.
#[test]
fn what_did_not_change_is_the_same() {
    let main = || spec("main", [Some(1), None], [None; 2]);
    let pods = vec![pod("a", "u1", &[main()], 0), pod("b", "u2", &[main()], 0)];
    let mut bench = Bench::new(cluster_of(pods));
    let given = [
        node_subject(&[]),
        pod_subject("a", "u1"),
        container_subject("a", "u1", "main"),
        pod_subject("b", "u2"),
        container_subject("b", "u2", "main"),
    ];
    let poll = |bench: &mut Bench, first: usize| {
        let order: Vec<_> = (0..given.len()).map(|at| (at + first) % given.len()).collect();
        let rotated: Vec<_> = order.iter().map(|at| &given[*at]).collect();
        let readings = bench.poll(&rotated);
        bench.enricher.prune();
        let of = |at| readings.get(order.iter().position(|known| *known == at)?);
        let pointers = (0..given.len()).filter_map(of).map(|(reading, cells)| {
            let subject = Arc::as_ptr(&reading.subject).addr();
            (subject, Arc::as_ptr(&reading.layout).addr(), *cells.last().unwrap())
        });
        pointers.collect::<Vec<_>>()
    };
    let first = poll(&mut bench, 0);
    for rotation in 0..given.len() {
        assert_eq!(poll(&mut bench, rotation), first, "rotated by {rotation}");
    }
    // A container was started again: a number is another.
    bench.metadata.put_pod(pod("b", "u2", &[main()], 1));
    let restarted = poll(&mut bench, 0);
    assert_eq!(restarted[4], (first[4].0, first[4].1, Cell::int(1)));
    assert_eq!(restarted[..4], first[..4]);
    // A label changed: one pod is another, and its container is not.
    let mut relabelled = pod("b", "u2", &[main()], 1);
    relabelled.labels = Arc::new(Labels::from_iter([("app", "other")]));
    bench.metadata.put_pod(relabelled);
    let changed = poll(&mut bench, 0);
    assert_ne!(changed[3].0, first[3].0);
    assert_eq!((&changed[..3], changed[4]), (&first[..3], restarted[4]));
    // So did the host, as its discovery has it: its node is another.
    bench.host = Arc::new(Host::named("node-a"));
    let moved = poll(&mut bench, 0);
    assert_ne!(moved[0].0, first[0].0);
    assert_eq!(moved[1..], changed[1..]);
}

/// The list of pods may come before that of namespaces or nodes, and each after the first poll.
#[test]
fn what_is_known_later_is_told_later() {
    let mut bench = Bench::new(ClusterMetadata::default());
    let given = [node_subject(&[]), pod_subject("web", "u1")];
    let given: Vec<_> = given.iter().collect();
    let mut seen = Vec::new();
    let web = Arc::new(pod("web", "u1", &[spec("main", [Some(5), None], [None; 2])], 0));
    for step in 0..5 {
        match step {
            1 => bench.metadata.replace_pods(vec![Arc::clone(&web)]),
            2 => bench.metadata.replace_namespaces(vec![namespace("ns", "first")]),
            3 => bench.metadata.put_namespace(namespace("ns", "second")),
            4 => bench.metadata.replace_nodes(vec![node()]),
            _ => {}
        }
        let readings = bench.poll(&given).to_plain();
        let request = value(&readings[0], "cpu/request");
        let capacity = value(&readings[0], "cpu/node_capacity");
        let namespace = match &readings[1].subject {
            Subject::Pod { labels, .. } => labels.get(tag::NAMESPACE_ID).map(str::to_owned),
            _ => None,
        };
        seen.push((request, capacity, namespace));
    }
    let uid = |uid: &str| Some(uid.to_owned());
    assert_eq!(seen[0], (None, None, None), "nothing is not none");
    assert_eq!(seen[1], (Some(5.0), None, None));
    assert_eq!(seen[2], (Some(5.0), None, uid("first")));
    assert_eq!(seen[3], (Some(5.0), None, uid("second")));
    assert_eq!(seen[4], (Some(5.0), Some(2000.0), uid("second")));
}

/// As the scheduler counts: pods that have not ended, whether anybody measured them or not; of each
/// the most that it holds at one time.
#[test]
fn what_is_reserved_counts_and_what_has_ended_does_not() {
    let of_kind = |kind, request| {
        let mut spec = spec("c", [Some(request), None], [None; 2]);
        spec.kind = kind;
        spec
    };
    use ContainerKind::{Init, Main, Sidecar};
    let staged = [of_kind(Init, 50), of_kind(Sidecar, 5), of_kind(Init, 40), of_kind(Main, 30)];
    let long = [of_kind(Sidecar, 5), of_kind(Main, 30), of_kind(Main, 30)];
    let mut pending = pod("pending", "u3", &long, 0);
    pending.phase = Phase::Pending;
    let mut done = pod("done", "u4", &long, 0);
    done.phase = Phase::Succeeded;
    let pods = vec![pod("staged", "u1", &staged, 0), pending, done];
    let mut bench = Bench::new(cluster_of(pods));
    let reading = bench.one(&node_subject(&[]));
    assert_eq!(value(&reading, "cpu/request"), Some(50.0 + 65.0));
    bench.metadata.put_pod(pod("staged", "u1", &staged[1..], 0));
    let reading = bench.one(&node_subject(&[]));
    assert_eq!(value(&reading, "cpu/request"), Some(45.0 + 65.0));
}

/// Where a source reads containers only, their pods get readings for their labels, as long as one of
/// their containers is read; and containers that are known by their id alone find their pods.
#[test]
fn containers_bring_their_pods() {
    let mut web = pod("web", "u1", &[spec("main", [None; 2], [None; 2])], 0);
    web.containers[0] = container(&spec("main", [None; 2], [None; 2]), "id-1", 0);
    let mut bench = Bench::new(cluster_of(vec![web]));
    let (main, by_id, other) =
        (container_subject("web", "u1", "main"), system("id-1"), system("id-2"));
    for given in [&main, &by_id] {
        let readings = bench.poll(&[&other, given]).to_plain();
        let [_, container, pod] = &readings[..] else { panic!("{readings:?}") };
        let expected =
            "labels:app:web,tier:a namespace_id:uid-ns owner_kind:Deployment owner_name:web-owner";
        assert_eq!(labels_of(&pod.subject), expected);
        assert_eq!((pod.time_ms, pod.values.len()), (1001, 0));
        assert!(matches!(&container.subject, Subject::PodContainer { name, .. } if name == "main"));
        assert!(!labels_of(&container.subject).contains(tag::POD_ID), "its pod's");
        let first = bench.poll(&[given, &other]);
        let again = bench.poll(&[given, &other]);
        let subject = |readings: &Readings| Arc::clone(&readings.get(2).unwrap().0.subject);
        assert!(Arc::ptr_eq(&subject(&first), &subject(&again)));
    }
    assert_eq!(bench.poll(&[&other]).len(), 1, "no container, no pod");
    let whole = [&main, &pod_subject("web", "u1")];
    assert_eq!(bench.poll(&whole).len(), 2, "it is read");
}

/// Labels of the cluster manager and of the host are shown by the rules, also where there is no
/// cluster manager.
#[test]
fn labels_are_shown_by_the_rules() {
    let rules = LabelRules::new(";", &["tier".into(), "os".into()], &["level=tier".into()]);
    let web = pod("web", "u1", &[], 0);
    let mut bench = Bench::with_rules(cluster_of(vec![web]), rules.unwrap());
    let shown = labels_of(&bench.one(&pod_subject("web", "u1")).subject);
    assert!(shown.starts_with("labels:app:web level:a namespace_id"), "{shown}");
    let shown = labels_of(&bench.one(&node_subject(&[])).subject);
    assert!(shown.ends_with("labels:rack:r1"), "{shown}");
    let rules = LabelRules::new(",", &["rack".into()], &[]);
    let mut bench = Bench::with_rules(ClusterMetadata::default(), rules.unwrap());
    let shown = labels_of(&bench.one(&node_subject(&[])).subject);
    assert_eq!(shown, "host_id:uid-node-a labels:", "empty: there are none to show");
}
