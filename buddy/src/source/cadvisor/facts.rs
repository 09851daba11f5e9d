//! What is known of a machine and seldom changes, such as its capacity and the names of its disks.

use compact_str::CompactString;
use heapster_shared::Map;

use super::answer::{Machine, Text};

/// The machine under a host.
#[derive(Default, Debug)]
pub(super) struct Facts {
    /// CPUs in millicores.
    pub(super) cpu_millicores: Option<f64>,
    /// Memory in bytes.
    pub(super) memory_bytes: Option<u64>,
    /// Identity of the machine; may be empty.
    pub(super) host_id: CompactString,
    /// Inodes by device.
    pub(super) inodes: Map<CompactString, u64>,
    /// Names of disks by `major:minor`.
    pub(super) disks: Map<CompactString, CompactString>,
    /// When the machine's control group was made, where the answer with its counters leaves it out.
    pub(super) start_time_ms: i64,
}

impl Facts {
    /// The facts that the answer gives.
    pub(super) fn new(machine: &Machine<'_>, start_time_ms: i64) -> Self {
        let id =
            if machine.machine_id.is_empty() { &machine.system_uuid } else { &machine.machine_id };
        let filesystems = machine.filesystems.iter().flatten();
        let inodes = filesystems.filter(|filesystem| filesystem.has_inodes != Some(false));
        let inodes = inodes.filter_map(|filesystem| {
            Some(((&*filesystem.device).into(), filesystem.inodes.filter(|count| *count > 0)?))
        });
        let disks = machine.disk_map.iter().flat_map(|disks| &disks.0);
        Self {
            cpu_millicores: machine.num_cores.map(|cores| f64::from(cores) * 1000.0),
            memory_bytes: machine.memory_capacity,
            host_id: (&**id).into(),
            inodes: inodes.collect(),
            disks: disks
                .map(|(number, disk)| ((&**number).into(), disk_path(&disk.name)))
                .collect(),
            start_time_ms,
        }
    }
}

fn disk_path(name: &Text<'_>) -> CompactString {
    compact_str::format_compact!("/dev/{}", &**name)
}
