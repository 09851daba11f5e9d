//! Recorded answers of cAdvisor 0.36 decoded to exact values. `kubernetes.json` is made up: Docker's
//! labels, disks, accelerators and custom metrics, which the recorded machine did not have.

use heapster_shared::schema::{Kind as MetricKind, ValueType};

use super::{answer::Machine, facts::Devices, *};
use crate::source::Subject;

macro_rules! recorded {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cadvisor/", $file))
    };
}

const APP: &str = "kubepods/burstable/pod0a1b2c3d-1111-4222-8333-444455556666/172dd4a0366000604e2c4de41457aa1eb3093bb59ead22e0f1d472a2aaade094";

fn facts() -> Facts {
    let machine: Machine<'_> = serde_json::from_str(recorded!("v2.1-machine.json")).unwrap();
    Facts::new(&machine, 1_795_344_453_718)
}

fn read(api: Api, main: &str, other: &str) -> Vec<PlainReading> {
    let answers = Answers::recorded(api, main, other);
    answers.read(&facts(), &mut Devices::default()).unwrap()
}

fn v2_1(main: &str) -> Vec<PlainReading> {
    read(Api::V2_1, main, recorded!("v2.1-machinestats.json"))
}

/// `NAME[LABELS]=VALUE` of each value, in its order.
fn values(reading: &PlainReading) -> Vec<String> {
    let line = |(field, cell): &(heapster_shared::schema::Field, heapster_shared::row::Cell)| {
        let value = cell.to_json(field.metric.value_type());
        let labels = field.labels.as_ref().map(|labels| labels.joined(","));
        let labels = labels.map(|labels| format!("[{labels}]")).unwrap_or_default();
        format!("{}{labels}={value}", field.metric.name())
    };
    reading.values.iter().map(line).collect()
}

fn node(readings: &[PlainReading]) -> &PlainReading {
    let mut nodes = readings.iter().filter(|one| matches!(one.subject, Subject::Node { .. }));
    let node = nodes.next().unwrap();
    assert!(nodes.next().is_none(), "one node a poll");
    node
}

fn system<'r>(readings: &'r [PlainReading], wanted: &str) -> &'r PlainReading {
    let is_wanted = |one: &&PlainReading| matches!(&one.subject, Subject::SysContainer { name, .. } if name == wanted);
    readings.iter().find(is_wanted).unwrap()
}

const NODE_VALUES: [&str; 35] = [
    "cpu/usage=1136804756598",
    "memory/usage=5274525696",
    "memory/working_set=2416545792",
    "memory/rss=649465856",
    "memory/cache=4625272832",
    "memory/page_faults=294328",
    "memory/major_page_faults=0",
    "cpu/node_capacity=2000.0",
    "cpu/node_allocatable=2000.0",
    "memory/node_capacity=25276502016.0",
    "memory/node_allocatable=25276502016.0",
    "network/rx=603503568",
    "network/tx=1063250",
    "network/rx_errors=0",
    "network/tx_errors=0",
    "filesystem/usage[resource_id:/dev/shm]=0",
    "filesystem/limit[resource_id:/dev/shm]=25276502016",
    "filesystem/available[resource_id:/dev/shm]=25276502016",
    "filesystem/inodes[resource_id:/dev/shm]=3085510",
    "filesystem/inodes_free[resource_id:/dev/shm]=3085509",
    "filesystem/usage[resource_id:/dev/vda]=25322487808",
    "filesystem/limit[resource_id:/dev/vda]=270553174016",
    "filesystem/available[resource_id:/dev/vda]=72250261504",
    "filesystem/inodes[resource_id:/dev/vda]=16777216",
    "filesystem/inodes_free[resource_id:/dev/vda]=16208791",
    "filesystem/usage[resource_id:/dev/vdb]=0",
    "filesystem/limit[resource_id:/dev/vdb]=4096",
    "filesystem/available[resource_id:/dev/vdb]=4096",
    "filesystem/inodes[resource_id:/dev/vdb]=3085510",
    "filesystem/inodes_free[resource_id:/dev/vdb]=3085509",
    "filesystem/usage[resource_id:/sys/fs/cgroup]=0",
    "filesystem/limit[resource_id:/sys/fs/cgroup]=12638248960",
    "filesystem/available[resource_id:/sys/fs/cgroup]=12638248960",
    "filesystem/inodes[resource_id:/sys/fs/cgroup]=3085510",
    "filesystem/inodes_free[resource_id:/sys/fs/cgroup]=3085499",
];

/// Sectors times 512.
const NODE_DISKS: [&str; 2] = [
    "disk/io_read_bytes[resource_id:/dev/vda]=7722816512",
    "disk/io_write_bytes[resource_id:/dev/vda]=15773528064",
];

/// The machine's own answer, and what its facts add.
#[test]
fn the_machine_of_v2_1() {
    let readings = v2_1(recorded!("v2.1-stats-rec-c1.json"));
    let node = node(&readings);
    assert_eq!(values(node), [&NODE_VALUES[..], &NODE_DISKS].concat());
    assert_eq!(node.time_ms, 1_795_344_552_288);
    assert_eq!(node.start_time_ms, 1_795_344_453_718);
    let Subject::Node { labels } = &node.subject else { unreachable!() };
    assert_eq!(labels.joined(","), "host_id:5f0c1a2b3d4e4f60819203a4b5c6d7e8");
}

/// All control groups, under their paths, each with what it has.
#[test]
fn the_containers_of_v2_1() {
    let readings = v2_1(recorded!("v2.1-stats-rec-c1.json"));
    assert_eq!(readings.len(), 24);
    let app = system(&readings, APP);
    let expected = [
        "cpu/usage=6689375576",
        "memory/usage=3112960",
        "memory/working_set=3112960",
        "memory/rss=3039232",
        "memory/cache=45056",
        "memory/page_faults=840",
        "memory/major_page_faults=0",
    ];
    assert_eq!(values(app), expected);
    assert_eq!((app.time_ms, app.start_time_ms), (1_795_344_553_268, 1_795_344_453_738));
    let Subject::SysContainer { uid, .. } = &app.subject else { unreachable!() };
    assert_eq!(uid, "172dd4a0366000604e2c4de41457aa1eb3093bb59ead22e0f1d472a2aaade094");
    let no_cpu = system(&readings, "machine.slice");
    assert_eq!(values(no_cpu)[0], "memory/usage=5535780864");
}

/// v2.0 has other forms and the same numbers; its zeros for what a container lacks do not count.
#[test]
fn v2_0_says_the_same() {
    let readings = read(Api::V2_0, recorded!("v2.0-stats.json"), recorded!("v2.0-spec-rec.json"));
    assert_eq!(readings.len(), 3);
    let node = node(&readings);
    assert_eq!(values(node), [&NODE_VALUES[..], &NODE_DISKS].concat());
    assert_eq!(node.start_time_ms, 1_795_344_453_718);
    let app = values(system(&readings, APP));
    assert_eq!(app[0], "cpu/usage=6523694254");
    assert_eq!(app.len(), 7, "{app:?}");
    assert_eq!(values(system(&readings, "machine.slice")).len(), 6);
}

/// Of the two samples that v1.3 gives, the newer one counts.
#[test]
fn v1_3_says_the_same() {
    let readings = read(Api::V1_3, recorded!("v1.3-subcontainers.json"), "");
    assert_eq!(readings.len(), 4);
    assert_eq!(values(node(&readings)), [&NODE_VALUES[..], &NODE_DISKS].concat());
    let app = system(&readings, APP);
    assert_eq!(app.time_ms, 1_795_344_551_596);
    assert_eq!(values(app)[0], "cpu/usage=6523694254");
    assert_eq!(values(system(&readings, "machine.slice"))[0], "memory/usage=5467697152");
}

/// A container with Kubernetes' labels has all that the schema lists for it.
#[test]
fn a_container_of_a_pod() {
    let readings = v2_1(recorded!("kubernetes.json"));
    let is_container = |one: &&PlainReading| matches!(one.subject, Subject::PodContainer { .. });
    let app = readings.iter().find(is_container).unwrap();
    let Subject::PodContainer { pod, name, uid, labels } = &app.subject else { unreachable!() };
    assert_eq!((&*pod.namespace, &*pod.name, &*pod.uid), ("shop", "web-0", "0a1b"));
    assert_eq!((&**name, &**uid), ("app", &*"4f".repeat(32)));
    assert_eq!(labels.joined(","), "container_base_image:nginx:1.27");
    assert_eq!(app.time_ms, 1_795_344_551_500);
    let gpu = "[accelerator_id:GPU-1,make:nvidia,model:tesla-p100]";
    let expected = [
        "cpu/usage=5000000000",
        "memory/usage=1000",
        "memory/working_set=900",
        "memory/rss=800",
        "memory/cache=100",
        "memory/page_faults=7",
        "memory/major_page_faults=2",
        "cpu/request=500",
        "memory/limit=0",
        "filesystem/usage[resource_id:/]=4096",
        "disk/io_read_bytes[resource_id:/dev/sda]=4096",
        "disk/io_write_bytes[resource_id:/dev/sda]=8192",
        "disk/io_read_bytes[resource_id:/dev/vda]=512",
        "disk/io_write_bytes[resource_id:/dev/vda]=0",
        &format!("accelerator/memory_total{gpu}=17179869184"),
        &format!("accelerator/memory_used{gpu}=1073741824"),
        &format!("accelerator/duty_cycle{gpu}=42"),
        "custom/queue_length=4",
        "custom/latency=0.25",
        "custom/requests[label:get]=9",
        "custom/requests[label:put]=0",
    ];
    assert_eq!(values(app), expected);
    let metric = |name: &str| {
        let mut fields = app.values.iter().map(|(field, _)| &field.metric);
        fields.find(|metric| metric.name() == name).unwrap()
    };
    assert_eq!(metric("custom/requests").kind(), MetricKind::Cumulative);
    assert_eq!(metric("custom/queue_length").value_type(), ValueType::Int64);
}

/// Whoever owns a container names its metrics; the protocol knows fewer letters.
#[test]
fn custom_metrics_get_names_that_the_protocol_knows() {
    let renamed = recorded!("kubernetes.json").replace("queue_length", "queue length (max)");
    let readings = v2_1(&renamed.replace("\"latency\"", "\"\""));
    let all: Vec<String> = readings.iter().flat_map(values).collect();
    let custom: Vec<_> = all.iter().filter(|value| value.starts_with("custom/")).collect();
    assert_eq!(
        custom,
        [
            "custom/queue_length__max_=4",
            "custom/requests[label:get]=9",
            "custom/requests[label:put]=0"
        ]
    );
}

/// The container that holds a pod's network gives the pod's network and nothing else.
#[test]
fn a_pod_has_the_network_of_its_sandbox() {
    let readings = v2_1(recorded!("kubernetes.json"));
    let is_pod = |one: &&PlainReading| matches!(one.subject, Subject::Pod { .. });
    let pod = readings.iter().find(is_pod).unwrap();
    let expected =
        ["network/rx=1000", "network/tx=2000", "network/rx_errors=1", "network/tx_errors=2"];
    assert_eq!(values(pod), expected);
}

/// Names that people gave come before identities; of two equal ones the second has its path. What
/// has no sample is left out, and the machine is not a container.
#[test]
fn system_containers_are_named_for_people() {
    let readings = v2_1(recorded!("kubernetes.json"));
    assert_eq!(readings.len(), 5);
    let named = system(&readings, "registry");
    let Subject::SysContainer { uid, labels, .. } = &named.subject else { unreachable!() };
    assert_eq!(&**uid, "6d".repeat(32));
    assert_eq!(labels.joined(","), "container_base_image:registry:2");
    assert!(values(named).contains(&"filesystem/usage[resource_id:/]=10".to_owned()));
    let second = system(&readings, &format!("docker/{}", "7c".repeat(32)));
    assert_eq!(second.start_time_ms, 0, "Go's zero time is no start");
}

/// v1.3 tells the quota: half a core. Without one there is no limit, which is told by 0.
#[test]
fn the_quota_is_the_limit() {
    let spec = |cpu: &str| {
        format!(
            r#"[{{"name":"/","spec":{{}},"stats":[{{"timestamp":"2026-11-22T10:49:11Z"}}]}},
            {{"name":"/x","spec":{{"has_cpu":true,"cpu":{cpu},"has_memory":true,
            "memory":{{"limit":268435456}},"labels":{{"io.kubernetes.pod.name":"p",
            "io.kubernetes.pod.namespace":"n","io.kubernetes.container.name":"c"}}}},
            "stats":[{{"timestamp":"2026-11-22T10:49:11Z"}}]}}]"#
        )
    };
    let limits = |cpu: &str| values(&read(Api::V1_3, &spec(cpu), "")[1]);
    let with = limits(r#"{"limit":102,"quota":50000,"period":100000}"#);
    assert_eq!(with, ["cpu/request=99", "cpu/limit=500", "memory/limit=268435456"]);
    let without = limits(r#"{"limit":2,"period":100000}"#);
    assert_eq!(without, ["cpu/request=1", "cpu/limit=0", "memory/limit=268435456"]);
}

/// An answer without the machine is not complete, whatever else it has.
#[test]
fn no_machine_is_an_error() {
    for (api, main, other) in
        [(Api::V2_1, "{}", "null"), (Api::V2_0, "{}", "{}"), (Api::V1_3, "[]", "")]
    {
        let answers = Answers::recorded(api, main, other);
        let error = answers.read(&facts(), &mut Devices::default()).unwrap_err().to_string();
        assert!(error.contains("no sample of the machine"), "{error}");
    }
}

/// A time that is none, or a number where text was expected, says where it is.
#[test]
fn a_wrong_value_says_where() {
    let main = r#"{"/a":{"spec":{},"stats":[{"timestamp":"yesterday"}]}}"#;
    let answers = Answers::recorded(Api::V2_1, main, "[]");
    let error = answers.read(&facts(), &mut Devices::default()).unwrap_err().to_string();
    assert!(error.contains("yesterday") && error.contains("$./a.stats[0].timestamp"), "{error}");
}

/// A host says itself where it answers; the options say the rest.
#[test]
fn addresses_of_hosts() {
    let source = |text: &str| {
        let spec: Spec = text.parse().unwrap();
        let options: Options = spec.options().unwrap();
        Cadvisor {
            own_host: None,
            port: options.port.unwrap_or(DEFAULT_PORT),
            scheme: options.scheme.unwrap_or_else(|| DEFAULT_SCHEME.to_owned()),
            fetcher: fetcher(options.max_body_size, &TlsOptions::default()).unwrap(),
            layouts: Layouts::default(),
            hosts: Hosts::default(),
        }
    };
    let endpoint = |kind: &str, scheme: &str, port, path: &str| Endpoint {
        kind: kind.into(),
        scheme: scheme.into(),
        port,
        path: path.into(),
        ..Endpoint::default()
    };
    let mut host = Host::named("n1");
    assert_eq!(source("cadvisor").base_url(&host, "n1"), "http://n1:8080");
    assert_eq!(
        source("cadvisor?port=4194&scheme=https").base_url(&host, "fd00::1"),
        "https://[fd00::1]:4194"
    );
    host.endpoints = vec![endpoint("kubelet", "https", 10250, ""), endpoint("", "", 81, "")];
    assert_eq!(source("cadvisor?port=4194").base_url(&host, "fd00::1"), "http://[fd00::1]:81");
    host.endpoints.push(endpoint("cadvisor", "https", 0, "cadvisor/"));
    assert_eq!(
        source("cadvisor?port=4194").base_url(&host, "fd00::1"),
        "https://[fd00::1]:4194/cadvisor"
    );
}

/// The host that the location names has this machine's name where it is this machine.
#[test]
fn own_hosts() {
    let own = |text: &str| build(text.parse().unwrap()).unwrap().own_host().unwrap();
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_eq!(own("cadvisor:http://localhost:8080").name, here);
    assert_eq!(own("cadvisor:http://[::1]:8080").id, here);
    let host = own("cadvisor:https://node-7/cadvisor/?name=seven");
    assert_eq!((&*host.name, &*host.addresses[0]), ("seven", "node-7"));
    assert_eq!((host.endpoints[0].port, &*host.endpoints[0].path), (443, "/cadvisor"));
    assert_eq!(own("cadvisor:http://10.0.0.7:80").name, "10.0.0.7");
}

#[test]
fn wrong_options_are_refused_before_anything_starts() {
    for (text, expected) in [
        ("cadvisor?prot=1", "unknown option `prot`, expected one of `name`, `port`, `scheme`"),
        ("cadvisor?port=99999", "`port` is `99999`: write 1 to 65535"),
        ("cadvisor?scheme=ftp", "neither http nor https"),
        ("cadvisor?name=a", "needs an address"),
        ("cadvisor:http://a?port=1", "write them into the address"),
        ("cadvisor:10.0.0.1:8080", "write an address"),
        ("cadvisor:http://u:p@a", "not supported"),
        ("cadvisor?max_body_size=big", "is no size"),
        ("cadvisor?cert=/a", "`cert` needs its `key`"),
        ("cadvisor?tls=node-name", "is for kubelets"),
    ] {
        let error = build(text.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
