//! cAdvisor's API v1.3: `subcontainers`, a list in which `/` is the machine.

use super::{
    cadvisor_v2::{
        NETWORK_PROTOCOLS, aliases, cgroup, cpu, disk_counters, disk_io, filesystem, image,
        interface, labels, memory,
    },
    json::{Out, number, string, text, time},
    machine::{DISK_BYTES, INODES, NO_LIMIT},
    view::{ContainerView, HostView, PodView, Sample},
    workload::LIMIT_BYTES,
};

/// The answer of a POST to `/api/v1.3/subcontainers/` with `{"num_stats":N}`.
pub(super) fn subcontainers(view: &HostView<'_>, count: usize) -> Out {
    let containers = view.config().containers_per_host() + 1;
    let mut out = Out::with_capacity(containers * (1500 + 3800 * count));
    text(&mut out, "[");
    write_machine(&mut out, view, count);
    for pod in view.pods() {
        let sandbox = view.config().sandboxes.then(|| view.sandbox(&pod));
        for container in sandbox.into_iter().chain(view.containers(&pod)) {
            text(&mut out, ",");
            write_container(&mut out, view, &pod, &container, count);
        }
    }
    text(&mut out, "]");
    out
}

/// The answer of a POST to `/api/v1.3/containers/`: the machine alone.
pub(super) fn root_container(view: &HostView<'_>, count: usize) -> Out {
    let mut out = Out::with_capacity(1500 + 3800 * count);
    write_machine(&mut out, view, count);
    out
}

fn write_machine(out: &mut Out, view: &HostView<'_>, count: usize) {
    let machine = view.machine();
    text(out, r#"{"name":"/","spec":{"#);
    write_spec(out, view, &machine, view.memory_bytes());
    text(out, "},");
    write_samples(out, view, &machine, count);
    text(out, "}");
}

fn write_container(
    out: &mut Out,
    view: &HostView<'_>,
    pod: &PodView,
    container: &ContainerView,
    count: usize,
) {
    string(out, r#"{"id":"#, &container.id);
    text(out, r#","name":""#);
    cgroup(out, view, pod, container);
    text(out, "\",");
    aliases(out, view, pod, container);
    text(out, r#","spec":{"#);
    labels(out, view, pod, container);
    text(out, ",");
    image(out, container);
    text(out, ",");
    write_spec(out, view, container, LIMIT_BYTES);
    text(out, "},");
    write_samples(out, view, container, count);
    text(out, "}");
}

fn write_spec(out: &mut Out, view: &HostView<'_>, of: &ContainerView, memory_limit: u64) {
    time(out, r#""creation_time":"#, view.shown(of.life.started_ms));
    text(out, r#","has_cpu":true,"cpu":{"limit":1024,"max_limit":0,"mask":"0-"#);
    number(out, "", view.cores() - 1);
    // A quarter of the period's CPU time; the machine as a whole has no quota.
    text(out, if of.name.is_empty() { "\"" } else { r#"","quota":25000"# });
    text(out, r#","period":100000},"has_memory":true,"memory":{"#);
    number(out, r#""limit":"#, memory_limit);
    number(out, r#","reservation":"#, NO_LIMIT);
    number(out, r#","swap_limit":"#, NO_LIMIT);
    let network = if has_network(of) { "true" } else { "false" };
    text(out, r#"},"has_network":"#);
    text(out, network);
    text(out, r#","has_processes":true,"processes":{},"has_filesystem":true,"has_diskio":true"#);
    text(out, r#","has_custom_metrics":false"#);
}

/// The machine has no name among the containers.
fn has_network(of: &ContainerView) -> bool {
    of.name.is_empty() || of.name == "POD"
}

fn write_samples(out: &mut Out, view: &HostView<'_>, of: &ContainerView, count: usize) {
    text(out, r#""stats":["#);
    for (index, sample) in view.samples(of, count).enumerate() {
        text(out, if index == 0 { "" } else { "," });
        write_sample(out, of, &sample);
    }
    text(out, "]");
}

fn write_sample(out: &mut Out, of: &ContainerView, sample: &Sample) {
    time(out, r#"{"timestamp":"#, sample.time_ms);
    cpu(out, sample);
    disk_io(out, sample);
    memory(out, sample);
    text(out, r#","network":{"#);
    if has_network(of) {
        interface(out, sample);
        text(out, r#","interfaces":[{"#);
        interface(out, sample);
        text(out, "}],");
    } else {
        text(out, r#""name":"","rx_bytes":0,"rx_packets":0,"rx_errors":0,"rx_dropped":0,"#);
        text(out, r#""tx_bytes":0,"tx_packets":0,"tx_errors":0,"tx_dropped":0,"#);
    }
    text(out, NETWORK_PROTOCOLS);
    text(out, r#"},"filesystem":[{"device":"/dev/sda1","type":"vfs","#);
    filesystem(out, sample);
    number(out, r#","base_usage":"#, sample.disk_used.min(DISK_BYTES) / 2);
    number(out, r#","has_inodes":true,"inodes":"#, INODES);
    text(out, ",");
    disk_counters(out, sample);
    text(out, r#"}],"task_stats":{"nr_sleeping":0,"nr_running":0,"nr_stopped":0,"#);
    text(out, r#""nr_uninterruptible":0,"nr_io_wait":0},"#);
    text(out, r#""processes":{"process_count":1,"fd_count":8,"socket_count":1}}"#);
}
