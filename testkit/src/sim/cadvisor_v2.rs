//! cAdvisor's API v2.1: `stats` (containers without `/`), `machinestats` (`/` alone), `spec` (both).
//! The pieces that v1.3 shares are here too.

use super::{
    Flavour,
    json::{Out, number, string, text, time},
    machine::{DISK_BYTES, INODES_FREE, NO_LIMIT},
    view::{ContainerView, HostView, PodView, Sample},
    workload::LIMIT_BYTES,
};

/// Counters of TCP and UDP, all 0: cAdvisor gives them whether it measures them or not.
pub(super) const NETWORK_PROTOCOLS: &str = include_str!("templates/network_protocols.json");

/// About what one container takes in an answer.
const BYTES_PER_CONTAINER: usize = 2600;

/// The answer of `/api/v2.1/stats?type=name&recursive=true&count=N`.
pub(super) fn stats(view: &HostView<'_>, count: usize) -> Out {
    let capacity = view.config().containers_per_host() * (BYTES_PER_CONTAINER + 900 * (count - 1));
    let mut out = Out::with_capacity(capacity + 4096);
    each_container(&mut out, view, "{", |out, pod, container| {
        text(out, r#"{"spec":"#);
        spec(out, view, pod, container);
        text(out, r#","stats":["#);
        for (index, sample) in view.samples(container, count).enumerate() {
            text(out, if index == 0 { "" } else { "," });
            container_sample(out, container, &sample);
        }
        text(out, "]}");
    });
    out
}

/// The answer of `/api/v2.1/spec?type=name`, with `&recursive=true` or without.
pub(super) fn specs(view: &HostView<'_>, recursive: bool) -> Out {
    let mut out = Out::with_capacity(view.config().containers_per_host() * 1300 + 4096);
    text(&mut out, r#"{"/":"#);
    root_spec(&mut out, view);
    if recursive {
        each_container(&mut out, view, ",", |out, pod, container| spec(out, view, pod, container));
    } else {
        text(&mut out, "}");
    }
    out
}

/// Writes `"NAME":...,"NAME":...}` over all containers, behind a first separator.
fn each_container(
    out: &mut Out,
    view: &HostView<'_>,
    first: &'static str,
    mut write: impl FnMut(&mut Out, &PodView, &ContainerView),
) {
    let mut separator = first;
    for pod in view.pods() {
        let sandbox = view.config().sandboxes.then(|| view.sandbox(&pod));
        for container in sandbox.into_iter().chain(view.containers(&pod)) {
            text(out, separator);
            separator = ",";
            text(out, "\"");
            cgroup(out, view, &pod, &container);
            text(out, "\":");
            write(out, &pod, &container);
        }
    }
    text(out, if separator == "{" { "{}" } else { "}" });
}

/// The name that cAdvisor knows a container by.
pub(super) fn cgroup(out: &mut Out, view: &HostView<'_>, pod: &PodView, of: &ContainerView) {
    match view.config().flavour {
        Flavour::Kubernetes => {
            text(out, "/kubepods/burstable/pod");
            text(out, &pod.identity.uid);
            text(out, "/");
        }
        Flavour::Docker => text(out, "/docker/"),
    }
    text(out, &of.id);
}

/// `"aliases":[..],"namespace":"docker"`.
pub(super) fn aliases(out: &mut Out, view: &HostView<'_>, pod: &PodView, of: &ContainerView) {
    text(out, r#""aliases":[""#);
    match view.config().flavour {
        Flavour::Kubernetes => {
            let identity = &pod.identity;
            for part in ["k8s_", &of.name, "_", &identity.name, "_", identity.namespace, "_"] {
                text(out, part);
            }
            text(out, &identity.uid);
            number(out, "_", of.restarts);
        }
        Flavour::Docker => {
            text(out, &pod.identity.name);
            text(out, "-");
            text(out, &of.name);
        }
    }
    string(out, "\",", &of.id);
    text(out, r#"],"namespace":"docker""#);
}

/// `"labels":{..}`.
pub(super) fn labels(out: &mut Out, view: &HostView<'_>, pod: &PodView, of: &ContainerView) {
    if view.config().flavour == Flavour::Docker {
        string(out, r#""labels":{"com.docker.compose.project":"#, &pod.identity.name);
        string(out, r#","com.docker.compose.service":"#, &of.name);
        text(out, "}");
        return;
    }
    let kind = if of.name == "POD" { "podsandbox" } else { "container" };
    number(out, r#""labels":{"annotation.io.kubernetes.container.restartCount":""#, of.restarts);
    string(out, r#"","io.kubernetes.container.name":"#, &of.name);
    string(out, r#","io.kubernetes.docker.type":"#, kind);
    string(out, r#","io.kubernetes.pod.name":"#, &pod.identity.name);
    string(out, r#","io.kubernetes.pod.namespace":"#, pod.identity.namespace);
    string(out, r#","io.kubernetes.pod.uid":"#, &pod.identity.uid);
    text(out, "}");
}

/// `"image":".."`.
pub(super) fn image(out: &mut Out, of: &ContainerView) {
    string(out, r#""image":"#, image_of(&of.name));
}

/// The image that a container of this name runs.
pub(super) fn image_of(name: &str) -> &'static str {
    match name {
        "POD" => "registry.example/pause:3.9",
        "app" => "registry.example/shop/app:1.4.2",
        _ => "registry.example/base/proxy:2.0.1",
    }
}

/// What a host says of itself as a container: above all, since when it counts.
fn root_spec(out: &mut Out, view: &HostView<'_>) {
    time(out, r#"{"creation_time":"#, view.shown(view.machine().life.started_ms));
    text(out, r#","has_cpu":true,"cpu":{"limit":1024,"max_limit":0,"mask":"0-"#);
    number(out, "", view.cores() - 1);
    number(out, r#""},"has_memory":true,"memory":{"limit":"#, view.memory_bytes());
    number(out, r#","reservation":"#, NO_LIMIT);
    text(out, r#"},"has_custom_metrics":false,"has_processes":false,"processes":{},"#);
    text(out, r#""has_network":true,"has_filesystem":true,"has_diskio":true}"#);
}

fn spec(out: &mut Out, view: &HostView<'_>, pod: &PodView, of: &ContainerView) {
    time(out, r#"{"creation_time":"#, view.shown(of.life.started_ms));
    text(out, ",");
    aliases(out, view, pod, of);
    text(out, ",");
    labels(out, view, pod, of);
    text(out, r#","has_cpu":true,"cpu":{"limit":102,"max_limit":0,"mask":"0-"#);
    number(out, "", view.cores() - 1);
    number(out, r#""},"has_memory":true,"memory":{"limit":"#, LIMIT_BYTES);
    number(out, r#","reservation":"#, NO_LIMIT);
    number(out, r#","swap_limit":"#, NO_LIMIT);
    text(out, r#"},"has_custom_metrics":false,"has_processes":true,"processes":{},"#);
    let network =
        if of.name == "POD" { r#""has_network":true,"# } else { r#""has_network":false,"# };
    text(out, network);
    text(out, r#""has_filesystem":true,"has_diskio":true,"#);
    image(out, of);
    text(out, "}");
}

fn container_sample(out: &mut Out, of: &ContainerView, sample: &Sample) {
    time(out, r#"{"timestamp":"#, sample.time_ms);
    cpu(out, sample);
    disk_io(out, sample);
    memory(out, sample);
    if of.name == "POD" {
        network(out, sample);
    }
    text(out, r#","processes":{"process_count":1,"fd_count":8,"socket_count":1}"#);
    number(out, r#","filesystem":{"totalUsageBytes":"#, sample.disk_used);
    number(out, r#","baseUsageBytes":"#, sample.disk_used / 2);
    text(out, r#","containter_inode_usage":24}}"#);
}

/// `,"cpu":{..}`.
pub(super) fn cpu(out: &mut Out, sample: &Sample) {
    number(out, r#","cpu":{"usage":{"total":"#, sample.cpu_ns);
    number(out, r#","per_cpu_usage":["#, sample.cpu_ns / 2);
    number(out, ",", sample.cpu_ns - sample.cpu_ns / 2);
    number(out, r#"],"user":"#, sample.cpu_ns / 10_000_000 * 7_000_000);
    number(out, r#","system":"#, sample.cpu_ns / 10_000_000 * 3_000_000);
    text(out, r#"},"cfs":{"periods":0,"throttled_periods":0,"throttled_time":0}"#);
    text(out, r#","schedstat":{"run_time":0,"runqueue_time":0,"run_periods":0},"load_average":0}"#);
}

/// `,"diskio":{..}`.
pub(super) fn disk_io(out: &mut Out, sample: &Sample) {
    text(out, r#","diskio":{"io_service_bytes":[{"device":"/dev/sda","major":8,"minor":0,"#);
    number(out, r#""stats":{"Async":0,"Read":"#, sample.read);
    number(out, r#","Sync":"#, sample.read + sample.written);
    number(out, r#","Total":"#, sample.read + sample.written);
    number(out, r#","Write":"#, sample.written);
    text(out, "}}]}");
}

/// `,"memory":{..}`.
pub(super) fn memory(out: &mut Out, sample: &Sample) {
    let usage = sample.working_set + sample.cache;
    number(out, r#","memory":{"usage":"#, usage);
    number(out, r#","max_usage":"#, usage + (1 << 20));
    number(out, r#","cache":"#, sample.cache);
    number(out, r#","rss":"#, sample.working_set / 2);
    number(out, r#","swap":0,"mapped_file":0,"working_set":"#, sample.working_set);
    number(out, r#","failcnt":0,"container_data":{"pgfault":"#, sample.page_faults);
    number(out, r#","pgmajfault":"#, sample.major_page_faults);
    number(out, r#"},"hierarchical_data":{"pgfault":"#, sample.page_faults);
    number(out, r#","pgmajfault":"#, sample.major_page_faults);
    text(out, "}}");
}

/// `"name":"eth0","rx_bytes":..` and so on to `tx_dropped`, without braces.
pub(super) fn interface(out: &mut Out, sample: &Sample) {
    number(out, r#""name":"eth0","rx_bytes":"#, sample.received);
    number(out, r#","rx_packets":"#, sample.received / 800);
    number(out, r#","rx_errors":0,"rx_dropped":0,"tx_bytes":"#, sample.sent);
    number(out, r#","tx_packets":"#, sample.sent / 800);
    text(out, r#","tx_errors":0,"tx_dropped":0"#);
}

fn network(out: &mut Out, sample: &Sample) {
    text(out, r#","network":{"interfaces":[{"#);
    interface(out, sample);
    text(out, "}],");
    text(out, NETWORK_PROTOCOLS);
    text(out, "}");
}

/// The answer of `/api/v2.1/machinestats`.
pub(super) fn machine_stats(view: &HostView<'_>, count: usize) -> Out {
    let mut out = Out::with_capacity(5000 * count);
    let mut separator = "[";
    for sample in view.samples(&view.machine(), count) {
        text(&mut out, separator);
        separator = ",";
        time(&mut out, r#"{"timestamp":"#, sample.time_ms);
        cpu(&mut out, &sample);
        memory(&mut out, &sample);
        network(&mut out, &sample);
        text(&mut out, r#","filesystem":[{"device":"/dev/sda1","type":"vfs","#);
        filesystem(&mut out, &sample);
        text(&mut out, r#","inline":{"#);
        disk_counters(&mut out, &sample);
        text(&mut out, "}}]}");
    }
    text(&mut out, "]");
    out
}

/// `"capacity":..` to `"inodes_free"`, without braces.
pub(super) fn filesystem(out: &mut Out, sample: &Sample) {
    number(out, r#""capacity":"#, DISK_BYTES);
    number(out, r#","usage":"#, sample.disk_used);
    number(out, r#","available":"#, DISK_BYTES.saturating_sub(sample.disk_used));
    number(out, r#","inodes_free":"#, INODES_FREE);
}

/// `"reads_completed":..` and so on, without braces; a sector has 512 bytes.
pub(super) fn disk_counters(out: &mut Out, sample: &Sample) {
    number(out, r#""reads_completed":"#, sample.read / 4096);
    number(out, r#","reads_merged":0,"sectors_read":"#, sample.read / 512);
    number(out, r#","read_duration":0,"writes_completed":"#, sample.written / 4096);
    number(out, r#","writes_merged":0,"sectors_written":"#, sample.written / 512);
    text(out, r#","write_duration":0,"io_in_progress":0,"io_duration":0,"weighted_io_duration":0"#);
}
