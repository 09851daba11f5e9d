//! Reads the summary the way kubelets write it, pod by pod: the node in front of the pods, every pod
//! once. What is written alike in each pod, the keys and the indentation, is looked at in the first
//! of them and compared in the others.
//!
//! The types are those of the general decoder, which takes whatever is refused here, and says what
//! is wrong with it; the two never differ in what they read.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use heapster_shared::Set;

use super::{
    answer::{
        Container, Cpu, Filesystem, Interface, Memory, Network, Node, Pod, PodRef, Time, Volume,
    },
    map::Mapper,
};
use crate::source::{
    Readings, Recorder,
    json::{Alike, Scan, Text, general, list, once, text},
};

/// The readings of a summary; `None` for what the general decoder is to look at.
pub(super) fn readings(answer: &str, recorder: Recorder<'_>) -> Option<Readings> {
    let mut mapper = Mapper::new(recorder);
    let (mut has_node, mut has_pods) = (None, None);
    let mut scan = Scan::new(answer);
    scan.white();
    scan.object(|scan, key| match key {
        "node" => {
            once(&mut has_node, Some(()))?;
            mapper.node(&Forms::default().node(scan)?);
            Some(())
        }
        "pods" => {
            once(&mut has_pods, has_node)?;
            pods(scan, &mut mapper)
        }
        _ => scan.skip(),
    })?;
    scan.end()?;
    has_node.map(|()| mapper.finish())
}

/// Records all pods; `None` where two have one name too.
fn pods<'a>(scan: &mut Scan<'a>, mapper: &mut Mapper<'_>) -> Option<()> {
    let (mut forms, mut names) = (Forms::default(), Set::default());
    scan.list(|scan| {
        let pod = forms.pod(scan)?;
        let PodRef { namespace, name, .. } = &pod.pod_ref;
        names.insert((borrowed(namespace)?, borrowed(name)?)).then(|| mapper.pod(&pod))
    })
}

/// How the objects of each kind are written, with what is around them.
#[derive(Default)]
struct Forms<'a> {
    pod: Alike<'a>,
    pod_ref: Alike<'a>,
    network: Alike<'a>,
    interface: Alike<'a>,
    volume: Alike<'a>,
    /// Of what is not read of a pod: its CPU, memory and storage.
    unread: [Alike<'a>; 3],
    container: Alike<'a>,
    cpu: Alike<'a>,
    memory: Alike<'a>,
    filesystem: Alike<'a>,
}

impl<'a> Forms<'a> {
    fn node(&mut self, scan: &mut Scan<'a>) -> Option<Node<'a>> {
        let mut node = Node::default();
        scan.object(|scan, key| match key {
            "systemContainers" => {
                once(&mut node.system_containers, list(scan, |scan| self.container(scan)))
            }
            "startTime" => once(&mut node.start_time, time(scan)),
            "cpu" => once(&mut node.cpu, self.cpu(scan)),
            "memory" => once(&mut node.memory, self.memory(scan)),
            "network" => once(&mut node.network, self.network(scan)),
            "fs" => once(&mut node.fs, self.filesystem(scan)),
            _ => scan.skip(),
        })?;
        Some(node)
    }

    fn pod(&mut self, scan: &mut Scan<'a>) -> Option<Pod<'a>> {
        let (mut pod, mut pod_ref) = (Pod::default(), None);
        let mut form = std::mem::take(&mut self.pod);
        scan.object_alike(&mut form, |scan, key| match key {
            "podRef" => once(&mut pod_ref, self.pod_ref(scan)),
            "startTime" => once(&mut pod.start_time, time(scan)),
            "containers" => once(&mut pod.containers, list(scan, |scan| self.container(scan))),
            "network" => once(&mut pod.network, self.network(scan)),
            "volume" => once(&mut pod.volume, list(scan, |scan| self.volume(scan))),
            "cpu" => scan.skip_alike(&mut self.unread[0]),
            "memory" => scan.skip_alike(&mut self.unread[1]),
            "ephemeral-storage" => scan.skip_alike(&mut self.unread[2]),
            _ => scan.skip(),
        })?;
        self.pod = form;
        pod.pod_ref = pod_ref?;
        Some(pod)
    }

    fn pod_ref(&mut self, scan: &mut Scan<'a>) -> Option<PodRef<'a>> {
        let (mut name, mut namespace, mut uid) = (None, None, None);
        scan.object_alike(&mut self.pod_ref, |scan, key| match key {
            "name" => once(&mut name, text(scan)),
            "namespace" => once(&mut namespace, text(scan)),
            "uid" => once(&mut uid, text(scan)),
            _ => scan.skip(),
        })?;
        Some(PodRef { name: name?, namespace: namespace?, uid: uid.unwrap_or_default() })
    }

    fn container(&mut self, scan: &mut Scan<'a>) -> Option<Container<'a>> {
        let (mut container, mut name) = (Container::default(), None);
        let mut form = std::mem::take(&mut self.container);
        scan.object_alike(&mut form, |scan, key| match key {
            "name" => once(&mut name, text(scan)),
            "startTime" => once(&mut container.start_time, time(scan)),
            "cpu" => once(&mut container.cpu, self.cpu(scan)),
            "memory" => once(&mut container.memory, self.memory(scan)),
            "rootfs" => once(&mut container.rootfs, self.filesystem(scan)),
            "logs" => once(&mut container.logs, self.filesystem(scan)),
            "accelerators" => once(&mut container.accelerators, general(scan)),
            "userDefinedMetrics" => once(&mut container.user_defined_metrics, general(scan)),
            _ => scan.skip(),
        })?;
        self.container = form;
        container.name = name?;
        Some(container)
    }

    fn cpu(&mut self, scan: &mut Scan<'a>) -> Option<Cpu<'a>> {
        let mut cpu = Cpu::default();
        scan.object_alike(&mut self.cpu, |scan, key| match key {
            "time" => once(&mut cpu.time, time(scan)),
            "usageNanoCores" => once(&mut cpu.usage_nano_cores, scan.number()),
            "usageCoreNanoSeconds" => once(&mut cpu.usage_core_nano_seconds, scan.number()),
            _ => scan.skip(),
        })?;
        Some(cpu)
    }

    fn memory(&mut self, scan: &mut Scan<'a>) -> Option<Memory<'a>> {
        let mut memory = Memory::default();
        scan.object_alike(&mut self.memory, |scan, key| match key {
            "time" => once(&mut memory.time, time(scan)),
            "usageBytes" => once(&mut memory.usage_bytes, scan.number()),
            "workingSetBytes" => once(&mut memory.working_set_bytes, scan.number()),
            "rssBytes" => once(&mut memory.rss_bytes, scan.number()),
            "pageFaults" => once(&mut memory.page_faults, scan.number()),
            "majorPageFaults" => once(&mut memory.major_page_faults, scan.number()),
            _ => scan.skip(),
        })?;
        Some(memory)
    }

    fn network(&mut self, scan: &mut Scan<'a>) -> Option<Network<'a>> {
        let mut network = Network::default();
        let form = &mut self.interface;
        scan.object_alike(&mut self.network, |scan, key| match key {
            "time" => once(&mut network.time, time(scan)),
            "rxBytes" => once(&mut network.rx_bytes, scan.number()),
            "rxErrors" => once(&mut network.rx_errors, scan.number()),
            "txBytes" => once(&mut network.tx_bytes, scan.number()),
            "txErrors" => once(&mut network.tx_errors, scan.number()),
            "interfaces" => once(&mut network.interfaces, list(scan, |scan| interface(scan, form))),
            _ => scan.skip(),
        })?;
        Some(network)
    }

    fn filesystem(&mut self, scan: &mut Scan<'a>) -> Option<Filesystem<'a>> {
        let mut filesystem = Filesystem::default();
        scan.object_alike(&mut self.filesystem, |scan, key| field_of(&mut filesystem, scan, key))?;
        Some(filesystem)
    }

    fn volume(&mut self, scan: &mut Scan<'a>) -> Option<Volume<'a>> {
        let (mut filesystem, mut name) = (Filesystem::default(), None);
        scan.object_alike(&mut self.volume, |scan, key| match key {
            "name" => once(&mut name, text(scan)),
            _ => field_of(&mut filesystem, scan, key),
        })?;
        Some(Volume {
            name: name?,
            time: filesystem.time,
            available_bytes: filesystem.available_bytes,
            capacity_bytes: filesystem.capacity_bytes,
            used_bytes: filesystem.used_bytes,
            inodes_free: filesystem.inodes_free,
            inodes: filesystem.inodes,
        })
    }
}

fn interface<'a>(scan: &mut Scan<'a>, form: &mut Alike<'a>) -> Option<Interface<'a>> {
    let (mut interface, mut name) = (Interface::default(), None);
    scan.object_alike(form, |scan, key| match key {
        "name" => once(&mut name, text(scan)),
        "rxBytes" => once(&mut interface.rx_bytes, scan.number()),
        "rxErrors" => once(&mut interface.rx_errors, scan.number()),
        "txBytes" => once(&mut interface.tx_bytes, scan.number()),
        "txErrors" => once(&mut interface.tx_errors, scan.number()),
        _ => scan.skip(),
    })?;
    interface.name = name.unwrap_or_default();
    Some(interface)
}

/// Reads the value of one key of a filesystem.
fn field_of<'a>(filesystem: &mut Filesystem<'a>, scan: &mut Scan<'a>, key: &str) -> Option<()> {
    match key {
        "time" => once(&mut filesystem.time, time(scan)),
        "availableBytes" => once(&mut filesystem.available_bytes, scan.number()),
        "capacityBytes" => once(&mut filesystem.capacity_bytes, scan.number()),
        "usedBytes" => once(&mut filesystem.used_bytes, scan.number()),
        "inodesFree" => once(&mut filesystem.inodes_free, scan.number()),
        "inodes" => once(&mut filesystem.inodes, scan.number()),
        _ => scan.skip(),
    }
}

fn time<'a>(scan: &mut Scan<'a>) -> Option<Time<'a>> {
    text(scan).map(Time)
}

/// Text of the answer itself, which all text here is.
fn borrowed<'a>(text: &Text<'a>) -> Option<&'a str> {
    match text.0 {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}
