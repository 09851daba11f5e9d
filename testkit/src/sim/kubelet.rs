//! The kubelet's `/stats/summary`, with the times to the second that it has.

use super::{
    Behaviour,
    identity::{host_name, mix, uuid},
    json::{Out, number, second, string, text},
    machine::{DISK_BYTES, INODES, INODES_FREE},
    view::{ContainerView, HostView, PodView, Sample},
    workload::LIMIT_BYTES,
};

/// A pod that was left over started so long before the one that took its name.
const LEFTOVER_AGE_MS: i64 = 3_600_000;

/// How much a kubelet tells.
struct Summary<'a> {
    view: &'a HostView<'a>,
    /// `only_cpu_and_memory=true`.
    light: bool,
    windows: bool,
    starting: bool,
}

/// What is known of a container's usage just after the kubelet's start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    All,
    /// Totals, but no rate yet.
    NoRate,
    /// Zeros, and no rate.
    Zero,
    Nothing,
}

/// The answer of `/stats/summary`.
pub(super) fn summary(view: &HostView<'_>, only_cpu_and_memory: bool) -> Out {
    let mut out = Out::with_capacity(view.config().containers_per_host() * 1900 + 4096);
    let summary = Summary {
        view,
        light: only_cpu_and_memory,
        windows: view.behaviour() == Behaviour::Windows,
        starting: view.behaviour() == Behaviour::Starting,
    };
    summary.node(&mut out);
    text(&mut out, r#","pods":["#);
    for (index, pod) in view.pods().enumerate() {
        text(&mut out, if index == 0 { "" } else { "," });
        summary.pod(&mut out, &pod);
        if view.behaviour() == Behaviour::Leftovers && index == 0 {
            text(&mut out, ",");
            summary.leftover_pod(&mut out, &pod);
        }
    }
    text(&mut out, "]}");
    out
}

impl Summary<'_> {
    fn node(&self, out: &mut Out) {
        let machine = self.view.machine();
        let sample = self.view.newest_second(&machine);
        string(out, r#"{"node":{"nodeName":"#, &host_name(self.view.host()));
        text(out, r#","systemContainers":[{"name":"pods""#);
        self.machine_usage(out, &machine, &sample);
        text(out, "}]");
        self.machine_usage(out, &machine, &sample);
        if !self.light && !self.starting {
            self.network(out, &sample);
            self.filesystem(out, "fs", &sample, sample.disk_used);
            text(out, r#","runtime":{"imageFs":{"#);
            self.filesystem_members(out, &sample, sample.disk_used / 4);
            text(out, "}}");
            if !self.windows {
                second(out, r#","rlimit":{"time":"#, sample.time_ms);
                text(out, r#","maxpid":32768,"curproc":300}"#);
            }
        }
        text(out, "}");
    }

    /// `,"startTime":..,"cpu":..,"memory":..` of what has the whole machine to itself.
    fn machine_usage(&self, out: &mut Out, machine: &ContainerView, sample: &Sample) {
        second(out, r#","startTime":"#, self.view.shown(machine.life.started_ms));
        cpu(out, sample, if self.starting { Known::NoRate } else { Known::All });
        let available = self.view.memory_bytes().saturating_sub(sample.working_set);
        memory(out, sample, Some(available));
    }

    fn pod(&self, out: &mut Out, pod: &PodView) {
        pod_reference(out, pod, &pod.identity.uid);
        second(out, r#","startTime":"#, self.view.shown(pod.life.started_ms));
        if self.starting && pod.index == 2 {
            text(out, r#","containers":null}"#);
            return;
        }
        self.containers(out, pod);
        let sample = self.view.newest_second(&self.view.pod_cgroup(pod));
        let known = self.known(pod);
        if known != Known::Nothing {
            cpu(out, &sample, known);
            self.memory(out, &sample, None, known);
        }
        if self.light {
            text(out, "}");
            return;
        }
        if self.view.config().sandboxes && !self.starting {
            self.network(out, &self.view.newest_second(&self.view.sandbox(pod)));
        }
        self.volumes(out, &sample);
        text(out, if self.windows { "}" } else { r#","process_stats":{"process_count":0}}"# });
    }

    fn containers(&self, out: &mut Out, pod: &PodView) {
        text(out, r#","containers":["#);
        for (index, container) in self.view.containers(pod).enumerate() {
            text(out, if index == 0 { "" } else { "," });
            if self.view.behaviour() == Behaviour::Leftovers && pod.index == 1 && index == 0 {
                self.leftover_container(out, &container);
                text(out, ",");
            }
            self.container(out, &container, self.known(pod));
        }
        text(out, "]");
    }

    /// In a kubelet that has just started it depends on the pod.
    fn known(&self, pod: &PodView) -> Known {
        match (self.starting, pod.index) {
            (false, _) => Known::All,
            (true, 0) => Known::Zero,
            (true, 1) => Known::Nothing,
            (true, _) => Known::NoRate,
        }
    }

    fn container(&self, out: &mut Out, container: &ContainerView, known: Known) {
        let sample = self.view.newest_second(container);
        string(out, r#"{"name":"#, &container.name);
        second(out, r#","startTime":"#, self.view.shown(container.life.started_ms));
        if known != Known::Nothing {
            cpu(out, &sample, known);
            let available = LIMIT_BYTES.saturating_sub(sample.working_set);
            self.memory(out, &sample, Some(available), known);
        }
        if !self.light {
            self.filesystem(out, "rootfs", &sample, sample.disk_used / 2);
            self.filesystem(out, "logs", &sample, 8192);
        }
        text(out, "}");
    }

    fn memory(&self, out: &mut Out, sample: &Sample, available: Option<u64>, known: Known) {
        if known == Known::Zero {
            zero_memory(out, sample.time_ms);
        } else if self.windows {
            second(out, r#","memory":{"time":"#, sample.time_ms);
            number(out, r#","workingSetBytes":"#, sample.working_set);
            text(out, "}");
        } else {
            memory(out, sample, available);
        }
    }

    /// The pod that had the name before: its control group is there, and nothing runs in it.
    fn leftover_pod(&self, out: &mut Out, pod: &PodView) {
        let uid = uuid(mix(&[self.view.config().seed, 9, self.view.host() as u64]));
        pod_reference(out, pod, &uid);
        second(out, r#","startTime":"#, self.view.shown(pod.life.started_ms) - LEFTOVER_AGE_MS);
        text(out, r#","containers":["#);
        for (index, container) in self.view.containers(pod).enumerate() {
            text(out, if index == 0 { "" } else { "," });
            self.leftover_container(out, &container);
        }
        text(out, "]}");
    }

    /// The run of a container before this one.
    fn leftover_container(&self, out: &mut Out, container: &ContainerView) {
        let time_ms = self.view.newest_second(container).time_ms;
        let started_ms = self.view.shown(container.life.started_ms) - LEFTOVER_AGE_MS;
        string(out, r#"{"name":"#, &container.name);
        second(out, r#","startTime":"#, started_ms);
        second(out, r#","cpu":{"time":"#, time_ms);
        text(out, r#","usageNanoCores":0,"usageCoreNanoSeconds":7000000}"#);
        zero_memory(out, time_ms);
        text(out, "}");
    }

    fn network(&self, out: &mut Out, sample: &Sample) {
        second(out, r#","network":{"time":"#, sample.time_ms);
        text(out, ",");
        self.interface(out, sample);
        text(out, r#","interfaces":[{"#);
        self.interface(out, sample);
        text(out, "}]}");
    }

    fn interface(&self, out: &mut Out, sample: &Sample) {
        let (errors_received, errors_sent) =
            if self.windows { ("", "") } else { (r#","rxErrors":0"#, r#","txErrors":0"#) };
        number(out, r#""name":"eth0","rxBytes":"#, sample.received);
        text(out, errors_received);
        number(out, r#","txBytes":"#, sample.sent);
        text(out, errors_sent);
    }

    /// The volume that has the service account's token, and all that the pod has on the disk.
    fn volumes(&self, out: &mut Out, sample: &Sample) {
        if !self.windows {
            second(out, r#","volume":[{"time":"#, sample.time_ms);
            text(out, r#","availableBytes":12638236672,"capacityBytes":12638248960,"#);
            text(out, r#""usedBytes":12288,"inodesFree":3085501,"inodes":3085510,"#);
            text(out, r#""inodesUsed":9,"name":"default-token"}]"#);
        }
        self.filesystem(out, "ephemeral-storage", sample, sample.disk_used);
    }

    /// A filesystem on the host's disk, of which `used` bytes are this one's.
    fn filesystem(&self, out: &mut Out, name: &str, sample: &Sample, used: u64) {
        text(out, ",\"");
        text(out, name);
        text(out, "\":{");
        self.filesystem_members(out, sample, used);
        text(out, "}");
    }

    fn filesystem_members(&self, out: &mut Out, sample: &Sample, used: u64) {
        second(out, r#""time":"#, sample.time_ms);
        number(out, r#","availableBytes":"#, DISK_BYTES.saturating_sub(sample.disk_used));
        number(out, r#","capacityBytes":"#, DISK_BYTES);
        number(out, r#","usedBytes":"#, used);
        if !self.windows {
            number(out, r#","inodesFree":"#, INODES_FREE);
            number(out, r#","inodes":"#, INODES);
            number(out, r#","inodesUsed":"#, INODES - INODES_FREE);
        }
    }
}

fn pod_reference(out: &mut Out, pod: &PodView, uid: &str) {
    string(out, r#"{"podRef":{"name":"#, &pod.identity.name);
    string(out, r#","namespace":"#, pod.identity.namespace);
    string(out, r#","uid":"#, uid);
    text(out, "}");
}

fn cpu(out: &mut Out, sample: &Sample, known: Known) {
    second(out, r#","cpu":{"time":"#, sample.time_ms);
    if known == Known::All {
        number(out, r#","usageNanoCores":"#, sample.cpu_millicores * 1_000_000);
    }
    let total = if known == Known::Zero { 0 } else { sample.cpu_ns };
    number(out, r#","usageCoreNanoSeconds":"#, total);
    text(out, "}");
}

/// What has no limit has nothing available.
fn memory(out: &mut Out, sample: &Sample, available: Option<u64>) {
    second(out, r#","memory":{"time":"#, sample.time_ms);
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

fn zero_memory(out: &mut Out, time_ms: i64) {
    second(out, r#","memory":{"time":"#, time_ms);
    text(out, r#","usageBytes":0,"workingSetBytes":0,"rssBytes":0,"pageFaults":0,"#);
    text(out, r#""majorPageFaults":0}"#);
}
