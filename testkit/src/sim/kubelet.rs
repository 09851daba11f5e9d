//! The kubelet's `/stats/summary`, with the times to the second that it has, laid out as it does.

mod usage;

use usage::{Taken, Told, cpu, filesystem, memory, network, zero_memory};

use super::{
    Behaviour,
    identity::{host_name, mix, uuid},
    indent::put,
    json::{Out, Second, string},
    view::{ContainerView, HostView, PodView, Sample},
    workload::LIMIT_BYTES,
};

/// A pod that was left over started so long before the one that took its name.
const LEFTOVER_AGE_MS: i64 = 3_600_000;

/// How deep the members of the node are...
const NODE: usize = 2;
/// ... of a system container of it...
const SYSTEM: usize = 4;
/// ... of a pod...
const POD: usize = 3;
/// ... and of a container of a pod.
const CONTAINER: usize = 5;

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
    let config = view.config();
    let capacity = config.containers_per_host() * 1300 + config.pods_per_host * 2000 + 4096;
    let mut out = Out::with_capacity(capacity);
    let summary = Summary {
        view,
        light: only_cpu_and_memory,
        windows: view.behaviour() == Behaviour::Windows,
        starting: view.behaviour() == Behaviour::Starting,
    };
    summary.node(&mut out);
    put!(&mut out, 1, r#","pods":"#);
    let mut list = List::default();
    for (index, pod) in view.pods().enumerate() {
        list.item::<POD>(&mut out);
        summary.pod(&mut out, &pod);
        if view.behaviour() == Behaviour::Leftovers && index == 0 {
            list.item::<POD>(&mut out);
            summary.leftover_pod(&mut out, &pod);
        }
    }
    list.end::<POD>(&mut out);
    put!(&mut out, 1, "}");
    out
}

/// A list of objects whose members have a depth.
#[derive(Default)]
struct List {
    has_items: bool,
}

impl List {
    /// Up to the first name of the next item.
    fn item<const DEPTH: usize>(&mut self, out: &mut Out) {
        if self.has_items {
            put!(out, DEPTH - 1, ",{");
        } else {
            put!(out, DEPTH - 2, "[{");
        }
        self.has_items = true;
    }

    fn end<const DEPTH: usize>(&self, out: &mut Out) {
        if self.has_items {
            put!(out, DEPTH - 1, "]");
        } else {
            put!(out, DEPTH - 2, "[]");
        }
    }
}

impl Summary<'_> {
    fn node(&self, out: &mut Out) {
        let machine = self.view.machine();
        let taken = Taken::new(self.view.newest_second(&machine));
        put!(out, 0, r#"{"node":{"nodeName":"#);
        string(out, "", &host_name(self.view.host()));
        put!(out, NODE, r#","systemContainers":[{"name":"pods""#);
        self.machine_usage::<SYSTEM>(out, &machine, &taken);
        put!(out, SYSTEM, "}]");
        self.machine_usage::<NODE>(out, &machine, &taken);
        if !self.light && !self.starting {
            self.machine_network_and_disk(out, &taken);
        }
        put!(out, NODE, "}");
    }

    fn machine_network_and_disk(&self, out: &mut Out, taken: &Taken) {
        let disk_used = taken.sample.disk_used;
        network::<NODE>(out, taken, self.windows);
        put!(out, NODE, r#","fs":{"time":"#);
        filesystem::<NODE>(out, taken, disk_used, self.windows);
        put!(out, NODE, r#","runtime":{"imageFs":{"time":"#);
        filesystem::<{ NODE + 1 }>(out, taken, disk_used / 4, self.windows);
        put!(out, NODE + 1, "}");
        if !self.windows {
            put!(out, NODE, r#","rlimit":{"time":"#);
            taken.time.write(out);
            put!(out, NODE + 1, r#","maxpid":32768,"curproc":300}"#);
        }
    }

    /// `,"startTime":..,"cpu":..,"memory":..` of what has the whole machine to itself.
    fn machine_usage<const DEPTH: usize>(
        &self,
        out: &mut Out,
        machine: &ContainerView,
        taken: &Taken,
    ) {
        self.started::<DEPTH>(out, machine.life.started_ms);
        cpu::<DEPTH>(out, taken, if self.starting { Known::NoRate } else { Known::All });
        let available = self.view.memory_bytes().saturating_sub(taken.sample.working_set);
        let told = Told { windows: false, known: Known::All };
        memory::<DEPTH>(out, taken, Some(available), told);
    }

    /// `,"startTime":..`.
    fn started<const DEPTH: usize>(&self, out: &mut Out, true_ms: i64) {
        put!(out, DEPTH, r#","startTime":"#);
        Second::new(self.view.shown(true_ms)).write(out);
    }

    fn pod(&self, out: &mut Out, pod: &PodView) {
        pod_reference(out, pod, &pod.identity.uid);
        self.started::<POD>(out, pod.life.started_ms);
        if self.starting && pod.index == 2 {
            put!(out, POD, r#","containers":null}"#);
            return;
        }
        self.containers(out, pod);
        let taken = Taken::new(self.view.newest_second(&self.view.pod_cgroup(pod)));
        let told = Told { windows: self.windows, known: self.known(pod) };
        if told.known != Known::Nothing {
            cpu::<POD>(out, &taken, told.known);
            memory::<POD>(out, &taken, None, told);
        }
        if !self.light {
            self.pod_network_and_disk(out, pod, &taken);
        }
        put!(out, POD, "}");
    }

    fn pod_network_and_disk(&self, out: &mut Out, pod: &PodView, taken: &Taken) {
        if self.view.config().sandboxes && !self.starting {
            let sandbox = Taken::new(self.view.newest_second(&self.view.sandbox(pod)));
            network::<POD>(out, &sandbox, self.windows);
        }
        if !self.windows {
            token_volume(out, taken.time);
        }
        put!(out, POD, r#","ephemeral-storage":{"time":"#);
        filesystem::<POD>(out, taken, taken.sample.disk_used, self.windows);
        if !self.windows {
            put!(out, POD, r#","process_stats":{"process_count":0}"#);
        }
    }

    fn containers(&self, out: &mut Out, pod: &PodView) {
        put!(out, POD, r#","containers":"#);
        let mut list = List::default();
        for (index, container) in self.view.containers(pod).enumerate() {
            if self.view.behaviour() == Behaviour::Leftovers && pod.index == 1 && index == 0 {
                list.item::<CONTAINER>(out);
                self.leftover_container(out, &container);
            }
            list.item::<CONTAINER>(out);
            self.container(out, &container, self.known(pod));
        }
        list.end::<CONTAINER>(out);
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
        let taken = Taken::new(self.view.newest_second(container));
        let Sample { working_set, disk_used, .. } = taken.sample;
        put!(out, CONTAINER, r#""name":"#);
        string(out, "", &container.name);
        self.started::<CONTAINER>(out, container.life.started_ms);
        if known != Known::Nothing {
            cpu::<CONTAINER>(out, &taken, known);
            let available = Some(LIMIT_BYTES.saturating_sub(working_set));
            let told = Told { windows: self.windows, known };
            memory::<CONTAINER>(out, &taken, available, told);
        }
        if !self.light {
            put!(out, CONTAINER, r#","rootfs":{"time":"#);
            filesystem::<CONTAINER>(out, &taken, disk_used / 2, self.windows);
            put!(out, CONTAINER, r#","logs":{"time":"#);
            filesystem::<CONTAINER>(out, &taken, 8192, self.windows);
        }
        put!(out, CONTAINER, "}");
    }

    /// The pod that had the name before: its control group is there, and nothing runs in it.
    fn leftover_pod(&self, out: &mut Out, pod: &PodView) {
        let uid = uuid(mix(&[self.view.config().seed, 9, self.view.host() as u64]));
        pod_reference(out, pod, &uid);
        self.started::<POD>(out, pod.life.started_ms - LEFTOVER_AGE_MS);
        put!(out, POD, r#","containers":"#);
        let mut list = List::default();
        for container in self.view.containers(pod) {
            list.item::<CONTAINER>(out);
            self.leftover_container(out, &container);
        }
        list.end::<CONTAINER>(out);
        put!(out, POD, "}");
    }

    /// The run of a container before this one.
    fn leftover_container(&self, out: &mut Out, container: &ContainerView) {
        let time = Second::new(self.view.newest_second(container).time_ms);
        put!(out, CONTAINER, r#""name":"#);
        string(out, "", &container.name);
        self.started::<CONTAINER>(out, container.life.started_ms - LEFTOVER_AGE_MS);
        put!(out, CONTAINER, r#","cpu":{"time":"#);
        time.write(out);
        put!(out, CONTAINER + 1, r#","usageNanoCores":0,"usageCoreNanoSeconds":7000000}"#);
        zero_memory::<CONTAINER>(out, time);
        put!(out, CONTAINER, "}");
    }
}

fn pod_reference(out: &mut Out, pod: &PodView, uid: &str) {
    put!(out, POD, r#""podRef":{"name":"#);
    string(out, "", &pod.identity.name);
    put!(out, POD + 1, r#","namespace":"#);
    string(out, "", pod.identity.namespace);
    put!(out, POD + 1, r#","uid":"#);
    string(out, "", uid);
    put!(out, POD + 1, "}");
}

/// The volume that has the service account's token.
fn token_volume(out: &mut Out, time: Second) {
    put!(out, POD, r#","volume":[{"time":"#);
    time.write(out);
    put!(out, POD + 2, r#","availableBytes":12638236672,"capacityBytes":12638248960"#);
    put!(out, POD + 2, r#","usedBytes":12288,"inodesFree":3085501,"inodes":3085510"#);
    put!(out, POD + 2, r#","inodesUsed":9,"name":"default-token"}]"#);
}

#[cfg(test)]
mod tests;
