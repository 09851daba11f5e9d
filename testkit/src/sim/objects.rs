//! The Kubernetes objects of simulated pods and nodes, as an API server has them; a kubelet's
//! `/pods` has nearly the same.

use super::{
    Behaviour, SimConfig,
    cadvisor_v2::image_of,
    identity::{host_name, mix, uuid},
    json::{Out, number, second, string, text},
    machine::{BOOT_ID, DISK_BYTES},
    view::{ContainerView, HostView, PodView},
    workload::{
        LIMIT_BYTES, LIMIT_MILLICORES, Owner, PodState, REQUEST_BYTES, REQUEST_MILLICORES, Workload,
    },
};

/// What every pod's `managedFields` says, here of all pods the same.
const POD_MANAGED_FIELDS: &str = include_str!("templates/pod_managed_fields.json");
/// The same of nodes.
const NODE_MANAGED_FIELDS: &str = include_str!("templates/node_managed_fields.json");
/// From `restartPolicy` to `tolerations`.
const POD_SPEC: &str = include_str!("templates/pod_spec.json");
/// A container's mounts and what it does at its end.
const CONTAINER_SPEC: &str = include_str!("templates/container_spec.json");
/// What a node reserves for itself.
const RESERVED_BYTES: u64 = 100 << 20;
/// How long after its creation a pod that is being deleted will be gone.
const DELETED_AFTER_MS: i64 = 365 * 86_400_000;
/// How long a pod that is being deleted has to end.
const GRACE_SECONDS: u64 = 30;

/// Whose account of a pod it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// The API server's, with its version.
    Api(u64),
    Kubelet,
}

/// The answer of the kubelet's `/pods`.
pub(super) fn kubelet_pods(view: &HostView<'_>) -> Out {
    let mut out = Out::with_capacity(view.config().pods_per_host * 6000);
    text(&mut out, r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":["#);
    for (index, pod) in view.all_pods().enumerate() {
        text(&mut out, if index == 0 { "" } else { "," });
        write_pod(&mut out, view, &pod, Account::Kubelet);
    }
    text(&mut out, "]}\n");
    out
}

/// A pod, without `kind` and `apiVersion`.
pub(super) fn write_pod(out: &mut Out, view: &HostView<'_>, pod: &PodView, account: Account) {
    let workload = Workload::of(view.config().seed, pod.index);
    pod_metadata(out, view, pod, &workload, account);
    pod_spec(out, view, pod);
    pod_status(out, view, pod);
    text(out, "}");
}

fn pod_metadata(
    out: &mut Out,
    view: &HostView<'_>,
    pod: &PodView,
    workload: &Workload,
    account: Account,
) {
    string(out, r#"{"metadata":{"name":"#, &pod.identity.name);
    if pod.state != PodState::Static {
        string(out, r#","generateName":"#, &format!("{}-", workload.app));
    }
    string(out, r#","namespace":"#, pod.identity.namespace);
    let of_api = account != Account::Kubelet;
    string(out, r#","uid":"#, if of_api { &pod.api_uid } else { &pod.identity.uid });
    if let Account::Api(version) = account {
        number(out, r#","resourceVersion":""#, version);
        text(out, "\"");
    }
    let created_ms = view.shown(pod.life.started_ms);
    second(out, r#","creationTimestamp":"#, created_ms);
    if pod.state == PodState::Deleting {
        second(out, r#","deletionTimestamp":"#, created_ms + DELETED_AFTER_MS);
        number(out, r#","deletionGracePeriodSeconds":"#, GRACE_SECONDS);
    }
    for (index, (name, value)) in workload.labels().into_iter().enumerate() {
        string(out, if index == 0 { r#","labels":{"# } else { "," }, name);
        string(out, ":", value);
    }
    text(out, "}");
    annotations(out, pod, account, created_ms);
    owner(out, view, pod, workload);
    text(out, r#","managedFields":"#);
    text(out, POD_MANAGED_FIELDS.trim_end());
    text(out, "}");
}

/// By these a static pod and its mirror are told from others.
fn annotations(out: &mut Out, pod: &PodView, account: Account, created_ms: i64) {
    let is_static = pod.state == PodState::Static;
    let hash = &pod.identity.uid;
    match (account, is_static) {
        (Account::Api(_), false) => return,
        (Account::Api(_), true) => {
            string(out, r#","annotations":{"kubernetes.io/config.hash":"#, hash);
            string(out, r#","kubernetes.io/config.mirror":"#, hash);
            text(out, ",");
        }
        (Account::Kubelet, true) => {
            string(out, r#","annotations":{"kubernetes.io/config.hash":"#, hash);
            text(out, ",");
        }
        (Account::Kubelet, false) => text(out, r#","annotations":{"#),
    }
    second(out, r#""kubernetes.io/config.seen":"#, created_ms);
    let source = if is_static { "file" } else { "api" };
    string(out, r#","kubernetes.io/config.source":"#, source);
    text(out, "}");
}

fn owner(out: &mut Out, view: &HostView<'_>, pod: &PodView, workload: &Workload) {
    let (api_version, kind, name, uid) = if pod.state == PodState::Static {
        ("v1", "Node", host_name(view.host()), node_uid(view.config(), view.host()))
    } else {
        workload.owner_reference()
    };
    string(out, r#","ownerReferences":[{"apiVersion":"#, api_version);
    string(out, r#","kind":"#, kind);
    string(out, r#","name":"#, &name);
    string(out, r#","uid":"#, &uid);
    text(out, r#","controller":true,"blockOwnerDeletion":true}]"#);
}

fn pod_spec(out: &mut Out, view: &HostView<'_>, pod: &PodView) {
    text(out, r#","spec":{"volumes":[{"name":"default-token","secret":{"secretName":"#);
    text(out, r#""default-token","defaultMode":420}}]"#);
    if pod.state == PodState::WithInit {
        text(out, r#","initContainers":["#);
        container_spec(out, "init");
        text(out, "]");
    }
    text(out, r#","containers":["#);
    for (index, container) in view.containers(pod).enumerate() {
        text(out, if index == 0 { "" } else { "," });
        container_spec(out, &container.name);
    }
    let owner = Workload::of(view.config().seed, pod.index).owner;
    let restart = if owner == Owner::Job { "OnFailure" } else { "Always" };
    string(out, r#"],"restartPolicy":"#, restart);
    string(out, r#","nodeName":"#, &host_name(view.host()));
    text(out, POD_SPEC.trim_end());
}

fn container_spec(out: &mut Out, name: &str) {
    string(out, r#"{"name":"#, name);
    string(out, r#","image":"#, image_of(name));
    number(out, r#","resources":{"limits":{"cpu":""#, LIMIT_MILLICORES);
    number(out, r#"m","memory":""#, LIMIT_BYTES >> 20);
    number(out, r#"Mi"},"requests":{"cpu":""#, REQUEST_MILLICORES);
    number(out, r#"m","memory":""#, REQUEST_BYTES >> 20);
    text(out, "Mi\"}}");
    text(out, CONTAINER_SPEC.trim_end());
}

fn pod_status(out: &mut Out, view: &HostView<'_>, pod: &PodView) {
    string(out, r#","status":{"phase":"#, pod.state.phase());
    let started_ms = view.shown(pod.life.started_ms);
    let ready = pod.state.is_measured();
    text(out, r#","conditions":["#);
    for (index, (condition, is_true)) in [
        ("Initialized", true),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", true),
    ]
    .into_iter()
    .enumerate()
    {
        string(out, if index == 0 { r#"{"type":"# } else { r#",{"type":"# }, condition);
        string(out, r#","status":"#, if is_true { "True" } else { "False" });
        second(out, r#","lastProbeTime":null,"lastTransitionTime":"#, started_ms);
        text(out, "}");
    }
    text(out, "]");
    if pod.state != PodState::Pending {
        addresses(out, view, pod);
        second(out, r#","startTime":"#, started_ms);
        container_statuses(out, view, pod);
    }
    text(out, r#","qosClass":"Burstable"}"#);
}

fn addresses(out: &mut Out, view: &HostView<'_>, pod: &PodView) {
    string(out, r#","hostIP":"#, &view.address().to_string());
    let host = view.host();
    let address = format!("10.{}.{}.{}", host / 250 % 250, host % 250, pod.index % 250 + 2);
    string(out, r#","podIP":"#, &address);
    string(out, r#","podIPs":[{"ip":"#, &address);
    text(out, "}]");
}

fn container_statuses(out: &mut Out, view: &HostView<'_>, pod: &PodView) {
    if pod.state == PodState::WithInit {
        text(out, r#","initContainerStatuses":[{"name":"init","state":"#);
        let id = super::identity::container_id(&pod.identity.uid, usize::MAX - 1, 0);
        terminated(out, view.shown(pod.life.started_ms), &id);
        text(out, r#","lastState":{},"ready":true,"restartCount":0"#);
        image_and_id(out, "init", &id);
        text(out, "}]");
    }
    text(out, r#","containerStatuses":["#);
    for (index, container) in view.containers(pod).enumerate() {
        string(out, if index == 0 { r#"{"name":"# } else { r#",{"name":"# }, &container.name);
        container_status(out, view, pod, &container);
    }
    text(out, "]");
}

fn container_status(out: &mut Out, view: &HostView<'_>, pod: &PodView, of: &ContainerView) {
    let started_ms = view.shown(of.life.started_ms);
    text(out, r#","state":"#);
    let running = pod.state != PodState::Succeeded;
    if running {
        second(out, r#"{"running":{"startedAt":"#, started_ms);
        text(out, "}}");
    } else {
        terminated(out, started_ms, &of.id);
    }
    text(out, r#","lastState":"#);
    if of.restarts > 0 {
        let before = super::identity::container_id(&of.id, usize::MAX - 2, of.restarts);
        terminated(out, started_ms - 60_000, &before);
    } else {
        text(out, "{}");
    }
    text(out, if running { r#","ready":true"# } else { r#","ready":false"# });
    number(out, r#","restartCount":"#, of.restarts);
    image_and_id(out, &of.name, &of.id);
    text(out, if running { r#","started":true}"# } else { r#","started":false}"# });
}

fn terminated(out: &mut Out, started_ms: i64, id: &str) {
    second(out, r#"{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"#, started_ms);
    second(out, r#","finishedAt":"#, started_ms + 5000);
    string(out, r#","containerID":"#, &format!("containerd://{id}"));
    text(out, "}}");
}

fn image_and_id(out: &mut Out, name: &str, id: &str) {
    let image = image_of(name);
    string(out, r#","image":"#, image);
    string(out, r#","imageID":"#, image);
    text(out, r#","containerID":"containerd://"#);
    text(out, id);
    text(out, "\"");
}

fn node_uid(config: &SimConfig, host: usize) -> String {
    uuid(mix(&[config.seed, 10, host as u64]))
}

/// A node, without `kind` and `apiVersion`.
pub(super) fn write_node(out: &mut Out, view: &HostView<'_>, port: u16, version: u64) {
    let name = host_name(view.host());
    let windows = view.behaviour() == Behaviour::Windows;
    let system = if windows { "windows" } else { "linux" };
    let created_ms = view.shown(view.machine().life.started_ms);
    string(out, r#"{"metadata":{"name":"#, &name);
    string(out, r#","uid":"#, &node_uid(view.config(), view.host()));
    number(out, r#","resourceVersion":""#, version);
    second(out, r#"","creationTimestamp":"#, created_ms);
    text(out, r#","labels":{"beta.kubernetes.io/arch":"amd64","beta.kubernetes.io/os":"#);
    string(out, "", system);
    string(out, r#","kubernetes.io/arch":"amd64","kubernetes.io/hostname":"#, &name);
    string(out, r#","kubernetes.io/os":"#, system);
    string(out, r#","topology.kubernetes.io/zone":"#, zone(view.host()));
    text(out, r#"},"annotations":{"node.alpha.kubernetes.io/ttl":"0","#);
    text(out, r#""volumes.kubernetes.io/controller-managed-attach-detach":"true"},"#);
    text(out, r#""managedFields":"#);
    text(out, NODE_MANAGED_FIELDS.trim_end());
    text(out, r#"},"spec":{"#);
    let ready = is_ready(view.behaviour());
    if !ready {
        text(out, r#""taints":[{"key":"node.kubernetes.io/unreachable","effect":"NoSchedule"}]"#);
    }
    text(out, r#"},"status":{"#);
    resources(out, view);
    conditions(out, created_ms, ready);
    string(out, r#","addresses":[{"type":"InternalIP","address":"#, &view.address().to_string());
    string(out, r#"},{"type":"Hostname","address":"#, &name);
    number(out, r#"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":"#, u64::from(port));
    text(out, "}}");
    node_info(out, view, system);
    text(out, "}}");
}

/// The label of a node's zone: there are three.
pub(super) fn zone(host: usize) -> &'static str {
    ["zone-a", "zone-b", "zone-c"][host % 3]
}

/// The API server hears nothing of a kubelet that answers nobody.
pub(super) fn is_ready(behaviour: Behaviour) -> bool {
    !matches!(behaviour, Behaviour::Refuses | Behaviour::Silent)
}

fn resources(out: &mut Out, view: &HostView<'_>) {
    for (name, reserved) in [(r#""capacity":{"#, 0), (r#","allocatable":{"#, RESERVED_BYTES)] {
        text(out, name);
        number(out, r#""cpu":""#, view.cores());
        number(out, r#"","ephemeral-storage":""#, DISK_BYTES >> 10);
        text(out, r#"Ki","hugepages-1Gi":"0","hugepages-2Mi":"0""#);
        number(out, r#","memory":""#, (view.memory_bytes() - reserved) >> 10);
        text(out, r#"Ki","pods":"110"}"#);
    }
}

fn conditions(out: &mut Out, created_ms: i64, ready: bool) {
    let status = if ready { "True" } else { "Unknown" };
    let (reason, message) = if ready {
        ("KubeletReady", "kubelet is posting ready status")
    } else {
        ("NodeStatusUnknown", "Kubelet stopped posting node status.")
    };
    for (index, (kind, status, reason, message)) in [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", status, reason, message),
    ]
    .into_iter()
    .enumerate()
    {
        string(out, if index == 0 { r#","conditions":[{"type":"# } else { r#",{"type":"# }, kind);
        string(out, r#","status":"#, status);
        second(out, r#","lastHeartbeatTime":"#, created_ms);
        second(out, r#","lastTransitionTime":"#, created_ms);
        string(out, r#","reason":"#, reason);
        string(out, r#","message":"#, message);
        text(out, "}");
    }
    text(out, "]");
}

fn node_info(out: &mut Out, view: &HostView<'_>, system: &str) {
    let id = view.machine_id();
    string(out, r#","nodeInfo":{"machineID":"#, &id);
    string(out, r#","systemUUID":"#, &id);
    string(out, r#","bootID":"#, BOOT_ID);
    text(out, r#","kernelVersion":"6.1.0","osImage":"Debian GNU/Linux 12 (bookworm)","#);
    text(out, r#""containerRuntimeVersion":"containerd://1.6.20","kubeletVersion":"v1.20.2","#);
    string(out, r#""kubeProxyVersion":"v1.20.2","operatingSystem":"#, system);
    text(out, r#","architecture":"amd64"},"images":[{"names":["#);
    string(out, "", image_of("app"));
    text(out, r#"],"sizeBytes":2130701}]"#);
}
