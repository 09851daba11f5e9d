//! What the text says, control group by control group.

use crate::source::{
    accelerators::Name,
    kubelet::{Grouped, Timed, seconds_to_ms},
    prometheus::{Labels, Malformed, Sample},
};

/// The metrics that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Cpu,
    Start,
    /// Of a control group as a whole.
    Plain(Plain),
    Failures,
    Device(OfDevice),
    Interface(OfInterface),
    Accelerator(OfAccelerator),
    Cores,
    MachineMemory,
}

/// The metrics of a control group as a whole, by their places in [`Group::plain`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plain {
    Usage,
    WorkingSet,
    Rss,
    Cache,
    Periods,
    ThrottledPeriods,
    ThrottledSeconds,
}

/// The metrics of a device, by their places in [`Device`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OfDevice {
    Usage,
    Limit,
    Inodes,
    InodesFree,
    ReadBytes,
    WrittenBytes,
    ReadSectors,
    WrittenSectors,
}

/// The metrics of a network interface, by their places in [`Interface`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OfInterface {
    Received,
    Sent,
    ReceiveErrors,
    SendErrors,
}

/// The metrics of an accelerator, by their places in [`Accelerator`]. Kubelets have had them up to
/// 1.24; since 1.20 they have to be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OfAccelerator {
    MemoryTotal,
    MemoryUsed,
    DutyCycle,
}

/// The family of this name, if it is used.
pub(super) fn family(name: &str) -> Option<Family> {
    let Some(name) = name.strip_prefix("container_") else {
        return match name {
            "machine_cpu_cores" => Some(Family::Cores),
            "machine_memory_bytes" => Some(Family::MachineMemory),
            _ => None,
        };
    };
    Some(match name {
        "cpu_usage_seconds_total" => Family::Cpu,
        "start_time_seconds" => Family::Start,
        "memory_failures_total" => Family::Failures,
        "memory_usage_bytes" => Family::Plain(Plain::Usage),
        "memory_working_set_bytes" => Family::Plain(Plain::WorkingSet),
        "memory_rss" => Family::Plain(Plain::Rss),
        "memory_cache" => Family::Plain(Plain::Cache),
        "cpu_cfs_periods_total" => Family::Plain(Plain::Periods),
        "cpu_cfs_throttled_periods_total" => Family::Plain(Plain::ThrottledPeriods),
        "cpu_cfs_throttled_seconds_total" => Family::Plain(Plain::ThrottledSeconds),
        "fs_usage_bytes" => Family::Device(OfDevice::Usage),
        "fs_limit_bytes" => Family::Device(OfDevice::Limit),
        "fs_inodes_total" => Family::Device(OfDevice::Inodes),
        "fs_inodes_free" => Family::Device(OfDevice::InodesFree),
        "fs_reads_bytes_total" => Family::Device(OfDevice::ReadBytes),
        "fs_writes_bytes_total" => Family::Device(OfDevice::WrittenBytes),
        "fs_sector_reads_total" => Family::Device(OfDevice::ReadSectors),
        "fs_sector_writes_total" => Family::Device(OfDevice::WrittenSectors),
        "network_receive_bytes_total" => Family::Interface(OfInterface::Received),
        "network_transmit_bytes_total" => Family::Interface(OfInterface::Sent),
        "network_receive_errors_total" => Family::Interface(OfInterface::ReceiveErrors),
        "network_transmit_errors_total" => Family::Interface(OfInterface::SendErrors),
        "accelerator_memory_total_bytes" => Family::Accelerator(OfAccelerator::MemoryTotal),
        "accelerator_memory_used_bytes" => Family::Accelerator(OfAccelerator::MemoryUsed),
        "accelerator_duty_cycle" => Family::Accelerator(OfAccelerator::DutyCycle),
        _ => return None,
    })
}

/// What tells a control group from others; as written, escapes and all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Key<'a> {
    /// Path of the control group.
    pub(super) id: &'a str,
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
}

/// The labels that are used.
#[derive(Clone, Copy, Default)]
struct Tags<'a> {
    key: Key<'a>,
    image: &'a str,
    cpu: &'a str,
    device: &'a str,
    interface: &'a str,
    failure: &'a str,
    scope: &'a str,
    make: &'a str,
    model: &'a str,
    accelerator: &'a str,
}

/// What is measured of one control group.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub(super) image: &'a str,
    /// Over all processors, in seconds.
    pub(super) cpu: Option<Timed>,
    /// Of each processor, added up: where there is no total.
    pub(super) cpu_parts: Option<Timed>,
    /// By [`Plain`].
    pub(super) plain: [Option<Timed>; 7],
    /// Page faults and those with a disk, all below the group included.
    pub(super) faults: [Option<f64>; 2],
    /// The same without what is below.
    pub(super) own_faults: [Option<f64>; 2],
    pub(super) start_time_ms: i64,
    pub(super) devices: Grouped<&'a str, Device>,
    pub(super) interfaces: Grouped<&'a str, Interface>,
    pub(super) accelerators: Grouped<Name<'a>, Accelerator>,
}

/// By [`OfDevice`].
pub(super) type Device = [Option<f64>; 8];
/// By [`OfInterface`].
pub(super) type Interface = [Option<Timed>; 4];
/// By [`OfAccelerator`].
pub(super) type Accelerator = [Option<f64>; 3];

/// What the text says.
#[derive(Default)]
pub(super) struct Groups<'a> {
    pub(super) groups: Grouped<Key<'a>, Group<'a>>,
    pub(super) cores: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
}

impl<'a> Groups<'a> {
    /// Takes in a sample of a family.
    ///
    /// # Errors
    /// When its labels are none.
    pub(super) fn add(&mut self, family: Family, sample: &Sample<'a>) -> Result<(), Malformed> {
        let value = Some(sample.value);
        match family {
            Family::Cores => self.cores = value,
            Family::MachineMemory => self.memory_bytes = value,
            _ => {
                let tags = Tags::of(sample.labels)?;
                let group = self.groups.of(tags.key);
                group.image = tags.image;
                group.add(family, &tags, sample);
            }
        }
        Ok(())
    }
}

impl<'a> Tags<'a> {
    fn of(mut labels: Labels<'a>) -> Result<Self, Malformed> {
        let mut tags = Self::default();
        while let Some(label) = labels.next()? {
            let place = match label.name {
                "id" => &mut tags.key.id,
                "namespace" => &mut tags.key.namespace,
                "pod" => &mut tags.key.pod,
                "container" => &mut tags.key.container,
                "image" => &mut tags.image,
                "cpu" => &mut tags.cpu,
                "device" => &mut tags.device,
                "interface" => &mut tags.interface,
                "failure_type" => &mut tags.failure,
                "scope" => &mut tags.scope,
                "make" => &mut tags.make,
                "model" => &mut tags.model,
                "acc_id" => &mut tags.accelerator,
                _ => continue,
            };
            *place = label.raw;
        }
        Ok(tags)
    }
}

impl<'a> Group<'a> {
    fn add(&mut self, family: Family, tags: &Tags<'a>, sample: &Sample<'a>) {
        let timed = Timed::from(sample);
        match family {
            Family::Cpu if matches!(tags.cpu, "total" | "") => self.cpu = Some(timed),
            Family::Cpu => {
                let sum = self.cpu_parts.map_or(0.0, |sum| sum.value);
                self.cpu_parts = Some(Timed { value: sum + timed.value, ..timed });
            }
            Family::Start => self.start_time_ms = seconds_to_ms(sample.value),
            Family::Plain(place) => self.plain[place as usize] = Some(timed),
            Family::Failures => self.add_failure(tags, sample.value),
            Family::Device(place) if is_disk(tags.device) => {
                self.devices.of(tags.device)[place as usize] = Some(sample.value);
            }
            Family::Interface(place) => {
                self.interfaces.of(tags.interface)[place as usize] = Some(timed);
            }
            Family::Accelerator(place) => {
                let name = Name { make: tags.make, model: tags.model, id: tags.accelerator };
                self.accelerators.of(name)[place as usize] = Some(sample.value);
            }
            Family::Device(_) | Family::Cores | Family::MachineMemory => {}
        }
    }

    fn add_failure(&mut self, tags: &Tags<'_>, value: f64) {
        let place = match tags.failure {
            "pgfault" => 0,
            "pgmajfault" => 1,
            _ => return,
        };
        match tags.scope {
            "hierarchy" => self.faults[place] = Some(value),
            _ => self.own_faults[place] = Some(value),
        }
    }
}

/// Mounts that lie on a disk (`overlay_0-44`) or in memory (named by their places) say of a node
/// what its disks say, or nothing, and there are some for each pod.
fn is_disk(device: &str) -> bool {
    let is_mount = device.starts_with('/') && !device.starts_with("/dev/");
    let is_in_memory = device.starts_with("/dev/shm") || device == "tmpfs" || device == "shm";
    !device.is_empty() && !is_mount && !is_in_memory && !device.starts_with("overlay")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_no_disks() {
        for disk in ["/dev/vda", "/dev/mapper/root", "rpool/data"] {
            assert!(is_disk(disk), "{disk}");
        }
        for mount in ["", "/dev/shm", "overlay_0-44", "tmpfs", "/var/lib/kubelet/pods/x/volumes/y"]
        {
            assert!(!is_disk(mount), "{mount}");
        }
    }
}
