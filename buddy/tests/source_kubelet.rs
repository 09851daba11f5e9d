//! The sources of kubelets against simulated ones: what they give is true, the odd and the dead do
//! no harm, and whoever may not ask is told what to set.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use heapster_buddy::source::{self, PlainReading, Readings, Source, Subject};
use heapster_shared::{
    host::{Endpoint, Host},
    schema::{MetricId, table},
};
use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::{Authority, User},
    sim::{
        Behaviour, CertificateNames, KubeletTls, SimCluster, SimConfig, Thing, container_name,
        host_name, namespace, pod_name,
    },
};
use tempfile::TempDir;

const KINDS: [&str; 3] = ["summary", "resource", "kubelet-cadvisor"];
const PODS: usize = 8;

fn small() -> SimConfig {
    SimConfig { pods_per_host: PODS, sandboxes: true, ..SimConfig::default() }
}

/// A host as the discovery of Kubernetes makes it.
fn host(cluster: &SimCluster, scheme: &str) -> Host {
    let simulated = &cluster.hosts()[0];
    let mut host = Host::named(&host_name(0));
    host.addresses = vec![simulated.address.to_string().into()];
    host.endpoints = vec![Endpoint {
        kind: "kubelet".into(),
        scheme: scheme.into(),
        port: simulated.port,
        ..Endpoint::default()
    }];
    host
}

fn source(spec: &str) -> Box<dyn Source> {
    source::build(spec.parse().unwrap()).unwrap()
}

async fn poll(cluster: &SimCluster, kind: &str) -> Readings {
    source(kind).poll(&host(cluster, "http")).await.unwrap()
}

fn value(reading: &PlainReading, metric: MetricId) -> Option<i64> {
    let of_metric = |(field, _): &&(heapster_shared::schema::Field, _)| {
        field.metric.name() == metric.def().name
    };
    reading.values.iter().find(of_metric).and_then(|(_, cell)| cell.as_int())
}

/// The container of the pod and of this number in it.
fn container(readings: &Readings, pod: usize, container: usize) -> Option<PlainReading> {
    let (pod, name) = (pod_name(0, pod, 0), container_name(container));
    readings.to_plain().into_iter().find(|reading| {
        matches!(&reading.subject, Subject::PodContainer { pod: own, name: own_name, .. }
            if *own.name == *pod && *own_name == *name)
    })
}

/// Level, namespace, pod and name of everything, none of it twice.
fn names(readings: &Readings) -> BTreeSet<String> {
    let name = |reading: &PlainReading| match &reading.subject {
        Subject::Node { .. } => "node".to_owned(),
        Subject::Pod { pod, .. } => format!("pod {}/{}", pod.namespace, pod.name),
        Subject::PodContainer { pod, name, .. } => {
            format!("container {}/{}/{name}", pod.namespace, pod.name)
        }
        Subject::SysContainer { name, .. } => format!("system {name}"),
    };
    let names: BTreeSet<_> = readings.to_plain().iter().map(name).collect();
    assert_eq!(names.len(), readings.len(), "something is there twice");
    names
}

/// What each source says of a container and of the node is so at the time that it names.
#[tokio::test]
async fn every_source_tells_the_truth() {
    let cluster = SimCluster::start(small()).await.unwrap();
    for kind in KINDS {
        let readings = poll(&cluster, kind).await;
        let truth = |thing, metric, time_ms| cluster.true_value(0, thing, metric, time_ms).unwrap();
        for pod in 0..PODS {
            let reading = container(&readings, pod, 1).unwrap();
            let thing = Thing::Container { pod, container: 1 };
            for metric in [table::CPU_USAGE, table::MEMORY_WORKING_SET] {
                let expected = truth(thing, metric, reading.time_ms);
                let given = value(&reading, metric).unwrap();
                assert!(given.abs_diff(i64::try_from(expected).unwrap()) <= 1, "{kind} {metric:?}");
            }
        }
        let (node, _) = readings.node().unwrap();
        let node =
            readings.to_plain().into_iter().find(|one| one.subject == *node.subject).unwrap();
        let cpu = value(&node, table::CPU_USAGE).unwrap();
        let expected = truth(Thing::Node, table::CPU_USAGE, node.time_ms);
        assert!(cpu.abs_diff(i64::try_from(expected).unwrap()) <= 1, "{kind}");
    }
}

/// The heavier sources name the same things; the light one has no pods as a whole.
#[tokio::test]
async fn every_source_names_the_same_things() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let summary = names(&poll(&cluster, "summary").await);
    assert_eq!(summary.len(), 2 + PODS + 2 * PODS);
    assert!(summary.contains("system pods"));
    let pod = format!("pod {}/{}", namespace(0), pod_name(0, 0, 0));
    assert!(summary.contains(&pod), "{pod} in {summary:?}");
    let with_cadvisor = names(&poll(&cluster, "kubelet-cadvisor").await);
    let missing: Vec<_> = summary.difference(&with_cadvisor).collect();
    // The simulated machine has no control group for all pods.
    assert_eq!(missing, ["system pods"]);
    let light = names(&poll(&cluster, "resource").await);
    let missing = summary.difference(&light).filter(|name| name.starts_with("container"));
    assert_eq!((missing.count(), light.len()), (0, 1 + 2 * PODS));
}

/// The second poll of a host has the subjects and layouts of the first.
#[tokio::test]
async fn what_does_not_change_is_not_made_anew() {
    let cluster = SimCluster::start(small()).await.unwrap();
    for kind in KINDS {
        let (source, host) = (source(kind), host(&cluster, "http"));
        let (first, second) =
            (source.poll(&host).await.unwrap(), source.poll(&host).await.unwrap());
        assert_eq!(first.len(), second.len());
        for ((first, _), (second, _)) in first.iter().zip(second.iter()) {
            assert!(Arc::ptr_eq(&first.subject, &second.subject), "{kind}");
            assert!(Arc::ptr_eq(&first.layout, &second.layout), "{kind}");
        }
    }
}

/// Zeros and gaps of a kubelet that was just started give no sample.
#[tokio::test]
async fn a_kubelet_that_has_just_started_gives_what_it_knows() {
    let cluster = SimCluster::start(small()).await.unwrap();
    cluster.set_behaviour(0, Behaviour::Starting);
    let readings = poll(&cluster, "summary").await;
    for pod in [0, 1, 2] {
        assert!(container(&readings, pod, 0).is_none(), "pod {pod}");
    }
    assert!(value(&container(&readings, 3, 0).unwrap(), table::CPU_USAGE) > Some(0));
    assert!(readings.node().is_some());
    names(&readings);
}

/// Of what is there twice the living one counts; what kubelets on Windows do not say is absent.
#[tokio::test]
async fn odd_kubelets_give_each_thing_once() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let healthy = names(&poll(&cluster, "summary").await);
    cluster.set_behaviour(0, Behaviour::Leftovers);
    let readings = poll(&cluster, "summary").await;
    assert_eq!(names(&readings), healthy);
    for pod in [0, 1] {
        let reading = container(&readings, pod, 0).unwrap();
        let thing = Thing::Container { pod, container: 0 };
        let expected = cluster.true_value(0, thing, table::CPU_USAGE, reading.time_ms).unwrap();
        let cpu = value(&reading, table::CPU_USAGE).unwrap();
        assert!(cpu.abs_diff(i64::try_from(expected).unwrap()) <= 1, "pod {pod}");
    }
    cluster.set_behaviour(0, Behaviour::Windows);
    let readings = poll(&cluster, "summary").await;
    assert_eq!(names(&readings), healthy);
    let reading = container(&readings, 0, 0).unwrap();
    assert!(value(&reading, table::MEMORY_WORKING_SET) > Some(0));
    assert_eq!(value(&reading, table::MEMORY_RSS), None);
    assert_eq!(value(&reading, table::MEMORY_PAGE_FAULTS), None);
    cluster.set_behaviour(0, Behaviour::Varied);
    names(&poll(&cluster, "summary").await);
}

/// A kubelet that is no good costs an error with its address, whatever it does.
#[tokio::test]
async fn bad_kubelets_cost_an_error() {
    let cluster = SimCluster::start(small()).await.unwrap();
    let host = host(&cluster, "http");
    for kind in KINDS {
        let source = source(&format!("{kind}?max_body_size=1MiB"));
        for behaviour in [
            Behaviour::Garbage,
            Behaviour::ServerError,
            Behaviour::Truncated,
            Behaviour::Endless,
            Behaviour::Refuses,
        ] {
            cluster.set_behaviour(0, behaviour);
            let error = source.poll(&host).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("http://{}", host.addresses[0])), "{error}");
        }
        cluster.set_behaviour(0, Behaviour::Healthy);
        while source.poll(&host).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

/// A cluster on TLS, with the files that a buddy has.
struct Secured {
    cluster: SimCluster,
    authority: Arc<Authority>,
    folder: TempDir,
}

impl Secured {
    async fn new(names: CertificateNames) -> Self {
        let authority = Arc::new(Authority::new().unwrap());
        let tls = KubeletTls { authority: Arc::clone(&authority), names, plain_too: false };
        let cluster = SimCluster::start(SimConfig { tls: Some(tls), ..small() }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let secured = Self { cluster, authority, folder };
        std::fs::write(secured.file("ca"), secured.authority.cluster_ca_pem()).unwrap();
        secured.authority.set_token("known", User::new("heapster", &[]));
        std::fs::write(secured.file("token"), "known\n").unwrap();
        secured
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Polls with these options, in which `FOLDER` stands for the folder of files.
    async fn poll(&self, spec: &str) -> Result<Readings, String> {
        let spec = spec.replace("FOLDER", self.folder.path().to_str().unwrap());
        let polled = source(&spec).poll(&host(&self.cluster, "https")).await;
        polled.map_err(|error| error.to_string())
    }
}

/// A certificate that names the node and no address is good with `tls=node-name`; without it the
/// error says so.
#[tokio::test]
async fn certificates_are_verified_for_the_name_of_the_node() {
    let secured = Secured::new(CertificateNames::NodeName).await;
    for kind in KINDS {
        let files = "ca=FOLDER/ca&token_file=FOLDER/token";
        secured.poll(&format!("{kind}?{files}&tls=node-name")).await.unwrap();
        let error = secured.poll(&format!("{kind}?{files}")).await.unwrap_err();
        assert!(error.contains("tls=node-name"), "{error}");
        secured.poll(&format!("{kind}?token_file=FOLDER/token&tls=skip")).await.unwrap();
        let error = secured.poll(&format!("{kind}?tls=node-name")).await.unwrap_err();
        assert!(error.contains("ca=FILE"), "{error}");
    }
}

/// Who may not ask is told which of the cluster's rules to change, document by document.
#[tokio::test]
async fn refusals_say_what_to_allow() {
    let secured = Secured::new(CertificateNames::Address).await;
    let error = secured.poll("summary?ca=FOLDER/ca").await.unwrap_err();
    assert!(error.contains("401") && error.contains("token_file=FILE"), "{error}");
    secured.authority.set_policy(|_| false);
    for (kind, resource) in KINDS.into_iter().zip(["nodes/stats", "nodes/metrics", "nodes/metrics"])
    {
        let spec = format!("{kind}?ca=FOLDER/ca&token_file=FOLDER/token");
        let error = secured.poll(&spec).await.unwrap_err();
        assert!(error.contains("403") && error.contains(resource), "{error}");
    }
    let error = secured.poll("summary?scheme=http").await.unwrap_err();
    assert!(error.contains("set scheme=https"), "{error}");
}

/// Kubelets that cannot be reached or verified are asked through the API server.
#[tokio::test]
async fn kubelets_are_asked_through_the_api_server() {
    let secured = Secured::new(CertificateNames::NodeName).await;
    let options = ApiServerOptions {
        authority: Some(Arc::clone(&secured.authority)),
        ..ApiServerOptions::default()
    };
    let api = ApiServer::simulated(&secured.cluster, options).await.unwrap();
    std::fs::write(secured.file("token"), api.service_token()).unwrap();
    for kind in KINDS {
        let spec = format!("{kind}?proxy={}&ca=FOLDER/ca&token_file=FOLDER/token", api.url());
        let readings = secured.poll(&spec).await.unwrap();
        assert!(readings.len() > 2 * PODS, "{kind}");
    }
    assert_eq!(api.requests("get nodes/proxy"), KINDS.len());
    let stranger = Host::named("nope");
    let folder = secured.folder.path().display();
    let spec = format!("summary?proxy={}&ca={folder}/ca&token_file={folder}/token", api.url());
    let error = source(&spec).poll(&stranger).await.unwrap_err().to_string();
    assert!(error.contains("/nodes/nope/proxy/stats/summary answered 404"), "{error}");
}

/// With a kubeconfig the connection is that of everything else that has this one: its authority and
/// its user count. Who may not ask, and which node is not there, is said as for others.
#[tokio::test]
async fn kubelets_are_asked_by_a_kubeconfig() {
    let secured = Secured::new(CertificateNames::NodeName).await;
    let authority = Arc::clone(&secured.authority);
    let options = ApiServerOptions { authority: Some(authority), ..ApiServerOptions::default() };
    let api = ApiServer::simulated(&secured.cluster, options).await.unwrap();
    let kubeconfig = api.kubeconfig();
    let way = format!("via=apiserver&kubeconfig={}", kubeconfig.display());
    for kind in KINDS {
        let by_service_account = secured.poll(&format!("{kind}?{way}&context=heapster")).await;
        assert!(by_service_account.unwrap().len() > 2 * PODS, "{kind}");
        let by_certificate = secured.poll(&format!("{kind}?{way}")).await;
        assert!(by_certificate.unwrap().len() > 2 * PODS, "{kind}");
    }
    assert_eq!(api.requests("get nodes/proxy"), 2 * KINDS.len());
    let polled = source(&format!("summary?{way}")).poll(&Host::named("nope")).await;
    let error = polled.unwrap_err().to_string();
    assert!(error.contains("/nodes/nope/proxy/stats/summary answered 404 Not Found"), "{error}");
    assert!(error.contains("does the cluster have a node of this name?"), "{error}");

    secured.cluster.set_behaviour(0, Behaviour::Endless);
    let error = secured.poll(&format!("summary?{way}&max_body_size=1MiB")).await.unwrap_err();
    assert!(error.contains("larger than the limit of 1MiB"), "{error}");
    secured.cluster.set_behaviour(0, Behaviour::ServerError);
    let error = secured.poll(&format!("summary?{way}")).await.unwrap_err();
    assert!(error.contains("answered 50") && error.contains("unable to reach"), "{error}");
    let error = secured.poll(&format!("summary?{way}&context=anonymous")).await.unwrap_err();
    assert!(error.contains("403") && error.contains("nodes/proxy"), "{error}");
    let error = secured.poll(&format!("summary?{way}&context=nope")).await.unwrap_err();
    assert!(error.contains("has no context `nope`; the known ones are admin"), "{error}");
}

/// A kubeconfig that is not there yet costs polls until it is.
#[tokio::test]
async fn a_kubeconfig_may_come_later() {
    let secured = Secured::new(CertificateNames::Both).await;
    let authority = Arc::clone(&secured.authority);
    let options = ApiServerOptions { authority: Some(authority), ..ApiServerOptions::default() };
    let api = ApiServer::simulated(&secured.cluster, options).await.unwrap();
    let later = secured.file("later");
    let source = source(&format!("summary?via=apiserver&kubeconfig={}", later.display()));
    let host = host(&secured.cluster, "https");
    let error = source.poll(&host).await.unwrap_err().to_string();
    assert!(error.contains(later.to_str().unwrap()) && error.contains("No such file"), "{error}");
    std::fs::copy(api.kubeconfig(), &later).unwrap();
    assert!(source.poll(&host).await.is_ok());
}
