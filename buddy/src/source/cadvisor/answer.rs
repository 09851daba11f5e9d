//! cAdvisor's answers, as far as they are used. All versions of its API are read with the same
//! types: what one leaves out is an option here. Text is borrowed from the answer.

mod text;

use serde::Deserialize;

pub(super) use text::{Filesystems, Newest};

use crate::source::json::Timestamp;
pub(super) use crate::source::json::{Entries, Text};

/// What v2.1 says of a container.
#[derive(Deserialize)]
pub(super) struct Info<'a> {
    /// What it is.
    #[serde(borrow)]
    pub(super) spec: Spec<'a>,
    /// What it does.
    #[serde(borrow, default)]
    pub(super) stats: Newest<'a>,
}

/// What v1 says of a container.
#[derive(Deserialize)]
pub(super) struct LegacyInfo<'a> {
    /// Path of its control group.
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    /// Its other names; v2 has them in the spec.
    #[serde(borrow)]
    pub(super) aliases: Option<Vec<Text<'a>>>,
    /// What it is.
    #[serde(borrow)]
    pub(super) spec: Spec<'a>,
    /// What it does.
    #[serde(borrow, default)]
    pub(super) stats: Newest<'a>,
}

/// What a container is.
#[derive(Deserialize, Default, Hash)]
pub(super) struct Spec<'a> {
    pub(super) creation_time: Option<Timestamp>,
    #[serde(borrow)]
    pub(super) aliases: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(super) labels: Option<ContainerLabels<'a>>,
    #[serde(borrow)]
    pub(super) image: Option<Text<'a>>,
    pub(super) has_cpu: Option<bool>,
    pub(super) cpu: Option<CpuSpec>,
    pub(super) has_memory: Option<bool>,
    pub(super) memory: Option<MemorySpec>,
    pub(super) has_network: Option<bool>,
    pub(super) has_filesystem: Option<bool>,
    pub(super) has_diskio: Option<bool>,
    #[serde(borrow)]
    pub(super) custom_metrics: Option<Vec<CustomSpec<'a>>>,
}

/// Those labels of a container that say whose it is.
#[derive(Deserialize, Hash)]
pub(super) struct ContainerLabels<'a> {
    #[serde(borrow, rename = "io.kubernetes.pod.name")]
    pub(super) pod_name: Option<Text<'a>>,
    #[serde(borrow, rename = "io.kubernetes.pod.namespace")]
    pub(super) pod_namespace: Option<Text<'a>>,
    #[serde(borrow, rename = "io.kubernetes.pod.uid")]
    pub(super) pod_uid: Option<Text<'a>>,
    #[serde(borrow, rename = "io.kubernetes.container.name")]
    pub(super) container_name: Option<Text<'a>>,
    #[serde(borrow, rename = "io.kubernetes.docker.type")]
    pub(super) docker_type: Option<Text<'a>>,
    #[serde(borrow, rename = "io.cri-containerd.kind")]
    pub(super) containerd_kind: Option<Text<'a>>,
}

/// `limit` is the weight of the control group (1024 a core), not a limit.
#[derive(Deserialize, Hash)]
pub(super) struct CpuSpec {
    pub(super) limit: Option<u64>,
    pub(super) quota: Option<u64>,
    pub(super) period: Option<u64>,
}

#[derive(Deserialize, Hash)]
pub(super) struct MemorySpec {
    pub(super) limit: Option<u64>,
}

/// A metric that the container itself exposes.
#[derive(Deserialize, Hash)]
pub(super) struct CustomSpec<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    /// `gauge`, `cumulative` or `delta`.
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    /// `int` or `float`.
    #[serde(borrow, default)]
    pub(super) format: Text<'a>,
    #[serde(borrow, default)]
    pub(super) units: Text<'a>,
}

/// What a container does. The `has_` flags are of v2.0, which gives zeros for what it lacks.
#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Stats<'a> {
    pub(super) timestamp: Timestamp,
    pub(super) has_cpu: Option<bool>,
    pub(super) cpu: Option<Cpu>,
    pub(super) has_memory: Option<bool>,
    pub(super) memory: Option<Memory>,
    pub(super) has_network: Option<bool>,
    #[serde(borrow)]
    pub(super) network: Option<Network<'a>>,
    pub(super) has_filesystem: Option<bool>,
    #[serde(borrow)]
    pub(super) filesystem: Option<Filesystems<'a>>,
    pub(super) has_diskio: Option<bool>,
    #[serde(borrow)]
    pub(super) diskio: Option<DiskIo<'a>>,
    #[serde(borrow)]
    pub(super) accelerators: Option<Vec<Accelerator<'a>>>,
    #[serde(borrow)]
    pub(super) custom_metrics: Option<Entries<'a, Option<Vec<CustomValue<'a>>>>>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Cpu {
    pub(super) usage: Option<CpuUsage>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct CpuUsage {
    pub(super) total: Option<u64>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Memory {
    pub(super) usage: Option<u64>,
    pub(super) cache: Option<u64>,
    pub(super) rss: Option<u64>,
    pub(super) working_set: Option<u64>,
    pub(super) container_data: Option<Faults>,
    pub(super) hierarchical_data: Option<Faults>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Faults {
    pub(super) pgfault: Option<u64>,
    pub(super) pgmajfault: Option<u64>,
}

/// v1 repeats the first interface at the top; the oldest versions have nothing else.
#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Network<'a> {
    #[serde(borrow)]
    pub(super) interfaces: Option<Vec<Interface<'a>>>,
    pub(super) rx_bytes: Option<u64>,
    pub(super) rx_errors: Option<u64>,
    pub(super) tx_bytes: Option<u64>,
    pub(super) tx_errors: Option<u64>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Interface<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    pub(super) rx_bytes: Option<u64>,
    pub(super) rx_errors: Option<u64>,
    pub(super) tx_bytes: Option<u64>,
    pub(super) tx_errors: Option<u64>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Filesystem<'a> {
    #[serde(borrow, default)]
    pub(super) device: Text<'a>,
    pub(super) capacity: Option<u64>,
    pub(super) usage: Option<u64>,
    pub(super) available: Option<u64>,
    pub(super) has_inodes: Option<bool>,
    pub(super) inodes: Option<u64>,
    pub(super) inodes_free: Option<u64>,
    pub(super) sectors_read: Option<u64>,
    pub(super) sectors_written: Option<u64>,
    /// Where v2.1 has the sectors.
    pub(super) inline: Option<Sectors>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct Sectors {
    pub(super) sectors_read: Option<u64>,
    pub(super) sectors_written: Option<u64>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct DiskIo<'a> {
    #[serde(borrow)]
    pub(super) io_service_bytes: Option<Vec<Disk<'a>>>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct Disk<'a> {
    #[serde(borrow, default)]
    pub(super) device: Text<'a>,
    #[serde(default)]
    pub(super) major: u64,
    #[serde(default)]
    pub(super) minor: u64,
    pub(super) stats: Option<DiskStats>,
}

#[derive(Deserialize, Default, PartialEq, Debug)]
pub(super) struct DiskStats {
    #[serde(rename = "Read")]
    pub(super) read: Option<u64>,
    #[serde(rename = "Write")]
    pub(super) write: Option<u64>,
}

#[derive(Deserialize, PartialEq, Debug)]
pub(super) struct Accelerator<'a> {
    #[serde(borrow, default)]
    pub(super) make: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    pub(super) memory_total: Option<u64>,
    pub(super) memory_used: Option<u64>,
    pub(super) duty_cycle: Option<u64>,
}

/// Zeros are left out by cAdvisor.
#[derive(Deserialize, PartialEq, Debug)]
pub(super) struct CustomValue<'a> {
    #[serde(borrow, default)]
    pub(super) label: Text<'a>,
    #[serde(borrow)]
    pub(super) labels: Option<Entries<'a, Text<'a>>>,
    pub(super) timestamp: Option<Timestamp>,
    #[serde(default)]
    pub(super) int_value: i64,
    #[serde(default)]
    pub(super) float_value: f64,
}

/// What is known of the machine; the same in all versions.
#[derive(Deserialize)]
pub(super) struct Machine<'a> {
    pub(super) num_cores: Option<u32>,
    pub(super) memory_capacity: Option<u64>,
    #[serde(borrow, default)]
    pub(super) machine_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) system_uuid: Text<'a>,
    #[serde(borrow)]
    pub(super) filesystems: Option<Vec<MachineFilesystem<'a>>>,
    #[serde(borrow)]
    pub(super) disk_map: Option<Entries<'a, MachineDisk<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct MachineFilesystem<'a> {
    #[serde(borrow, default)]
    pub(super) device: Text<'a>,
    pub(super) has_inodes: Option<bool>,
    pub(super) inodes: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct MachineDisk<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
}
