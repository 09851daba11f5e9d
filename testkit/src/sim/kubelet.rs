//! The kubelet's `/stats/summary`.

use super::{
    identity::host_name,
    json::{Out, number, string, text, time},
    machine::{DISK_BYTES, INODES, INODES_FREE},
    view::{ContainerView, HostView, PodView, Sample},
};

/// The answer of `/stats/summary`.
pub(super) fn summary(view: &HostView<'_>) -> Out {
    let mut out = Out::with_capacity(view.config().containers_per_host() * 1900 + 4096);
    let machine = view.machine();
    let sample = view.newest(&machine);
    string(&mut out, r#"{"node":{"nodeName":"#, &host_name(view.host()));
    text(&mut out, r#","systemContainers":[{"name":"pods""#);
    started_usage(&mut out, view, &machine, &sample);
    text(&mut out, "}]");
    started_usage(&mut out, view, &machine, &sample);
    network(&mut out, &sample);
    filesystem(&mut out, "fs", &sample, 0);
    text(&mut out, r#","runtime":{"imageFs":{"#);
    filesystem_members(&mut out, &sample, sample.disk_used / 4);
    time(&mut out, r#"}},"rlimit":{"time":"#, sample.time_ms);
    text(&mut out, r#","maxpid":32768,"curproc":300}},"pods":["#);
    for (index, pod) in view.pods().enumerate() {
        text(&mut out, if index == 0 { "" } else { "," });
        write_pod(&mut out, view, &pod);
    }
    text(&mut out, "]}");
    out
}

fn write_pod(out: &mut Out, view: &HostView<'_>, pod: &PodView) {
    string(out, r#"{"podRef":{"name":"#, &pod.identity.name);
    string(out, r#","namespace":"#, pod.identity.namespace);
    string(out, r#","uid":"#, &pod.identity.uid);
    time(out, r#"},"startTime":"#, view.shown(pod.life.started_ms));
    text(out, r#","containers":["#);
    for (index, container) in view.containers(pod).enumerate() {
        text(out, if index == 0 { "" } else { "," });
        write_container(out, view, &container);
    }
    text(out, "]");
    let sample = view.newest(&view.pod_cgroup(pod));
    cpu(out, &sample);
    memory(out, &sample, None);
    if view.config().sandboxes {
        network(out, &view.newest(&view.sandbox(pod)));
    }
    text(out, r#","process_stats":{"process_count":0}}"#);
}

fn write_container(out: &mut Out, view: &HostView<'_>, container: &ContainerView) {
    let sample = view.newest(container);
    string(out, r#"{"name":"#, &container.name);
    time(out, r#","startTime":"#, view.shown(container.life.started_ms));
    cpu(out, &sample);
    memory(out, &sample, Some((512_u64 << 20).saturating_sub(sample.working_set)));
    filesystem(out, "rootfs", &sample, sample.disk_used / 2);
    filesystem(out, "logs", &sample, 8192);
    text(out, "}");
}

/// `,"startTime":..,"cpu":..,"memory":..` of what has the whole machine to itself.
fn started_usage(out: &mut Out, view: &HostView<'_>, of: &ContainerView, sample: &Sample) {
    time(out, r#","startTime":"#, view.shown(of.life.started_ms));
    cpu(out, sample);
    memory(out, sample, Some(view.memory_bytes().saturating_sub(sample.working_set)));
}

fn cpu(out: &mut Out, sample: &Sample) {
    time(out, r#","cpu":{"time":"#, sample.time_ms);
    number(out, r#","usageNanoCores":"#, sample.cpu_millicores * 1_000_000);
    number(out, r#","usageCoreNanoSeconds":"#, sample.cpu_ns);
    text(out, "}");
}

/// What has no limit has nothing available.
fn memory(out: &mut Out, sample: &Sample, available: Option<u64>) {
    time(out, r#","memory":{"time":"#, sample.time_ms);
    if let Some(available) = available {
        number(out, r#","availableBytes":"#, available);
    }
    number(out, r#","usageBytes":"#, sample.working_set + sample.cache);
    number(out, r#","workingSetBytes":"#, sample.working_set);
    number(out, r#","rssBytes":"#, sample.working_set / 2);
    number(out, r#","pageFaults":"#, sample.page_faults);
    number(out, r#","majorPageFaults":"#, sample.major_page_faults);
    text(out, "}");
}

fn network(out: &mut Out, sample: &Sample) {
    time(out, r#","network":{"time":"#, sample.time_ms);
    text(out, ",");
    interface(out, sample);
    text(out, r#","interfaces":[{"#);
    interface(out, sample);
    text(out, "}]}");
}

fn interface(out: &mut Out, sample: &Sample) {
    number(out, r#""name":"eth0","rxBytes":"#, sample.received);
    number(out, r#","rxErrors":0,"txBytes":"#, sample.sent);
    text(out, r#","txErrors":0"#);
}

/// A filesystem on the host's disk, of which `used` bytes are this one's; 0 for all of it.
fn filesystem(out: &mut Out, name: &str, sample: &Sample, used: u64) {
    text(out, ",\"");
    text(out, name);
    text(out, "\":{");
    filesystem_members(out, sample, used);
    text(out, "}");
}

fn filesystem_members(out: &mut Out, sample: &Sample, used: u64) {
    time(out, r#""time":"#, sample.time_ms);
    number(out, r#","availableBytes":"#, DISK_BYTES.saturating_sub(sample.disk_used));
    number(out, r#","capacityBytes":"#, DISK_BYTES);
    number(out, r#","usedBytes":"#, if used == 0 { sample.disk_used } else { used });
    number(out, r#","inodesFree":"#, INODES_FREE);
    number(out, r#","inodes":"#, INODES);
    number(out, r#","inodesUsed":"#, INODES - INODES_FREE);
}
