//! From the numbers of one container to the fields of the schema.

use std::{borrow::Cow, sync::Arc};

use heapster_shared::{
    entity::Labels,
    row::Cell,
    schema::{Field, Metric, MetricId, ValueType, table},
};

use super::{
    answer::{Accelerator, CustomValue, Disk, Filesystem, Filesystems, Interface, Network, Stats},
    facts::Facts,
    known::{Known, cell},
};
use crate::source::{Recorder, accelerators, interfaces};

/// A disk's sector as the kernel counts, whatever the disk says.
const SECTOR_BYTES: u64 = 512;

/// Records the fields of one reading.
pub(super) struct Values<'v, 's> {
    /// What is known of the machine.
    pub(super) facts: &'v Facts,
    /// What is known of the container.
    pub(super) known: &'v Known,
    /// Has begun the reading.
    pub(super) recorder: &'v mut Recorder<'s, Known>,
}

impl Values<'_, '_> {
    fn plain(&mut self, metric: MetricId, value: Option<u64>) {
        self.recorder.plain(metric, cell(value));
    }

    fn device(&mut self, metric: MetricId, device: &str, value: Option<u64>) {
        self.recorder.resource(metric, device, cell(value));
    }

    /// All of the machine.
    pub(super) fn node(&mut self, stats: &Stats<'_>) {
        self.usage(stats);
        self.capacity();
        self.network(stats);
        self.filesystems(stats, true);
        self.disks(stats);
        self.disks_of_filesystems(stats);
    }

    /// All of a container of a pod; the pod has the network.
    pub(super) fn pod_container(&mut self, stats: &Stats<'_>) {
        self.usage(stats);
        self.limits();
        self.filesystems(stats, true);
        self.disks(stats);
        self.accelerators(stats.accelerators.as_deref().unwrap_or_default());
        self.custom(stats);
    }

    /// All of any other container.
    pub(super) fn sys_container(&mut self, stats: &Stats<'_>) {
        self.usage(stats);
        self.filesystems(stats, false);
        self.disks(stats);
    }

    /// CPU and memory in use.
    fn usage(&mut self, stats: &Stats<'_>) {
        if has(self.known.has.cpu, stats.has_cpu) {
            let usage = stats.cpu.as_ref().and_then(|cpu| cpu.usage.as_ref());
            self.plain(table::CPU_USAGE, usage.and_then(|usage| usage.total));
        }
        let Some(memory) =
            stats.memory.as_ref().filter(|_| has(self.known.has.memory, stats.has_memory))
        else {
            return;
        };
        self.plain(table::MEMORY_USAGE, memory.usage);
        self.plain(table::MEMORY_WORKING_SET, memory.working_set);
        self.plain(table::MEMORY_RSS, memory.rss);
        self.plain(table::MEMORY_CACHE, memory.cache);
        // With all below it, as the other numbers of memory are.
        if let Some(faults) = memory.hierarchical_data.as_ref().or(memory.container_data.as_ref()) {
            self.plain(table::MEMORY_PAGE_FAULTS, faults.pgfault);
            self.plain(table::MEMORY_MAJOR_PAGE_FAULTS, faults.pgmajfault);
        }
    }

    /// What the machine has, all of which workloads may have.
    fn capacity(&mut self) {
        #[allow(clippy::cast_precision_loss)]
        let memory = self.facts.memory_bytes.map(|bytes| bytes as f64);
        for (metric, value) in [
            (table::CPU_NODE_CAPACITY, self.facts.cpu_millicores),
            (table::CPU_NODE_ALLOCATABLE, self.facts.cpu_millicores),
            (table::MEMORY_NODE_CAPACITY, memory),
            (table::MEMORY_NODE_ALLOCATABLE, memory),
        ] {
            self.recorder.plain(metric, value.map_or(Cell::ABSENT, Cell::real));
        }
    }

    /// Limits of a container of a pod.
    fn limits(&mut self) {
        let limits = self.known.limits;
        self.recorder.plain(table::CPU_REQUEST, limits.cpu_request);
        self.recorder.plain(table::CPU_LIMIT, limits.cpu);
        self.recorder.plain(table::MEMORY_LIMIT, limits.memory);
    }

    /// The sum over the interfaces; those that only lead to containers count where there is no other.
    pub(super) fn network(&mut self, stats: &Stats<'_>) {
        let Some(network) =
            stats.network.as_ref().filter(|_| has(self.known.has.network, stats.has_network))
        else {
            return;
        };
        let [rx, tx, rx_errors, tx_errors] = traffic(network);
        self.plain(table::NETWORK_RX, rx);
        self.plain(table::NETWORK_TX, tx);
        self.plain(table::NETWORK_RX_ERRORS, rx_errors);
        self.plain(table::NETWORK_TX_ERRORS, tx_errors);
    }

    /// Filesystems by device; the sum of v2.1 stands under `/`.
    fn filesystems(&mut self, stats: &Stats<'_>, with_inodes: bool) {
        let known = has(self.known.has.filesystem, stats.has_filesystem);
        match stats.filesystem.as_ref().filter(|_| known) {
            Some(Filesystems::Total { usage }) => self.device(table::FILESYSTEM_USAGE, "/", *usage),
            Some(Filesystems::List(list)) => {
                for (index, filesystem) in list.iter().enumerate() {
                    let again =
                        list[..index].iter().any(|other| *other.device == *filesystem.device);
                    // Without a size it is none that anything could be stored on, such as cgroup2.
                    if !again && filesystem.capacity != Some(0) {
                        self.filesystem(filesystem, with_inodes);
                    }
                }
            }
            None => {}
        }
    }

    fn filesystem(&mut self, filesystem: &Filesystem<'_>, with_inodes: bool) {
        let device = &*filesystem.device;
        self.device(table::FILESYSTEM_USAGE, device, filesystem.usage);
        self.device(table::FILESYSTEM_LIMIT, device, filesystem.capacity);
        self.device(table::FILESYSTEM_AVAILABLE, device, filesystem.available);
        if !with_inodes || filesystem.has_inodes == Some(false) {
            return;
        }
        let total = filesystem.inodes.or_else(|| self.facts.inodes.get(device).copied());
        if let Some(total) = total.filter(|total| *total > 0) {
            self.device(table::FILESYSTEM_INODES, device, Some(total));
            self.device(table::FILESYSTEM_INODES_FREE, device, filesystem.inodes_free);
        }
    }

    /// Disk I/O by device.
    fn disks(&mut self, stats: &Stats<'_>) {
        if !has(self.known.has.disk_io, stats.has_diskio) {
            return;
        }
        let disks = stats.diskio.as_ref().and_then(|io| io.io_service_bytes.as_deref());
        let disks = disks.unwrap_or_default();
        for (index, disk) in disks.iter().enumerate() {
            let same = |other: &Disk<'_>| (other.major, other.minor) == (disk.major, disk.minor);
            if disks[..index].iter().any(|other| same(other) && other.device == disk.device) {
                continue;
            }
            let Some(counts) = &disk.stats else { continue };
            let name = disk_name(self.facts, disk);
            self.device(table::DISK_IO_READ_BYTES, &name, counts.read);
            self.device(table::DISK_IO_WRITE_BYTES, &name, counts.write);
        }
    }

    /// Disk I/O of a machine whose root control group counts none: what the kernel counts for the
    /// devices of its filesystems.
    fn disks_of_filesystems(&mut self, stats: &Stats<'_>) {
        let counted = stats.diskio.as_ref().and_then(|io| io.io_service_bytes.as_ref());
        let Some(Filesystems::List(list)) = &stats.filesystem else { return };
        if counted.is_some_and(|disks| !disks.is_empty()) {
            return;
        }
        for (index, filesystem) in list.iter().enumerate() {
            let again = list[..index].iter().any(|other| *other.device == *filesystem.device);
            let inner = filesystem.inline;
            let read = filesystem.sectors_read.or(inner.and_then(|inner| inner.sectors_read));
            let written = filesystem.sectors_written;
            let written = written.or(inner.and_then(|inner| inner.sectors_written));
            // All zero is what cAdvisor gives for what is no disk.
            if again || read.unwrap_or(0) == 0 && written.unwrap_or(0) == 0 {
                continue;
            }
            let bytes =
                |sectors: Option<u64>| sectors.map(|count| count.saturating_mul(SECTOR_BYTES));
            self.device(table::DISK_IO_READ_BYTES, &filesystem.device, bytes(read));
            self.device(table::DISK_IO_WRITE_BYTES, &filesystem.device, bytes(written));
        }
    }

    /// Accelerators, such as GPUs.
    fn accelerators(&mut self, accelerators: &[Accelerator<'_>]) {
        for (index, one) in accelerators.iter().enumerate() {
            if accelerators[..index].iter().any(|other| other.id == one.id) {
                continue;
            }
            let name = accelerators::Name { make: &one.make, model: &one.model, id: &one.id };
            let values = [one.memory_total, one.memory_used, one.duty_cycle].map(cell);
            name.record(self.recorder, values);
        }
    }

    /// The newest values of the metrics that the container itself exposes.
    fn custom(&mut self, stats: &Stats<'_>) {
        let Some(by_name) = &stats.custom_metrics else { return };
        for custom in self.known.custom.iter().flat_map(|custom| custom.iter()) {
            let named = by_name.0.iter().find(|(name, _)| **name == *custom.name);
            let values = named.and_then(|(_, values)| values.as_deref()).unwrap_or_default();
            // What comes again is left out by the recorder, so the newest goes first.
            let mut order: Vec<&CustomValue<'_>> = values.iter().collect();
            order.sort_by_key(|value| std::cmp::Reverse(value.timestamp));
            for value in order {
                let metric = Metric::Custom(Arc::clone(&custom.metric));
                let cell = match custom.metric.value_type {
                    ValueType::Int64 => Cell::int(value.int_value),
                    ValueType::Double => Cell::real(value.float_value),
                };
                self.recorder.field(&Field { metric, labels: labels_of(value) }, cell);
            }
        }
    }
}

/// Whether neither the spec nor the sample says that there is none.
fn has(spec: bool, stats: Option<bool>) -> bool {
    spec && stats != Some(false)
}

/// The disk's own name, what the machine calls it, or its number.
fn disk_name<'d>(facts: &'d Facts, disk: &'d Disk<'_>) -> Cow<'d, str> {
    if !disk.device.is_empty() {
        return Cow::Borrowed(&disk.device);
    }
    let number = compact_str::format_compact!("{}:{}", disk.major, disk.minor);
    match facts.disks.get(&number) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(number.into()),
    }
}

/// Received and sent bytes, errors while receiving and while sending.
fn traffic(network: &Network<'_>) -> [Option<u64>; 4] {
    let all = network.interfaces.as_deref().unwrap_or_default();
    if all.is_empty() {
        return [network.rx_bytes, network.tx_bytes, network.rx_errors, network.tx_errors];
    }
    let counted = interfaces::counted(all, |one| &one.name);
    let sum = |count: fn(&Interface<'_>) -> Option<u64>| {
        counted.iter().filter_map(|one| count(one)).reduce(u64::saturating_add)
    };
    [
        sum(|one| one.rx_bytes),
        sum(|one| one.tx_bytes),
        sum(|one| one.rx_errors),
        sum(|one| one.tx_errors),
    ]
}

fn labels_of(value: &CustomValue<'_>) -> Option<Arc<Labels>> {
    let pairs = value.labels.iter().flat_map(|labels| &labels.0);
    let pairs = pairs.map(|(name, value)| (&**name, &**value));
    let label = (!value.label.is_empty()).then_some(("label", &*value.label));
    let labels = Labels::from_iter(label.into_iter().chain(pairs));
    (!labels.is_empty()).then(|| Arc::new(labels))
}
