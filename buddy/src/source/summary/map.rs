//! From a summary to readings: whose they are, and which of them are true.

use super::{
    answer::{Container, Cpu, Memory, Node, Pod, Summary, Time},
    values::Values,
};
use crate::source::{
    Readings, Recorder,
    kubelet::{Candidates, Names, Rank, Who},
};

/// The readings of a summary.
pub(super) fn readings(summary: &Summary<'_>, recorder: Recorder<'_>) -> Readings {
    let mut mapper = Mapper::new(recorder);
    mapper.node(&summary.node);
    let pods = summary.pods.as_deref().unwrap_or_default();
    let living = Candidates::of(pods.iter().map(|pod| (pod_name(pod), rank_of_pod(pod))));
    for (index, pod) in pods.iter().enumerate() {
        if living.has(&pod_name(pod), index) {
            mapper.pod(pod);
        }
    }
    mapper.finish()
}

/// Records the node and the pods of a summary.
pub(super) struct Mapper<'r> {
    recorder: Recorder<'r>,
    names: Names,
}

impl<'r> Mapper<'r> {
    pub(super) fn new(recorder: Recorder<'r>) -> Self {
        Self { recorder, names: Names::default() }
    }

    /// The readings of all that was recorded.
    pub(super) fn finish(self) -> Readings {
        self.recorder.finish()
    }

    /// The node and its system containers.
    pub(super) fn node(&mut self, node: &Node<'_>) {
        self.node_as_a_whole(node);
        for container in node.system_containers.iter().flatten() {
            self.system_container(container);
        }
    }

    /// A pod and its containers. Of several pods of one name only the living one is to be recorded.
    pub(super) fn pod(&mut self, pod: &Pod<'_>) {
        let who = Who {
            namespace: &pod.pod_ref.namespace,
            pod: &pod.pod_ref.name,
            pod_uid: &pod.pod_ref.uid,
        };
        self.pod_as_a_whole(pod, who);
        let containers = pod.containers.as_deref().unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            if is_living(containers, index) {
                self.container(container, who);
            }
        }
    }

    fn node_as_a_whole(&mut self, node: &Node<'_>) {
        let network_ms = || node.network.as_ref().and_then(|network| ms(&network.time));
        let fs_ms = || node.fs.as_ref().and_then(|fs| ms(&fs.time));
        let time_ms = usage_ms(&node.cpu, &node.memory).or_else(network_ms).or_else(fs_ms);
        let Some(time_ms) = time_ms else { return };
        if !self.names.begin_node(&mut self.recorder) {
            return;
        }
        let mut values = Values(&mut self.recorder);
        values.cpu(node.cpu.as_ref());
        values.memory(node.memory.as_ref());
        values.network(node.network.as_ref());
        values.filesystem("/", node.fs.as_ref());
        self.recorder.end(time_ms, ms(&node.start_time).unwrap_or(0));
    }

    fn system_container(&mut self, container: &Container<'_>) {
        let Some(time_ms) = usage_ms(&container.cpu, &container.memory) else { return };
        if self.names.begin_system(&mut self.recorder, &container.name) {
            self.usage(container, time_ms);
        }
    }

    /// What is measured of the pod and of no container. A pod of which nothing is has a reading all
    /// the same, at the time of a container, because it tells when the pod was started.
    fn pod_as_a_whole(&mut self, pod: &Pod<'_>, who: Who<'_>) {
        let network_ms = || pod.network.as_ref().and_then(|network| ms(&network.time));
        let volume_ms = || pod.volume.iter().flatten().find_map(|volume| ms(&volume.time));
        let container_ms = || pod.containers.iter().flatten().find_map(time_of_container);
        let Some(time_ms) = network_ms().or_else(volume_ms).or_else(container_ms) else { return };
        if !self.names.begin_pod(&mut self.recorder, who) {
            return;
        }
        let mut values = Values(&mut self.recorder);
        values.network(pod.network.as_ref());
        values.volumes(pod.volume.as_deref().unwrap_or_default());
        self.recorder.end(time_ms, ms(&pod.start_time).unwrap_or(0));
    }

    fn container(&mut self, container: &Container<'_>, who: Who<'_>) {
        let Some(time_ms) = time_of_container(container) else { return };
        let names = &mut self.names;
        if names.begin_container(&mut self.recorder, who, &container.name, ("", "")) {
            self.usage(container, time_ms);
        }
    }

    /// Records a container whose reading has begun.
    fn usage(&mut self, container: &Container<'_>, time_ms: i64) {
        let mut values = Values(&mut self.recorder);
        values.cpu(container.cpu.as_ref());
        values.memory(container.memory.as_ref());
        values.filesystem("/", container.rootfs.as_ref());
        values.filesystem("logs", container.logs.as_ref());
        values.accelerators(container.accelerators.as_deref().unwrap_or_default());
        values.user_defined(container.user_defined_metrics.as_deref().unwrap_or_default());
        self.recorder.end(time_ms, ms(&container.start_time).unwrap_or(0));
    }
}

impl Cpu<'_> {
    /// Nanoseconds. Whatever runs has used some: a zero is not measured.
    pub(super) fn total(&self) -> Option<u64> {
        self.usage_core_nano_seconds.filter(|total| *total > 0)
    }
}

impl Memory<'_> {
    /// Whether there is any: if not, it is not measured.
    pub(super) fn is_measured(&self) -> bool {
        [self.working_set_bytes, self.usage_bytes].into_iter().flatten().any(|bytes| bytes > 0)
    }
}

fn pod_name<'p>(pod: &'p Pod<'_>) -> (&'p str, &'p str) {
    (&pod.pod_ref.namespace, &pod.pod_ref.name)
}

fn ms(time: &Option<Time<'_>>) -> Option<i64> {
    time.as_ref().and_then(Time::ms)
}

/// The time of what is measured of CPU, or else of memory; none where there is neither.
fn usage_ms(cpu: &Option<Cpu<'_>>, memory: &Option<Memory<'_>>) -> Option<i64> {
    let cpu = cpu.as_ref().filter(|cpu| cpu.total().is_some());
    let memory = memory.as_ref().filter(|memory| memory.is_measured());
    let cpu_ms = cpu.and_then(|cpu| ms(&cpu.time));
    cpu_ms.or_else(|| memory.and_then(|memory| ms(&memory.time)))
}

fn time_of_container(container: &Container<'_>) -> Option<i64> {
    usage_ms(&container.cpu, &container.memory)
}

fn rank(container: &Container<'_>) -> Rank {
    Rank { in_use: is_in_use(container), start_time_ms: ms(&container.start_time).unwrap_or(0) }
}

fn rank_of_pod(pod: &Pod<'_>) -> Rank {
    let in_use = pod.containers.iter().flatten().any(is_in_use);
    Rank { in_use, start_time_ms: ms(&pod.start_time).unwrap_or(0) }
}

fn is_in_use(container: &Container<'_>) -> bool {
    container.cpu.as_ref().is_some_and(|cpu| cpu.total().is_some())
        && container.memory.as_ref().is_some_and(Memory::is_measured)
}

/// Whether no other container of the pod and of this name is rather the living one. They are few, so
/// they are compared with each other.
fn is_living(containers: &[Container<'_>], index: usize) -> bool {
    let one = &containers[index];
    let mut others = containers
        .iter()
        .enumerate()
        .filter(|(other, container)| *other != index && *container.name == *one.name);
    others.all(|(other, container)| match rank(container).cmp(&rank(one)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => index < other,
        std::cmp::Ordering::Greater => false,
    })
}
